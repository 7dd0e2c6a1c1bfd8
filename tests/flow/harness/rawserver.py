"""Another server of the open network, in which a test sees and chooses every step of the streams in both directions:
STARTTLS and direct TLS, EXTERNAL and dialback, XEP-0288, XEP-0198.

    with RawServer("b.test", address="127.0.0.2", files=certificate) as server:
        link = server.connect("127.0.0.1", 5269, "example.test")    # we are the initiating server
        link.external()                                             # or link.dialback()
        link.send_message("juliet@example.test", "hello")
        other = server.accept()                                     # a stream that the other side has opened
        other.expect("message", body="hello yourself")

A thread reads each connection, so that questions which need no decision of a test (is this key yours?) are answered
while the test waits for something else; so are the proofs of who connects, by what the server's attributes say.

Source: RFC 6120, XEP-0220, XEP-0178, XEP-0288, XEP-0198."""

import base64
import hashlib
import os
import queue
import select
import socket
import struct
import threading
import time
import xml.etree.ElementTree as ElementTree

from OpenSSL import SSL

from harness.ports import reserve_port
from harness.rawxmpp import SASL, STREAM, TLS, Closed
from harness.stage import Party, local_name
from harness.wait import PATIENCE_S

DIALBACK = "{jabber:server:dialback}"
SM = "{urn:xmpp:sm:3}"
BIDI = "{urn:xmpp:bidi}"
STANZAS = ("{jabber:server}message", "{jabber:server}presence", "{jabber:server}iq")

STARTTLS_FEATURE = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
EXTERNAL_FEATURE = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
DIALBACK_FEATURE = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
BIDI_FEATURE = "<bidi xmlns='urn:xmpp:features:bidi'/>"
SM_FEATURE = "<sm xmlns='urn:xmpp:sm:3'/>"


class _Wire:
    """A connection that one thread reads and others write to; TLS begins when one of them says so."""

    def __init__(self, tcp):
        self.tcp, self.tls, self.lock = tcp, None, threading.RLock()
        self.secured, self.wake = threading.Event(), os.eventfd(0)
        tcp.setblocking(False)
        if tcp.family != socket.AF_UNIX:
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start_tls(self, tls):
        with self.lock:
            self.tls = tls
            self._shake()

    def _shake(self):
        try:
            self.tls.do_handshake()
            self.secured.set()
        except SSL.WantReadError:
            pass
        self._flush()

    def _flush(self):
        while True:
            try:
                self._send(self.tls.bio_read(65536))
            except SSL.WantReadError:
                return

    def _send(self, data):
        end = time.monotonic() + PATIENCE_S
        while data:
            try:
                data = data[self.tcp.send(data):]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self.tcp, select.POLLOUT)
                if not poll.poll(max(0, end - time.monotonic()) * 1000):
                    raise TimeoutError("the other side does not read") from None

    def send(self, data):
        with self.lock:
            if not self.tls:
                self._send(data)
                return
            while data:
                data = data[self.tls.send(data[:65536]):]
                self._flush()

    def receive(self):
        """Some bytes, decrypted, perhaps none; Closed at the end, and after rouse()."""
        poll = select.poll()
        poll.register(self.tcp, select.POLLIN)
        poll.register(self.wake, select.POLLIN)
        if any(fd == self.wake for fd, _ in poll.poll()):
            raise Closed("closed by the test")
        try:
            data = self.tcp.recv(65536)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise Closed(str(error)) from None
        if not data:
            raise Closed("end of file")
        with self.lock:
            if not self.tls:
                return data
            self.tls.bio_write(data)
            if not self.secured.is_set():
                self._shake()
                if not self.secured.is_set():
                    return b""
            return self._decrypt()

    def _decrypt(self):
        plain = b""
        try:
            while True:
                plain += self.tls.recv(65536)
        except SSL.WantReadError:
            self._flush()
        except SSL.ZeroReturnError:
            if not plain:
                raise Closed("close_notify") from None
        return plain

    def rouse(self):
        os.eventfd_write(self.wake, 1)

    def shut(self, reset):
        """Once nobody reads any more."""
        if reset:  # SO_LINGER with no time: a reset, as of a machine that has gone
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tcp.close()
        os.close(self.wake)


