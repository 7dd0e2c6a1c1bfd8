"""Streams between servers by the letter: headers, features, proofs and their errors, stanzas on the way."""

import base64
import re

import pytest

from harness.authority import Authority
from harness.place import Place
from harness.ports import reserve_port
from harness.rawserver import DIALBACK, DIALBACK_FEATURE, RawServer
from harness.rawxmpp import RawClient
from harness.site import DOMAIN, XMPPS, Site
from harness.stage import Stage, error, local_name, number

conforms = pytest.mark.conforms
XML = "{http://www.w3.org/XML/1998/namespace}"
DELAY = "{urn:xmpp:delay}delay"
PING = "<ping xmlns='urn:xmpp:ping'/>"
PEER, NOBODY, IDN, SECOND = "peer.open.test", "nobody.test", "münchen.test", "second.test"
PORTS = {name: reserve_port() for name in ("open", "careful", NOBODY, IDN, "s2s")}

# those below careful.test prove themselves by a certificate, the others by dialback; behind nobody.test there is nobody
CONFIG = """
s2s = true
shards = 2
s2s-insecure-domains = {{"*.open.test", "nobody.test", "münchen.test"}}
s2s-ca = "{ca}"
listener "s2s" {{ address = "127.0.0.1:{s2s}" serve = servers }}
remote "*.open.test" {{ address = "127.0.0.1:{open}" streams-per-domain = 3 }}
remote "*.careful.test" {{ address = "127.0.0.1:{careful}" }}
remote "nobody.test" {{ address = "127.0.0.1:{nobody}" }}
remote "münchen.test" {{ address = "127.0.0.1:{idn}" }}
"""
HOST = 'host "second.test" {{ certificate = "{cert}" key = "{key}" }}\n'


@pytest.fixture(scope="module")
def authority():
    place = Place()
    yield Authority(place, "servers-ca")
    place.remove()


@pytest.fixture(scope="module")
def site(authority):
    cert, key = authority.place.certificate("second", [SECOND])
    shared = Site(backend_extra=CONFIG.format(ca=authority.path, s2s=PORTS["s2s"], open=PORTS["open"], idn=PORTS[IDN],
                                              careful=PORTS["careful"], nobody=PORTS[NOBODY])
                  + HOST.format(cert=cert, key=key))
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
def juliet(stage):
    return stage.enter("juliet", "balcony")


def server(authority, domain, port, name="somebody.test", **arguments):
    return RawServer(domain, port=PORTS[port], files=authority.server(name).files, sm=False, **arguments)


# Each is of a domain for which nothing waits, and which nobody has failed to reach


@pytest.fixture
def peer(site, authority):
    with server(authority, f"n{number()}.open.test", "open") as peer:
        yield peer


@pytest.fixture
def careful(site, authority):
    domain = f"n{number()}.careful.test"
    with server(authority, domain, "careful", domain) as careful:
        yield careful


def connect(server, to=DOMAIN, **arguments):
    return server.connect("127.0.0.1", PORTS["s2s"], to, **arguments)


def is_alive(link):
    id = "is-alive"
    link.send(f"<db:verify from='{link.local}' to='{link.remote}' id='{id}'>no key</db:verify>")
    answer = link.next()
    return answer.tag == DIALBACK + "verify" and answer.get("type") == "invalid" and answer.get("id") == id


def tell(attributes, inner="", namespace="jabber:server"):
    """What is answered to a header with these attributes, up to features or the end: (attributes, the rest)."""
    with RawClient("127.0.0.1", PORTS["s2s"]) as raw:
        raw.send(f"<stream:stream {attributes} xmlns='{namespace}' xmlns:db='jabber:server:dialback' "
                 f"xmlns:stream='http://etherx.jabber.org/streams'>{inner}")
        while not re.search(b"</stream:(features|stream)>", raw.received):
            raw.receive()
        text = raw.received.decode()
    header = re.search("<stream:stream [^>]*>", text)[0]
    return dict(re.findall(r" ([a-z:]+)='([^']*)'", header)), text[text.index(header) + len(header):]


# Headers


