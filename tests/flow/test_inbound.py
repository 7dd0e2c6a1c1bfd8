"""PROXY headers that come in: taken from trusted peers, however they are cut, and refused from everyone else."""

import socket
import struct
import time

import pytest

from harness.haproxy import Haproxy
from harness.nginx import Nginx
from harness.pp2 import SIGNATURE, UNIQUE_ID, parse
from harness.ports import reserve_port
from harness.postern import Gateway
from harness.process import STARTED
from harness.place import Place
from harness.tcp import connect, read_exactly, read_to_end
from harness.wait import PATIENCE_S, wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
TRUSTED, STRANGER = "127.0.0.1", "127.0.0.2"
V1 = b"PROXY TCP4 198.51.100.7 203.0.113.1 1234 443\r\n"
ADDRESSES = bytes([198, 51, 100, 7, 203, 0, 113, 1]) + struct.pack("!HH", 1234, 443)

CONFIG = """
peek-timeout = {timeout}
{extra}
listener "public" {{ address = "127.0.0.1:{port}" proxy-protocol-from = {{"127.0.0.1", "2001:db8::/32"}} }}
upstream "plain" {{ server = "{plain}" }}
upstream "told" {{ server = "{plain}" proxy-protocol = v2 }}
upstream "haproxy" {{ server = "127.0.0.1:{receiver}" proxy-protocol = v2 }}
upstream "nginx" {{ server = "127.0.0.1:{nginx}" proxy-protocol = v1 }}
pattern "told" {{ regex = '^told ' }}
pattern "to-haproxy" {{ regex = '^GET /haproxy' }}
pattern "to-nginx" {{ regex = '^GET /nginx' }}
route "from-afar" {{ source = "192.0.2.0/24" refuse = close }}
route "told" {{ protocol = "told" proxy = "told" }}
route "haproxy" {{ protocol = "to-haproxy" proxy = "haproxy" }}
route "nginx" {{ protocol = "to-nginx" proxy = "nginx" }}
route "http" {{ protocol = "http" proxy = "plain" }}
"""


class Front:
    """The gateway before a server that the test plays, a HAProxy and an nginx."""

    def __init__(self, timeout="10m", extra=""):
        self.place, self.port = Place(), reserve_port()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(PATIENCE_S)
        self.haproxy = Haproxy(self.place, self.port)
        self.nginx = Nginx(self.place, *self.place.certificate("nginx", ["a"]))
        self.gateway = Gateway(self.place, CONFIG.format(
            timeout=timeout, extra=extra, port=self.port, plain="%s:%d" % self.server.getsockname(),
            receiver=self.haproxy.receiver, nginx=self.nginx.plain_port))
        self.gateway.start()

    def connect(self, source=TRUSTED):
        return connect(self.port, source=source)

    def accept(self):
        sock = self.server.accept()[0]
        sock.settimeout(PATIENCE_S)
        return sock

    def reason(self, peer):
        return self.gateway.close_lines(peer=peer)[0]["reason"]

    def stop(self):
        try:
            self.gateway.stop()
            for one in (self.haproxy, self.nginx):
                one.kill()
        finally:
            self.gateway.kill()
            self.server.close()
            self.place.remove()


@pytest.fixture(scope="module")
def front():
    one = Front()
    yield one
    one.stop()
    STARTED.clear()


def v2(rest=ADDRESSES, command=0x21, family=0x11):
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(rest)) + rest


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def ask(port, path, source="127.0.0.3"):
    """(the client's own address, what the server behind says)."""
    with connect(port, source=source) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return "%s:%d" % sock.getsockname(), read_to_end(sock)[0].decode()


@pytest.mark.release
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_in_front_and_behind(front, version):
    if front.haproxy.popen is None:
        front.haproxy.start()
    port = getattr(front.haproxy, version)
    client, answer = ask(port, "/haproxy")
    assert answer.endswith(f"\r\n{client} to 127.0.0.1:{port}")
    line = front.gateway.close_lines(peer=client)[0]
    assert (line["route"], line["local"]) == ("haproxy", f"127.0.0.1:{port}")
    told = front.gateway.log(event="header", conn=line["conn"])
    assert [one["unique_id"][:9] for one in told] == ([] if version == "v1" else ["balancer-"])


@pytest.mark.release
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_behind_sees_the_true_address(front, version):
    for one in (front.haproxy, front.nginx):
        if one.popen is None:
            one.start()
    before = len(front.nginx.requests())
    client, answer = ask(getattr(front.haproxy, version), "/nginx")
    assert "404" in answer
    assert front.nginx.wait_request(before + 1)[0] == client


