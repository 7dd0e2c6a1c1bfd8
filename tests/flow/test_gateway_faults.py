"""The gateway under attack and in want: every fault ends the connections that it is about, and nothing else."""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import time
from datetime import datetime

import pytest

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway, run
from harness.process import BIN
from harness.tcp import client_hello, connect, local_address, read_exactly, read_to_end, turned_away
from harness.wait import PATIENCE_S, wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
RESET = struct.pack("ii", 1, 0)
MIB = 1 << 20

CONFIG = """
drain-timeout = {drain}
{extra}
listener "public" {{ address = "127.0.0.1:{port}" }}
upstream "server" {{ server = "{server}" connect-timeout = 20s }}
backend "xmpp" {{ inlet = "{path}/inlet" handoff-timeout = 20s }}
route "xmpp" {{ alpn = "xmpp-client" handoff = "xmpp" }}
route "tls" {{ protocol = "tls" proxy = "server" }}
route "http" {{ protocol = "http" proxy = "server" }}
"""


class Front:
    """A gateway before a server that the test plays itself."""

    def __init__(self, place, extra="", server=None, limit=None, drain="2s"):
        self.place, self.port, self.server = place, reserve_port(), server or socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(PATIENCE_S)
        name = self.server.getsockname()
        self.gateway = Gateway(place, CONFIG.format(
            extra=extra, drain=drain, port=self.port, path=place.path,
            server=f"unix:{name}" if isinstance(name, str) else "%s:%d" % name[:2]))
        if limit is not None:
            self.gateway.arguments = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *self.gateway.arguments]
        self.gateway.start()

    def workers(self):
        return [int(worker["pid"]) for worker in self.status()["workers"]]

    def status(self):
        done = run("posternctl", "--json", "--gateway", self.gateway.config, "gateway", "status")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def accept(self):
        sock = self.server.accept()[0]
        sock.settimeout(PATIENCE_S)
        return sock

    def pair(self, first=REQUEST):
        """A client and the server's end of its connection, first sent and received."""
        client = connect(self.port)
        client.sendall(first)
        server = self.accept()
        assert read_exactly(server, len(first)) == first
        return client, server


@pytest.fixture
def front():
    place, made = Place(), []

    def make(**arguments):
        made.append(Front(place, **arguments))
        return made[-1]

    yield make
    for one in made:
        try:
            if one.gateway.running():
                one.gateway.stop()
            one.gateway.check_clean()
        finally:
            one.gateway.kill()
            one.server.close()
    place.remove()


def wakeups(pid):
    with open(f"/proc/{pid}/status") as status:
        return sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.release
def test_nothing_keeps_a_worker_awake(front):
    """Half a hello, an urgent byte, silence, one direction that has ended: each waits without a single wake-up."""
    one = front(extra="peek-timeout = 10m")
    worker = one.workers()[0]
    half, urgent, silent = (connect(one.port) for _ in range(3))
    half.sendall(client_hello("a.example")[:99])
    urgent.send(b"G", socket.MSG_OOB)
    client, server = one.pair()
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""

    def quiet_for_a_second():
        before = wakeups(worker)
        time.sleep(1)  # the measure itself
        return wakeups(worker) == before

    wait_until(quiet_for_a_second, "the worker sleeps")
    for sock in (half, urgent, silent, client, server):
        sock.close()


@pytest.mark.release
def test_urgent_bytes_stay_in_the_stream(front):
    client, server = front().pair()
    for source, sink in ((client, server), (server, client)):
        source.sendall(b"ab")
        source.send(b"C", socket.MSG_OOB)
        source.sendall(b"de")
        assert read_exactly(sink, 5) == b"abCde"


@pytest.mark.release
def test_an_urgent_byte_in_the_hello_decides(front):
    """What is behind it cannot be seen without taking what is before it: it is TLS of an unknown name, at once."""
    one = front(extra="peek-timeout = 10m")
    hello = client_hello("a.example", ["xmpp-client"])
    client = connect(one.port)
    client.sendall(hello[:50])
    client.send(hello[50:51], socket.MSG_OOB)
    client.sendall(hello[51:])
    assert read_exactly(one.accept(), len(hello)) == hello


