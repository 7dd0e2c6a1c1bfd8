"""What another server may not do: forged proofs, forged addresses, streams that promise less than they should."""

import socket

import pytest
from OpenSSL import SSL

from harness.authority import Authority
from harness.place import Place
from harness.ports import reserve_port
from harness.rawserver import DIALBACK, RawServer
from harness.rawxmpp import STREAM, RawClient
from harness.site import DOMAIN, Site
from harness.stage import Stage, body, error, local_name
from harness.talk import header
from harness.wait import PATIENCE_S

conforms = pytest.mark.conforms
EVIL, HONEST, CAREFUL = "evil.test", "honest.test", "careful.test"
STRIPPED, REDIRECTING, CHATTY, DOUBLE = "stripped.test", "redirecting.test", "chatty.test", "double.test"
PORTS = {name: reserve_port() for name in (EVIL, HONEST, CAREFUL, STRIPPED, REDIRECTING, CHATTY, DOUBLE, "s2s", "direct", "second")}

# evil.test and honest.test need no certificate, careful.test does
CONFIG = """
s2s = true
s2s-insecure-domains = {{"evil.test", "honest.test", "*.crowd.test"}}
s2s-ca = "{ca}"
auth-timeout = 4s
listener "s2s" {{ address = "127.0.0.1:{s2s}" serve = servers }}
listener "s2s-direct" {{ address = "127.0.0.1:{direct}" serve = servers tls = direct }}
remote "evil.test" {{ address = "127.0.0.1:{evil}" }}
remote "*.crowd.test" {{ address = "127.0.0.1:{evil}" }}
remote "honest.test" {{ address = "127.0.0.1:{honest}" streams-per-domain = 2 }}
remote "careful.test" {{ address = "127.0.0.1:{careful}" }}
remote "stripped.test" {{ address = "127.0.0.1:{stripped}" }}
remote "chatty.test" {{ address = "127.0.0.1:{chatty}" secure-auth = false stanza-rate = 40 }}
remote "wordy.test" {{ address = "127.0.0.1:{chatty}" secure-auth = false byte-rate = 20k }}
remote "double.test" {{ address = {{"127.0.0.1:{double}", "127.0.0.1:{second}"}} secure-auth = false }}
remote "redirecting.test" {{ address = "127.0.0.1:{redirecting}" }}
remote "denied.test" {{ address = "127.0.0.1:{evil}" }}
s2s-deny = "denied.test"
host "second.test" {{ certificate = "{cert}" key = "{key}" }}
"""


@pytest.fixture(scope="module")
def authority():
    place = Place()
    yield Authority(place, "servers-ca")
    place.remove()


@pytest.fixture(scope="module", params=[1, 4], ids=["one shard", "four shards"])
def site(request, authority):
    cert, key = authority.place.certificate("second", ["second.test"])
    shared = Site(backend_extra=CONFIG.format(
        ca=authority.path, s2s=PORTS["s2s"], direct=PORTS["direct"], evil=PORTS[EVIL], honest=PORTS[HONEST],
        careful=PORTS[CAREFUL], stripped=PORTS[STRIPPED], redirecting=PORTS[REDIRECTING], chatty=PORTS[CHATTY],
        double=PORTS[DOUBLE], second=PORTS["second"],
        cert=cert, key=key) + f"shards = {request.param}\n")
    try:
        shared.backend.start()
        yield shared
    finally:
        shared.stop()


@pytest.fixture
def stage(site):
    with Stage(site) as stage:
        yield stage


@pytest.fixture
def evil(site, authority):
    """Its certificate is good for something else."""
    with RawServer(EVIL, port=PORTS[EVIL], files=authority.server("somebody.test").files) as server:
        yield server


@pytest.fixture
def honest(authority):
    with RawServer(HONEST, port=PORTS[HONEST], files=authority.server("somebody.test").files) as server:
        yield server


def connect(server, to=DOMAIN, **arguments):
    return server.connect("127.0.0.1", PORTS["direct" if arguments.get("tls") == "direct" else "s2s"], to, **arguments)


def is_alive(link):
    """It still answers, in order."""
    id = "is-alive"
    link.send(f"<db:verify from='{link.local}' to='{link.remote}' id='{id}'>no key</db:verify>")
    answer = link.next()
    return answer.tag == DIALBACK + "verify" and answer.get("type") == "invalid" and answer.get("id") == id


