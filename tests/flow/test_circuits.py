"""PROXY headers at our own listeners: with Tor's exported circuit ids each circuit is a source of its own."""

import hashlib
import json
import socket
import struct

import pytest

from harness.pp2 import LOCAL_HEADER, SIGNATURE, UNIQUE_ID, build, tlv
from harness.rawxmpp import TLS, AuthenticationFailed, RawClient
from harness.ports import reserve_port
from harness.site import DOMAIN, Site
from harness.stage import number
from harness.tcp import read_to_end
from harness.wait import PATIENCE_S, wait_until

PASSWORD, SECRET = "right", "what-the-bridge-knows"
LISTENERS = """
listener "onion" {{ address = "127.0.0.1:{onion}" tls = direct proxy-protocol-from = {{"127.0.0.1", "::1"}} }}
listener "plain" {{ address = "127.0.0.1:{plain}" proxy-protocol-from = "127.0.0.1" }}
listener "bridges" {{ address = "127.0.0.1:{bridges}" serve = components proxy-protocol-from = "127.0.0.1" }}
component "irc.test" {{ secret = "{secret}" }}
"""
LIMITS = ("auth-failures-per-source = 2\nauth-failures-window = 1h\nauth-delay = 0s\nstreams-per-source = 3\n"
          "auth-timeout = {timeout}\nlog {{ level = debug }}\n")


class Hidden(Site):
    def __init__(self, timeout="30s"):
        self.onion, self.plain, self.bridges = reserve_port(), reserve_port(), reserve_port()
        super().__init__(unlimited="", backend_extra=LIMITS.format(timeout=timeout)
                         + LISTENERS.format(onion=self.onion, plain=self.plain, bridges=self.bridges,
                                            secret=SECRET))

    def begin(self, header=b"", port=None):
        """A connection, to the listener with direct TLS unless another is named, that has sent this."""
        client = RawClient("127.0.0.1", port or self.onion)
        client.tcp.sendall(header)
        return client

    def counter(self, name):
        return self.backend.counter(name)

    def connections(self):
        return json.loads(self.backend.ctl("--json", "status"))["connections"]


def made(**arguments):
    one = Hidden(**arguments)
    one.backend.start()
    one.add_account("juliet", PASSWORD)
    return one


@pytest.fixture(scope="module")
def site():
    one = made()
    yield one
    one.stop()


@pytest.fixture
def impatient():
    one = made(timeout="1s")
    yield one
    one.stop()


def circuit():
    """(Tor's header for a circuit that nobody has used, its address)."""
    gid = number()
    address = f"fc00:dead:beef:4dad::{gid >> 16:x}:{gid & 0xffff:x}"
    return f"PROXY TCP6 {address} ::1 {gid & 0xffff} 5222\r\n".encode(), f"[fc00:dead:beef:4dad::{gid:x}]:{gid}"


def version2(address, port, tlvs=b""):
    body = b"".join(socket.inet_pton(socket.AF_INET6, one) for one in (address, "::1")) + struct.pack("!HH", port, 5222)
    return SIGNATURE + b"\x21\x21" + struct.pack("!H", len(body) + len(tlvs)) + body + tlvs


def attempt(site, header, password=PASSWORD):
    """None, or the condition of the failure."""
    with site.begin(header) as client:
        client.start_tls(sni=DOMAIN).open(DOMAIN)
        try:
            client.authenticate("juliet", password, "SCRAM-SHA-256")
        except AuthenticationFailed as failed:
            return str(failed)


def ended(client):
    """All that came up to the end."""
    client.tcp.setblocking(True)
    client.tcp.settimeout(PATIENCE_S)
    return read_to_end(client.tcp)[0]


# Sources

@pytest.mark.release
@pytest.mark.tsan
def test_lockout_is_of_the_circuit(site):
    (header, address), (other, _) = circuit(), circuit()
    assert [attempt(site, header, "wrong") for _ in range(2)] == ["not-authorized"] * 2
    site.backend.wait_log(event="auth_locked", what="source", peer=address)
    assert attempt(site, header) == "temporary-auth-failure"
    assert attempt(site, other) is None
    site.backend.ctl("unlock", address[1:].split("]")[0])
    assert attempt(site, header) is None


def test_streams_per_source_are_of_the_circuit(site):
    (header, _), (other, _) = circuit(), circuit()
    crowd = [site.begin(header).start_tls(sni=DOMAIN) for _ in range(3)]
    before = site.counter("crowded_source")
    with site.begin(header) as one_more:
        assert ended(one_more) == b""
    assert site.counter("crowded_source") == before + 1
    assert attempt(site, other) is None
    for client in crowd:
        client.tcp.close()


def test_who_tells_no_address_is_nobodys_source(site):
    """Nor does the one that speaks for all of them become one."""
    for header in (b"PROXY UNKNOWN\r\n", LOCAL_HEADER):
        assert [attempt(site, header, "wrong") for _ in range(4)] == ["not-authorized"] * 4
        assert attempt(site, header) is None
    assert attempt(site, circuit()[0]) is None


