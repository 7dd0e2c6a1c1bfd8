"""Servers of other people on the gateway's one port: told from clients, asked for a certificate where TLS ends."""

import ssl

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness import pp2
from harness.authority import Authority
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend, Gateway
from harness.rawserver import RawServer
from harness.stage import Actor
from harness.tcp import connect, read_exactly
from harness.upstream import Upstream

NAME = "example.test"
HEADER = (b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
          b"from='peer.test' to='example.test' version='1.0'>")

CONFIG = """
listener "public" {{ address = "127.0.0.1:{port}" }}
tls "xmpp-servers" {{ certificate = "{cert}" key = "{key}" client-certificate = optional client-purpose = any client-ca = "{ca}" }}
tls "web" {{ certificate = "{cert}" key = "{key}" }}
upstream "xmpp-decrypted" {{ server = "127.0.0.1:{decrypted}" proxy-protocol = v2-tls }}
upstream "xmpp-plain" {{ server = "127.0.0.1:{plain}" proxy-protocol = v2 }}
route "servers" {{ alpn = "xmpp-server" terminate = "xmpp-servers" }}
route "servers-inside" {{ inside = "xmpp-servers" protocol = "xmpp" proxy = "xmpp-decrypted" }}
route "starttls" {{ protocol = "xmpp" proxy = "xmpp-plain" }}
route "web" {{ protocol = "tls" terminate = "web" }}
route "web-inside" {{ inside = "web" protocol = "http" refuse = http-400 }}
"""


class Door:
    """A gateway, and what it tells the backend: (TLVs, the first bytes of the stream)."""

    def __init__(self):
        self.place, self.port, self.told = Place(), reserve_port(), []
        self.cert, key = self.place.certificate("door", [NAME])
        self.authority = Authority(self.place)
        self.decrypted, self.plain = Upstream(self.serve), Upstream(self.serve)
        self.gateway = Gateway(self.place, CONFIG.format(
            port=self.port, cert=self.cert, key=key, ca=self.authority.path, decrypted=self.decrypted.address[1],
            plain=self.plain.address[1]))

    def serve(self, sock):
        head = read_exactly(sock, 16)
        _, tlvs = pp2.parse(head + read_exactly(sock, int.from_bytes(head[14:], "big")))
        self.told.append((tlvs, read_exactly(sock, len(HEADER))))
        sock.sendall(b"<")

    def stop(self):
        try:
            self.gateway.stop()
        finally:
            self.gateway.kill()
            self.gateway.log_text()
            for upstream in (self.decrypted, self.plain):
                upstream.socket.close()
            self.place.remove()


@pytest.fixture(scope="module")
def door():
    one = Door()
    try:
        one.gateway.start()
        yield one
    finally:
        one.stop()


def context(alpn, certificate=None):
    one = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    one.check_hostname, one.verify_mode = False, ssl.CERT_NONE
    one.set_alpn_protocols([alpn])
    if certificate:
        one.load_cert_chain(*certificate)
    return one


