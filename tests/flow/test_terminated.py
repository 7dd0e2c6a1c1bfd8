"""Streams whose TLS a gateway has terminated: the test is the gateway, and says in a PROXY header what it has seen."""

import array
import json
import os
import pwd
import signal
import socket
import subprocess
import sys

import pytest

from harness.authority import Authority
from harness.crowd import raise_descriptor_limit
from harness.place import AS_ROOT, Place
from harness.ports import reserve_port
from harness.postern import Backend
from harness.pp2 import (ALPN, AUTHORITY, CHAIN, CLIENT_CERT_CONN, CLIENT_SSL, END_POINT, EXPORTER, LOCAL_HEADER,
                         SIGNATURE, SSL, UNIQUE_ID, build, chain, ssl, tlv)
from harness.rawxmpp import (SASL, STREAM, TLS, AuthenticationFailed, RawClient, TerminatedClient, bindings,
                             mechanisms)
from harness.tcp import read_to_end
from harness.wait import PATIENCE_S, wait_until

DOMAIN, SECOND, PASSWORD = "example.test", "second.test", "parting-is-such-sweet-sorrow"
EXPORTED, HASH = b"\x11" * 32, b"\x22" * 48
ALL = (ssl() + tlv(EXPORTER, EXPORTED) + tlv(END_POINT, HASH) + tlv(AUTHORITY, DOMAIN.encode())
       + tlv(ALPN, b"xmpp-client") + tlv(UNIQUE_ID, b"gateway-17"))
STRANGER_UID = 1
CONFIG = """
{extra}
listener "c2s" {{ address = "127.0.0.1:{c2s}" }}
listener "c2s-direct" {{ address = "127.0.0.1:{direct}" tls = direct }}
host "{domain}" {{ certificate = "{cert}" key = "{key}" client-certificate = optional client-ca = "{cert}" }}
host "{second}" {{ certificate = "{cert}" key = "{key}" }}
"""


class Alone:
    def __init__(self, extra=""):
        self.place = Place()
        self.c2s, self.direct = reserve_port(), reserve_port()
        cert, key = self.place.certificate("site", [DOMAIN, SECOND])
        self.backend = Backend(self.place, CONFIG.format(extra=extra, c2s=self.c2s, direct=self.direct, domain=DOMAIN,
                                                         second=SECOND, cert=cert, key=key))

    def start(self):
        self.backend.start()
        self.backend.add_user(f"juliet@{DOMAIN}", PASSWORD)
        return self

    def stop(self):
        try:
            self.backend.stop()
        finally:
            self.backend.kill()
            self.backend.log_text()
            self.place.remove()

    def client(self, header=None):
        return TerminatedClient(self.backend.terminated, build(ALL) if header is None else header)

    def counter(self, name):
        return self.status()["counters"][name]

    def connections(self):
        return self.status()["connections"]

    def status(self):
        return json.loads(self.backend.ctl("--json", "status"))


@pytest.fixture(scope="module")
def server():
    one = Alone("shards = 2")
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture
def impatient():
    one = Alone("auth-timeout = 1s")
    try:
        yield one.start()
    finally:
        one.stop()


# What is believed

@pytest.mark.release
@pytest.mark.tsan
@pytest.mark.parametrize("mechanism,binding,value", [
    ("SCRAM-SHA-256-PLUS", "tls-exporter", EXPORTED), ("SCRAM-SHA-256-PLUS", "tls-server-end-point", HASH),
    ("SCRAM-SHA-1-PLUS", "tls-exporter", EXPORTED), ("SCRAM-SHA-256", None, None), ("PLAIN", None, None)])
def test_the_stream_counts_as_encrypted(server, mechanism, binding, value):
    with server.client() as client:
        features = client.open(DOMAIN)
        assert features.find(TLS + "starttls") is None
        assert mechanisms(features) == ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1",
                                        "PLAIN"]
        assert bindings(features) == ["tls-exporter", "tls-server-end-point"]
        client.authenticate("juliet", PASSWORD, mechanism, binding=binding, binding_data=value)
        assert client.bind("x") == f"juliet@{DOMAIN}/x"
        session, = json.loads(server.backend.ctl("--json", "sessions"))
        line = server.backend.wait_log(event="stream_bound", mech=mechanism)
    assert (line["peer"], line["conn"], line["sni"]) == ("192.0.2.7:40000", "gateway-17", DOMAIN)
    assert (line["tls"], line["cipher"], line["alpn"]) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384", "xmpp-client")
    assert (line["by"], line.get("binding")) == ("gateway", binding)
    assert (session["peer"], session["conn"], session["mechanism"]) == ("192.0.2.7:40000", "gateway-17", mechanism)
    assert (session["tls"], session["cipher"]) == (line["tls"], line["cipher"])
    assert (session["tls_by"], session["binding"]) == ("gateway", binding)