@conforms("RFC 6120", "4.7.1", "the answer to another server's header is from the domain that it is for")
@conforms("RFC 6120", "4.7.2", "the answer to another server's header is to the domain that it is from")
@conforms("RFC 6120", "4.7.3", "every header to another server has an id of its own")
@conforms("RFC 6120", "4.7.4", "a header to another server names its language")
@conforms("RFC 6120", "4.7.5", "a header to another server has version 1.0")
def test_header_that_answers(peer):
    link = connect(peer, tls=None)
    first = link.header
    link.starttls()
    for header in (first, link.header):
        assert (header.get("from"), header.get("to"), header.get("version")) == (DOMAIN, peer.domain, "1.0")
        assert header.get(XML + "lang") == "en" and len(header.get("id")) >= 16
    assert first.get("id") != link.header.get("id")


@conforms("RFC 6120", "4.7.1", "a header to another server says from which of our domains it is")
@conforms("RFC 6120", "4.7.2", "a header to another server says which of its domains is meant")
@conforms("RFC 6120", "4.7.3", "the side that connects gives no id")
@conforms("RFC 6120", "10.4.2", "without a stream there is one made for the pair of domains")
def test_header_that_begins(peer, juliet):
    juliet.send_message(f"romeo@{peer.domain}", "hello", "headline")
    header = peer.accept().header
    assert (header.get("from"), header.get("to"), header.get("version")) == (DOMAIN, peer.domain, "1.0")
    assert header.get(XML + "lang") == "en" and header.get("id") is None


@conforms("RFC 6120", "4.9.1.2", "another server whose header is refused gets ours first")
@conforms("RFC 6120", "4.9.1.3", "to a server that asked for nobody here one of our hosts answers")
@pytest.mark.parametrize("attributes, namespace, condition, from_", [
    (f"from='{PEER}' to='nowhere.test' version='1.0'", "jabber:server", "host-unknown", None),
    (f"from='{PEER}' version='1.0'", "jabber:server", "improper-addressing", None),
    (f"from='{PEER}' to='{SECOND}'", "jabber:server", "unsupported-version", SECOND),
    (f"from='{PEER}' to='{SECOND}' version='0.9'", "jabber:server", "unsupported-version", SECOND),
    (f"from='{PEER}' to='{SECOND}' version='1.0'", "jabber:nothing", "invalid-namespace", SECOND),
    (f"from='{DOMAIN}' to='{SECOND}' version='1.0'", "jabber:server", "invalid-from", SECOND),
])
def test_header_that_refuses(site, attributes, namespace, condition, from_):
    header, rest = tell(attributes, namespace=namespace)
    assert f"<{condition} " in rest and rest.endswith("</stream:stream>")
    assert header["from"] in ([from_] if from_ else [DOMAIN, XMPPS, SECOND])
    assert header["to"] == re.search("from='([^']*)'", attributes)[1]
    assert header["version"] == "1.0" and header["id"]


@conforms("RFC 6120", "4.7.5", "a higher version of another server is answered by ours")
def test_higher_version(site):
    header, rest = tell(f"from='{PEER}' to='{DOMAIN}' version='2.7'")
    assert header["version"] == "1.0" and "<starttls" in rest


@conforms("RFC 6120", "4.3.3", "after SASL another server cannot become another one, or mean somebody else")
@pytest.mark.parametrize("from_, to, condition", [(None, SECOND, "host-unknown"), (PEER, DOMAIN, "invalid-from")])
def test_header_after_restart(careful, from_, to, condition):
    link = connect(careful)
    assert link.try_external() == "success"
    link.restart()
    link.local, link.remote = from_ or careful.domain, to
    link.send_header()
    assert link.stream_error()[0] == condition


def speak(peer, header, rest):
    """The server answers like that, whatever it is told."""
    def on_header(link, _header):
        link.send("<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
                  f"{header}>{rest}")
    peer.on_header = on_header


@conforms("RFC 6120", "4.7.3", "another server that gives no id cannot be proved anything")
def test_answer_without_id(peer, juliet):
    speak(peer, f"from='{peer.domain}' version='1.0'", f"<stream:features>{DIALBACK_FEATURE}</stream:features>")
    assert error(juliet.request("get", PING, to=peer.domain))[1] == "remote-server-timeout"
    assert peer.links[-1].stream_error()[0] == "bad-format"


@conforms("RFC 6120", "4.7.5", "another server that knows no version is not talked to")
def test_answer_without_version(peer, juliet):
    speak(peer, f"from='{peer.domain}' id='x'", "")
    assert error(juliet.request("get", PING, to=peer.domain))[1] == "remote-server-timeout"
    assert peer.links[-1].stream_error()[0] == "unsupported-version"


