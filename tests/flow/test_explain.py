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


INSIDE = [
    (["--sni", "www.example.test", "--alpn", "h2", "--hex", b"GET / HTTP/1.1\r\n".hex()], "website"),
    (["--sni", "www.example.test", "--hex", b"<stream:stream ".hex()], "chat"),
    (["--sni", "other.example.test", "--hex", b"GET / HTTP/1.1\r\n".hex()], "rest"),
    (["--tls-version", "1.2", "--silent"], "old"),
    (["--silent"], "quiet"),
]


@pytest.fixture(scope="module")
def decrypting():
    place = Place()
    cert, key = place.certificate("inside", ["www.example.test"])
    one = Gateway(place, f"""
listener "public" {{ address = "127.0.0.1:{reserve_port()}" }}
tls "site" {{ certificate = "{cert}" key = "{key}" }}
route "begin" {{ sni = "www.example.test" terminate = "site" }}
route "website" {{ inside = "site" sni = "www.example.test" alpn = "h2" protocol = "http" refuse = close }}
route "chat" {{ inside = "site" no-alpn = true protocol = "xmpp" refuse = close }}
route "old" {{ inside = "site" on-timeout = true tls-version = "1.2" refuse = close }}
route "quiet" {{ inside = "site" on-timeout = true refuse = close }}
route "rest" {{ inside = "site" refuse = close }}
""")
    one.start()
    yield one
    try:
        one.stop()
    finally:
        one.kill()
        place.remove()


@pytest.mark.parametrize("arguments,route", INSIDE)
def test_what_is_decrypted(decrypting, arguments, route):
    done = run("posternctl", "-g", decrypting.config, "gateway", "explain", "--inside", "site", *arguments)
    assert done.returncode == 0, done.stderr
    assert f'Taken: route "{route}"' in done.stdout and 'decrypted by tls "site"' in done.stdout
    assert "inside       NO   nothing is decrypted" not in done.stdout
    alone = run("postern-gateway", "-c", decrypting.config, "--explain", "--inside", "site", *arguments)
    assert alone.stdout == done.stdout


def test_what_is_to_be_decrypted(decrypting):
    done = run("posternctl", "-g", decrypting.config, "gateway", "explain", "--sni=www.example.test")
    assert 'Taken: route "begin" (line ' in done.stdout and 'decrypt by tls "site"' in done.stdout
    done = run("posternctl", "-g", decrypting.config, "gateway", "explain", "--sni", "x.test")
    assert done.returncode == 1 and "Taken: no route" in done.stdout


def test_the_running_gateway_is_asked(gateway, place):
    """Its configuration counts, not what the file has become; the bytes of a file are sent."""
    hello = place.path / "hello"
    hello.write_bytes(client_hello("chat.example.test"))
    ask = ["posternctl", "-g", gateway.config, "gateway", "explain", "--bytes", hello]
    assert 'Taken: route "name"' in run(*ask).stdout
    text = gateway.config.read_text()
    gateway.config.write_text(text.replace('route "name"', 'route "renamed"'))
    try:
        assert 'Taken: route "name"' in run(*ask).stdout
        alone = run("postern-gateway", "-c", gateway.config, "--explain", "--bytes", hello)
        assert 'Taken: route "renamed"' in alone.stdout
    finally:
        gateway.config.write_text(text)


@pytest.mark.parametrize("arguments,status,words", [
    ([], 1, "one of --sni"),
    (["--sni"], 2, "lacks its value"),
    (["sni=a.test"], 2, "--listener NAME"),
    (["--port", "1"], 2, "unknown argument"),
    (["--bytes", "/nonexistent/file"], 2, "No such file"),
    (["--silent", "--listener", "nowhere"], 1, "the title of a listener"),
    (["--silent", "--source", "nowhere"], 1, "--source: expected an address"),
    (["--silent", "--inside", "nowhere"], 1, "--inside: expected the title"),
])
def test_wrong_questions(gateway, arguments, status, words):
    done = run("posternctl", "-g", gateway.config, "gateway", "explain", *arguments)
    assert done.returncode == status and words in done.stderr and not done.stdout