@pytest.mark.parametrize("binding,value", [("tls-exporter", HASH[:32]), ("tls-exporter", b"\0" * 32),
                                           ("tls-server-end-point", EXPORTED), ("tls-server-end-point", b"")])
def test_a_wrong_binding_is_refused(server, binding, value):
    with server.client() as client:
        client.open(DOMAIN)
        with pytest.raises(AuthenticationFailed, match="not-authorized"):
            client.authenticate("juliet", PASSWORD, "SCRAM-SHA-256-PLUS", binding=binding, binding_data=value)


@pytest.mark.parametrize("told,offered", [(b"", []), (tlv(EXPORTER, EXPORTED), ["tls-exporter"]),
                                          (tlv(END_POINT, HASH), ["tls-server-end-point"])])
def test_only_bindings_that_were_told_are_offered(server, told, offered):
    with server.client(build(ssl() + told)) as client:
        features = client.open(DOMAIN)
        assert bindings(features) == offered
        assert ("SCRAM-SHA-256-PLUS" in mechanisms(features)) == bool(offered)
        for binding in {"tls-exporter", "tls-server-end-point"} - set(offered) if offered else ():
            with pytest.raises(AuthenticationFailed):
                client.authenticate("juliet", PASSWORD, "SCRAM-SHA-256-PLUS", binding=binding, binding_data=b"")


def test_the_server_name_chooses_the_host_and_the_log_names_it(server):
    with server.client(build(ssl() + tlv(AUTHORITY, SECOND.encode()))) as client:
        client.send("<x/>")
        assert client.next_after_header().tag == STREAM + "error"
    assert server.backend.wait_log(event="stream_end", sni=SECOND)["host"] == SECOND


@pytest.mark.parametrize("alpn", [b"xmpp-server", b"h2", b"http/1.1", b"xmpp-client\0", b"x" * 32])
def test_another_protocol_than_ours_is_refused(server, alpn):
    """What was negotiated for another protocol must not end up here."""
    with server.client(build(ssl() + tlv(ALPN, alpn))) as client:
        with pytest.raises(AssertionError, match="error"):
            client.open(DOMAIN)
        assert b"<policy-violation" in client.received


def test_a_header_may_come_in_pieces(server):
    header = build(ALL)
    connection = TerminatedClient(server.backend.terminated, header[:1])
    with connection as client:
        for position in range(1, len(header)):
            client.send(header[position:position + 1])
        assert "PLAIN" in mechanisms(client.open(DOMAIN))


def test_header_and_stream_may_come_at_once(server):
    stream = (f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
              "xmlns:stream='http://etherx.jabber.org/streams'>")
    with server.client(build(ALL) + stream.encode()) as client:
        assert client.next_after_header().tag == STREAM + "features"


# What is not

BAD = {
    "no TLV about TLS": build(),
    "no client with TLS": build(ssl(client=0) + tlv(EXPORTER, EXPORTED)),
    "only a certificate": build(ssl(client=CLIENT_CERT_CONN)),
    "SSL 3": build(ssl(version=b"SSLv3")),
    "TLS 1.1": build(ssl(version=b"TLSv1.1")),
    "a version with a line feed": build(ssl(version=b"TLSv1.3\nevent=x")),
    "a version that is too long": build(ssl(version=b"T" * 16)),
    "a cipher that is too long": build(ssl(cipher=b"C" * 48)),
    "SSL twice": build(ssl() + ssl(client=0)),
    "SSL cut": build(tlv(SSL, b"\x01\0\0\0")),
    "SSL with a version twice": build(tlv(SSL, b"\x01\0\0\0\0" + 2 * tlv(0x21, b"TLSv1.3"))),
    "exporter twice": build(ssl() + 2 * tlv(EXPORTER, EXPORTED)),
    "exporter too short": build(ssl() + tlv(EXPORTER, EXPORTED[:31])),
    "exporter too long": build(ssl() + tlv(EXPORTER, EXPORTED + b"\0")),
    "exporter empty": build(ssl() + tlv(EXPORTER, b"")),
    "end point twice": build(ssl() + tlv(END_POINT, HASH) + tlv(END_POINT, b"\0" * 32)),
    "end point too short": build(ssl() + tlv(END_POINT, b"\0" * 20)),
    "end point too long": build(ssl() + tlv(END_POINT, b"\0" * 65)),
    "authority twice": build(ssl() + 2 * tlv(AUTHORITY, DOMAIN.encode())),
    "alpn twice": build(ssl() + tlv(ALPN, b"xmpp-client") + tlv(ALPN, b"h2")),
    "alpn too long": build(ssl() + tlv(ALPN, b"x" * 33)),
    "id twice": build(ssl() + 2 * tlv(UNIQUE_ID, b"a")),
    "a chain without a certificate": build(ssl() + chain([b"x"])),
    "a chain of garbage": build(ssl(client=3) + chain([b"garbage"])),
    "an empty chain": build(ssl(client=3) + tlv(CHAIN, b"")),
    "a chain that overruns": build(ssl(client=3) + tlv(CHAIN, b"\xff\xff\xffx")),
    "too many TLVs": build(ssl() + 24 * tlv(0xE9, b"")),
    "TLVs that overrun": build(ssl() + b"\xe1\xff\xff"),
    "longer than allowed": build(ssl() + tlv(0xE9, bytes(41000))),
    "version 1": b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n",
    "XML": b"<?xml version='1.0'?><stream:stream>",
    "TLS": b"\x16\x03\x01" + bytes(60),
    "datagrams": SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12),
    "half a header": build(ALL)[:60],
}


