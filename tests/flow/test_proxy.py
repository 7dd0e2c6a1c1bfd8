"""Proxying: the PROXY protocol in both versions, Unix sockets, half-close, servers tried in order."""

import signal
import socket
import struct
import threading

import pytest

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway
from harness.pp2 import ALPN_OFFER, AUTHORITY, UNIQUE_ID, parse
from harness.tcp import client_hello, connect, local_address, read_exactly, read_to_end
from harness.upstream import Upstream
from harness.wait import PATIENCE_S, wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def proxy():
    """proxy(server, protocol) -> (port, gateway): everything on the port goes to server."""
    place, running = Place(), []

    def make(server, protocol="none", extra="", more=""):
        port = reserve_port()
        gateway = Gateway(place, f"""
{extra}
listener "public" {{ address = {{"127.0.0.1:{port}"}} }}
upstream "server" {{ server = {server} proxy-protocol = {protocol} connect-timeout = 2s }}
{more}
route "all" {{ proxy = "server" }}
""")
        running.append(gateway)
        gateway.start()
        return port, gateway

    yield make
    for gateway in running:
        try:
            gateway.stop()
        finally:
            gateway.kill()
    place.remove()


def quoted(upstream):
    return f'"127.0.0.1:{upstream.address[1]}"'


@pytest.mark.tsan
def test_half_close_is_passed_on(proxy):
    """The server answers only after the client's end, and the client reads on after it has ended."""
    def serve(sock):
        data, _ = read_to_end(sock)
        sock.sendall(b"got %d " % len(data) + data[-10:])

    with Upstream(serve) as upstream:
        port, gateway = proxy(quoted(upstream))
        with connect(port) as sock:
            address = local_address(sock)
            sock.sendall(REQUEST + b"x" * 300000)
            sock.shutdown(socket.SHUT_WR)
            assert read_to_end(sock) == (b"got %d " % (len(REQUEST) + 300000) + b"x" * 10, "end")
        line = gateway.close_lines(peer=address)[0]
        assert (line["reason"], line["bytes_in"]) == ("done", str(len(REQUEST) + 300000))


def test_a_server_that_ends_first(proxy):
    """The server's half-close reaches the client, which can still send."""
    received = []

    def serve(sock):
        read_exactly(sock, len(REQUEST))
        sock.sendall(b"bye")
        sock.shutdown(socket.SHUT_WR)
        received.append(read_to_end(sock)[0])

    with Upstream(serve) as upstream:
        port, gateway = proxy(quoted(upstream))
        with connect(port) as sock:
            address = local_address(sock)
            sock.sendall(REQUEST)
            assert read_to_end(sock) == (b"bye", "end")
            sock.sendall(b"later")
            sock.shutdown(socket.SHUT_WR)
            assert gateway.close_lines(peer=address)[0]["reason"] == "done"
        wait_until(lambda: received, "the server has seen the end")
    assert received == [b"later"]


@pytest.mark.release
def test_proxy_protocol_v1(proxy):
    lines = []

    def serve(sock):
        data = read_exactly(sock, 6)
        while not data.endswith(b"\r\n"):
            data += read_exactly(sock, 1)
        lines.append(data)
        sock.sendall(read_exactly(sock, len(REQUEST)))

    with Upstream(serve) as upstream:
        port, _ = proxy(quoted(upstream), "v1")
        with connect(port) as sock:
            own = sock.getsockname()[1]
            sock.sendall(REQUEST)
            assert read_exactly(sock, len(REQUEST)) == REQUEST
    assert lines == [b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (own, port)]


def serve_v2(headers, count):
    """A server that keeps the header and sends back the count bytes behind it."""
    def serve(sock):
        head = read_exactly(sock, 16)
        headers.append(head + read_exactly(sock, struct.unpack("!H", head[14:])[0]))
        sock.sendall(read_exactly(sock, count))

    return serve


