"""Servers of other people on the gateway's one port: told from clients, asked for a certificate where TLS ends."""

import ssl

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness import pp2
from harness.authority import Authority
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway
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
