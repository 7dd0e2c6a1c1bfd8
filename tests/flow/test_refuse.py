"""Refusals in the words of the protocol: what real clients make of them, and that the answer arrives whatever they send."""

import random
import socket
import subprocess
import threading
import xml.etree.ElementTree as ElementTree

import pytest

from harness.nginx import Nginx
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway
from harness.rawxmpp import STREAM
from harness.tcp import client_hello, connect, local_address, read_to_end
from harness.wait import PATIENCE_S, wait_until

WEBSITE = "www.example.test"
PEEK_TIMEOUT_S = 3
ALERT = b"\x15\x03\x03\x00\x02\x02"
ERROR = "{urn:ietf:params:xml:ns:xmpp-streams}"

CONFIG = """
peek-timeout = {peek_timeout}s
listener "public" {{ address = "127.0.0.1:{port}" }}
listener "strict" {{ address = "127.0.0.1:{strict}" }}
listener "rest" {{ address = "127.0.0.1:{rest}" }}
upstream "website" {{ server = "127.0.0.1:{https}" proxy-protocol = v2 }}
route "any" {{ listener = "rest" refuse = tls-unrecognized-name }}
route "name" {{ sni = "*.gone.test" refuse = tls-unrecognized-name }}
route "alpn" {{ alpn = "foo/1" refuse = tls-no-application-protocol }}
route "website" {{ protocol = "tls" proxy = "website" }}
route "bad" {{ listener = "strict" protocol = "http" refuse = http-400 }}
route "redirect" {{ protocol = "http" refuse = https-redirect }}
route "chat" {{ protocol = "xmpp" refuse = xmpp-error }}
"""


class Door:
    """A gateway that refuses, with a real website behind it."""

    def __init__(self):
        self.place = Place()
        self.port, self.strict, self.rest = reserve_port(), reserve_port(), reserve_port()
        self.cert, key = self.place.certificate("door", [WEBSITE])
        self.nginx = Nginx(self.place, self.cert, key)
        self.gateway = Gateway(self.place, CONFIG.format(
            port=self.port, strict=self.strict, rest=self.rest, https=self.nginx.port, peek_timeout=PEEK_TIMEOUT_S))

    def curl(self, url, *arguments, port=None):
        return subprocess.run(
            ["curl", "-sS", "--max-time", "60", "--noproxy", "*", "--cacert", self.cert, "--connect-to",
             f"::127.0.0.1:{port or self.port}", *arguments, url], capture_output=True, text=True, timeout=90)

    def count(self, route, name):
        return self.gateway.stats()[route][name]


@pytest.fixture(scope="module")
def door():
    one = Door()
    try:
        one.nginx.start()
        one.gateway.start()
        yield one
        one.gateway.stop()
    finally:
        one.gateway.kill()
        one.nginx.kill()
        one.gateway.log_text()
        one.place.remove()


def status_of(answer):
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer.split(b" ")[1])


# TLS


@pytest.mark.release
@pytest.mark.tsan
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("arguments,route,number", [
    (["-servername", "www.gone.test"], "name", 112),
    (["-servername", WEBSITE, "-alpn", "foo/1"], "alpn", 120)])
def test_openssl_shows_the_alert(door, version, arguments, route, number):
    before = door.count(route, "refusals_sent")
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{door.port}", version, *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert f"SSL alert number {number}" in done.stderr, done.stderr
    assert done.returncode != 0
    wait_until(lambda: door.count(route, "refusals_sent") == before + 1, "the refusal is counted")


def test_curl_says_what_is_wrong(door):
    done = door.curl("https://www.gone.test/")
    assert done.returncode == 35 and "unrecognized name" in done.stderr, done.stderr


def test_the_other_names_reach_the_website(door):
    done = door.curl(f"https://{WEBSITE}/")
    assert (done.returncode, done.stdout) == (0, "the website\n"), done.stderr


def test_a_hello_in_pieces(door):
    """Every byte for itself; then the alert, in order."""
    hello = client_hello("www.gone.test")
    with connect(door.port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(hello)):
            sock.sendall(hello[i:i + 1])
        assert read_to_end(sock) == (ALERT + bytes([112]), "end")
        address = local_address(sock)
    line = door.gateway.close_lines(peer=address)[0]
    assert (line["route"], line["reason"], line["bytes_out"]) == ("name", "refused", "7")
    assert int(line["bytes_in"]) == len(hello)