# Proofs


@conforms("XEP-0220", "2.2.1", "a key that its server does not know is not taken, and the stream ends")
def test_wrong_key(evil):
    link = connect(evil)
    assert link.try_dialback(key="0" * 64) == "invalid"
    link.wait_end()


@conforms("XEP-0220", "2.2.1", "a key is good for one stream only")
def test_replayed_key(evil):
    first = connect(evil)
    key = evil.key(first.header.get("id"), DOMAIN, EVIL)
    assert first.try_dialback(key=key) == "valid"
    assert connect(evil).try_dialback(key=key) == "invalid"


@conforms("XEP-0220", "2.2.1", "a key is good for one pair of domains only")
def test_key_of_another_pair(evil):
    link = connect(evil)
    assert link.try_dialback(key=evil.key(link.header.get("id"), "second.test", EVIL)) == "invalid"


@conforms("XEP-0220", "2.1.2", "a domain is asked for its keys, whoever claims to be it")
def test_key_of_somebody_else(evil, honest):
    """evil.test says that it is honest.test, whose server knows nothing of it."""
    link = connect(evil, from_=HONEST)
    assert link.try_dialback(local=HONEST) == "invalid"


def test_silent_authoritative_server(evil):
    evil.answers = False
    link = connect(evil)
    key = evil.key(link.header.get("id"), DOMAIN, EVIL)
    link.send(f"<db:result from='{EVIL}' to='{DOMAIN}'>{key}</db:result>")
    link.send_message(f"juliet@{DOMAIN}", "too early")
    assert link.stream_error()[0] == "not-authorized"


@conforms("XEP-0220", "3.1", "a result that nobody asked for proves nothing")
def test_unasked_results(evil, stage):
    juliet = stage.enter("juliet", "balcony")
    link = connect(evil)
    link.dialback()
    for type in ("valid", "invalid", "error"):
        link.send(f"<db:result from='{HONEST}' to='{DOMAIN}' type='{type}'/>")
        link.send(f"<db:verify from='{HONEST}' to='{DOMAIN}' id='{link.header.get('id')}' type='{type}'/>")
    assert is_alive(link)
    link.send_message(juliet.jid, "it is me", from_=f"romeo@{HONEST}")
    assert link.stream_error()[0] == "invalid-from"
    assert stage.settle() == {}


@conforms("XEP-0220", "2.1.2", "an answer counts only from the server that was asked, for what it was asked")
def test_answers_for_others(evil, honest):
    """evil.test is asked about its own stream, and answers for one of honest.test's that waits at the same time."""
    honest.answers = evil.answers = False
    victim = connect(honest)
    victim.send(f"<db:result from='{HONEST}' to='{DOMAIN}'>whatever</db:result>")
    liar = connect(evil)
    liar.send(f"<db:result from='{EVIL}' to='{DOMAIN}'>whatever</db:result>")
    asked = evil.accept()
    question = asked.next_of("verify")
    for from_, id in ((HONEST, victim.header.get("id")), (HONEST, question.get("id")), (EVIL, victim.header.get("id"))):
        asked.send(f"<db:verify from='{from_}' to='{DOMAIN}' id='{id}' type='valid'/>")
    asked.send(f"<db:verify from='{EVIL}' to='{DOMAIN}' id='{question.get('id')}' type='invalid'/>")
    assert liar.next_of("result").get("type") == "invalid"
    assert is_alive(victim), "nothing was said to it before"


@conforms("XEP-0178", "3", "EXTERNAL is offered to, and taken from, those whose certificate has the domain alone")
def test_external_for_another_name(evil):
    link = connect(evil)
    assert not link.offers("mechanisms")
    assert link.try_external(EVIL) == "not-authorized"
    assert link.try_external() == "not-authorized"


def test_external_with_another_identity(site, authority):
    with RawServer(CAREFUL, files=authority.server(CAREFUL).files) as careful:
        link = connect(careful)
        for identity in (HONEST, f"x@{CAREFUL}", CAREFUL + "\0", "a" * 3000):
            assert link.try_external(identity) == "invalid-authzid"
        assert link.try_external(CAREFUL) == "success"


