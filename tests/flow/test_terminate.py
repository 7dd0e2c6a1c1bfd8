"""TLS that ends at the gateway: the handshake, the second look, refusals inside, the relay, what upstreams are told."""

import asyncio
import hashlib
import os
import socket
import ssl
import struct
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from harness import pp2
from harness.authority import Authority
from harness.crowd import raise_descriptor_limit
from harness.nginx import Nginx
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway
from harness.process import Process
from harness.rawxmpp import RawClient
from harness.tcp import client_hello, connect, listens, local_address, read_exactly, read_to_end
from harness.upstream import Upstream
from harness.wait import PATIENCE_S, wait_until

NAME, STRICT, GONE = "www.example.test", "strict.example.test", "gone.example.test"
REQUEST = b"GET / HTTP/1.1\r\nHost: www.example.test\r\n\r\n"

CONFIG = """
{extra}
listener "public" {{ address = "127.0.0.1:{port}" }}
listener "asking" {{ address = "127.0.0.1:{asking}" }}
tls "site" {{ certificate = "{cert}" key = "{key}" }}
tls "asking" {{ certificate = "{cert}" key = "{key}" client-certificate = {client} client-ca = "{ca}" }}
upstream "website" {{ server = "127.0.0.1:{http}" proxy-protocol = v2 }}
upstream "recorder" {{ server = "127.0.0.1:{recorder}" proxy-protocol = v2-tls connect-timeout = 2s }}
upstream "gone" {{ server = "127.0.0.1:{gone}" }}
pattern "greeting" {{ regex = '^HELO [a-z]+\\r\\n' }}
route "asking" {{ listener = "asking" terminate = "asking" }}
route "site" {{ protocol = "tls" terminate = "site" }}
route "h2-from-here" {{ inside = "site" alpn = "h2" source = "127.0.0.3" proxy = "recorder" }}
route "strict" {{ inside = "site" sni = "{strict}" protocol = "http" refuse = http-400 }}
route "gone" {{ inside = "site" sni = "{gone_name}" proxy = "gone" }}
route "website" {{ inside = "site" protocol = "http" sni = "{name}" proxy = "website" }}
route "chat" {{ inside = "site" protocol = "xmpp" refuse = xmpp-error }}
route "greeting" {{ inside = {{"site", "asking"}} protocol = "greeting" proxy = "recorder" }}
route "silent" {{ inside = "site" on-timeout = true proxy = "recorder" }}
"""


class Door:
    """A gateway that terminates, with a website and a server of the test's behind it."""

    def __init__(self, extra="", client="required"):
        self.place = Place()
        self.port, self.asking = reserve_port(), reserve_port()
        self.cert, key = self.place.certificate("door", [NAME, STRICT])
        self.authority = Authority(self.place)
        self.nginx = Nginx(self.place, self.cert, key)
        self.serve = None
        self.recorder = Upstream(lambda sock: self.serve(sock))
        self.gateway = Gateway(self.place, CONFIG.format(
            port=self.port, asking=self.asking, cert=self.cert, key=key, client=client, ca=self.authority.path,
            http=self.nginx.plain_port, recorder=self.recorder.address[1], name=NAME, strict=STRICT, gone=reserve_port(),
            gone_name=GONE, extra=extra))

    def start(self):
        self.nginx.start()
        self.gateway.start()
        return self

    def stop(self):
        try:
            self.gateway.stop()
        finally:
            self.gateway.kill()
            self.nginx.kill()
            self.gateway.log_text()
            self.recorder.socket.close()
            self.place.remove()

    def curl(self, url, *arguments):
        return subprocess.run(
            ["curl", "-sS", "--max-time", "60", "--noproxy", "*", "--cacert", self.cert, "--connect-to",
             f"::127.0.0.1:{self.port}", *arguments, url], capture_output=True, timeout=90)

    def count(self, name, route=""):
        return self.gateway.stats()[route][name]

    def line_of(self, address):
        return self.gateway.close_lines(peer=address)[0]