@pytest.mark.release
@pytest.mark.parametrize("towards", ["client", "server"])
def test_a_reader_that_stops_holds_the_writer_back(front, towards):
    one = front()
    client, server = one.pair()
    writer, reader = (server, client) if towards == "client" else (client, server)
    writer.setblocking(False)
    sent, block = 0, bytes(MIB)
    while sent < 1024 * MIB and select.select([], [writer], [], 1)[1]:
        sent += writer.send(block)
    assert sent < 128 * MIB
    writer.setblocking(True)
    writer.shutdown(socket.SHUT_WR)
    data, how = read_to_end(reader)
    assert (len(data), how) == (sent, "end")


@pytest.mark.release
@pytest.mark.parametrize("broken", ["client", "server"])
@pytest.mark.parametrize("half_closed", [False, True])
def test_a_reset_is_passed_on_as_a_reset(front, broken, half_closed):
    """What was cut off must not look complete."""
    one = front()
    client, server = one.pair()
    address = local_address(client)
    mine, other = (client, server) if broken == "client" else (server, client)
    if half_closed:
        other.shutdown(socket.SHUT_WR)
        assert mine.recv(1) == b""
    mine.sendall(b"x" * 1000)
    assert read_exactly(other, 1000) == b"x" * 1000
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    mine.close()
    assert read_to_end(other) == (b"", "reset")
    line = one.gateway.close_lines(peer=address)[0]
    assert line["reason"] == ("client_reset" if broken == "client" else "upstream_reset")


@pytest.mark.release
def test_one_connection_too_many_is_closed(front):
    one = front(extra="max-connections = 5")
    held = [one.pair() for _ in range(5)]
    assert turned_away(one.port)
    assert len(one.gateway.close_lines(reason="overload")[0]["conn"]) == 16
    for client, server in held:
        client.sendall(b"still there")
        assert read_exactly(server, 11) == b"still there"
        client.close()
        server.close()
    one.gateway.close_lines(count=5, reason="done")
    client, server = one.pair()
    counted = one.gateway.stats()[""]
    assert (counted["accepted"], counted["close_overload"], counted["close_done"]) == (7, 1, 5)


@pytest.mark.release
def test_few_descriptors_mean_few_connections(front):
    """Those beyond are closed and counted, rather than left waiting in the kernel's queue."""
    one = front(limit=148)
    held = [one.pair() for _ in range(10)]
    for _ in range(20):
        assert turned_away(one.port)
    one.gateway.close_lines(count=20, reason="overload")
    for client, server in held:
        server.sendall(b"still there")
        assert read_exactly(client, 11) == b"still there"
        client.close()
        server.close()
    one.gateway.close_lines(count=10, reason="done")
    client, server = one.pair()
    counted = one.gateway.stats()[""]
    assert (counted["accepted"], counted["accept_faults"], counted["close_descriptors"]) == (31, 0, 0)


@pytest.mark.release
def test_a_unix_server_with_a_full_queue_is_asked_again(front, place):
    place.path.chmod(0o755)
    path = place.path / "server.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    path.chmod(0o777)
    server.listen(2)
    one = front(server=server)
    clients = [connect(one.port) for _ in range(20)]
    for client in clients:
        client.sendall(REQUEST)
    wait_until(lambda: one.gateway.stats()["http"]["routed"] == 20, "all are routed")
    for _ in clients:
        with one.accept() as sock:
            sock.sendall(read_exactly(sock, len(REQUEST)))
    for client in clients:
        assert read_to_end(client) == (REQUEST, "end")
        client.close()


@pytest.mark.release
def test_a_killed_worker_is_replaced(front):
    one = front(extra="workers = 2")
    pairs = [one.pair() for _ in range(40)]
    killed, kept = one.workers()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: one.status()["workers"][0]["ready"] and one.workers()[0] != killed, "a new worker")
    assert one.workers()[1] == kept
    assert one.gateway.stats()[""]["worker_deaths"] == 1
    survived = 0
    for client, server in pairs:
        try:
            client.sendall(b"ping")
            survived += server.recv(4) == b"ping"
        except OSError:
            pass
        client.close()
        server.close()
    one.gateway.close_lines(count=survived)
    assert 0 < survived < 40  # 1 in 2^39 that the kernel gave all to one
    for _ in range(20):
        for sock in one.pair():
            sock.close()