@conforms("RFC 6120", "13.14", "who has no certificate for a domain is not its server, unless that is configured")
@conforms("RFC 7590", "3.5", "another server is authenticated, or not talked to")
def test_certificate_is_required(site, authority):
    """careful.test is not among the domains whose word is enough."""
    with RawServer(CAREFUL, port=PORTS[CAREFUL], files=authority.server("somebody.test").files) as careful:
        link = connect(careful)
        assert not link.offers("mechanisms")
        assert link.try_dialback() == "error"


def test_too_many_attempts(evil):
    link = connect(evil)
    for _ in range(4):
        assert link.try_external() == "not-authorized"
    link.try_external()
    assert link.stream_error()[0] == "policy-violation"


def test_nothing_is_proved_in_time(evil, site):
    link = connect(evil)
    assert link.stream_error()[0] == "connection-timeout"
    site.backend.wait_log(event="s2s_end", reason="auth_timeout")


# Addresses


@conforms("RFC 6120", "8.1.2.2", "a sender of a domain that the stream has not proved ends it")
@pytest.mark.parametrize("from_", [f"romeo@{HONEST}", DOMAIN, f"juliet@{DOMAIN}", "", "@", f"romeo@www.{EVIL}"])
def test_forged_sender(evil, stage, from_):
    juliet = stage.enter("juliet", "balcony")
    link = connect(evil)
    link.dialback()
    link.send(f"<message from='{from_}' to='{juliet.jid}'><body>forged</body></message>")
    assert link.stream_error()[0] in ("invalid-from", "improper-addressing")
    assert stage.settle() == {}


@conforms("XEP-0220", "2.1.1", "what was proved to one host is not proved to another")
@conforms("RFC 6120", "8.1.1.2", "a stanza to a host to which nothing is proved ends the stream")
def test_another_host_of_ours(evil):
    link = connect(evil)
    link.dialback()
    link.send_message("juliet@second.test", "hello")
    assert link.stream_error()[0] == "host-unknown"


@conforms("RFC 6120", "8.1.1.2", "a stanza of another server without addresses ends the stream")
@pytest.mark.parametrize("addresses", ["", f"from='romeo@{EVIL}'", f"to='juliet@{DOMAIN}'"])
def test_no_address(evil, addresses):
    link = connect(evil)
    link.dialback()
    link.send(f"<message {addresses}><body>nowhere</body></message>")
    assert link.stream_error()[0] == "improper-addressing"


@conforms("RFC 6120", "8.1.1.2", "nothing is passed on from one server to another")
def test_relay_to_another_server(evil, honest):
    link = connect(evil)
    link.dialback()
    link.send_message(f"romeo@{HONEST}", "by way of you")
    assert link.stream_error()[0] == "host-unknown"


def test_from_a_domain_of_ours(evil):
    for domain in (DOMAIN, "second.test"):
        link = connect(evil, from_=EVIL)
        assert link.try_dialback(local=domain, key="0") == "error"


def test_header_from_a_domain_of_ours(evil):
    link = evil.connect("127.0.0.1", PORTS["s2s"], DOMAIN, tls=None)
    link.cut()
    with pytest.raises(AssertionError, match="invalid-from"):
        evil.connect("127.0.0.1", PORTS["s2s"], DOMAIN, tls=None, from_=DOMAIN)


@conforms("XEP-0288", "2.2", "the other side may write for the pair that was proved, and for no other")
def test_bidi_with_forged_sender(stage, evil):
    """Over XEP-0288 the other side is as bound to its domain."""
    evil.bidi = True
    juliet = stage.enter("juliet", "balcony")
    juliet.send_message(f"romeo@{EVIL}", "hello")
    link = evil.accept()
    assert link.bidi
    link.expect("message", body="hello")
    link.send_message(juliet.jid, "hello yourself")
    juliet.expect("message", body="hello yourself")
    link.send_message(juliet.jid, "forged", from_=f"romeo@{HONEST}")
    assert link.stream_error()[0] == "invalid-from"
    assert stage.settle() == {}


def test_stanzas_against_the_direction(stage, evil):
    """Without XEP-0288 an outgoing stream proves nothing about who is at its other end."""
    juliet = stage.enter("juliet", "balcony")
    juliet.send_message(f"romeo@{EVIL}", "hello")
    link = evil.accept()
    link.expect("message", body="hello")
    link.send_message(juliet.jid, "not this way")
    assert link.stream_error()[0] == "invalid-from"
    assert stage.settle() == {}


# Streams