@pytest.fixture(scope="module")
def door():
    one = Door("peek-timeout = 2s handshake-timeout = 2s")
    try:
        yield one.start()
    finally:
        one.stop()


def client_context(alpn=(), version=None, certificate=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = version
    if certificate:
        context.load_cert_chain(*certificate)
    return context


def wrap(sock, name=NAME, **arguments):
    """The client's side of TLS; an end without close_notify raises ssl.SSLEOFError."""
    return client_context(**arguments).wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False)


def read_tls_to_end(sock):
    """(all bytes, "close_notify", "cut" or "reset")"""
    data = b""
    try:
        while part := sock.recv(65536):
            data += part
    except ssl.SSLZeroReturnError:
        return data, "close_notify"
    except ssl.SSLEOFError:
        return data, "cut"
    except ConnectionResetError:
        return data, "reset"
    return data, "close_notify"


def read_header(sock):
    head = read_exactly(sock, 16)
    return pp2.parse(head + read_exactly(sock, struct.unpack("!H", head[14:])[0]))


# Real clients and a real website


@pytest.mark.release
@pytest.mark.tsan
@pytest.mark.parametrize("option, version", [("--tls-max 1.2", "TLSv1.2"), ("--tlsv1.3", "TLSv1.3")])
def test_curl_gets_a_website(door, option, version):
    big = os.urandom(6_000_000)
    (door.nginx.www / "big").write_bytes(big)
    done = door.curl(f"https://{NAME}/big", *option.split())
    assert done.returncode == 0 and hashlib.sha256(done.stdout).digest() == hashlib.sha256(big).digest(), done.stderr
    line = door.gateway.wait_log(event="close", route="website", tls="site", tls_version=version)
    assert (line["protocol"], line["sni"], line["reason"], line["upstream"]) == ("http", NAME, "done", "website")
    assert int(line["bytes_out"]) > len(big)
    # nginx sees the client's address and knows nothing of TLS.
    wait_until(lambda: [(name, status) for address, _, name, status, _ in door.nginx.requests()
                        if address == line["peer"]] == [("-", "200")], "nginx logs the request")


def test_many_bytes_up_and_down_at_once(door):
    """Both ways full at the same time, over a server that answers each byte changed."""
    size, turn = 8_000_000, bytes((i + 1) % 256 for i in range(256))

    def serve(sock):
        read_header(sock)
        while data := sock.recv(200000):
            sock.sendall(data.translate(turn))

    async def talk(data):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=client_context(),
                                                       server_hostname=NAME)
        async def send():
            writer.write(data)
            await writer.drain()
        sending = asyncio.create_task(send())
        answer = await reader.readexactly(len(data))
        await sending
        writer.close()
        return answer

    door.serve = serve
    data = b"HELO both\r\n" + os.urandom(size)
    assert asyncio.run(talk(data)) == data.translate(turn)
    assert door.gateway.wait_log(event="close", route="greeting", bytes_in=len(data), bytes_out=len(data))


@pytest.mark.release
def test_five_hundred_at_once(door):
    raise_descriptor_limit(4096)
    handshakes = door.count("tls_handshakes")

    async def one(gate):
        async with gate:
            # From another address: the lines of the other tests are told by theirs.
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=client_context(),
                                                           server_hostname=NAME, local_addr=("127.0.0.2", 0))
        writer.write(REQUEST)
        return reader, writer

    async def all_of_them():
        gate = asyncio.Semaphore(50)
        open_now = await asyncio.gather(*[one(gate) for _ in range(500)])
        answers = await asyncio.gather(*[reader.readuntil(b"the website\n") for reader, _ in reversed(open_now)])
        for _, writer in open_now:
            writer.close()
            await writer.wait_closed()
        return answers

    assert all(answer.startswith(b"HTTP/1.1 200") for answer in asyncio.run(all_of_them()))
    assert door.count("tls_handshakes") == handshakes + 500


# The second look