@pytest.mark.release
@pytest.mark.parametrize("header", BAD.values(), ids=BAD.keys())
def test_a_bad_header_ends_it(server, header):
    before = server.counter("terminated_faults")
    with server.client(header) as client:
        client.tcp.setblocking(True)
        client.tcp.settimeout(PATIENCE_S)
        client.tcp.shutdown(socket.SHUT_WR)
        assert read_to_end(client.tcp)[0] == b""
    assert server.counter("terminated_faults") == before + 1


@pytest.mark.parametrize("count,taken", [(10, True), (11, False)])
def test_a_chain_has_ten_certificates_at_most(server, count, taken):
    der = Authority(server.place, f"ca-{count}").client("a@b").der[0]
    before = server.counter("terminated_faults")
    with server.client(build(ssl(client=CLIENT_SSL | CLIENT_CERT_CONN) + chain(count * [der]))) as client:
        if taken:
            assert "EXTERNAL" not in mechanisms(client.open(DOMAIN))
        else:
            wait_until(lambda: server.counter("terminated_faults") == before + 1, "it is refused")


@pytest.mark.parametrize("sent", [LOCAL_HEADER, LOCAL_HEADER + b"<x/>", b""])
def test_health_checks_end_without_a_word(server, sent):
    before = server.counter("terminated_faults"), server.counter("streams")
    with server.client(sent) as client:
        client.tcp.setblocking(True)
        client.tcp.settimeout(PATIENCE_S)
        client.tcp.shutdown(socket.SHUT_WR)
        assert read_to_end(client.tcp)[0] == b""
    assert (server.counter("terminated_faults"), server.counter("streams")) == before


def test_dripping_does_not_win_time(impatient):
    header = build(ALL)
    with impatient.client(header[:10]) as client:
        def dripped():
            try:
                client.send(b"\r")
            except (BrokenPipeError, ConnectionResetError):
                return True
            return impatient.counter("terminated_faults") > 0

        client.tcp.send(header[10:16])
        wait_until(dripped, "it is closed")
    assert impatient.backend.wait_log(event="terminated_fault")["msg"] == "no header in time"


def test_ten_thousand_half_open_connections(server):
    """The gateway has gone mad: who comes with a header is served all the same."""
    raise_descriptor_limit(11000)
    sockets, before = [], server.counter("terminated_faults")
    try:
        for _ in range(10000):
            sockets.append(socket.socket(socket.AF_UNIX))
            sockets[-1].connect(str(server.backend.terminated))  # waits for room in the queue
            sockets[-1].send(SIGNATURE)

        def waiting():
            now = server.status()
            all_seen = now["connections"] + now["counters"]["terminated_faults"] - before == len(sockets)
            return all_seen and now["connections"]

        assert wait_until(waiting, "all are accepted") == 1024, "the oldest make room"
        with server.client() as client:
            assert client.login("juliet", PASSWORD, DOMAIN)
    finally:
        for one in sockets:
            one.close()
    wait_until(lambda: server.connections() == 0, "nothing is left of them")


# Where it does not count

STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
s = socket.socket(socket.AF_UNIX)
s.settimeout(30)
try:
    s.connect({path!r})
except PermissionError:
    print("refused by the file"); sys.exit()
try:
    s.sendall({data!r})
    print("answer", s.recv(1000))