def test_the_networks_can_change(own_site):
    """And a listener without them looks for no header."""
    site = own_site(unlimited="", backend_extra="shards = 1\n")
    site.backend.start()
    with RawClient("127.0.0.1", site.c2s) as client:
        client.send(circuit()[0].decode())
        assert b"not-well-formed" in ended(client)
    listener = f'listener "c2s" {{ address = "127.0.0.1:{site.c2s}" '
    before = site.backend.config.read_text()
    after = before.replace(listener, listener + 'proxy-protocol-from = "127.0.0.0/8" ')
    assert after != before
    site.backend.config.write_text(after)
    site.backend.ctl("reload")
    header, address = circuit()
    with RawClient("127.0.0.1", site.c2s) as client:
        client.tcp.sendall(header)
        client.open(DOMAIN)
    site.backend.wait_log(event="stream_end", peer=address)


# Headers

def test_both_versions_in_one_piece_or_byte_by_byte(site):
    header, address = circuit()
    for whole, peer in ((header, address), (version2("fc00:dead:beef:4dad::7", 7), "[fc00:dead:beef:4dad::7]:7")):
        for cuts in ([len(whole)], range(1, len(whole) + 1)):
            with site.begin() as client:
                start = 0
                for end in cuts:
                    client.tcp.sendall(whole[start:end])
                    start = end
                    if end % 8 == 0:
                        site.connections()  # what was sent before has been read
                client.start_tls(sni=DOMAIN).login("juliet", PASSWORD, DOMAIN, resource="cut")
                session, = json.loads(site.backend.ctl("--json", "sessions"))
                assert session["peer"] == peer
            wait_until(lambda: json.loads(site.backend.ctl("--json", "sessions")) == [], "the session is over")


def test_header_and_stream_may_come_at_once(site):
    stream = (f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
              "xmlns:stream='http://etherx.jabber.org/streams'>").encode()
    for header in (circuit()[0], version2("2001:db8::1", 9, tlv(UNIQUE_ID, b"balancer-1"))):
        with site.begin(header + stream, port=site.plain) as client:
            assert client.next_after_header().find(TLS + "starttls") is not None
    assert site.backend.wait_log(event="stream_end", conn="balancer-1")["peer"] == "[2001:db8::1]:9"


def test_components_come_through_it_too(site):
    with site.begin(circuit()[0], port=site.bridges) as client:
        client.send("<stream:stream to='irc.test' xmlns='jabber:component:accept' "
                    "xmlns:stream='http://etherx.jabber.org/streams'>")
        client._new_parser()
        while client.header is None:
            client._parse(client.receive())
        digest = hashlib.sha1((client.header.get("id") + SECRET).encode()).hexdigest()
        assert client.command(f"<handshake>{digest}</handshake>").tag.endswith("handshake")


BAD = {
    "none": b"<?xml version='1.0'?><stream:stream>",
    "TLS": b"\x16\x03\x01" + bytes(60),
    "a line that is too long": b"PROXY TCP6 " + b"f" * 200,
    "an address that is none": b"PROXY TCP4 192.0.2.256 192.0.2.1 1 2\r\n",
    "no carriage return": b"PROXY TCP4 192.0.2.5 192.0.2.1 1 2\n",
    "half a line": b"PROXY TCP4 192.0.2.5",
    "half a header": build()[:20],
    "datagrams": SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12),
    "longer than allowed": SIGNATURE + b"\x21\x11\xff\xff" + bytes(60),
}


@pytest.mark.release
@pytest.mark.parametrize("kind,header", BAD.items(), ids=BAD.keys())
def test_a_bad_header_ends_it(site, kind, header):
    before = site.counter("proxy_header_faults"), site.counter("streams")
    with site.begin(header) as client:
        if kind.startswith("half") or kind == "no carriage return":
            client.tcp.shutdown(socket.SHUT_WR)
        assert ended(client) == b""
    assert (site.counter("proxy_header_faults"), site.counter("streams")) == (before[0] + 1, before[1])
    assert site.backend.log(event="header_malformed")[-1]["via"].startswith("127.0.0.1:")


def test_silence_is_closed_and_dripping_wins_no_time(impatient):
    with impatient.begin() as silent, impatient.begin(b"PROXY TCP6 ") as slow:
        def closed():
            try:
                slow.tcp.send(b"f")
            except (BrokenPipeError, ConnectionResetError):
                return True
            return False

        wait_until(closed, "it is closed")
        assert ended(silent) == b""
    impatient.backend.wait_log(count=2, event="header_malformed", error="no header in time")


def test_who_only_looks_is_not_counted(site):
    before = site.counter("proxy_header_faults")
    with site.begin() as client:
        client.tcp.shutdown(socket.SHUT_WR)
        assert ended(client) == b""
    assert site.counter("proxy_header_faults") == before