class _Parse:
    """Of one header and what is below it."""

    def __init__(self):
        self.parser, self.depth, self.root = ElementTree.XMLPullParser(("start", "end")), 0, None


class Link(Party):
    """One stream.  local, remote: the domains in its headers.  received: stanzas since stream management was enabled;
    acks: answer <r/> by that number; acked: the last answer.  asked: so many of them came.  sm_id: of <enabled/>, None when it may not be
    resumed."""

    def __init__(self, server, tcp, initiating):
        self.server, self.initiating = server, initiating
        self.wire = _Wire(tcp)
        self.local, self.remote = server.domain, None
        self.features = self.header = self.sm_id = self.id = None
        self.bidi, self.open = False, False
        self.acks, self.counting, self.received, self.asked = True, False, 0, 0
        self.acked = 0
        self.ended, self.gone, self.how = False, False, None  # we have ended ours; closed it; how all of it ended
        self.arrived = threading.Condition()
        self.elements = []
        self.parse = _Parse()
        self.reader = threading.Thread(target=self._read, daemon=True)

    # Party

    @property
    def jid(self):
        return f"somebody@{self.local}"

    @property
    def sync_address(self):
        return self.remote

    def send_message(self, to, text="", type="chat", extra="", from_=None, **attributes):
        super().send_message(to, text, type, extra, **{"from": from_ or self.jid}, **attributes)

    def send_presence(self, type=None, to=None, inner="", from_=None, **attributes):
        super().send_presence(type, to, inner, **{"from": from_ or self.jid}, **attributes)

    def send_iq(self, type, payload, to=None, id=None, from_=None, **attributes):
        return super().send_iq(type, payload, to, id, **{"from": from_ or self.jid}, **attributes)

    # Reading

    def _read(self):
        try:
            while self.how is None:
                data = self.wire.receive()
                if data:
                    self._parse(data)
        except (Closed, OSError, SSL.Error, ElementTree.ParseError) as error:
            self._end(str(error) or type(error).__name__)

    def _end(self, how):
        with self.arrived:
            self.how = self.how or how
            self.arrived.notify_all()

    def _parse(self, data):
        parse = self.parse
        parse.parser.feed(data)
        for event, element in parse.parser.read_events():
            if event == "start":
                if parse.root is None:
                    parse.root = element
                    self._take_header(element)
                parse.depth += 1
                continue
            parse.depth -= 1
            if parse.depth == 1:
                parse.root.remove(element)
                self._take(element)
            elif parse.depth == 0:
                self._answer_end()
            if self.parse is not parse:
                return  # a new header comes next, and whoever wants one has waited for us

    def _answer_end(self):
        try:
            if not self.ended:
                self.send("</stream:stream>")
        finally:
            self._end("end of stream")

    def _take_header(self, header):
        with self.arrived:
            self.header = header
            self.arrived.notify_all()
        if not self.initiating:
            self.server.on_header(self, header)

    def _take(self, element):
        if element.tag in STANZAS and self.counting:
            self.received += 1
        if element.tag == DIALBACK + "verify" and not element.get("type") and self.server.answers:
            self.server.on_verify(self, element)
        elif element.tag == SM + "r" and self.counting:
            self.asked += 1
            if self.acks:
                self.ack()
        elif self.initiating or not self.server.on_element(self, element):
            if element.tag == SM + "enabled":  # what follows it is counted, however soon
                self.counting, self.received = True, 0
            with self.arrived:
                self.elements.append(element)
                self.arrived.notify_all()

    def next(self, timeout_s=PATIENCE_S):
        """The next element that was not answered by itself; Closed when there is none any more."""
        end = time.monotonic() + timeout_s
        with self.arrived:
            while not self.elements:
                if self.how is not None:
                    raise Closed(self.how)
                if not self.arrived.wait(end - time.monotonic()):
                    raise TimeoutError("the other server says nothing")
            return self.elements.pop(0)

    def next_of(self, name):
        """The next element with this local name; SM's requests before it are passed over."""
        while True:
            got = self.next()
            if local_name(got) == name:
                return got
            assert got.tag in (SM + "r", SM + "a"), ElementTree.tostring(got, "unicode")

    def wait_end(self, timeout_s=PATIENCE_S):
        """How the connection or its stream ended; what came before it stays to be expected."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.how is not None, timeout_s), "it did not end"
            return self.how

    def stream_error(self):
        """The condition of a stream error, which must come, and everything below it."""
        while True:
            got = self.next()
            if got.tag == STREAM + "error":
                return local_name(got[0]), got

    # Writing

    def send(self, text):
        self.wire.send(text.encode() if isinstance(text, str) else text)

    def send_header(self):
        name = "" if self.initiating else f" id='{self.id}'"
        to = f" to='{self.remote}'" if self.remote else ""
        self.send("<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
                  f"xmlns:stream='http://etherx.jabber.org/streams' version='1.0' from='{self.local}'{to}{name}>")

    def restart(self):
        """What comes next is a new header."""
        self.parse = _Parse()

    def command(self, text):
        self.send(text)
        return self.next()

    # What the initiating side does

    def begin(self):
        """Send a header; returns the features."""
        self.restart()
        self.send_header()
        self.features = self.next()
        assert self.features.tag == STREAM + "features", ElementTree.tostring(self.features, "unicode")
        return self.features

    def offers(self, name):
        """Whether the features that were seen last have this."""
        return any(local_name(feature) == name for feature in self.features)

    def secure(self, sni=None, alpn=()):
        """The TLS handshake as a client."""
        tls = SSL.Connection(self.server.context(SSL.TLS_CLIENT_METHOD, alpn), None)
        tls.set_tlsext_host_name((sni or self.remote).encode())
        tls.set_connect_state()
        self.wire.start_tls(tls)
        if not self.wire.secured.wait(PATIENCE_S):
            raise TimeoutError("no TLS")

    def starttls(self, **arguments):
        """STARTTLS, and the features behind it."""
        answer = self.command("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        assert answer.tag == TLS + "proceed", answer.tag
        self.secure(**arguments)
        return self.begin()

    def ask_bidi(self):
        self.send("<bidi xmlns='urn:xmpp:bidi'/>")
        self.bidi = True

    def external(self, identity=None):
        """EXTERNAL, which must succeed; the features behind it."""
        answer = self.try_external(identity)
        assert answer == "success", answer
        self.open = True
        return self.begin()

    def try_external(self, identity=None):
        """"success", or the condition of the failure.  identity: the authorization identity, None: "="."""
        text = base64.b64encode(identity.encode()).decode() if identity else "="
        answer = self.command(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{text}</auth>")
        return "success" if answer.tag == SASL + "success" else local_name(answer[0])

    def dialback(self, local=None, remote=None, key=None):
        """Dialback for a pair, by default that of the header, which must succeed."""
        type = self.try_dialback(local, remote, key)
        assert type == "valid", type

    def try_dialback(self, local=None, remote=None, key=None):
        """The type of the result: "valid", "invalid" or "error"."""
        local, remote = local or self.local, remote or self.remote
        key = self.server.key(self.header.get("id"), remote, local) if key is None else key
        self.send(f"<db:result from='{local}' to='{remote}'>{key}</db:result>")
        while True:
            answer = self.next()
            if answer.tag == DIALBACK + "result":
                break
        assert (answer.get("from"), answer.get("to")) == (remote, local)
        self.open = self.open or answer.get("type") == "valid"
        return answer.get("type")

    # Stream management

    def enable(self, resume=True):
        """Enable it; returns the answer."""
        self.send("<enable xmlns='urn:xmpp:sm:3'" + (" resume='true'/>" if resume else "/>"))
        answer = self.next_of("enabled")
        self.sm_id = answer.get("id")
        return answer

    def resume(self, previous, h=None, previd=None):
        """Ask to resume that link; returns the answer, <resumed/> or <failed/>.  What the other side counts as received
        goes on from there."""
        self.counting, self.received = True, previous.received
        h = previous.received if h is None else h
        self.send(f"<resume xmlns='urn:xmpp:sm:3' h='{h}' previd='{previd or previous.sm_id}'/>")
        answer = self.next()
        if answer.tag == SM + "resumed":
            self.sm_id = previous.sm_id
        else:
            self.counting = False
        return answer

    def resumed(self, previous, h=None):
        """Let the other side resume that link; h: so many stanzas of it we have."""
        self.counting, self.sm_id = True, previous.sm_id
        self.received = previous.received if h is None else h
        self.send(f"<resumed xmlns='urn:xmpp:sm:3' h='{self.received}' previd='{self.sm_id}'/>")

    def ack(self, h=None):
        self.acked = self.received if h is None else h
        self.send(f"<a xmlns='urn:xmpp:sm:3' h='{self.received if h is None else h}'/>")

    def ask(self):
        """The number that the other side answers to <r/>; what came before stays to be expected."""
        self.send("<r xmlns='urn:xmpp:sm:3'/>")
        passed = []
        while (got := self.next()).tag != SM + "a":
            passed.append(got)
        with self.arrived:
            self.elements[:0] = passed
        return int(got.get("h"))

    # The end

    def cut(self):
        """Break the connection, as a network does; returns how many stanzas were received up to now."""
        self._shut(reset=True)
        return self.received

    def close(self):
        """End the stream in order, and wait for the other's end."""
        if self.how is None:
            self.ended = True
            self.send("</stream:stream>")
            self.wait_end()
        self._shut(reset=False)

    def _shut(self, reset):
        if not self.gone:
            self.gone = True
            self.wire.rouse()
            self.reader.join(PATIENCE_S)
            self.wire.shut(reset)