def test_the_verdict_does_not_depend_on_how_the_bytes_come(door):
    """Each byte in a record of its own, with the first ones spread over many more records than are looked at eagerly."""
    got = []
    door.serve = lambda sock: (read_header(sock), got.append(read_to_end(sock)))
    with wrap(connect(door.port)) as sock:
        address = "%s:%d" % sock.getsockname()
        for byte in b"HELO slowly\r\nmore":
            sock.sendall(bytes([byte]))
        sock.unwrap()
        wait_until(lambda: got, "the server has it all")
    assert got == [(b"HELO slowly\r\nmore", "end")]
    assert door.line_of(address)["protocol"] == "greeting"


def test_a_server_that_speaks_first(door):
    """A client that stays silent after the handshake is one for on-timeout."""
    def serve(sock):
        read_header(sock)
        sock.sendall(b"220 welcome\r\n")
        sock.sendall(read_exactly(sock, 6))

    door.serve = serve
    with wrap(connect(door.port)) as sock:
        address = "%s:%d" % sock.getsockname()
        assert sock.recv(100) == b"220 welcome\r\n"
        sock.sendall(b"MAIL\r\n")
        assert sock.recv(100) == b"MAIL\r\n"
    assert door.line_of(address)["route"] == "silent"


@pytest.mark.parametrize("name, sent, start, route", [
    (STRICT, REQUEST, b"HTTP/1.1 400 ", "strict"),
    (NAME, b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
     b"<?xml version='1.0'?><stream:stream", "chat")])
def test_refusals_in_the_words_of_what_is_inside(door, name, sent, start, route):
    sent_before = door.count("refusals_sent", route)
    with wrap(connect(door.port), name) as sock:
        address = "%s:%d" % sock.getsockname()
        sock.sendall(sent)
        answer, end = read_tls_to_end(sock)
    assert answer.startswith(start) and end == "close_notify"
    line = door.line_of(address)
    assert (line["route"], line["reason"], line["tls"]) == (route, "refused", "site")
    assert door.count("refusals_sent", route) == sent_before + 1


def test_what_no_route_is_for_ends_in_order(door):
    with wrap(connect(door.port)) as sock:
        address = "%s:%d" % sock.getsockname()
        sock.sendall(b"SSH-2.0-hello\r\n")
        assert read_tls_to_end(sock) == (b"", "close_notify")
    line = door.line_of(address)
    assert (line["reason"], line["route"], line["protocol"]) == ("no_route", "site", "ssh")


def test_what_is_undecided_at_the_limit_has_no_route(door):
    """A pattern that could go on for ever gets peek-limit decrypted bytes, and no more."""
    with wrap(connect(door.port)) as sock:
        address = "%s:%d" % sock.getsockname()
        try:
            sock.sendall(b"HELO " + b"a" * 40000)
            assert read_tls_to_end(sock)[1] in ("close_notify", "reset")  # it has not read all of ours
        except ssl.SSLError:
            pass  # its end came while we were still sending
    line = door.line_of(address)
    assert (line["reason"], line["bytes_in"], line.get("upstream")) == ("no_route", "0", None)


def test_a_server_that_is_not_there(door):
    """The gateway has no words of its own for that, whatever is spoken: the client sees an end in order, and nothing."""
    with wrap(connect(door.port), GONE) as sock:
        address = "%s:%d" % sock.getsockname()
        sock.sendall(REQUEST)
        assert read_tls_to_end(sock) == (b"", "close_notify")
    line = door.line_of(address)
    assert (line["reason"], line["route"]) == ("upstream_unavailable", "gone")


