"""Several backends behind one name, and what becomes of connections when none is there."""

import struct

import pytest

from harness.farm import Named, ask
from harness.ports import reserve_port
from harness.postern import Backend, Gateway
from harness.pp2 import ALPN_OFFER, AUTHORITY, parse
from harness.rawxmpp import RawClient
from harness.site import DOMAIN
from harness.tcp import client_hello, connect, local_address, read_exactly, read_to_end
from harness.upstream import Upstream


BACKEND = """
listener "c2s" {{ address = "127.0.0.1:{port}" }}
host "{domain}" {{ certificate = "{cert}" key = "{key}" }}
"""


class Backends:
    """Real backends and a gateway that hands everything to them."""

    def __init__(self, place):
        self.place, self.port, self.processes = place, reserve_port(), []
        self.cert, self.key = place.certificate("site", [DOMAIN])

    def backend(self, name):
        one = Backend(self.place, BACKEND.format(port=reserve_port(), domain=DOMAIN, cert=self.cert, key=self.key),
                      name)
        self.processes.append(one)
        return one.start()

    def website(self):
        one = Named(self.place, "website")
        self.processes.append(one)
        return one.start()

    def gateway(self, backends, options="", extra=""):
        inlets = ", ".join(f'"{one.inlet}"' for one in backends)
        self.processes.insert(0, Gateway(self.place, f"""
listener "public" {{ address = "127.0.0.1:{self.port}" }}
backend "xmpp" {{ inlet = {{{inlets}}} {options} }}
{extra}
route "all" {{ handoff = "xmpp" }}
"""))
        return self.processes[0].start()

    def visit(self):
        """A client's stream is opened; the line that the gateway wrote about it."""
        with RawClient("127.0.0.1", self.port) as client:
            address = "%s:%d" % client.tcp.getsockname()
            client.open(DOMAIN)
        return self.processes[0].close_lines(peer=address)[0]


@pytest.fixture
def backends(place):
    one = Backends(place)
    yield one
    try:
        for process in one.processes:
            if process.running():
                process.stop()
            process.check_clean()
    finally:
        for process in one.processes:
            process.kill()


@pytest.mark.release
def test_a_second_backend_stands_by(backends):
    first, second = backends.backend("first"), backends.backend("second")
    backends.gateway([first, second], "handoff-timeout = 20s")
    assert backends.visit()["inlet"] == str(first.inlet)
    first.kill()
    for _ in range(2):
        line = backends.visit()
        assert (line["reason"], line["inlet"]) == ("handed_off", str(second.inlet))
        assert int(line["duration_ms"]) < 10000, "nobody waits for the first one"
    first.start()
    assert backends.visit()["inlet"] == str(first.inlet)


def test_backends_take_turns(backends):
    pair = [backends.backend("first"), backends.backend("second")]
    backends.gateway(pair, "balance = round-robin")
    inlets = [backends.visit()["inlet"] for _ in range(4)]
    assert inlets[:2] == inlets[2:] and set(inlets) == {str(one.inlet) for one in pair}


@pytest.mark.release
@pytest.mark.tsan
def test_without_a_backend_the_fallback_serves(backends):
    backend, website = backends.backend("only"), backends.website()
    gateway = backends.gateway([backend], 'handoff-timeout = 1s fallback = "website"',
                               f'upstream "website" {{ server = "{website.at}" }}')
    assert backends.visit()["reason"] == "handed_off"
    backend.kill()
    assert ask(backends.port) == "website"
    assert ask(backends.port) == "website"
    waited, at_once = gateway.close_lines(count=2, upstream="website")
    assert int(waited["duration_ms"]) >= 1000 > int(at_once["duration_ms"]), "who comes later does not wait again"
    assert (at_once["reason"], at_once["backend"], at_once["server"]) == ("done", "xmpp", website.at)
    assert gateway.stats()[""]["fallbacks"] == 2
    backend.start()
    assert backends.visit()["reason"] == "handed_off"


def test_the_fallback_learns_what_the_backend_would_have(backends, place):
    headers, hello = [], client_hello("www.example.test", ["xmpp-client"])

    def serve(sock):
        head = read_exactly(sock, 16)
        headers.append(head + read_exactly(sock, struct.unpack("!H", head[14:])[0]))
        sock.sendall(read_exactly(sock, len(hello)))

    class Nowhere:
        inlet = place.path / "nowhere.sock"

    with Upstream(serve) as server:
        gateway = backends.gateway(
            [Nowhere], 'handoff-timeout = 100ms fallback = "next"',
            f'upstream "next" {{ server = "127.0.0.1:{server.address[1]}" proxy-protocol = v2-tls }}')
        with connect(backends.port) as sock:
            address = local_address(sock)
            sock.sendall(hello)
            assert read_exactly(sock, len(hello)) == hello
        gateway.close_lines(peer=address)
    _, tlvs = parse(headers[0])
    assert (tlvs[AUTHORITY], tlvs[ALPN_OFFER]) == (b"www.example.test", b"\x0bxmpp-client")


def test_without_a_fallback_it_is_closed(backends, place):
    class Nowhere:
        inlet = place.path / "nowhere.sock"

    gateway = backends.gateway([Nowhere], "handoff-timeout = 200ms")
    with connect(backends.port) as sock:
        address = local_address(sock)
        sock.sendall(b"<?xml version='1.0'?>")
        assert read_to_end(sock)[0] == b""
    line = gateway.close_lines(peer=address)[0]
    assert line["reason"] == "backend_unavailable" and int(line["duration_ms"]) >= 200