# HTTP


@pytest.mark.release
@pytest.mark.tsan
def test_curl_shows_the_400(door):
    done = door.curl("http://www.example.test/", "-i", port=door.strict)
    assert done.returncode == 0, done.stderr
    head, body = done.stdout.split("\n\n", 1)
    assert head.startswith("HTTP/1.1 400 Bad Request") and "Connection: close" in head
    assert body == "Bad Request\n"
    head = door.curl("http://www.example.test/", "-I", "-w", "%{http_code} %{size_download}", port=door.strict)
    assert head.returncode == 0 and head.stdout.endswith("400 0"), head.stdout + head.stderr


@pytest.mark.release
@pytest.mark.tsan
def test_curl_follows_the_redirect_to_the_website(door):
    before = len(door.nginx.requests())
    done = door.curl(f"http://{WEBSITE}/index.html?a=b", "-L", "-w",
                     "%{http_code} %{num_redirects} %{url_effective} %{ssl_verify_result}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"the website\n200 1 https://{WEBSITE}/index.html?a=b 0"
    assert door.nginx.wait_request(before + 1)[4].startswith('"GET /index.html?a=b HTTP/')


def test_a_post_stays_a_post(door):
    before = len(door.nginx.requests())
    done = door.curl(f"http://{WEBSITE}/", "-L", "-d", "x=" + "y" * 100000, "-w", "%{num_redirects}", "-o", "/dev/null")
    assert (done.returncode, done.stdout) == (0, "1"), done.stderr
    assert door.nginx.wait_request(before + 1)[4].startswith('"POST / HTTP/')


def test_another_port_is_kept(door):
    done = door.curl(f"http://{WEBSITE}:{door.port}/x", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}")
    assert done.stdout == f"301 https://{WEBSITE}:{door.port}/x"


@pytest.mark.parametrize("head", [
    b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: evil.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test@evil.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: evil.test/a.test\r\n\r\n",
    b"GET http://evil.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\rLocation: x\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a.test\n\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nA: " + b"b" * 20000 + b"\r\n\r\n"])  # beyond peek-limit
def test_what_names_no_place_is_a_400(door, head):
    with connect(door.port) as sock:
        sock.sendall(head)
        answer, how = read_to_end(sock)
    assert (status_of(answer), how) == (400, "end")
    assert b"Location" not in answer


def test_a_head_in_pieces(door):
    """The answer is the same wherever the request is cut, and comes with its last byte."""
    request = b"GET /a HTTP/1.1\r\nHost: www.example.test\r\nAccept: */*\r\n\r\n"
    for cut in range(1, len(request)):
        with connect(door.port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(request[:cut])
            sock.sendall(request[cut:])
            answer, how = read_to_end(sock)
        assert (status_of(answer), how) == (301, "end"), cut
        assert b"\r\nLocation: https://www.example.test/a\r\n" in answer


@pytest.mark.parametrize("end", [True, False])
def test_a_head_that_never_ends(door, end):
    """The client ends within it, or waits until peek-timeout."""
    with connect(door.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: www.example.test\r\n")
        if end:
            sock.shutdown(socket.SHUT_WR)
        answer, how = read_to_end(sock)
    assert (status_of(answer), how) == (400, "end")


# XMPP


def stream_error(answer):
    root = ElementTree.fromstring(answer)  # one whole document: the stream is opened and closed
    assert root.tag == STREAM + "stream" and root.get("id") and root.get("version") == "1.0"
    error, = root
    assert error.tag == STREAM + "error"
    return error[0].tag.removeprefix(ERROR)


@pytest.mark.release
@pytest.mark.tsan
@pytest.mark.parametrize("namespace", ["jabber:client", "jabber:server"])
def test_an_xmpp_client_reads_the_stream_error(door, namespace):
    header = ("<?xml version='1.0'?><stream:stream to='example.test' version='1.0' "
              f"xmlns='{namespace}' xmlns:stream='http://etherx.jabber.org/streams'>").encode()
    with connect(door.port) as sock:
        sock.sendall(header[:40])
        sock.sendall(header[40:])
        answer, how = read_to_end(sock)
    assert (stream_error(answer), how) == ("policy-violation", "end")
    assert f"xmlns='{namespace}'".encode() in answer


# Words that do not fit


def test_without_a_protocol_words_come_only_where_they_fit(door):
    with connect(door.rest) as sock:
        sock.sendall(client_hello("a.test"))
        assert read_to_end(sock) == (ALERT + bytes([112]), "end")
    for text in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"SSH-2.0-x\r\n", b"\x16\x02"):
        with connect(door.rest) as sock:
            sock.sendall(text)
            assert read_to_end(sock) == (b"", "end")
            address = local_address(sock)
        line = door.gateway.close_lines(peer=address)[0]
        assert (line["route"], line["reason"], line["bytes_out"]) == ("any", "refused", "0")
    # The first byte is TLS's, and no other comes until peek-timeout.
    with connect(door.rest) as sock:
        sock.sendall(b"\x16")
        assert read_to_end(sock) == (b"", "end")


# What the client goes on sending


def post(size):
    return b"POST / HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: %d\r\n\r\n" % size


@pytest.mark.parametrize("where,status", [("strict", 400), ("port", 308)])
def test_who_sends_a_body_first_reads_the_answer_afterwards(door, where, status):
    """The body is in flight when the answer is sent; closing with it unread would destroy the answer."""
    size = 900000
    before = door.count("bad", "refusals_cut") + door.count("redirect", "refusals_cut")
    with connect(getattr(door, where)) as sock:
        sock.sendall(post(size) + b"x" * size)
        answer, how = read_to_end(sock)
        address = local_address(sock)
        assert (status_of(answer), how) == (status, "end")
    line = door.gateway.close_lines(peer=address)[0]
    assert (line["reason"], int(line["bytes_in"])) == ("refused", len(post(size)) + size)
    assert door.count("bad", "refusals_cut") + door.count("redirect", "refusals_cut") == before


@pytest.mark.release
def test_who_never_stops_sending_gets_the_answer_and_is_cut_off(door):
    """Reading ends at a bound, the connection at peek-timeout; the answer has arrived long before."""
    before = door.count("bad", "refusals_cut")
    taken = 0
    with connect(door.strict) as sock:
        sock.sendall(post(1 << 40))

        def flood():
            nonlocal taken
            try:
                while True:
                    taken += sock.send(b"x" * 65536)
            except OSError:
                pass

        sender = threading.Thread(target=flood)
        sender.start()
        answer = b""
        try:
            while part := sock.recv(65536):
                answer += part
        finally:
            address = local_address(sock)
            sender.join(PATIENCE_S)
        assert not sender.is_alive()
    assert status_of(answer) == 400 and answer.endswith(b"\r\n\r\nBad Request\n")
    line = door.gateway.close_lines(peer=address)[0]
    assert line["reason"] == "refused" and 1 << 20 <= int(line["bytes_in"]) < 1 << 21 and taken > int(line["bytes_in"])
    assert int(line["duration_ms"]) >= PEEK_TIMEOUT_S * 1000
    assert door.count("bad", "refusals_cut") == before + 1


def test_who_reads_and_stays_is_let_go_at_the_timeout(door):
    before = door.count("chat", "refusals_cut")
    with connect(door.port) as sock:
        sock.sendall(b"<stream:stream>")
        answer, how = read_to_end(sock)  # our end comes at once, with the answer
        assert how == "end" and stream_error(answer) == "policy-violation"
        wait_until(lambda: door.count("chat", "refusals_cut") == before + 1, "the gateway lets go")
    assert door.gateway.status()["workers"], "no worker has died"


def test_who_resets_is_no_trouble(door):
    linger = b"\1\0\0\0\0\0\0\0"
    for i in range(200):
        with connect(door.port) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            sock.sendall(random.Random(i).choice([client_hello("www.gone.test"), post(9) + b"x", b"<stream:stream>"]))
    done = door.curl(f"https://{WEBSITE}/")
    assert done.returncode == 0, done.stderr
    assert door.gateway.stats()[""]["worker_deaths"] == 0
