"""Protocols told by patterns, with the recipes of docs/recipes/patterns.md as they are, and SSH."""

import pathlib
import re
import socket
import subprocess
import time

import pytest

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway, run
from harness.tcp import client_hello, connect, local_address, read_exactly, read_to_end
from harness.upstream import Upstream

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = "\n".join(re.findall(r"```conf\n(.*?)```", (ROOT / "docs/recipes/patterns.md").read_text(), re.S))
NAMES = re.findall(r'^pattern "(\w+)"', RECIPES, re.M)
SAMPLES = sorted((ROOT / "tests/fuzz/corpus/clienthello").glob("first_*"))
STEPS = b"a" * 60 + b"c"


def echo(sock):
    """Send back all that comes; an SSH client is left alone."""
    while not (data := sock.recv(4096)).startswith(b"SSH-") and data:
        sock.sendall(data)


class Patterns:
    """A gateway with all recipes, and one server that answers with what it gets."""

    def __init__(self):
        self.place = Place()
        self.server = Upstream(echo)
        self.port = reserve_port()
        routes = "\n".join(f'route "{name}" {{ protocol = "{name}" proxy = "server" }}'
                           for name in [*NAMES, "ssh", "steps"])
        self.gateway = Gateway(self.place, f"""
listener "public" {{ address = "127.0.0.1:{self.port}" }}
upstream "server" {{ server = "127.0.0.1:{self.server.address[1]}" }}
{RECIPES}
pattern "steps" {{ regex = '^(?:a|aa|aaa)+b' }}
{routes}
route "web" {{ protocol = "tls" proxy = "server" }}
route "rest" {{ refuse = close }}
""")
        self.gateway.start()

    def close_of(self, *parts):
        """The line of the log for a client that sends the parts, each once the one before has reached the gateway."""
        with connect(self.port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            address = local_address(sock)
            for part in parts:
                sock.sendall(part)
            sock.shutdown(socket.SHUT_WR)
            answer, _ = read_to_end(sock)
        line = self.gateway.close_lines(peer=address)[0]
        assert line["route"] == "rest" or answer == b"".join(parts)
        return line

    def stop(self):
        try:
            self.gateway.stop()
        finally:
            self.gateway.kill()
            self.place.remove()


@pytest.fixture(scope="module")
def patterns():
    one = Patterns()
    yield one
    one.stop()


def test_there_are_recipes_and_samples():
    assert NAMES == ["openvpn", "socks5", "rdp", "mqtt", "postgresql"]
    assert all(any(sample.name.startswith(f"first_{name}") for sample in SAMPLES) for name in NAMES)


@pytest.mark.release
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_recipes(patterns, sample):
    data = sample.read_bytes()
    wanted = next(name for name in NAMES if sample.name.startswith(f"first_{name}"))
    for parts in ((data,), (data[:1], data[1:]), (data[:3], data[3:]), tuple(data[i:i + 1] for i in range(len(data)))):
        line = patterns.close_of(*parts)
        assert (line["route"], line["protocol"], line["reason"]) == (wanted, wanted, "done")


def test_others_go_their_ways(patterns):
    assert patterns.close_of(client_hello("example.test"))["protocol"] == "tls"
    line = patterns.close_of(b"GET / HTTP/1.1\r\n\r\n")
    assert (line["route"], line["protocol"]) == ("rest", "http")
    assert patterns.close_of(b"\x05\xff\xff")["route"] == "rest"


@pytest.mark.release
def test_a_decision_comes_before_the_client_ends(patterns):
    with connect(patterns.port) as sock:
        address = local_address(sock)
        sock.sendall(b"\x05\x01\x00")
        assert read_exactly(sock, 3) == b"\x05\x01\x00"
    assert patterns.gateway.close_lines(peer=address)[0]["route"] == "socks5"


@pytest.mark.release
def test_too_many_steps_are_no_match_and_counted(patterns):
    before = patterns.gateway.stats()[""]["pattern_limits"]
    for _ in range(3):
        assert patterns.close_of(STEPS)["route"] == "rest"
    assert patterns.close_of(b"aaab")["route"] == "steps"
    assert patterns.gateway.stats()[""]["pattern_limits"] == before + 3
    assert len(patterns.gateway.log(event="pattern_limit")) == 1


@pytest.mark.release
def test_who_sends_byte_by_byte_is_looked_at_now_and_then(place):
    """Each look costs all the steps of the first pattern, while the second one wants more."""
    port, count = reserve_port(), 500
    gateway = Gateway(place, f"""
listener "public" {{ address = "127.0.0.1:{port}" }}
pattern "steps" {{ regex = '^(?:a|aa|aaa)+b' }}
pattern "long" {{ regex = '^[a-z]{{{len(STEPS) + count}}}' }}
route "steps" {{ protocol = "steps" refuse = close }}
route "long" {{ protocol = "long" refuse = reset }}
""")
    gateway.start()
    with connect(port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin = time.monotonic()
        sock.sendall(STEPS)
        for _ in range(count):
            time.sleep(0.001)  # or the kernel puts them together, and there is nothing to see
            sock.sendall(b"c")
        assert read_to_end(sock) == (b"", "reset")
        naps = (time.monotonic() - begin) / 0.05
    assert gateway.close_lines()[0]["route"] == "long"
    assert gateway.stats()[""]["pattern_limits"] <= 16 + naps + 2
    gateway.stop()


@pytest.mark.release
def test_no_memory_is_writable_and_executable(patterns):
    for worker in patterns.gateway.status()["workers"]:
        maps = pathlib.Path(f"/proc/{worker['pid']}/maps").read_text()
        assert re.search(r" r-xp 00000000 00:00 0 *$", maps, re.M), "the patterns' code"
        assert " rwx" not in maps


@pytest.mark.release
def test_workers_end_in_order(place):
    """A worker in its sandbox cannot open the seal of the patterns' code: it must not try to free it."""
    gateway = Gateway(place, f"""
listener "public" {{ address = "127.0.0.1:{reserve_port()}" }}
{RECIPES}
route "rest" {{ protocol = "mqtt" refuse = close }}
""")
    gateway.start()
    gateway.stop()
    assert not gateway.log(event="worker_died") and not gateway.log(event="pattern_writable")


@pytest.mark.release
def test_real_ssh(patterns):
    """OpenSSH's client sends its identification at once, and the server sees it."""
    before = len(patterns.gateway.log(event="close", route="ssh"))
    subprocess.run(["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2", "-p", str(patterns.port),
                    "127.0.0.1"], capture_output=True, timeout=60)
    line = patterns.gateway.close_lines(count=before + 1, route="ssh")[-1]
    assert line["protocol"] == "ssh" and int(line["bytes_in"]) >= len("SSH-2.0-\r\n")


def test_faults_have_a_place(place):
    path = place.write("wrong.conf", 'listener "a" { address = "127.0.0.1:1" }\npattern "tls" { regex = \'^x\' }\n'
                       'route "r" { refuse = close }\n' + place.user_line())
    done = run("postern-gateway", "-t", "-c", path)
    assert done.returncode == 2 and f"{path}:2:" in done.stderr and '"tls"' in done.stderr