@pytest.mark.release
def test_health_checks_of_a_balancer_are_no_faults(front):
    """HAProxy's are a LOCAL header and a reset."""
    if front.haproxy.popen is None:
        front.haproxy.start()

    def ended(*reasons):
        return sum(front.gateway.stats()[""][f"close_{reason}"] for reason in reasons)

    faults = ended("header_malformed", "header_timeout", "header_refused", "no_route")
    checks = ended("client_reset", "peek_eof")
    wait_until(lambda: ended("client_reset", "peek_eof") > checks + 3, "some checks")
    assert ended("header_malformed", "header_timeout", "header_refused", "no_route") == faults


@pytest.mark.release
@pytest.mark.parametrize("header", [V1, v2(), v2(ADDRESSES + tlv(UNIQUE_ID, b"x" * 600))], ids=["v1", "v2", "tlvs"])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_header_is_taken_exactly(front, header, step):
    """Byte by byte, in pieces that run over its end, and in one with what is behind it."""
    everything = header + REQUEST
    with front.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(everything), step):
            client.sendall(everything[start:start + step])
        with front.accept() as server:
            assert read_exactly(server, len(REQUEST)) == REQUEST
            client.shutdown(socket.SHUT_WR)
            assert server.recv(100) == b""
    wait_until(lambda: front.gateway.log(event="close", peer="198.51.100.7:1234", local="203.0.113.1:443"), "a line")


@pytest.mark.release
def test_a_header_alone_is_taken_before_anything_follows(front):
    before = front.gateway.stats()[""]["routed"]
    with front.connect() as client:
        client.sendall(v2(ADDRESSES + tlv(UNIQUE_ID, b"alone")))
        front.gateway.wait_log(event="header", unique_id="alone")
        assert front.gateway.stats()[""]["routed"] == before
        client.sendall(REQUEST)
        with front.accept() as server:
            assert read_exactly(server, len(REQUEST)) == REQUEST


@pytest.mark.release
def test_what_servers_are_told_is_ours(front):
    """The addresses of the header, our id, and nothing that a stranger wrote."""
    with front.connect() as client:
        client.sendall(v2(ADDRESSES + tlv(UNIQUE_ID, b"theirs") + tlv(0x02, b"name") + tlv(0x20, b"\1\0\0\0\0")))
        client.sendall(b"told ")
        with front.accept() as server:
            start = read_exactly(server, 16)
            addresses, tlvs = parse(start + read_exactly(server, struct.unpack("!H", start[14:])[0]))
            assert read_exactly(server, 5) == b"told "
    assert addresses == (("198.51.100.7", 1234), ("203.0.113.1", 443))
    assert list(tlvs) == [UNIQUE_ID] and tlvs[UNIQUE_ID] != b"theirs"


@pytest.mark.release
def test_routes_ask_for_the_address_in_the_header(front):
    with front.connect() as client:
        client.sendall(b"PROXY TCP4 192.0.2.9 203.0.113.1 77 443\r\n" + REQUEST)
        assert read_to_end(client)[0] == b""
    assert front.gateway.close_lines(peer="192.0.2.9:77")[0]["route"] == "from-afar"


@pytest.mark.release
@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 1 2\r\n", v2(b"", 0x20, 0), v2(b"junk", 0x20, 0),
                                    v2(b"", 0x21, 0), v2(bytes(216), 0x21, 0x31)],
                         ids=["v1", "v1-more", "local", "local-more", "unspec", "unix"])
def test_without_addresses_the_sockets_own_stay(front, header):
    with front.connect() as client:
        client.sendall(header + REQUEST)
        with front.accept() as server:
            assert read_exactly(server, len(REQUEST)) == REQUEST
        peer = "%s:%d" % client.getsockname()
    assert front.reason(peer) in ("done", "upstream_reset", "client_reset")


MALFORMED = {
    "none": REQUEST,
    "tls": b"\x16\x03\x01\x02\x00\x01",
    "v1-port": b"PROXY TCP4 198.51.100.7 203.0.113.1 01234 443\r\n",
    "v1-long": b"PROXY TCP4 " + b" " * 107,
    "v2-version": SIGNATURE + b"\x11\x11\x00\x0c" + ADDRESSES,
    "v2-datagram": v2(family=0x12),
    "v2-crc": v2(ADDRESSES + tlv(0x03, b"\1\2\3\4")),
    "v2-tlv": v2(ADDRESSES + b"\x05\x00\x09x"),
    "v2-huge": SIGNATURE + b"\x21\x11\xff\xff" + bytes(17000),
}