class RawServer:
    """A domain's server.  It listens at address:port, for STARTTLS and direct TLS alike, and with or without TLS, as
    who connects likes.

    files: (chain, key).  proofs: what it offers to those who connect, of "external" and "dialback"; takes: whether it
    finds that these prove anything.  bidi, sm: offered as well; answers: says of its dialback keys that they are its
    own.  enables: what it says to <enable/>: "resume", "enable" or, to leave it to the test, None."""

    def __init__(self, domain, address="127.0.0.1", port=None, files=None, proofs=("external", "dialback"), bidi=False,
                 sm=True, enables="resume"):
        self.domain, self.address, self.port, self.files = domain, address, port or reserve_port(), files
        self.proofs, self.bidi, self.sm, self.enables = proofs, bidi, sm, enables
        self.refuses = True  # to resume anything; else that is left to the test
        self.takes, self.answers, self.stopped = True, True, False
        self.secret, self.serial = f"secret of {domain}", 0
        self.asked = set()  # links that were opened to this very domain: others may be tried at this address, too
        self.links, self.ready, self.listener, self.lock = [], queue.Queue(), None, threading.Lock()
        self.listen()

    def listen(self):
        """Take connections (again)."""
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.address, self.port))
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    @property
    def count(self):
        return len(self.asked)

    def deafen(self):
        """Refuse connections from now on."""
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)  # wakes up the thread, which close() would not
            listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.stop()

    def stop(self):
        self.deafen()
        with self.lock:
            self.stopped = True
        for link in self.links:
            link.cut()

    def _accept(self, listener):
        while True:
            try:
                tcp, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._begin, args=(tcp,), daemon=True).start()

    def _begin(self, tcp):
        direct = _peek(tcp) == b"\x16"
        link = Link(self, tcp, initiating=False)
        with self.lock:
            self.serial += 1
            link.id = f"{self.domain}-{self.serial}"
        if direct:
            self._secure(link)  # before anything is read
        with self.lock:
            link.reader.start()
            if not self.stopped:
                self.links.append(link)
                return
        link.cut()

    def connect(self, host, port, to, tls="starttls", from_=None, alpn=("xmpp-server",), source=None):
        """A stream to another server, up to the features after TLS ("starttls", "direct", None)."""
        tcp = socket.create_connection((host, port), timeout=PATIENCE_S, source_address=(source or self.address, 0))
        link = Link(self, tcp, initiating=True)
        link.remote, link.local = to, from_ or self.domain
        self.links.append(link)
        link.reader.start()
        if tls == "direct":
            link.secure(alpn=alpn)
        link.begin()
        if tls == "starttls":
            link.starttls()
        return link

    def accept(self, timeout_s=PATIENCE_S):
        """The next stream that another server has opened, on which it has proved a domain."""
        try:
            return self.ready.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError("no stream from another server") from None

    def context(self, method, alpn=()):
        context = SSL.Context(method)
        if self.files:
            context.use_certificate_chain_file(str(self.files[0]))
            context.use_privatekey_file(str(self.files[1]))
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        if method == SSL.TLS_SERVER_METHOD:
            context.set_session_id(b"raw server")
            context.set_alpn_select_callback(lambda _, offered: b"xmpp-server" if b"xmpp-server" in offered
                                             else SSL.NO_OVERLAPPING_PROTOCOLS)
        elif alpn:
            context.set_alpn_protos([name.encode() for name in alpn])
        return context

    def key(self, id, receiving, originating):
        """Ours for a pair on the stream with that id.  Source: XEP-0185."""
        return hashlib.sha256(f"{self.secret} {id} {receiving} {originating}".encode()).hexdigest()

    def on_verify(self, link, element):
        """Whether a key is ours.  On the thread of the link, like all that follows."""
        to, from_, id = (element.get(name) for name in ("to", "from", "id"))
        type = "valid" if element.text == self.key(id, from_, to) else "invalid"
        link.send(f"<db:verify from='{to}' to='{from_}' id='{id}' type='{type}'/>")

    # The receiving side

    def _secure(self, link):
        tls = SSL.Connection(self.context(SSL.TLS_SERVER_METHOD), None)
        tls.set_accept_state()
        link.wire.start_tls(tls)

    def on_header(self, link, header):
        link.remote, link.local = header.get("from"), header.get("to") or self.domain
        if link.local == self.domain:
            self.asked.add(link)
        link.send_header()
        if link.local != self.domain:
            link.send("<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>")
            link.send("</stream:stream>")
            return
        link.send(f"<stream:features>{''.join(self._features(link))}</stream:features>")
        if link.open:
            self.ready.put(link)

    def _features(self, link):
        if self.files and not link.wire.tls:
            yield STARTTLS_FEATURE
            return
        if not link.open:
            if link.wire.tls and "external" in self.proofs:
                yield EXTERNAL_FEATURE
            if self.bidi:
                yield BIDI_FEATURE
        if "dialback" in self.proofs:
            yield DIALBACK_FEATURE
        if self.sm and (link.open or "external" not in self.proofs):
            yield SM_FEATURE

    def on_element(self, link, element):
        """Answer it if it is a step of ours; returns whether it was."""
        if element.tag == TLS + "starttls":
            link.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            link.restart()
            self._secure(link)
        elif element.tag == BIDI + "bidi":
            link.bidi = True
        elif element.tag == SASL + "auth" and self.takes:
            link.open = True
            link.send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            link.restart()
        elif element.tag == SASL + "auth":
            link.send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
        elif element.tag == DIALBACK + "result" and not element.get("type"):
            self._on_result(link, element)
        elif element.tag == SM + "resume" and self.refuses:
            link.send("<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
        elif element.tag == SM + "enable" and self.enables:
            self._enable(link, element)
        else:
            return False
        return True

    def _on_result(self, link, element):
        """The key is believed: what is to be seen here is not whether we ask for it."""
        type = "valid" if self.takes else "invalid"
        link.send(f"<db:result from='{element.get('to')}' to='{element.get('from')}' type='{type}'/>")
        if self.takes and not link.open:
            link.open, link.remote = True, element.get("from")
            self.ready.put(link)

    def _enable(self, link, element):
        resume = ""
        if self.enables == "resume" and element.get("resume") in ("true", "1"):
            link.sm_id = f"sm of {link.id}"
            resume = f" resume='true' id='{link.sm_id}'"
        link.counting, link.received = True, 0
        link.send(f"<enabled xmlns='urn:xmpp:sm:3'{resume}/>")


def _peek(tcp):
    """The first byte of a connection."""
    tcp.settimeout(PATIENCE_S)
    try:
        return tcp.recv(1, socket.MSG_PEEK)
    except OSError:
        return b""
