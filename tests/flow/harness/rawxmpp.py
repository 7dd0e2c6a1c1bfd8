"""An XMPP client that does every step itself, so that a test sees and chooses what happens on the wire: server name,
ALPN, TLS version, mechanism, channel binding.

Source: RFC 6120; RFC 5802 and RFC 7677 (SCRAM); RFC 5929 (tls-server-end-point); RFC 9266 (tls-exporter)."""

import base64
import hashlib
import hmac
import os
import select
import socket
import time
import xml.etree.ElementTree as ElementTree

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from harness.tcp import now, remember
from harness.wait import PATIENCE_S

STREAM = "{http://etherx.jabber.org/streams}"
SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"
TLS = "{urn:ietf:params:xml:ns:xmpp-tls}"
BIND = "{urn:ietf:params:xml:ns:xmpp-bind}"
SASL_CB = "{urn:xmpp:sasl-cb:0}"

NO_EXTENDED_MASTER_SECRET = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET


class Closed(Exception):
    """The server has ended the connection."""


class AuthenticationFailed(Exception):
    """The condition of a SASL failure."""


class RawClient:
    def __init__(self, host, port, source=None):
        began = now()
        connection = socket.create_connection((host, port), timeout=PATIENCE_S, source_address=source)
        self._begin(remember(connection, began))

    @classmethod
    def over(cls, connection):
        """On a connection that there is already."""
        client = cls.__new__(cls)
        client._begin(connection)
        return client

    def _begin(self, connection):
        self.tcp = connection
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tcp.setblocking(False)
        self.tls = None
        self.parser = None
        self.elements = []
        self.header = None  # the server's stream header
        self.root_ended = False
        self.received = b""  # every byte after decryption

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.tcp.close()

    # Bytes

    def _wait(self, end, write=False):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server says nothing")
        poll = select.poll()  # unlike select(), for any number of descriptors
        poll.register(self.tcp, select.POLLIN | (select.POLLOUT if write else 0))
        poll.poll(left * 1000)

    def _send_bytes(self, data):
        end = time.monotonic() + PATIENCE_S
        while data:
            try:
                data = data[self.tcp.send(data):]
            except BlockingIOError:
                self._wait(end, write=True)

    def _flush(self):
        while True:
            try:
                self._send_bytes(self.tls.bio_read(65536))
            except SSL.WantReadError:
                return

    def _receive_bytes(self, end):
        while True:
            try:
                data = self.tcp.recv(65536)
            except BlockingIOError:
                self._wait(end)
                continue
            if not data:
                raise Closed("end of file")
            return data

    def start_tls(self, sni=None, alpn=(), version=None, options=0, certificate=None, session=None):
        """The TLS handshake; version is SSL.TLS1_2_VERSION or so, certificate our own: (chain file, key file),
        session that of an earlier connection.  The server's certificate is not checked here."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if version:
            context.set_min_proto_version(version)
            context.set_max_proto_version(version)
        context.set_options(options)
        if certificate:
            context.use_certificate_chain_file(str(certificate[0]))
            context.use_privatekey_file(str(certificate[1]))
        if alpn:
            context.set_alpn_protos([name.encode() for name in alpn])
        self.tls = SSL.Connection(context, None)
        if sni:
            self.tls.set_tlsext_host_name(sni.encode())
        if session:
            self.tls.set_session(session)
        self.tls.set_connect_state()
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.tls.do_handshake()
                self._flush()
                return self
            except SSL.WantReadError:
                self._flush()
                self.tls.bio_write(self._receive_bytes(end))

    def is_resumed(self):
        return bool(SSL._lib.SSL_session_reused(self.tls._ssl))  # pyOpenSSL has no name for it

    def alpn(self):
        return self.tls.get_alpn_proto_negotiated().decode()

    def send(self, text):
        data = text.encode() if isinstance(text, str) else text
        if not self.tls:
            self._send_bytes(data)
            return
        while data:
            data = data[self.tls.send(data):]
            self._flush()

    def receive(self, timeout_s=PATIENCE_S):
        """Some bytes, decrypted; Closed at the end of the connection (its text says how it ended)."""
        end = time.monotonic() + timeout_s
        if not self.tls:
            data = self._receive_bytes(end)
        else:
            while True:
                try:
                    data = self.tls.recv(65536)
                    break
                except SSL.WantReadError:
                    self._flush()
                    self.tls.bio_write(self._receive_bytes(end))
                except SSL.ZeroReturnError:
                    raise Closed("close_notify") from None
        self.received += data
        return data

    def receive_all(self):
        """Everything up to the end: (bytes, how it ended).  The end of the server's stream is answered by ours."""
        start, answered = len(self.received), False
        while True:
            try:
                self.receive()
            except Closed as how:
                return self.received[start:], str(how)
            if not answered and self.received.endswith(b"</stream:stream>"):
                answered = True
                try:
                    self.send("</stream:stream>")
                except (OSError, SSL.Error):
                    pass  # the server is gone already

    # Streams

    def _new_parser(self):
        self.parser = ElementTree.XMLPullParser(("start", "end"))
        self.depth, self.elements, self.header = 0, [], None

    def open(self, domain):
        """Open (or restart) a stream; returns its features."""
        self._new_parser()
        self.domain = domain
        self.send(f"<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams'>")
        features = self.next()
        assert features.tag == STREAM + "features", features.tag
        return features

    def next_after_header(self):
        """The first element of a stream that was not opened by open(), whose header is passed over."""
        self._new_parser()
        return self.next()

    def _parse(self, data):
        self.parser.feed(data)
        for event, element in self.parser.read_events():
            if event == "start":
                if self.depth == 0:
                    self.header = element
                self.depth += 1
            else:
                self.depth -= 1
                if self.depth == 1:
                    self.elements.append(element)
                elif self.depth == 0:
                    self.root_ended = True

    def next(self, timeout_s=PATIENCE_S):
        """The next element below the stream's root."""
        while not self.elements:
            if self.root_ended:
                raise Closed("end of stream")
            self._parse(self.receive(timeout_s))
        return self.elements.pop(0)

    def command(self, text):
        self.send(text)
        return self.next()

    def starttls(self, **arguments):
        answer = self.command("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        assert answer.tag == TLS + "proceed", answer.tag
        return self.start_tls(**arguments)

    # Authentication

    def binding_data(self, kind):
        if kind == "tls-exporter":
            return self.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        assert kind == "tls-server-end-point"
        der = self.tls.get_peer_certificate().to_cryptography().public_bytes(Encoding.DER)
        name = x509.load_der_x509_certificate(der).signature_hash_algorithm.name
        return hashlib.new("sha256" if name in ("md5", "sha1") else name, der).digest()

    def authenticate(self, user, password, mechanism, binding=None, binding_data=None, gs2_flag=None):
        """SASL; binding names the channel binding of a -PLUS mechanism (binding_data replaces the true one, gs2_flag
        the "n"); for EXTERNAL user is the authorization identity, which may be empty.  Raises AuthenticationFailed with the condition."""
        if mechanism == "EXTERNAL":
            self._fail_unless(self._step("auth", user.encode(), mechanism), "success")
            return
        if mechanism == "PLAIN":
            initial = f"\0{user}\0{password}".encode()
            self._fail_unless(self._step("auth", initial, mechanism), "success")
            return
        digest = "sha512" if "512" in mechanism else "sha256" if "256" in mechanism else "sha1"
        flag = f"p={binding}" if binding else (gs2_flag or "n")
        gs2 = f"{flag},,".encode()
        data = b""
        if binding:
            data = self.binding_data(binding) if binding_data is None else binding_data
        nonce = base64.b64encode(os.urandom(18)).decode()
        first_bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
        challenge = self._step("auth", gs2 + first_bare.encode(), mechanism)
        self._fail_unless(challenge, "challenge")
        server_first = base64.b64decode(challenge.text).decode()
        fields = dict(part.split("=", 1) for part in server_first.split(","))
        assert fields["r"].startswith(nonce) and len(fields["r"]) > len(nonce)
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        final_bare = f"c={base64.b64encode(gs2 + data).decode()},r={fields['r']}"
        signed = f"{first_bare},{server_first},{final_bare}".encode()
        client_key = hmac.digest(salted, b"Client Key", digest)
        signature = hmac.digest(hashlib.new(digest, client_key).digest(), signed, digest)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        outcome = self._step("response", f"{final_bare},p={base64.b64encode(proof).decode()}".encode())
        self._fail_unless(outcome, "success")
        expected = hmac.digest(hmac.digest(salted, b"Server Key", digest), signed, digest)
        assert base64.b64decode(outcome.text) == b"v=" + base64.b64encode(expected), "the server does not know the key"

    def _step(self, name, data, mechanism=None):
        attribute = f" mechanism='{mechanism}'" if mechanism else ""
        text = base64.b64encode(data).decode() or "="
        return self.command(f"<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'{attribute}>{text}</{name}>")

    def _fail_unless(self, answer, wanted):
        if answer.tag == SASL + "failure":
            raise AuthenticationFailed(answer[0].tag.removeprefix(SASL))
        assert answer.tag == SASL + wanted, answer.tag

    def bind(self, resource=None):
        """Restart the stream and bind; returns the full JID."""
        self.open(self.domain)
        inner = f"<resource>{resource}</resource>" if resource else ""
        answer = self.command(f"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{inner}"
                              "</bind></iq>")
        assert answer.get("type") == "result", ElementTree.tostring(answer)
        self.jid = answer.find(f"{BIND}bind/{BIND}jid").text
        return self.jid

    def login(self, user, password, domain, mechanism="SCRAM-SHA-256", resource=None, **arguments):
        """Open a stream and log in; returns the full JID."""
        self.open(domain)
        return self.login_here(user, password, mechanism, resource, **arguments)

    def login_here(self, user, password, mechanism="SCRAM-SHA-256", resource=None, **arguments):
        """Log in on the stream that is open; returns the full JID."""
        self.authenticate(user, password, mechanism, **arguments)
        return self.bind(resource)


class TerminatedClient(RawClient):
    """A client whose TLS a gateway has terminated: we are the gateway."""

    def __init__(self, path, header):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE_S)
        connection.connect(str(path))
        self._begin(connection)
        self.send(header)


def mechanisms(features):
    return [element.text for element in features.iter(SASL + "mechanism")]


def bindings(features):
    return [element.get("type") for element in features.iter(SASL_CB + "channel-binding")]
