"""Routes by where clients come from and connect to, by what their hello lacks, and the counters of who they are."""

import pathlib
import socket

import pytest

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway, run
from harness.tcp import client_hello, connect, local_address, read_to_end
from harness.wait import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def gateway():
    place = Place()
    port = reserve_port()
    one = Gateway(place, f"""
peek-timeout = 2s
listener "public" {{ address = "*:{port}" }}
route "guests" {{ source = {{"127.0.0.64/26", "2001:db8::/32"}} protocol = {{"tls", "xmpp"}} refuse = close }}
route "second" {{ destination = "127.0.0.2:{port}" refuse = close }}
route "elsewhere" {{ destination = {{"127.0.0.2", "*:1"}} refuse = reset }}
route "hidden" {{ ech = true refuse = close }}
route "numbered" {{ sni = '~^WWW[0-9]+\\.example\\.test$' refuse = close }}
route "nameless" {{ no-sni = true no-alpn = true refuse = close }}
route "chat" {{ sni = "chat.example.test" no-alpn = true refuse = close }}
route "modern" {{ tls-version = "1.3" refuse = close }}
route "xmpp" {{ protocol = "xmpp" refuse = close }}
route "unwanted" {{ protocol = "ssh" refuse = reset }}
route "rest" {{ refuse = close }}
""")
    one.port = port
    one.start()
    yield one
    try:
        one.stop()
    finally:
        one.kill()
        place.remove()


def route_of(gateway, data, source="127.0.0.1", destination="127.0.0.1", pieces=1):
    with connect(gateway.port, destination, source) as sock:
        address = local_address(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(pieces):
            sock.sendall(data[len(data) * i // pieces:len(data) * (i + 1) // pieces])
            looked_at = len(data) * (i + 1) // pieces
            if i + 1 < pieces:
                wait_until(lambda: gateway.control_call("status")["workers"][0]["probing_bytes"] == looked_at, "the piece is looked at")
        read_to_end(sock)
    return gateway.close_lines(peer=address)[0].get("route")


HELLO = client_hello("www.example.test", ["h2"])
CORPUS = pathlib.Path(__file__).resolve().parents[1] / "fuzz/corpus/clienthello"
HIDDEN = (CORPUS / "good_ech").read_bytes()


@pytest.mark.release
@pytest.mark.parametrize("data,source,destination,route", [
    (HELLO, "127.0.0.65", "127.0.0.1", "guests"),
    (HELLO, "127.0.0.65", "127.0.0.2", "guests"),
    (b"GET ", "127.0.0.65", "127.0.0.2", "second"),
    (HELLO, "127.0.0.128", "127.0.0.1", "modern"),
    (HELLO, "127.0.0.1", "127.0.0.2", "second"),
    (client_hello("www17.example.test"), "127.0.0.1", "127.0.0.1", "numbered"),
    (client_hello("www17.example.test.x"), "127.0.0.1", "127.0.0.1", "modern"),
    (client_hello(), "127.0.0.1", "127.0.0.1", "nameless"),
    (client_hello(None, ["h2"]), "127.0.0.1", "127.0.0.1", "modern"),
    (client_hello("chat.example.test"), "127.0.0.1", "127.0.0.1", "chat"),
    (client_hello("chat.example.test", ["h2"]), "127.0.0.1", "127.0.0.1", "modern"),
    (b"x", "127.0.0.1", "127.0.0.1", "rest"),
])
def test_conditions(gateway, data, source, destination, route):
    assert route_of(gateway, data, source, destination) == route
    asked = run("posternctl", "-g", gateway.config, "gateway", "explain", "--hex", data.hex(), "--source", source,
                "--destination", f"{destination}:{gateway.port}")
    assert asked.returncode == 0, asked.stderr
    assert f'Taken: route "{route}"' in asked.stdout
    alone = run("postern-gateway", "-c", gateway.config, "--explain", "--hex", data.hex(), "--source", source,
                "--destination", f"{destination}:{gateway.port}")
    assert alone.stdout == asked.stdout


@pytest.mark.parametrize("data,ending", [(b"hello", "end"), (b"SSH-2.0-x\r\n", "reset")])
def test_refusals_without_a_word(gateway, data, ending):
    """In order, or by a reset."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as sock:
        sock.sendall(data)
        assert read_to_end(sock) == (b"", ending)


def rise(gateway, before, label):
    """The counters that have changed."""
    now = gateway.stats()[label]
    return {name: now[name] - before[label].get(name, 0) for name in now
            if name.startswith(("client_", "hello_", "alpn_")) and now[name] != before[label].get(name, 0)}


@pytest.mark.parametrize("data,pieces,route,counters", [
    (client_hello("chat.example.test"), 1, "chat", {"client_tls", "hello_tls13", "alpn_none"}),
    (client_hello("chat.example.test", ["xmpp-client", "h2", "h2", "x", "y"]), 1, "modern",
     {"client_tls", "hello_tls13", "alpn_xmpp_client", "alpn_h2", "alpn_other"}),
    (client_hello("a.test", ["http/1.1", "acme-tls/1", "xmpp-server"]), 3, "modern",
     {"client_tls", "hello_tls13", "hello_fragmented", "alpn_http11", "alpn_acme", "alpn_xmpp_server"}),
    (client_hello(), 1, "nameless", {"client_tls", "hello_tls13", "alpn_none", "hello_no_sni"}),
    (HIDDEN, 1, "hidden", {"client_tls", "hello_tls13", "alpn_none", "hello_ech"}),
    (b"<stream:stream ", 1, "xmpp", {"client_xmpp"}),
    (b"GET / HTTP/1.1\r\n\r\n", 1, "rest", {"client_http"}),
    (b"SSH-2.0-x\r\n", 1, "unwanted", {"client_ssh"}),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1, "rest", {"client_http2"}),
    (b"hello", 1, "rest", {"client_unknown"}),
    (HELLO[:100], 1, "rest", {"client_tls", "hello_partial"}),
])
def test_who_the_clients_are(gateway, data, pieces, route, counters):
    before = gateway.stats()
    assert route_of(gateway, data, pieces=pieces) == route
    for label in ("", route):
        wait_until(lambda: rise(gateway, before, label), "a counter")
        assert rise(gateway, before, label) == {name: 1 for name in counters}


def test_silence_is_counted(gateway):
    before = gateway.stats()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as sock:
        read_to_end(sock)
    wait_until(lambda: rise(gateway, before, ""), "a counter")
    assert rise(gateway, before, "") == {"client_silent": 1}
