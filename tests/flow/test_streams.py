"""The backend's streams from the first byte to the last: pipelining, the move between shards, and every way to end."""

import array
import base64
import re
import socket
import struct
import xml.etree.ElementTree as ElementTree

import pytest

from harness.rawxmpp import Closed, RawClient
from harness.site import DOMAIN, XMPPS, Site

HEADER = (f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>")
PING = f"<iq type='get' id='ping' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"


@pytest.fixture(scope="module", params=[1, 4], ids=["one shard", "four shards"])
def site(request):
    """A backend on its own, with some users so that several shards own one."""
    shared = Site(backend_extra=f"shards = {request.param}\n")
    try:
        shared.backend.start()
        for user in users():
            shared.backend.add_user(f"{user}@{DOMAIN}", "secret")
        yield shared
    finally:
        shared.stop()


def users():
    return [f"user{i}" for i in range(6)]


def auth(user, password="secret"):
    text = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    return f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{text}</auth>"


def bind(resource):
    return ("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<resource>{resource}</resource></bind></iq>")


def receive_until(raw, pattern):
    while not re.search(pattern, raw.received):
        raw.receive()
    raw.received = raw.received[re.search(pattern, raw.received).end():]


def connect(site):
    return RawClient("127.0.0.1", site.c2s_direct).start_tls(sni=DOMAIN)


def pipelined(site, user, more=""):
    raw = connect(site)
    raw.send(HEADER + auth(user) + HEADER + bind("r") + more)
    receive_until(raw, b"<jid>[^<]*</jid></bind></iq>")
    return raw


def ending(raw):
    """The stream error that ends it."""
    received, how = raw.receive_all()
    assert how == "close_notify" or raw.tls is None
    return (raw.received + received).decode()


@pytest.mark.tsan
@pytest.mark.release
def test_pipelined_login_on_every_shard_and_chat(site):
    clients = {user: pipelined(site, user, "<presence/>" + PING) for user in users()}
    for raw in clients.values():
        receive_until(raw, b"id='ping'[^>]*type='result'|type='result'[^>]*id='ping'")
    for sender, raw in clients.items():
        for receiver in users():
            for i in range(20):
                raw.send(f"<message type='chat' to='{receiver}@{DOMAIN}' id='{sender}-{i}'><body>x</body></message>")
    for raw in clients.values():
        got = ""
        while got.count("</message>") < 20 * len(clients):
            got += raw.receive().decode() if not raw.received else raw.received.decode()
            raw.received = b""
        for sender in users():
            order = [int(number) for number in re.findall(f"id='{sender}-([0-9]+)'", got)]
            assert order == list(range(20))
        raw.send("</stream:stream>")
        assert ending(raw).endswith("</stream:stream>")
        raw.tcp.close()


def test_one_byte_at_a_time(site):
    raw = connect(site)
    for character in HEADER + auth("user0") + HEADER + bind("slow"):
        raw.send(character)
    receive_until(raw, b"<jid>user0@[^<]*/slow</jid>")
    raw.tcp.close()


@pytest.mark.parametrize("text, condition", [
    (HEADER.replace(DOMAIN, "elsewhere.test"), "host-unknown"),
    (HEADER.replace(" version='1.0' xmlns", " xmlns"), "unsupported-version"),
    (HEADER.replace("etherx", "ether"), "invalid-namespace"),
    ("<html>", "bad-format"),
    ("GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
    ("<!DOCTYPE x>", "restricted-xml"),
    (HEADER + "<message/>", "not-authorized"),
    (HEADER + "<x xmlns='urn:x'/>", "unsupported-stanza-type"),
    (HEADER + auth("user0") + HEADER + "<message/>", "not-authorized"),
    (HEADER + auth("user0") + HEADER + bind("r") + f"<message from='user1@{DOMAIN}'/>", "invalid-from"),
    (HEADER + auth("user0") + HEADER + bind("r") + "<x xmlns='urn:x'/>", "unsupported-stanza-type"),
    (HEADER + auth("user0", "wrong") * 5, "policy-violation"),
])
def test_stream_errors(site, text, condition):
    with connect(site) as raw:
        raw.send(text)
        got = ending(raw)
        assert f"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" in got
        assert got.startswith("<?xml") and got.endswith("</stream:error></stream:stream>")


@pytest.mark.parametrize("shards", [1, 4])
def test_who_says_nothing_more_is_not_waited_for(own_site, shards):
    site = own_site(backend_extra=f"shards = {shards}\nauth-timeout = 1s\n")
    site.backend.start()
    with connect(site) as raw:
        raw.send(HEADER)
        assert "<stream:error><connection-timeout xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" in ending(raw)


def test_a_newer_session_takes_the_resource(site):
    old = pipelined(site, "user1")
    new = pipelined(site, "user1", PING)
    assert "<conflict " in ending(old)
    receive_until(new, b"id='ping'")


def test_a_changed_account_ends_its_sessions(site):
    raw = pipelined(site, "user2")
    site.backend.ctl("passwd", f"user2@{DOMAIN}", stdin="other\n")
    assert "<reset " in ending(raw)
    site.backend.ctl("passwd", f"user2@{DOMAIN}", stdin="secret\n")
    raw = pipelined(site, "user2")
    site.backend.ctl("deluser", f"user2@{DOMAIN}")
    assert "<not-authorized " in ending(raw)
    site.backend.add_user(f"user2@{DOMAIN}", "secret")


@pytest.mark.tsan
def test_an_old_password_does_not_outlive_its_change(site):
    """An exchange that began before the change and ends after it knows the old key, and must not give a session."""
    with connect(site) as raw:
        raw.open(DOMAIN)
        step = raw._step

        def changed_meanwhile(name, data, mechanism=None):
            if name == "response":
                site.backend.ctl("passwd", f"user3@{DOMAIN}", stdin="other\n")
            return step(name, data, mechanism)

        raw._step = changed_meanwhile
        # The new header and the error follow <success/> at once, or later when the stream has moved: the parser of the
        # old stream trips over them, or the new one gets an error instead of features.
        with pytest.raises((Closed, AssertionError, ElementTree.ParseError)):
            raw.authenticate("user3", "secret", "SCRAM-SHA-256")
            raw.bind()
        raw.receive_all()
        assert b"<iq" not in raw.received
        assert b"<stream:error><not-authorized " in raw.received
    site.backend.ctl("passwd", f"user3@{DOMAIN}", stdin="secret\n")


def test_who_does_not_read_is_cut_off(site):
    slow, sender = pipelined(site, "user4"), pipelined(site, "user5")
    body = "x" * 100000
    ended = site.backend.log(event="stream_end", reason="slow_reader")
    for _ in range(200):
        sender.send(f"<message to='user4@{DOMAIN}/r'><body>{body}</body></message>")
    assert "<resource-constraint " in ending(slow)
    slow.tcp.close()
    site.backend.wait_log(count=len(ended) + 1, event="stream_end", reason="slow_reader")
    sender.tcp.close()


def pp2(tlvs=(), source="203.0.113.9"):
    data = socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack(">HH", 4711, 443)
    data += b"".join(struct.pack(">BH", kind, len(value)) + value for kind, value in tlvs)
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", len(data)) + data


def hand_over(site, message, copies=1):
    """A client whose socket was given to the inlet with that message."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = RawClient(*listener.getsockname())
        accepted, _ = listener.accept()
    with accepted, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as inlet:
        inlet.connect(str(site.backend.inlet))
        descriptors = array.array("i", [accepted.fileno()] * copies)
        inlet.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    return client


@pytest.mark.release
def test_a_socket_from_the_inlet_has_the_address_and_id_of_its_message(site):
    with hand_over(site, pp2([(5, b"gw-7"), (2, XMPPS.encode())])) as raw:
        raw.start_tls(sni=XMPPS, alpn=["xmpp-client"])
        assert raw.alpn() == "xmpp-client"
        raw.login("user0", "secret", DOMAIN)
        site.backend.wait_log(event="stream_bound", conn="gw-7", peer="203.0.113.9:4711")


def test_a_handshake_that_fails_is_logged_with_the_name_that_the_gateway_saw(site):
    with hand_over(site, pp2([(5, b"gw-8"), (2, b"old.example.test")])):
        pass  # gone before TLS: only the message tells the name
    line = site.backend.wait_log(event="stream_end", conn="gw-8")
    assert (line["sni"], line["state"]) == ("old.example.test", "securing")


@pytest.mark.parametrize("message, copies", [
    (b"hello", 1), (pp2([(5, b"x")])[:-1], 1), (pp2() + b"z", 1), (pp2(), 2)],
    ids=["garbage", "cut short", "bytes behind", "two sockets"])
def test_a_bad_message_at_the_inlet_closes_its_socket(site, message, copies):
    with hand_over(site, message, copies) as raw:
        try:
            raw.receive()
            pytest.fail("the server spoke")
        except (Closed, ConnectionResetError):
            pass
    with connect(site) as raw:  # and nothing else has happened
        raw.open(DOMAIN)


def test_a_bind_without_an_id_is_refused_and_may_be_tried_again(site):
    with connect(site) as raw:
        raw.send(HEADER + auth("user0") + HEADER + bind("r").replace(" id='bind'", ""))
        receive_until(raw, b"<iq [^>]*type='error'.*<bad-request ")
        raw.send(bind("r"))
        receive_until(raw, b"<jid>[^<]*</jid></bind></iq>")