@pytest.mark.release
@pytest.mark.parametrize("state", ["tls_handshake", "tls_inside", "relay"])
def test_an_administrator_ends_it(door, state):
    """In every state; what is relayed must not look complete."""
    got = served_to_the_end(door)
    with connect(door.port) as sock:
        address = local_address(sock)
        if state == "tls_handshake":
            sock.sendall(client_hello(NAME))
        else:
            secure = wrap(sock.dup())
            secure.sendall(b"HELO there\r\n" if state == "relay" else b"HELO")
            if state == "relay":
                assert secure.recv(1) == b"!"

        def listed():
            found = door.gateway.control_call("connections", state=state)["connections"]
            return [one["id"] for one in found if one["peer"] == address]

        wait_until(listed, f"it is in {state}")
        door.gateway.control_call("kill", id=listed()[0])
        assert door.line_of(address)["reason"] == "killed"
        if state == "relay":
            assert read_tls_to_end(secure)[1] in ("reset", "cut")
            wait_until(lambda: got, "the server has noticed")
            assert got[0][1] == "reset"
        elif state == "tls_inside":
            assert read_tls_to_end(secure) == (b"", "close_notify")
        else:
            assert read_to_end(sock)[1] == "end"


@pytest.mark.parametrize("end", ["unwrap", "close"])
def test_a_client_that_ends_before_a_word(door, end):
    # With TLS 1.3 tickets may be under way when the client closes, and whoever closes with bytes unread sends a reset.
    sock = wrap(connect(door.port), version=ssl.TLSVersion.TLSv1_2)
    address = "%s:%d" % sock.getsockname()
    if end == "unwrap":
        sock.unwrap()
    sock.close()
    assert door.line_of(address)["reason"] == "peek_eof"


def test_half_a_hello_at_the_deadline_has_a_name_in_the_end(door):
    """It is decided without one; once the handshake is done, the upstream and the log are told."""
    headers = []

    def serve(sock):
        headers.append(read_header(sock))
        sock.sendall(read_exactly(sock, 12))

    def in_two_parts(data):
        client._send_bytes = at_once
        routed = door.count("routed", "site")
        client._send_bytes(data[:60])
        wait_until(lambda: door.count("routed", "site") == routed + 1, "peek-timeout is over")
        client._send_bytes(data[60:])

    door.serve = serve
    with RawClient("127.0.0.1", door.port) as client:
        at_once, client._send_bytes = client._send_bytes, in_two_parts
        client.start_tls(sni=NAME)
        client.send(b"HELO there\r\n")
        assert client.receive() == b"HELO there\r\n"
        address = local_address(client.tcp)
    assert headers[0][1][pp2.AUTHORITY] == NAME.encode()
    assert door.line_of(address)["sni"] == NAME


@pytest.mark.parametrize("source, agreed", [("127.0.0.3", "h2"), ("127.0.0.1", "http/1.1")])
def test_the_name_that_is_agreed_on_is_one_that_is_served(door, source, agreed):
    """HTTP/2 inside only where a route takes it for this client; the upstream is told the name."""
    headers = []

    def serve(sock):
        headers.append(read_header(sock)[1])
        sock.sendall(read_exactly(sock, 24))

    door.serve = serve
    tcp = socket.create_connection(("127.0.0.1", door.port), timeout=PATIENCE_S, source_address=(source, 0))
    with wrap(tcp, alpn=["h2", "http/1.1"]) as sock:
        assert sock.selected_alpn_protocol() == agreed
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        sock.sendall(preface if agreed == "h2" else REQUEST)
        assert sock.recv(24).startswith(preface if agreed == "h2" else b"HTTP/1.1 200")
    assert [told.get(pp2.ALPN) for told in headers] == ([b"h2"] if agreed == "h2" else [])


# Handshakes that fail


def test_a_handshake_that_is_never_finished(door):
    """The hello is whole, and then nothing comes."""
    hello = ssl.MemoryBIO()
    client = client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with connect(door.port) as sock:
        address = local_address(sock)
        sock.sendall(hello.read())
        read_exactly(sock, 500)
        assert door.line_of(address)["reason"] == "tls_timeout"


