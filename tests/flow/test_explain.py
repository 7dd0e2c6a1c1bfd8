"""postern-gateway --explain says what the running gateway does."""

import re
import socket

import pytest

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway, run
from harness.tcp import client_hello, connect, local_address, read_to_end

CLIENTS = [
    # arguments of --explain, what such a client sends, the route
    (["--sni", "chat.example.test", "--alpn", "h2"], client_hello("chat.example.test", ["h2"]), "name"),
    (["--sni", "a.chat.example.test"], client_hello("a.chat.example.test"), "name"),
    (["--sni", "www.example.test", "--alpn", "h2,xmpp-client"], client_hello("www.example.test", ["h2", "xmpp-client"]),
     "alpn"),
    (["--alpn", "http/1.1"], client_hello(None, ["http/1.1"]), "tls"),
    (["--hex", "05 01 00"], b"\5\1\0", "socks5"),
    (["--hex", b"SSH-2.0-x".hex()], b"SSH-2.0-x", "ssh"),
    (["--hex", b"SSH-2".hex()], b"SSH-2", None),
    (["--hex", b"<stream:strea".hex()], b"<stream:strea", None),
    (["--hex", "1603010200010001"], b"\x16\3\1\2\0\1\0\1", "tls"),
    (["--silent"], b"", "silent"),
]


@pytest.fixture(scope="module")
def gateway():
    place = Place()
    port = reserve_port()
    one = Gateway(place, f"""
peek-timeout = 200ms
listener "public" {{ address = "127.0.0.1:{port}" }}
pattern "socks5" {{ regex = '^\\x05[\\x01-\\x0a][\\x00-\\x0a]' }}
route "name" {{ sni = {{"chat.example.test", "*.chat.example.test"}} refuse = close }}
route "alpn" {{ alpn = "xmpp-client" refuse = close }}
route "tls" {{ protocol = "tls" refuse = close }}
route "socks5" {{ protocol = "socks5" refuse = close }}
route "xmpp" {{ protocol = "xmpp" refuse = close }}
route "ssh" {{ protocol = "ssh" refuse = close }}
route "silent" {{ on-timeout = true refuse = close }}
""")
    one.port = port
    one.start()
    yield one
    try:
        one.stop()
    finally:
        one.kill()
        place.remove()


@pytest.mark.release
@pytest.mark.parametrize("arguments,data,route", CLIENTS)
def test_it_is_what_happens(gateway, arguments, data, route):
    done = run("postern-gateway", "-c", gateway.config, "--explain", *arguments)
    assert done.returncode == (0 if route else 1), done.stdout + done.stderr
    taken = re.search(r'^Taken: route "(.*)" \(line \d+\): refuse \(close\)$', done.stdout, re.M)
    assert (taken and taken[1]) == route, done.stdout
    with connect(gateway.port) as sock:
        address = local_address(sock)
        sock.sendall(data)
        if route is None:
            sock.shutdown(socket.SHUT_WR)
        read_to_end(sock)
    line = gateway.close_lines(peer=address)[0]
    assert line.get("route") == route and line["reason"] == ("refused" if route else "no_route")


def test_bytes_of_a_file(gateway, place):
    path = place.path / "hello"
    path.write_bytes(client_hello("chat.example.test"))
    done = run("postern-gateway", "-c", gateway.config, "--explain", "--bytes", path, "--listener", "public")
    assert done.returncode == 0 and 'Taken: route "name"' in done.stdout


@pytest.mark.parametrize("arguments", [
    ["--explain"],
    ["--explain", "--silent", "--sni", "a.test"],
    ["--explain", "--silent", "--listener", "nowhere"],
    ["--explain", "--hex", "xx"],
    ["--explain", "--bytes", "/nonexistent/file"],
    ["--sni", "a.test"],
    ["-t", "--silent"],
])
def test_wrong_arguments(gateway, arguments):
    done = run("postern-gateway", "-c", gateway.config, *arguments)
    assert done.returncode == 2 and done.stderr and not done.stdout