@conforms("RFC 6120", "4.9.3.6", "a server that does not serve the domain says so, and is understood")
def test_host_unknown_there(site, peer, juliet):
    """Also by a header that has nothing of what it should have but its version."""
    speak(peer, "version='1.0'", "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
          "</stream:error></stream:stream>")
    assert error(juliet.request("get", PING, to=peer.domain))[1] == "remote-server-timeout"
    site.backend.wait_log(event="s2s_failed", domain=peer.domain, failure="host_unknown")


# Names


@conforms("RFC 7622", "3.2.1", "domains that are not ASCII stand in U-labels between servers, and A-labels are read")
def test_domains_that_are_not_ascii(site, authority, juliet):
    with server(authority, IDN, IDN) as peer:
        juliet.send_message(f"romeo@{IDN}", "hello", "headline")
        assert peer.accept().header.get("to") == IDN
        link = connect(peer, from_="xn--mnchen-3ya.test")
        assert link.header.get("to") == IDN
        link.local = IDN
        link.dialback()
        link.send_message(juliet.jid, "hello yourself", from_="romeo@xn--mnchen-3ya.test")
        juliet.expect("message", frm=f"romeo@{IDN}", body="hello yourself")


# Proofs


@conforms("RFC 6120", "6.4.5", "what is no base64 is no identity of another server")
@conforms("RFC 6120", "6.5.5", "what is no base64 is no identity of another server")
def test_identity_that_is_no_base64(careful):
    link = connect(careful)
    answer = link.command("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>!</auth>")
    assert local_name(answer[0]) == "incorrect-encoding"
    assert link.try_external() == "success"


@conforms("XEP-0178", "3", "EXTERNAL is offered to whom the certificate proves, with the domain as identity or without")
@conforms("RFC 6120", "6.3.8", "between servers the identity is the domain, which may be left out")
@conforms("RFC 6120", "13.8.4", "between servers EXTERNAL proves who is there")
@pytest.mark.parametrize("identity", [False, True])
def test_external(careful, juliet, identity):
    link = connect(careful)
    assert link.offers("mechanisms")
    link.external(careful.domain if identity else None)
    assert not link.offers("mechanisms") and not link.offers("starttls")
    link.send_message(juliet.jid, "hello")
    juliet.expect("message", body="hello")


@conforms("XEP-0178", "3", "we prove ourselves by EXTERNAL where it is offered, with our domain as identity")
def test_external_of_ours(careful, juliet):
    seen = []
    on_element = careful.on_element

    def watch(link, element):
        seen.append((local_name(element), element.text))
        return on_element(link, element)
    careful.on_element = watch
    juliet.send_message(f"romeo@{careful.domain}", "hello", "headline")
    careful.accept().expect("message", body="hello")
    assert ("auth", base64.b64encode(DOMAIN.encode()).decode()) in seen


@conforms("XEP-0288", "2.2", "a host that was not named in the header does not write back on that stream")
def test_bidi_is_for_the_domain_of_the_header(careful):
    """XEP-0288: by SASL the other side has learned of the domain in its header alone."""
    careful.bidi = True
    link = connect(careful)
    link.ask_bidi()
    link.external()
    link.send_iq("get", PING, to=SECOND, id="second")
    back = careful.accept()
    assert back is not link and back.header.get("from") == SECOND
    back.expect("iq", type="result", frm=SECOND)
    link.send_iq("get", PING, to=DOMAIN, id="first")
    link.expect("iq", type="result", frm=DOMAIN)


@conforms("XEP-0288", "2.1", "both directions on one stream are offered where a proof may follow, and not behind it")
def test_bidi_feature(careful):
    link = connect(careful)
    assert link.offers("bidi")
    link.external()
    assert not link.offers("bidi")


@conforms("XEP-0220", "2.4.1", "headers declare the namespace of dialback")
@conforms("XEP-0220", "2.4.2", "the features say that errors of dialback are understood")
def test_dialback_is_advertised(peer):
    link = connect(peer)
    assert link.features.find("{urn:xmpp:features:dialback}dialback/{urn:xmpp:features:dialback}errors") is not None
    with RawClient("127.0.0.1", PORTS["s2s"]) as raw:
        raw.send(f"<stream:stream to='{DOMAIN}' from='{peer.domain}' version='1.0' xmlns='jabber:server' "
                 "xmlns:stream='http://etherx.jabber.org/streams'>")
        while b"</stream:features>" not in raw.received:
            raw.receive()
        assert b"xmlns:db='jabber:server:dialback'" in raw.received