def test_a_handshake_that_drips(door):
    """Who sends a hello and then single bytes has no longer than handshake-timeout."""
    hello = ssl.MemoryBIO()
    client = client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with connect(door.port) as sock:
        address = local_address(sock)
        sock.sendall(hello.read())
        drip = iter(struct.pack("!BHH", 23, 0x303, 4000) + bytes(4000))

        def ended():
            try:
                sock.sendall(bytes([next(drip)]))
            except OSError:
                pass
            return door.gateway.log(event="close", peer=address)

        wait_until(ended, "the gateway has had enough")
    assert door.line_of(address)["reason"] == "tls_timeout"


@pytest.mark.parametrize("arguments, alert, error", [
    ({"version": ssl.TLSVersion.TLSv1_1}, "TLSV1_ALERT_PROTOCOL_VERSION", "unsupported protocol"),
    ({"version": ssl.TLSVersion.TLSv1_2, "ciphers": "AES128-SHA"}, "HANDSHAKE_FAILURE", "no shared cipher")])
def test_the_reason_reaches_the_client_and_the_log(door, arguments, alert, error):
    ciphers = arguments.pop("ciphers", "ALL:@SECLEVEL=0")
    context = client_context(**arguments)
    context.set_ciphers(ciphers)
    failed = door.count("close_tls_failed", "site")
    with connect(door.port) as sock:
        address = local_address(sock)
        with pytest.raises(ssl.SSLError, match=alert):
            context.wrap_socket(sock, server_hostname=NAME)
    line = door.line_of(address)
    assert (line["reason"], line["tls_error"], line["sni"]) == ("tls_failed", error, NAME)
    assert door.count("close_tls_failed", "site") == failed + 1


def test_a_client_without_the_certificate_that_is_required(door):
    with connect(door.asking) as sock:
        address = local_address(sock)
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED|certificate required"):
            wrap(sock).recv(1)
    line = door.line_of(address)
    assert (line["reason"], line["tls_error"]) == ("tls_failed", "peer did not return a certificate")


def test_a_client_with_a_strangers_certificate(door):
    stranger = Authority(door.place, "stranger").client("juliet@example.test")
    with connect(door.asking) as sock:
        address = local_address(sock)
        with pytest.raises(ssl.SSLError, match="(?i)unknown.ca"):
            wrap(sock, certificate=stranger.files).recv(1)
    line = door.line_of(address)
    assert (line["reason"], line["tls_error"]) == ("tls_failed", "certificate verify failed")


def test_a_client_that_trusts_another_authority(door):
    """The alert is the client's here."""
    context = ssl.create_default_context(cafile=door.authority.path)
    with connect(door.port) as sock:
        address = local_address(sock)
        with pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(sock, server_hostname=NAME)
    line = door.line_of(address)
    assert (line["reason"], line["tls_error"]) == ("tls_failed", "tlsv1 alert unknown ca")