@pytest.mark.release
@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_header_is_the_end(front, what):
    with front.connect() as client:
        peer = "%s:%d" % client.getsockname()
        client.sendall(MALFORMED[what])
        assert read_to_end(client) == (b"", "reset")
    assert front.reason(peer) == "header_malformed"
    assert front.gateway.log(event="header_malformed", via=peer)[0]["error"]


@pytest.mark.release
@pytest.mark.parametrize("header", [V1, v2()], ids=["v1", "v2"])
def test_half_a_header_and_an_end(front, header):
    with front.connect() as client:
        peer = "%s:%d" % client.getsockname()
        client.sendall(header[:-1])
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client)[0] == b""
    assert front.reason(peer) == "header_malformed"


@pytest.mark.release
def test_an_urgent_byte_in_the_header_is_no_header(front):
    with front.connect() as client:
        peer = "%s:%d" % client.getsockname()
        client.sendall(V1[:20])
        try:
            client.send(V1[20:21], socket.MSG_OOB)
            client.sendall(V1[21:] + REQUEST)
            assert read_to_end(client) == (b"", "reset")
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert front.reason(peer) == "header_malformed"


@pytest.mark.release
def test_an_urgent_byte_behind_the_header_stays_in_the_stream(front):
    with front.connect() as client:
        client.sendall(V1)
        client.sendall(REQUEST[:-1])
        client.send(REQUEST[-1:], socket.MSG_OOB)
        with front.accept() as server:
            assert read_exactly(server, len(REQUEST)) == REQUEST


@pytest.mark.release
def test_an_end_without_a_byte_is_no_fault(front):
    with front.connect() as client:
        peer = "%s:%d" % client.getsockname()
    assert front.reason(peer) == "peek_eof"


@pytest.mark.release
@pytest.mark.parametrize("header", [V1, v2()], ids=["v1", "v2"])
@pytest.mark.parametrize("step", [1, 1000])
def test_a_strangers_header_is_refused(front, header, step):
    with front.connect(STRANGER) as client:
        peer = "%s:%d" % client.getsockname()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for start in range(0, len(header), step):
                client.sendall(header[start:start + step])
            assert read_to_end(client) == (b"", "reset")
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert front.reason(peer) == "header_refused"


@pytest.mark.release
def test_a_second_header_is_a_strangers(front):
    with front.connect() as client:
        client.sendall(b"PROXY TCP4 198.51.100.8 203.0.113.1 5 443\r\n" + V1)
        assert read_to_end(client) == (b"", "reset")
    assert front.reason("198.51.100.8:5") == "header_refused"


@pytest.mark.release
def test_strangers_need_no_header(front):
    with front.connect(STRANGER) as client:
        client.sendall(REQUEST)
        with front.accept() as server:
            assert read_exactly(server, len(REQUEST)) == REQUEST
            peer = "%s:%d" % client.getsockname()
            client.shutdown(socket.SHUT_WR)
    assert front.gateway.close_lines(peer=peer)[0]["route"] == "http"


def test_a_header_that_comes_when_its_sender_is_hurried(front_of_few):
    """More wait than may: the oldest is looked at once more, and its header is there by now."""
    one = front_of_few
    for _ in range(10):
        with one.connect() as old:
            old.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Who sends byte by byte is looked at every 50 ms after a while.
            for byte in V1[:24]:
                old.sendall(bytes([byte]))
                time.sleep(0.003)
            old.sendall(V1[24:])
            with one.connect(STRANGER):
                wait_until(lambda: one.gateway.status()["workers"][0].get("probing") == 1, "one of them is decided")
    with one.connect() as client:
        client.sendall(V1 + REQUEST)
        with one.accept() as server:
            assert read_exactly(server, len(REQUEST)) == REQUEST
    assert one.gateway.stats()[""]["worker_deaths"] == 0


@pytest.fixture
def front_of_few():
    one = Front("10m", "max-probing = 1")
    yield one
    one.stop()


@pytest.mark.release
@pytest.mark.parametrize("start", [b"", b"P", V1[:-2], v2()[:-1]], ids=["nothing", "a-byte", "v1", "v2"])
def test_a_late_header_is_the_end(start):
    one = Front("300ms")
    try:
        with one.connect() as client:
            peer = "%s:%d" % client.getsockname()
            client.sendall(start)
            assert read_to_end(client) == (b"", "reset")
        assert one.reason(peer) == "header_timeout"
        # Of a stranger's it is not known whether it would have become one: no route is for it.
        if start in (b"", b"P"):
            with one.connect(STRANGER) as client:
                peer = "%s:%d" % client.getsockname()
                client.sendall(start)
                assert read_to_end(client)[0] == b""
            assert one.reason(peer) == ("no_route" if start else "peek_timeout")
    finally:
        one.stop()