@pytest.mark.release
def test_a_worker_that_dies_again_and_again_is_replaced_later_each_time(front):
    one = front(extra="workers = 1")
    for deaths in range(1, 4):
        [pid] = one.workers()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: one.status()["workers"][0]["ready"] and one.workers() != [pid], "a new worker")
        died, new = (datetime.fromisoformat(one.gateway.log(event=event)[-1]["time"]) for event in ("worker_died", "worker"))
        assert 0.095 <= (new - died).total_seconds() / 2 ** (deaths - 1) < 2


@pytest.mark.release
def test_a_killed_master_takes_its_workers_along(front):
    """And whoever starts the next one at once finds the lock and the port free."""
    one = front(extra="workers = 2")
    client, _ = one.pair()
    workers = one.workers()
    one.gateway.kill()
    one.gateway.start()
    wait_until(lambda: not any(map(alive, workers)), "the old workers end")
    assert read_to_end(client)[0] == b""
    one.pair()


@pytest.mark.release
def test_draining_lets_connections_finish(front):
    one = front(drain="10m")
    client, server = one.pair()
    one.gateway.signal(signal.SIGTERM)

    def refused():
        try:
            connect(one.port).close()
        except OSError:
            return True
        return False

    wait_until(refused, "nothing is accepted any more")
    client.sendall(b"the rest")
    assert read_exactly(server, 8) == b"the rest"
    server.close()
    assert read_to_end(client) == (b"", "end")
    client.close()
    assert one.gateway.popen.wait(PATIENCE_S) == 0


@pytest.mark.release
def test_a_worker_that_hangs_does_not_keep_the_gateway_from_ending(front):
    one = front(drain="100ms")
    os.kill(one.workers()[0], signal.SIGSTOP)
    one.gateway.signal(signal.SIGTERM)
    assert one.gateway.popen.wait(PATIENCE_S) == 0
    assert one.gateway.log(event="hard_stop")


@pytest.mark.release
def test_the_log_is_reopened_in_every_worker(place):
    port, log = reserve_port(), place.folder("log") / "gateway.log"
    config = place.write("log.conf", f"""
lock-file = "{place.path}/log.lock"
control-socket = "{place.path}/log.sock"
workers = 2
{place.user_line()}
log {{ file = "{log}" }}
listener "public" {{ address = "127.0.0.1:{port}" }}
route "all" {{ refuse = close }}
""")
    gateway = subprocess.Popen([BIN / "postern-gateway", "-c", config])
    try:
        wait_until(lambda: log.exists() and "event=ready" in log.read_text(), "ready")
        log.rename(log.with_suffix(".1"))
        gateway.send_signal(signal.SIGUSR1)
        wait_until(lambda: log.exists() and "event=log_reopened" in log.read_text(), "a new file")
        done = run("posternctl", "--gateway", config, "gateway", "connections")
        assert done.returncode == 0, done.stderr  # it has asked the workers, behind the word of the new file
        for _ in range(20):
            connect(port).close()
        wait_until(lambda: log.read_text().count("event=close") == 20, "each has its line in the new file")
        gateway.send_signal(signal.SIGINT)
        assert gateway.wait(PATIENCE_S) == 0
    finally:
        gateway.kill()
        gateway.wait()


@pytest.mark.release
def test_a_backend_that_comes_late_gets_the_socket(front):
    one = front()
    hello = client_hello("a.example", ["xmpp-client"])
    client = connect(one.port)
    client.sendall(hello)
    wait_until(lambda: one.gateway.stats()["xmpp"]["routed"] == 1, "the connection waits")
    path = one.place.path / "inlet"
    one.place.path.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as inlet:
        inlet.bind(str(path))
        path.chmod(0o777)
        inlet.listen(5)
        inlet.settimeout(PATIENCE_S)
        channel, _ = inlet.accept()
        channel.settimeout(PATIENCE_S)
        _, passed, _, _ = socket.recv_fds(channel, 4096, 4)
        with channel, socket.socket(fileno=passed[0]) as taken:
            taken.settimeout(PATIENCE_S)
            assert read_exactly(taken, len(hello)) == hello
            taken.sendall(b"hi")
            assert read_exactly(client, 2) == b"hi"
    client.close()
    assert one.gateway.close_lines()[0]["reason"] == "handed_off"