def test_garbage_in_the_handshake(door):
    """A flood behind the hello: the alert arrives before the connection ends, and is not lost in a reset."""
    hello = ssl.MemoryBIO()
    client = client_context(version=ssl.TLSVersion.TLSv1_2).wrap_bio(ssl.MemoryBIO(), hello, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with connect(door.port) as sock:
        address = local_address(sock)
        sock.sendall(hello.read() + b"GET / HTTP/1.1\r\n" * 5000)
        data, end = read_to_end(sock)
    assert data[-7:-2] == b"\x15\x03\x03\x00\x02" and end == "end", data[-20:]
    assert door.line_of(address)["reason"] == "tls_failed"


# The relay


def served_to_the_end(door):
    """Has the recorder say that it is there, and keep what it got and how it ended."""
    got = []

    def serve(sock):
        read_header(sock)
        sock.sendall(b"!")
        got.append(read_to_end(sock))

    door.serve = serve
    return got


def test_garbage_after_the_handshake(door):
    got = served_to_the_end(door)
    with connect(door.port) as sock:
        address = local_address(sock)
        secure = wrap(sock.dup())
        secure.sendall(b"HELO there\r\n")
        assert secure.recv(1) == b"!"
        sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
            secure.recv(1)
        secure.close()
    wait_until(lambda: got, "the server has noticed")
    line = door.line_of(address)
    assert (line["reason"], line["tls_error"]) == ("tls_failed", "decryption failed or bad record mac")
    assert got[0][1] == "reset"


@pytest.mark.release
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_end_without_close_notify_resets_the_server(door, version):
    """A server must not take half of something for the whole: RFC 8446 section 6.1."""
    got = served_to_the_end(door)
    with connect(door.port) as sock:
        address = local_address(sock)
        secure = wrap(sock.dup(), version=version)
        secure.sendall(b"HELO there\r\n")
        assert secure.recv(1) == b"!"
        sock.shutdown(socket.SHUT_WR)
        wait_until(lambda: got, "the server has noticed")
        secure.close()
    assert got[0][1] == "reset"
    assert door.line_of(address)["reason"] == "tls_cut"


def test_half_close_is_passed_on(door):
    """close_notify becomes the server's end of file; what it says after that arrives, and its end is a close_notify."""
    def serve(sock):
        read_header(sock)
        data, end = read_to_end(sock)
        sock.sendall(b"%d %s" % (len(data), end.encode()))

    door.serve = serve
    with connect(door.port) as sock:
        address = local_address(sock)
        client = RawClient("127.0.0.1", door.port)
        with client:
            client.start_tls(sni=NAME)
            address = local_address(client.tcp)
            client.send(b"HELO there\r\n" + b"x" * 300000)
            client.tls.shutdown()
            client._flush()
            assert client.receive_all() == (b"300012 end", "close_notify")
    assert door.line_of(address)["reason"] == "done"


def test_a_server_that_breaks_off(door):
    """The client must not take it for an end either."""
    def serve(sock):
        read_header(sock)
        sock.sendall(b"half of ")
        read_exactly(sock, 12)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    door.serve = serve
    with wrap(connect(door.port)) as sock:
        address = "%s:%d" % sock.getsockname()
        sock.sendall(b"HELO there\r\n")
        assert read_tls_to_end(sock)[1] in ("reset", "cut")
    assert door.line_of(address)["reason"] == "upstream_reset"


def test_sessions_are_resumed_by_tickets(door):
    resumed = door.count("tls_resumed")
    context = client_context(version=ssl.TLSVersion.TLSv1_2)
    session = None
    for expected in (False, True):
        with connect(door.port) as sock:
            with context.wrap_socket(sock, server_hostname=NAME, session=session) as secure:
                secure.sendall(REQUEST)
                assert secure.recv(1000).startswith(b"HTTP/1.1 200")
                assert secure.session_reused == expected
                session = secure.session
    assert door.count("tls_resumed") == resumed + 1


# What upstreams are told


def told_of(door, port, **arguments):
    """What the recorder is told of a client that says HELO: (the client's own facts, TLVs, the log line)."""
    headers = []

    def serve(sock):
        headers.append(read_header(sock))
        sock.sendall(read_exactly(sock, 12))

    door.serve = serve
    with RawClient("127.0.0.1", port) as client:
        address = local_address(client.tcp)
        client.start_tls(sni=NAME, **arguments)
        client.send(b"HELO there\r\n")
        assert client.receive() == b"HELO there\r\n"
        facts = {
            "exporter": client.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""),
            "certificate": client.tls.get_peer_certificate().to_cryptography(),
            "cipher": client.tls.get_cipher_name().encode(),
            "version": client.tls.get_protocol_version_name().encode(),
        }
    (source, destination), tlvs = headers[0]
    line = door.gateway.close_lines(conn=tlvs[pp2.UNIQUE_ID].decode())[0]
    assert ("%s:%d" % source, destination) == (address, ("127.0.0.1", port)) and line["peer"] == address
    assert tlvs[pp2.AUTHORITY] == NAME.encode()
    return facts, tlvs, line


def parse_ssl(value):
    """(client's bits, verify, {sub type: value})"""
    client, verify = struct.unpack("!BI", value[:5])
    subs, rest = {}, value[5:]
    while rest:
        kind, length = struct.unpack("!BH", rest[:3])
        subs[kind], rest = rest[3:3 + length], rest[3 + length:]
    return client, verify, subs