except OSError as error:
    print("answer", b"")
"""


def ask_as_stranger(path, data):
    script = STRANGER.format(uid=STRANGER_UID, path=str(path), data=data)
    return subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=True,
                          timeout=PATIENCE_S).stdout.strip()


@pytest.mark.release
@pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
def test_another_user_is_refused(server):
    path = server.backend.terminated
    assert path.stat().st_mode & 0o777 == 0o600
    assert ask_as_stranger(path, build(ALL)) == "refused by the file"
    os.chmod(path, 0o666)
    os.chmod(path.parent, 0o755)
    try:
        assert ask_as_stranger(path, build(ALL) + b"<stream>") == "answer b''"
    finally:
        os.chmod(path, 0o600)
        os.chmod(path.parent, 0o700)
    assert server.counter("terminated_strangers") == 1
    assert server.backend.wait_log(event="terminated_stranger")


@pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
def test_the_gateway_user_is_not_refused():
    one = Alone()
    gateway_user = pwd.getpwuid(STRANGER_UID)
    text = one.backend.config.read_text()
    one.backend.config.write_text(text.replace('gateway-user = "nobody"', f'gateway-user = "{gateway_user.pw_name}"'))
    try:
        one.start()
        path = one.backend.terminated
        os.chmod(path.parent, 0o755)
        for socket_file in (path, one.backend.inlet):
            assert (socket_file.stat().st_mode & 0o777, socket_file.stat().st_gid) == (0o660, gateway_user.pw_gid)
        assert "<?xml" in ask_as_stranger(path, build(ALL) + b"<stream>")
        assert one.counter("terminated_strangers") == 0
    finally:
        one.stop()


@pytest.mark.release
def test_a_header_over_tcp_is_not_believed(server):
    before = server.counter("terminated")
    with RawClient("127.0.0.1", server.c2s) as client:
        client.send(build(ALL))
        with pytest.raises(AssertionError, match="error"):
            client.open(DOMAIN)
        assert b"mechanism" not in client.received
    with socket.create_connection(("127.0.0.1", server.direct), timeout=PATIENCE_S) as plain:
        plain.sendall(build(ALL) + b"<stream:stream>")
        assert b"stream" not in read_to_end(plain)[0]
    assert server.backend.wait_log(event="stream_end", reason="tls_failed")
    assert server.counter("terminated") == before


def hand_over(inlet, message, descriptor):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as gate:
        gate.connect(str(inlet))
        gate.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])


@pytest.mark.release
def test_what_is_handed_off_is_not_believed(server):
    """The inlet takes sockets whose TLS is the client's with us: a header there says nothing about it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            RawClient("127.0.0.1", listener.getsockname()[1]) as client:
        handed, _ = listener.accept()
        client.send("<")  # not TLS
        with handed:
            wait_until(lambda: handed.recv(1, socket.MSG_PEEK), "the first byte is there")
            hand_over(server.backend.inlet, build(ALL), handed.fileno())
        client.send("?xml version='1.0'?>" + f"<stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
                    "xmlns:stream='http://etherx.jabber.org/streams'>")
        features = client.next_after_header()
        assert features.find(TLS + "starttls") is not None and mechanisms(features) == []
        answer = client.command("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>")
        assert answer.find(SASL + "encryption-required") is not None


def test_bindings_of_a_handed_off_stream_are_its_own(server):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = RawClient("127.0.0.1", listener.getsockname()[1])
        with client:
            handed, _ = listener.accept()
            with handed:
                hand_over(server.backend.inlet, build(ALL), handed.fileno())
            client.start_tls(sni=DOMAIN)
            client.open(DOMAIN)
            with pytest.raises(AuthenticationFailed):
                client.authenticate("juliet", PASSWORD, "SCRAM-SHA-256-PLUS", "tls-exporter", binding_data=EXPORTED)
            client.login_here("juliet", PASSWORD, "SCRAM-SHA-256-PLUS", binding="tls-exporter")


def test_stopping_closes_what_waits(impatient):
    with impatient.client(SIGNATURE) as waiting, impatient.client() as bound:
        bound.login("juliet", PASSWORD, DOMAIN)
        wait_until(lambda: impatient.connections() == 2, "both are there")
        impatient.backend.signal(signal.SIGTERM)
        waiting.tcp.setblocking(True)
        waiting.tcp.settimeout(PATIENCE_S)
        assert read_to_end(waiting.tcp)[0] == b""
        assert b"system-shutdown" in bound.receive_all()[0]
    impatient.backend.stop()
    assert not impatient.backend.terminated.exists()