@conforms("RFC 6120", "5.3.2", "what was sent in clear behind STARTTLS does not count")
def test_injection_before_tls(evil, stage):
    link = connect(evil, tls=None)
    link.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
              f"<db:result from='{EVIL}' to='{DOMAIN}'>{evil.key('x', DOMAIN, EVIL)}</db:result>")
    assert local_name(link.next()) == "proceed"
    link.secure()
    link.begin()
    assert is_alive(link)


@conforms("RFC 6120", "5.3.4", "nothing is proved in clear")
def test_proof_before_tls(evil):
    link = connect(evil, tls=None)
    assert not link.offers("mechanisms") and not link.offers("dialback")
    assert link.try_dialback() == "error"
    link.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
    assert local_name(link.next()[0]) == "encryption-required"


@conforms("RFC 6120", "5.3.1", "a server that hides STARTTLS gets neither stanzas nor a key")
@conforms("RFC 7590", "3.5", "without authentication there is at least encryption")
def test_stripped_starttls(stage):
    with RawServer(STRIPPED, port=PORTS[STRIPPED]) as stripped:
        juliet = stage.enter("juliet", "balcony")
        juliet.send_message(f"romeo@{STRIPPED}", "secret")
        assert error(juliet.expect("message", type="error"))[1] == "policy-violation"
        seen = stripped.links[-1]
        seen.wait_end()
        assert not [element.tag for element in seen.elements if element.tag != STREAM + "error"]


@conforms("RFC 6120", "4.9.3.19", "a server does not send another one elsewhere: nobody follows")
def test_redirect(stage):
    with RawServer(REDIRECTING) as elsewhere, RawServer(REDIRECTING, port=PORTS[REDIRECTING]) as redirecting:
        def on_header(link, _header):
            link.send_header()
            link.send("<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"
                      f"127.0.0.1:{elsewhere.port}</see-other-host></stream:error></stream:stream>")
        redirecting.on_header = on_header
        juliet = stage.enter("juliet", "balcony")
        juliet.send_iq("get", "<ping xmlns='urn:xmpp:ping'/>", to=REDIRECTING)
        assert error(juliet.expect("iq", type="error"))[1] == "remote-server-timeout"
        assert elsewhere.count == 0


@conforms("RFC 6120", "4.9.3.12", "a stanza before a proof ends the stream")
def test_stanza_before_proof(evil):
    link = connect(evil)
    link.send_message(f"juliet@{DOMAIN}", "hello")
    assert link.stream_error()[0] == "not-authorized"


@pytest.mark.parametrize("to, condition", [("nobody.test", "host-unknown"), ("", "improper-addressing")])
def test_header_to_nobody(evil, to, condition):
    with pytest.raises(AssertionError, match=condition):
        connect(evil, to=to or "@", tls=None)


def test_denied_domain(evil):
    with pytest.raises(AssertionError, match="policy-violation"):
        connect(evil, from_="denied.test", tls=None)
    link = connect(evil)
    assert link.try_dialback(local="denied.test") == "error"


def test_stream_of_a_client_where_servers_come(site):
    with RawClient("127.0.0.1", PORTS["s2s"]) as raw:
        raw.send(header(DOMAIN))
        assert b"invalid-namespace" in raw.receive_all()[0]


def test_pairs_are_bounded(evil):
    link = connect(evil)
    link.dialback()
    for number in range(200):
        link.send(f"<db:result from='{EVIL}' to='{DOMAIN}.{number}.test'>0</db:result>")
    results = [link.next_of("result") for _ in range(200)]
    assert {result.get("type") for result in results} == {"error"}
    assert is_alive(link)


def test_oversized_and_deep(evil):
    for text in (f"<db:result from='{EVIL}' to='{DOMAIN}'>" + "0" * 20000, "<a>" * 50):
        link = connect(evil)
        link.send(text)
        assert link.stream_error()[0] == "policy-violation"


@pytest.mark.parametrize("junk", [b"\x00\x01\x02", b"<stream:stream", b"GET / HTTP/1.1\r\n\r\n", b"<a/><b/>"])
def test_junk(site, junk):
    with socket.create_connection(("127.0.0.1", PORTS["s2s"]), timeout=PATIENCE_S) as sock:
        sock.sendall(junk)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