@conforms("XEP-0220", "2.2.1", "a wrong key for one more pair is an error, and the stream stays for the others")
@conforms("XEP-0220", "2.5", "forbidden: the key was denied")
def test_wrong_key_for_another_pair(peer):
    link = connect(peer)
    link.dialback()
    assert refused(link, remote=SECOND, key="0" * 64) == "forbidden"
    assert is_alive(link)


def refused(link, **arguments):
    """The condition of dialback's error."""
    local, remote = arguments.get("local", link.local), arguments.get("remote", link.remote)
    link.send(f"<db:result from='{local}' to='{remote}'>{arguments.get('key', 'x')}</db:result>")
    answer = link.next_of("result")
    assert (answer.get("from"), answer.get("to"), answer.get("type")) == (remote, local, "error")
    assert answer[0].tag == "{jabber:server}error" and answer[0].get("type") == "cancel"
    return local_name(answer[0][0])


@conforms("XEP-0220", "2.5", "item-not-found, policy-violation, not-authorized, each where it belongs")
def test_errors_of_dialback(peer, careful):
    link = connect(peer)
    link.dialback()
    assert refused(link, remote="nowhere.test") == "item-not-found"
    assert refused(link, local=careful.domain) == "not-authorized"
    assert is_alive(link)
    plain = connect(peer, tls=None)
    assert refused(plain) == "policy-violation"


@conforms("XEP-0220", "2.5", "remote-connection-failed: nobody can be asked about the key")
@conforms("RFC 6120", "4.9.3.15", "who cannot be asked is told by dialback's error of that name; the stream goes on")
def test_nobody_to_ask(peer):
    link = connect(peer)
    link.dialback()
    assert refused(link, local=NOBODY) == "remote-connection-failed"
    assert is_alive(link)


@conforms("XEP-0220", "2.5", "remote-server-not-found: the domain's own server does not know it")
@conforms("XEP-0220", "2.1.2", "an error instead of a verdict is told to who asked for it")
def test_server_that_does_not_know_its_domain(peer):
    def on_verify(link, element):
        to, from_, id = (element.get(name) for name in ("to", "from", "id"))
        link.send(f"<db:verify from='{to}' to='{from_}' id='{id}' type='error'><error type='cancel'><item-not-found "
                  "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>")
    peer.on_verify = on_verify
    assert refused(connect(peer)) == "remote-server-not-found"


@conforms("XEP-0220", "2.1.2", "a question is not answered any more when its connection is gone")
@conforms("XEP-0220", "2.5", "remote-server-timeout: the stream to the domain's server broke")
def test_server_that_goes_away_when_asked(peer):
    peer.on_verify = lambda link, _element: link.wire.tcp.shutdown(2)
    assert refused(connect(peer)) == "remote-server-timeout"


@conforms("XEP-0220", "2.2.2", "a question about a domain that is not ours is answered by an error")
def test_question_about_somebody_else(peer):
    link = connect(peer)
    link.send(f"<db:verify from='{peer.domain}' to='nowhere.test' id='x'>key</db:verify>")
    answer = link.next()
    assert (answer.get("type"), answer.get("id"), answer.get("from")) == ("error", "x", "nowhere.test")
    assert local_name(answer[0][0]) == "item-not-found"
    assert is_alive(link)


@conforms("XEP-0220", "2.1.1", "stanzas are answered by internal-server-error when our key is denied; messages wait")
def test_key_of_ours_is_denied(site, peer, juliet):
    peer.takes = False
    assert error(juliet.request("get", PING, to=peer.domain))[1] == "internal-server-error"
    site.backend.wait_log(event="s2s_failed", domain=peer.domain, failure="key_denied")
    juliet.send_message(f"romeo@{peer.domain}", "patience")
    juliet.sync()
    peer.takes = True
    site.backend.retry(peer.domain)
    link = peer.accept()
    link.expect("message", body="patience")
    ping = link.expect("iq", type="get")
    link.send(f"<iq type='result' id='{ping.get('id')}' from='{peer.domain}' to='{DOMAIN}'/>")