@pytest.mark.release
def test_proxy_protocol_v2_to_a_unix_socket(proxy, place):
    headers = []
    place.path.chmod(0o755)
    path = place.path / "upstream.sock"
    with Upstream(serve_v2(headers, len(REQUEST)), socket.AF_UNIX, str(path)) as upstream:
        path.chmod(0o777)
        assert upstream.address
        port, _ = proxy(f'"unix:{path}"', "v2")
        with connect(port) as sock:
            own = sock.getsockname()[1]
            sock.sendall(REQUEST)
            assert read_exactly(sock, len(REQUEST)) == REQUEST
    addresses, tlvs = parse(headers[0])
    assert addresses == (("127.0.0.1", own), ("127.0.0.1", port)) and set(tlvs) == {UNIQUE_ID}


@pytest.mark.release
@pytest.mark.parametrize("name, told", [("www.example.test", True), ("a" * 60 + ".example.test", False)])
def test_proxy_protocol_v2_tells_name_and_id(proxy, name, told):
    """The name is left out where the header would grow over what servers take."""
    headers, hello = [], client_hello(name, ["h2"])
    with Upstream(serve_v2(headers, len(hello))) as upstream:
        port, gateway = proxy(quoted(upstream), "v2")
        with connect(port) as sock:
            address = local_address(sock)
            sock.sendall(hello)
            assert read_exactly(sock, len(hello)) == hello
        line = gateway.close_lines(peer=address)[0]
    _, tlvs = parse(headers[0])
    assert len(headers[0]) <= 107
    assert tlvs.get(AUTHORITY) == (name.encode() if told else None)
    assert (tlvs[UNIQUE_ID].decode(), name, "h2") == (line["conn"], line["sni"], line["alpn"])


@pytest.mark.release
def test_proxy_protocol_v2_tls_of_tls_that_passes_through(proxy):
    """What the client offers is told as an offer: nothing was negotiated here."""
    name, headers = "a" * 60 + ".example.test", []
    hello = client_hello(name, ["h2", "xmpp-client"])
    with Upstream(serve_v2(headers, len(hello))) as upstream:
        port, gateway = proxy(quoted(upstream), "v2-tls")
        with connect(port) as sock:
            address = local_address(sock)
            sock.sendall(hello)
            assert read_exactly(sock, len(hello)) == hello
        line = gateway.close_lines(peer=address)[0]
    _, tlvs = parse(headers[0])
    assert tlvs == {UNIQUE_ID: line["conn"].encode(), AUTHORITY: name.encode(), ALPN_OFFER: b"\x02h2\x0bxmpp-client"}


@pytest.mark.release
def test_the_header_does_not_wait_for_the_client(proxy):
    """A server that speaks first may want the header before: it is there although the client is silent."""
    headers = []

    def serve(sock):
        head = read_exactly(sock, 16)
        headers.append(head + read_exactly(sock, struct.unpack("!H", head[14:])[0]))
        sock.sendall(b"220 ready")
        assert read_exactly(sock, 4) == b"EHLO"

    with Upstream(serve) as upstream:
        port, _ = proxy(quoted(upstream), "v2", extra="peek-timeout = 100ms",
                        more='route "silent" { on-timeout = true proxy = "server" }')
        with connect(port) as sock:
            assert read_exactly(sock, 9) == b"220 ready"
            own = sock.getsockname()[1]
            sock.sendall(b"EHLO")
            read_to_end(sock)
    assert parse(headers[0])[0] == (("127.0.0.1", own), ("127.0.0.1", port))


def test_the_next_server_is_tried(proxy):
    def serve(sock):
        sock.sendall(read_exactly(sock, len(REQUEST)))

    with Upstream(serve) as upstream:
        port, gateway = proxy(f'{{"127.0.0.1:{reserve_port()}", {quoted(upstream)}}}')
        with connect(port) as sock:
            sock.sendall(REQUEST)
            assert read_exactly(sock, len(REQUEST)) == REQUEST
        gateway.wait_log(event="connect_failed")


