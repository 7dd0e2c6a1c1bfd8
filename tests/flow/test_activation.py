"""Sockets from the service manager: matched by address, shared by the workers, kept over everything."""

import shutil
import signal
import subprocess
import threading

import pytest

from harness.door import ANSWER, REQUEST, ask
from harness.load import Load
from harness.ports import reserve_port
from harness.process import BIN
from harness.tcp import connect
from harness.wait import PATIENCE_S, wait_until

pytestmark = pytest.mark.release


@pytest.fixture
def activated(door):
    """A gateway that is started by the first connection to one of the given ports."""
    def make(passed=None, **arguments):
        one = door(start=False, **arguments)
        words = [shutil.which("systemd-socket-activate"), "-E", "ASAN_OPTIONS"]
        for port in passed or [one.port]:
            words += ["-l", f"127.0.0.1:{port}"]
        one.gateway.arguments = [*words, str(BIN / "postern-gateway"), *one.gateway.arguments[1:]]
        return one

    return make


def start(one, port=None):
    """The first connection, which starts the gateway and is its first client."""
    starter = threading.Thread(target=one.gateway.start)
    starter.start()
    sock = wait_until(lambda: try_connect(port or one.port), "the service manager listens")
    ask(sock)
    sock.close()
    starter.join(PATIENCE_S)


def try_connect(port):
    try:
        return connect(port)
    except OSError:
        return None


def test_passed_sockets_are_shared_and_kept(activated):
    """The connection that started it is served; workers come and go, the program, too; the socket is one."""
    other = reserve_port()
    one = activated(workers=2)
    one.write(workers=2, ports=[one.port, other])
    start(one)
    lines = {line["address"]: line.get("from") for line in one.gateway.log(event="listening")}
    assert lines == {f"127.0.0.1:{one.port}": "service manager", f"127.0.0.1:{other}": None}
    one.get(other)
    with Load(one.port, REQUEST, ANSWER) as load:
        one.reload(workers=3)
        load.wait(20)
        one.reload(workers=1)
        load.wait(20)
        one.gateway.signal(signal.SIGUSR2)
        one.gateway.wait_log(event="upgraded")
        load.wait(20)
        one.reload(workers=2)
        load.wait(20)
    assert load.failed == []


def test_a_passed_socket_without_a_listener_is_named(activated):
    other = reserve_port()
    one = activated()
    one.gateway.arguments[3:3] = ["-l", f"127.0.0.1:{other}"]
    process = subprocess.Popen(one.gateway.arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until(lambda: try_connect(one.port), "the service manager listens").close()
        output, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1 and f"127.0.0.1:{other}" in output and "no listener" in output