@conforms("XEP-0220", "2.1.1", "an error of dialback is answered to who waits by remote-server-timeout")
@conforms("RFC 6120", "8.3.3.17", "a server that is found, and with which no stream can be negotiated")
def test_error_of_dialback_to_us(peer, juliet):
    peer.proofs = ("dialback",)
    peer._on_result = lambda link, element: link.send(
        f"<db:result from='{peer.domain}' to='{element.get('from')}' type='error'><error type='cancel'>"
        "<resource-constraint "
        "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>")
    assert error(juliet.request("get", PING, to=peer.domain))[1] == "remote-server-timeout"


@conforms("XEP-0220", "2.6.2", "one more domain of ours is proved to on the same stream")
@conforms("XEP-0220", "2.6.1", "one more domain of another server is proved on the same stream")
def test_many_pairs_on_a_stream_to_us(peer, juliet):
    link = connect(peer)
    link.dialback()
    link.dialback(remote=SECOND)
    link.send_iq("get", PING, to=SECOND)
    peer.accept().expect("iq", type="result", frm=SECOND)
    link.send_message(juliet.jid, "still here")
    juliet.expect("message", body="still here")


@conforms("XEP-0220", "2.6.1", "a second domain of ours uses the stream that is there, if errors are understood")
@conforms("RFC 6120", "10.4.1", "a stanza goes on the stream that is there")
def test_many_pairs_on_a_stream_of_ours(peer, juliet):
    peer.proofs = ("dialback",)
    juliet.send_message(f"romeo@{peer.domain}", "one", "headline")
    link = peer.accept()
    link.expect("message", body="one")
    juliet.send_message(f"romeo@{peer.domain}", "two", "headline")
    link.expect("message", body="two")
    incoming = connect(peer, to=SECOND)
    incoming.dialback()
    incoming.send_iq("get", PING, to=SECOND)
    link.expect("iq", type="result", frm=SECOND)


@conforms("XEP-0220", "2.3", "dialback proves one direction: for the other there is another stream")
def test_one_direction(peer, juliet):
    link = connect(peer)
    link.dialback()
    juliet.send_message(f"romeo@{peer.domain}", "hello", "headline")
    back = peer.accept()
    assert back is not link
    back.expect("message", body="hello")


@conforms("XEP-0220", "2.1.1", "a pair that is proved is not proved anew, but answered")
def test_pair_once_more(peer):
    link = connect(peer)
    link.dialback()
    link.dialback()


# Stanzas


@pytest.fixture
def link(peer):
    link = connect(peer)
    link.dialback()
    return link


@conforms("RFC 6120", "8.1.1.2", "what stands in \"to\" is an address")
@conforms("RFC 6120", "8.1.2.2", "what stands in \"from\" is an address")
@pytest.mark.parametrize("addresses", [("romeo@{}", "a@b@c d"), ("@/", f"juliet@{DOMAIN}"), ("", f"juliet@{DOMAIN}")])
def test_improper_addresses(link, addresses):
    from_, to = addresses
    link.send(f"<message from='{from_.format(link.local)}' to='{to}'><body>hello</body></message>")
    assert link.stream_error()[0] == "improper-addressing"


def test_one_user_with_a_malformed_address(link, peer, stage):
    """The others, whose stream it is as well, do not suffer for it."""
    juliet = stage.enter("juliet", "balcony")
    link.send(f"<message from='romeo@{link.local}' to='a b@{DOMAIN}' id='to'><body>hello</body></message>"
              f"<message from='a b@{link.local}' to='{juliet.jid}'><body>hello</body></message>"
              f"<message from='romeo@{link.local}' to='{juliet.jid}'><body>well formed</body></message>")
    juliet.expect("message", body="well formed")
    assert error(peer.accept().expect("message", type="error", id="to")) == ("modify", "jid-malformed")
    assert stage.settle() == {}


@conforms("RFC 6120", "4.7.4", "the language of another server's header is that of stanzas which name none")
@conforms("RFC 6120", "8.1.5", "the language of another server's header is that of stanzas which name none")
def test_language(peer, juliet):
    def send_header():
        link.send("<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' xml:lang='cs' "
                  f"from='{peer.domain}' to='{DOMAIN}'>")
    link = connect(peer, tls=None)
    link.send_header = send_header
    link.starttls()
    link.dialback()
    link.send_message(juliet.jid, "Dvořím se Julii")
    assert juliet.expect("message").get(XML + "lang") == "cs"
    link.send_message(juliet.jid, "wooing Juliet", **{"xml:lang": "fr"})
    assert juliet.expect("message").get(XML + "lang") == "fr"