@pytest.mark.parametrize("usage", [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
def test_a_server_shows_its_certificate_to_a_gateway_that_terminates(door, usage):
    mine = door.authority.client("peer.test", usage=usage)
    with context("xmpp-server", mine.files).wrap_socket(connect(door.port), server_hostname=NAME) as sock:
        assert sock.selected_alpn_protocol() == "xmpp-server"
        sock.sendall(HEADER)
        assert sock.recv(1) == b"<"
    tlvs, header = door.told.pop()
    assert header == HEADER and tlvs[pp2.ALPN] == b"xmpp-server" and tlvs[pp2.AUTHORITY] == NAME.encode()
    assert pp2.chain(mine.der) == pp2.tlv(pp2.CHAIN, tlvs[pp2.CHAIN])
    client, verify = tlvs[pp2.SSL][0], int.from_bytes(tlvs[pp2.SSL][1:5], "big")
    assert client & (pp2.CLIENT_SSL | pp2.CLIENT_CERT_CONN) == 3 and verify == 0


def test_a_server_without_a_certificate_is_for_the_backend_to_judge(door):
    with context("xmpp-server").wrap_socket(connect(door.port), server_hostname=NAME) as sock:
        sock.sendall(HEADER)
        assert sock.recv(1) == b"<"
    tlvs, header = door.told.pop()
    assert header == HEADER and pp2.CHAIN not in tlvs and not tlvs[pp2.SSL][0] & pp2.CLIENT_CERT_CONN


def test_browsers_are_not_asked_for_a_certificate(door):
    """That would open a window in some of them."""
    mine = door.authority.client("peer.test")
    with context("http/1.1", mine.files).wrap_socket(connect(door.port), server_hostname=NAME) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 400"
        address = "%s:%d" % sock.getsockname()
    assert door.gateway.close_lines(peer=address)[0]["tls"] == "web"


def test_a_server_that_begins_without_tls(door):
    """STARTTLS on the same port."""
    with connect(door.port) as sock:
        sock.sendall(HEADER)
        assert sock.recv(1) == b"<"
    tlvs, header = door.told.pop()
    assert header == HEADER and pp2.SSL not in tlvs


# The whole way: another server, the gateway, the backend

BACKEND = """
s2s-ca = "{trusted}"
listener "c2s" {{ address = "127.0.0.1:{c2s}" tls = direct }}
listener "servers" {{ address = "127.0.0.1:{servers}" serve = servers tls = direct proxy-protocol-from = "127.0.0.0/8" }}
host "{domain}" {{ certificate = "{cert}" key = "{key}" s2s = true }}
"""
GATEWAY = """
listener "handoff" {{ address = "127.0.0.1:{handoff}" }}
listener "proxied" {{ address = "127.0.0.1:{proxied}" }}
listener "decrypted" {{ address = "127.0.0.1:{decrypted}" }}
tls "xmpp-servers" {{ certificate = "{cert}" key = "{key}" client-certificate = optional client-purpose = any }}
backend "xmpp" {{ inlet = "{inlet}" }}
upstream "xmpp-servers" {{ server = "127.0.0.1:{servers}" proxy-protocol = v2 }}
upstream "xmpp-decrypted" {{ server = "unix:{terminated}" proxy-protocol = v2-tls }}
route "proxied" {{ listener = "proxied" alpn = "xmpp-server" proxy = "xmpp-servers" }}
route "decrypted" {{ listener = "decrypted" alpn = "xmpp-server" terminate = "xmpp-servers" }}
route "servers-inside" {{ inside = "xmpp-servers" protocol = "xmpp" proxy = "xmpp-decrypted" }}
route "without-alpn" {{ listener = "decrypted" no-alpn = true terminate = "xmpp-servers" }}
route "servers" {{ alpn = "xmpp-server" handoff = "xmpp" }}
route "starttls" {{ protocol = "xmpp" handoff = "xmpp" }}
"""
PEER, PASSWORD = "peer.test", "a-secret-of-the-tests"


class Federation:
    """A backend behind a gateway, and another server."""

    def __init__(self):
        self.place = Place()
        self.ports = {name: reserve_port() for name in ("c2s", "servers", "handoff", "proxied", "decrypted")}
        cert, key = self.place.certificate("ours", [NAME])
        self.files = self.place.certificate("theirs", [PEER])
        self.backend = Backend(self.place, BACKEND.format(trusted=self.files[0], domain=NAME, cert=cert, key=key,
                                                          **self.ports))
        self.gateway = Gateway(self.place, GATEWAY.format(cert=cert, key=key, inlet=self.backend.inlet,
                                                          terminated=self.backend.terminated, **self.ports))

    def start(self):
        self.backend.start()
        self.gateway.start()
        self.backend.add_user(f"juliet@{NAME}", PASSWORD)
        return self

    def stop(self):
        try:
            for program in (self.gateway, self.backend):
                program.stop()
        finally:
            for program in (self.gateway, self.backend):
                program.kill()
                program.log_text()
            self.place.remove()


@pytest.fixture(scope="module")
def federation():
    one = Federation()
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.mark.parametrize("way, tls, alpn", [
    ("handoff", "direct", ["xmpp-server"]), ("proxied", "direct", ["xmpp-server"]), ("decrypted", "direct", ["xmpp-server"]),
    ("handoff", "starttls", ["xmpp-server"]), ("decrypted", "direct", [])])
def test_another_server_proves_itself_through_the_gateway(federation, way, tls, alpn):
    ports = federation.ports
    with RawServer(PEER, address="127.0.0.2", files=federation.files) as server:
        with Actor("127.0.0.1", ports["c2s"]).start_tls(sni=NAME) as juliet:
            juliet.login("juliet", PASSWORD, NAME, mechanism="PLAIN")
            link = server.connect("127.0.0.1", ports[way], NAME, tls=tls, alpn=alpn)
            link.external()
            link.send_message(juliet.jid, "hello", from_=f"romeo@{PEER}/orchard")
            juliet.expect("message", frm=f"romeo@{PEER}/orchard", body="hello")
            address = "%s:%d" % link.wire.tcp.getsockname()
            line = federation.backend.wait_log(event="s2s_open", peer=address)
            assert (line["domain"], line["local"], line["proof"]) == (PEER, NAME, "certificate")


@pytest.mark.parametrize("way", ["handoff", "proxied", "decrypted"])
def test_a_server_without_a_certificate_cannot_use_one(federation, way):
    with RawServer(PEER, address="127.0.0.2") as server:
        link = server.connect("127.0.0.1", federation.ports[way], NAME, tls="direct")
        assert link.try_external() != "success"