@pytest.mark.release
@pytest.mark.parametrize("version", [0x303, 0x304])
def test_all_that_is_known_of_tls_is_told(door, version):
    facts, tlvs, line = told_of(door, door.port, version=version)
    client, verify, subs = parse_ssl(tlvs[pp2.SSL])
    assert (client, verify != 0) == (pp2.CLIENT_SSL, True)
    assert subs == {0x21: facts["version"], 0x23: facts["cipher"], 0x24: b"ecdsa-with-SHA256", 0x25: b"EC256"}
    assert (line["tls_version"], line["tls_cipher"]) == (facts["version"].decode(), facts["cipher"].decode())
    assert tlvs[pp2.EXPORTER] == facts["exporter"]
    assert tlvs[pp2.END_POINT] == facts["certificate"].fingerprint(hashes.SHA256())
    assert not {pp2.CHAIN, pp2.ALPN, pp2.ALPN_OFFER} & set(tlvs)


def test_no_exporter_without_the_extended_master_secret(door):
    """RFC 9266 section 4.2: the value would bind nothing."""
    _, tlvs, _ = told_of(door, door.port, version=0x303, options=1)
    assert pp2.EXPORTER not in tlvs and len(tlvs[pp2.END_POINT]) == 32


def test_the_clients_chain_is_told(door):
    mine = door.authority.client("juliet@example.test")
    _, tlvs, _ = told_of(door, door.asking, certificate=mine.files)
    client, verify, subs = parse_ssl(tlvs[pp2.SSL])
    assert (client, verify, subs[0x22]) == (7 & ~1 | 1, 0, b"a client")
    assert pp2.chain(mine.der) == pp2.tlv(pp2.CHAIN, tlvs[pp2.CHAIN])
    assert x509.load_der_x509_certificate(mine.der[0]).public_bytes(Encoding.DER) == mine.der[0]


@pytest.fixture
def optional():
    one = Door(client="optional")
    try:
        yield one.start()
    finally:
        one.stop()


def test_a_certificate_that_does_not_verify_is_told_as_such(optional):
    """It is the client's, who has its key, and no more."""
    stranger = Authority(optional.place, "stranger").client("juliet@example.test")
    known = optional.authority.client("juliet@example.test")
    for mine, verifies in ((stranger, False), (known, True)):
        _, tlvs, _ = told_of(optional, optional.asking, certificate=mine.files)
        client, verify, _ = parse_ssl(tlvs[pp2.SSL])
        assert (client & 0x06 != 0, verify == 0) == (True, verifies)
        assert pp2.chain(mine.der) == pp2.tlv(pp2.CHAIN, tlvs[pp2.CHAIN])


def test_a_chain_that_is_too_long_is_not_told(door):
    """The leaf alone would say something else than the client did."""
    mine = door.authority.client("juliet@example.test")
    padding = [Authority(door.place, f"padding-{i}").path.read_text() for i in range(120)]
    chain = door.place.write("long.pem", mine.files[0].read_text() + "".join(padding))
    dropped = door.count("chains_dropped")
    _, tlvs, _ = told_of(door, door.asking, certificate=(chain, mine.files[1]))
    assert pp2.CHAIN not in tlvs and door.count("chains_dropped") == dropped + 1
    assert parse_ssl(tlvs[pp2.SSL])[1] == 0


HAPROXY = """
global
    log {log} local0
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend terminated
    bind 127.0.0.1:{port} accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[fc_pp_authority] %[fc_pp_unique_id]"
"""