def test_a_server_that_resets(proxy):
    def serve(sock):
        read_exactly(sock, len(REQUEST))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Upstream(serve) as upstream:
        port, gateway = proxy(quoted(upstream))
        with connect(port) as sock:
            address = local_address(sock)
            sock.sendall(REQUEST)
            assert read_to_end(sock)[0] == b""
        assert gateway.close_lines(peer=address)[0]["reason"] == "upstream_reset"


def test_an_idle_connection_is_closed(proxy):
    def serve(sock):
        sock.sendall(read_exactly(sock, len(REQUEST)))
        read_to_end(sock)

    with Upstream(serve) as upstream:
        port, gateway = proxy(quoted(upstream), extra="idle-timeout = 1s")
        with connect(port) as sock:
            address = local_address(sock)
            sock.sendall(REQUEST)
            assert read_to_end(sock)[0] == REQUEST
        assert gateway.close_lines(peer=address)[0]["reason"] == "idle_timeout"


@pytest.mark.parametrize("first", ["client", "server"])
def test_one_whose_other_half_stays_open_is_closed(proxy, first):
    """Once one direction has ended, the shorter time counts; before that the longer one does."""
    def serve(sock):
        sock.sendall(read_exactly(sock, len(REQUEST)))
        if first == "server":
            sock.shutdown(socket.SHUT_WR)
        read_to_end(sock)
        if first == "client":
            over.wait(PATIENCE_S)

    over = threading.Event()
    with Upstream(serve) as upstream:
        port, gateway = proxy(quoted(upstream), extra="idle-timeout = 10m\nhalf-closed-timeout = 300ms")
        with connect(port) as both_open, connect(port) as sock:
            both_open.sendall(REQUEST[:4])
            address = local_address(sock)
            sock.sendall(REQUEST)
            assert read_exactly(sock, len(REQUEST)) == REQUEST
            if first == "client":
                sock.shutdown(socket.SHUT_WR)
            line = gateway.close_lines(peer=address)[0]
            over.set()
            assert line["reason"] == "half_closed_timeout" and int(line["duration_ms"]) >= 300
            assert len(gateway.log(event="close")) == 1
            both_open.sendall(REQUEST[4:])
            assert read_exactly(both_open, len(REQUEST)) == REQUEST


def test_addresses_are_masked_when_told(proxy):
    def serve(sock):
        sock.sendall(read_exactly(sock, len(REQUEST)))

    with Upstream(serve) as upstream:
        port, gateway = proxy(quoted(upstream), extra="log { addresses = masked }")
        with connect(port) as sock:
            sock.sendall(REQUEST)
            assert read_exactly(sock, len(REQUEST)) == REQUEST
        line = gateway.close_lines()[0]
        assert line["peer"].startswith("127.0.0.0")


def test_what_is_open_at_the_end_is_drained(proxy):
    """After SIGTERM nothing new is accepted; what is open may finish until drain-timeout, and is then cut off: both
    sides see a reset."""
    def serve(sock):
        sock.sendall(read_exactly(sock, len(REQUEST)))
        sock.sendall(read_exactly(sock, 5))
        assert read_to_end(sock) == (b"", "reset")

    with Upstream(serve) as upstream:
        port, gateway = proxy(quoted(upstream), extra="drain-timeout = 4s")
        with connect(port) as sock:
            address = local_address(sock)
            sock.sendall(REQUEST)
            assert read_exactly(sock, len(REQUEST)) == REQUEST
            gateway.signal(signal.SIGTERM)
            wait_until(lambda: refuses(port), "the port is closed")
            sock.sendall(b"still")
            assert read_exactly(sock, 5) == b"still"
            assert read_to_end(sock) == (b"", "reset")
        assert gateway.popen.wait(PATIENCE_S) == 0
        assert gateway.log(event="close", peer=address)[0]["reason"] == "drained"


def refuses(port):
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # it was in the queue of a listener that has ended
    return False