def test_who_only_says_it_crowds_nobody_out(evil, honest):
    """evil.test opens streams in the name of honest.test, and proves something else on them."""
    link = connect(honest)
    link.dialback()
    honest.answers = False
    for _ in range(3):
        other = connect(evil, from_=HONEST)
        other.send(f"<db:result from='{HONEST}' to='{DOMAIN}'>no key</db:result>")
        other.dialback(EVIL)
    assert is_alive(link)


class Fickle(RawServer):
    """Takes our certificate, and then has nothing more to say."""

    def on_header(self, link, header):
        if link.open:
            link.wire.tcp.shutdown(socket.SHUT_RDWR)
        else:
            super().on_header(link, header)


def test_what_was_proved_at_one_address_is_proved_again_at_the_next(stage, authority):
    files = authority.server(DOUBLE).files
    juliet = stage.enter("juliet", "balcony")
    with (Fickle(DOUBLE, port=PORTS[DOUBLE], files=files),
          RawServer(DOUBLE, port=PORTS["second"], files=files, proofs=("dialback",)) as second):
        juliet.send_message(f"romeo@{DOUBLE}", "at the second address")
        second.accept().expect("message", body="at the second address")


def test_questions_do_not_go_where_nobody_can_be_asked(site, stage, evil):
    """What goes to the other server goes by a stream that it has opened itself, perhaps before it was restarted."""
    juliet, link = stage.enter("juliet", "balcony"), connect(evil)
    link.ask_bidi()
    link.dialback()
    for other in evil.links:
        if other is not link:
            other.cut()  # the one on which we had asked
    juliet.send_message(link.jid, "by the stream that is left")
    while body(link.next_of("message")) != "by the stream that is left":
        pass  # what the tests before have left in the store
    connect(evil).dialback()


def test_many_questions_for_nothing(evil):
    """Each makes us look for another server: nobody who has proved nothing may ask for many."""
    evil.answers = False
    link = connect(evil)
    for number in range(20):
        link.send(f"<db:result from='{number}.crowd.test' to='{DOMAIN}'>no key</db:result>")
    assert link.stream_error()[0] == "policy-violation"
    assert evil.count <= 8


def test_endless_attempts_on_an_open_stream(evil):
    """Each costs us the check of a certificate, and a line in the log."""
    link = connect(evil)
    link.dialback()
    for number in range(500):
        link.send(f"<db:result from='{EVIL}' to='{DOMAIN}.{number}.test'>0</db:result>")
    assert link.stream_error()[0] == "policy-violation"


def test_a_newcomer_that_does_not_read(evil):
    link, sent, most = connect(evil), 0, 18 * 2**20  # the kernels of both sides keep 8 MiB or so
    link.wire.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    link.wire.rouse()
    link.reader.join()
    questions = f"<db:verify from='{EVIL}' to='{DOMAIN}' id='{'0' * 9000}'>no key</db:verify>" * 10
    try:
        while sent < most:
            link.send(questions)
            sent += len(questions)
    except (OSError, SSL.Error):
        pass
    assert sent < most


def test_faster_than_allowed(site, stage, authority):
    """It is read from later, and loses nothing."""
    juliet = stage.enter("juliet", "balcony")
    with RawServer(CHATTY, port=PORTS[CHATTY], files=authority.server("somebody.test").files) as chatty:
        link = connect(chatty)
        link.dialback()
        rests = site.backend.counter("rests")
        link.send("".join(f"<message from='{link.jid}' to='{juliet.jid}'><body>{number}</body></message>"
                          for number in range(280)))
        for number in range(280):
            juliet.expect("message", body=str(number))
        assert site.backend.counter("rests") > rests


@pytest.mark.parametrize("text", ["<r xmlns='urn:xmpp:sm:3' x='{filling}'/>",
                                  "<db:verify from='wordy.test' to='{domain}' id='{filling}'>no key</db:verify>"])
def test_wordier_than_allowed(site, authority, text):
    """What is no stanza counts as well: each of these has an answer."""
    with RawServer("wordy.test", port=PORTS[CHATTY], files=authority.server("somebody.test").files) as wordy:
        link = connect(wordy)
        link.dialback()
        link.enable()
        rests = site.backend.counter("rests")
        link.send(text.format(filling="0" * 6000, domain=DOMAIN) * 19)
        for _ in range(19):
            assert local_name(link.next()) in ("a", "verify")
        assert site.backend.counter("rests") > rests