def test_haproxy_takes_the_header(door):
    """Debian's HAProxy reads our longest header: it knows name, id and address of the client."""
    port = reserve_port()
    config = door.place.write("haproxy.cfg", HAPROXY.format(port=port, log="127.0.0.1:9"))
    haproxy = Process("haproxy", ["haproxy", "-db", "-f", config], door.place.path / "haproxy.log").start()
    gateway_port = reserve_port()
    text = f"""
listener "public" {{ address = "127.0.0.1:{gateway_port}" }}
tls "site" {{ certificate = "{door.cert}" key = "{door.place.path}/door.key" client-certificate = optional }}
upstream "haproxy" {{ server = "127.0.0.1:{port}" proxy-protocol = v2-tls }}
route "all" {{ protocol = "tls" terminate = "site" }}
route "http" {{ inside = "site" protocol = "http" proxy = "haproxy" }}
"""
    gateway = Gateway(door.place, text, name="to-haproxy")
    mine = door.authority.client("juliet@example.test")
    try:
        wait_until(lambda: listens(port), "HAProxy listens", timeout_s=PATIENCE_S)
        gateway.start()
        with wrap(connect(gateway_port), certificate=mine.files) as sock:
            own = "%s:%d" % sock.getsockname()
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer, end = read_tls_to_end(sock)
        line = gateway.close_lines(peer=own)[0]
        assert answer.endswith(f"{own} {NAME} {line['conn']}".encode()) and end == "close_notify", answer
    finally:
        gateway.kill()
        haproxy.kill()


# Limits


@pytest.fixture
def narrow():
    one = Door("max-probing-per-source = 3 max-probing = 4 peek-timeout = 60s handshake-timeout = 60s")
    try:
        yield one.start()
    finally:
        one.stop()


def test_half_a_hello_that_is_hurried_gets_no_handshake(narrow):
    """Its TLS would end here, and the handshake that begins would be as undecided: nobody would gain room by it."""
    def held():
        return narrow.gateway.status()["workers"][0]["probing_bytes"]

    halves = []
    for i in range(8):
        halves.append(socket.create_connection(("127.0.0.1", narrow.port), source_address=(f"127.0.0.{i + 10}", 0)))
        halves[-1].sendall(client_hello(NAME)[:60])
        wait_until(lambda: held() == 60 * min(i + 1, 4), "the half hello has come")
    addresses = [local_address(sock) for sock in halves]
    ended = [line["peer"] for line in narrow.gateway.close_lines(count=4, reason="probing_hurried", route="site")]
    assert sorted(ended) == sorted(addresses[:4])
    worker = narrow.gateway.status()["workers"][0]
    assert (worker["probing"], worker["deaths"]) == (4, 0)
    for sock in halves:
        sock.close()


def test_who_shakes_hands_and_says_nothing_is_undecided(narrow):
    """Handshakes are what a flood makes cost: they count for the limits until what is inside was decided."""
    def hold(source):
        tcp = socket.create_connection(("127.0.0.1", narrow.port), timeout=PATIENCE_S, source_address=(source, 0))
        return wrap(tcp)

    one, two, three = [hold("127.0.0.2") for _ in range(3)]
    with pytest.raises((ConnectionResetError, ssl.SSLError)):
        hold("127.0.0.2")
    narrow.gateway.wait_log(event="close", reason="source_probing")
    # One is decided: there is room again.
    three.sendall(REQUEST)
    assert three.recv(12) == b"HTTP/1.1 200"
    four = hold("127.0.0.2")
    # Others come: the oldest are decided with what they have said, which is nothing.
    address = "%s:%d" % one.getsockname()
    served_to_the_end(narrow)
    more = [hold("127.0.0.3"), hold("127.0.0.4")]
    assert one.recv(1) == b"!"  # the route for silence
    assert narrow.gateway.log(event="close", peer=address) == []
    # A handshake that is not finished counts as well.
    stalled = [socket.create_connection(("127.0.0.1", narrow.port), source_address=(f"127.0.0.{i}", 0))
               for i in range(10, 16)]
    for sock in stalled:
        sock.sendall(client_hello(NAME))
    assert narrow.gateway.wait_log(event="close", reason="probing_hurried").get("tls_version") is None
    for sock in (one, two, three, four, *more, *stalled):
        sock.close()