@conforms("RFC 6120", "4.8.3", "between servers stanzas are of jabber:server, what is forwarded in them is not")
def test_namespaces(link, peer, juliet):
    forwarded = ("<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' type='chat'><body>old</body>"
                 "</message></forwarded>")
    inside = ".//{urn:xmpp:forward:0}forwarded/{jabber:client}message/{jabber:client}body"
    link.send_message(juliet.jid, "hello", extra=forwarded)
    got = juliet.expect("message", body="hello")
    assert got.tag == "{jabber:client}message" and got.find("{jabber:client}body") is not None
    assert got.find(inside).text == "old"
    juliet.send_message(f"romeo@{peer.domain}", "hello", "headline", extra=forwarded)
    got = peer.accept().expect("message", body="hello")
    assert got.tag == "{jabber:server}message" and got.find("{jabber:server}body") is not None
    assert got.find(inside).text == "old"


@conforms("XEP-0203", "5", "a delay that another server makes up in the name of our host is taken out")
def test_forged_delay(link, juliet):
    def delay(from_):
        return f"<delay xmlns='urn:xmpp:delay' from='{from_}' stamp='2002-09-10T23:08:25Z'/>"
    link.send_message(juliet.jid, "hello", extra=delay(DOMAIN) + delay(link.local))
    got = juliet.expect("message", body="hello")
    assert [element.get("from") for element in got.findall(DELAY)] == [link.local]


@conforms("RFC 6120", "8.3.1", "an error is never answered by an error, wherever it comes from and goes to")
def test_errors_are_not_answered(link, juliet):
    content = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    for kind, attributes in (("message", ""), ("presence", ""), ("iq", "id='x'"), ("iq", "")):
        link.send(f"<{kind} type='error' {attributes} from='romeo@{link.local}' to='nobody@{DOMAIN}'>{content}"
                  f"</{kind}>")
        juliet.send(f"<{kind} type='error' {attributes} to='romeo@{NOBODY}'>{content}</{kind}>")
    assert is_alive(link)
    assert juliet.sync() == []


@conforms("RFC 6120", "4.4", "what another server has sent before it ends its stream is taken, and the end is answered")
def test_end_behind_stanzas(link, juliet):
    for number in range(5):
        link.send_message(juliet.jid, str(number))
    link.close()
    assert link.how == "end of stream"
    for number in range(5):
        juliet.expect("message", body=str(number))


@conforms("RFC 6120", "4.4", "what is on its way when we end a stream is taken")
def test_stanzas_behind_our_end(peer, juliet):
    """Newer streams take the place of the oldest, which has done no wrong."""
    oldest = connect(peer)
    oldest.dialback()
    oldest.ended = True  # it does not answer our end at once
    for _ in range(3):
        connect(peer).dialback()
    assert oldest.stream_error()[0] == "conflict"
    oldest.send_message(juliet.jid, "on its way")
    oldest.send("</stream:stream>")
    juliet.expect("message", body="on its way")


@conforms("RFC 6120", "4.9.3.14", "another server's stanzas are bounded")
@conforms("RFC 6120", "13.12", "another server's stanzas are bounded")
def test_oversized_stanza(link):
    link.send_message(f"juliet@{DOMAIN}", "x" * 3_000_000)
    assert link.stream_error()[0] == "policy-violation"


# Hosts come and go: last, for it changes what the others need


@conforms("RFC 6120", "4.9.3.5", "another server is told when a host is gone, by its stream or when it writes to it")
def test_host_gone(site, peer):
    both, one = connect(peer), connect(peer, to=SECOND)
    both.dialback()
    both.dialback(remote=SECOND)
    one.dialback()
    text = site.backend.config.read_text()
    gone = re.sub('host "second.test" {.*}\n', "", text)
    assert gone != text
    try:
        site.backend.config.write_text(gone)
        site.backend.ctl("reload")
        assert one.stream_error()[0] == "host-gone"
        both.send_message(f"juliet@{DOMAIN}", "hello")
        both.send_message(f"juliet@{SECOND}", "hello")
        assert both.stream_error()[0] == "host-gone"
    finally:
        site.backend.config.write_text(text)
        site.backend.ctl("reload")
