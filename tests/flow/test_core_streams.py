"""RFC 6120 section by section: what a stream is, STARTTLS, SASL and resource binding, byte by byte."""

import base64
import re
import socket
import time

import pytest
from cryptography import x509
from OpenSSL import SSL

from harness.rawxmpp import Closed, RawClient, mechanisms
from harness.site import DOMAIN, Site
from harness.talk import auth, bind, condition, direct, ending, header, logged_in, ping, pong, receive_until
from harness.wait import wait_until

conforms = pytest.mark.conforms
STREAMS = "http://etherx.jabber.org/streams"
STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


@pytest.fixture(scope="module")
def site():
    shared = Site()
    try:
        shared.backend.start()
        for user in ("juliet", "romeo", "nurse"):
            shared.backend.add_user(f"{user}@{DOMAIN}", "secret")
        yield shared
    finally:
        shared.stop()


def plain(site):
    return RawClient("127.0.0.1", site.c2s)


def said(raw, text):
    """What the server says until it ends the stream."""
    raw.send(text)
    return ending(raw)


def features(raw, text=None):
    """The server's header and features, as text."""
    raw.send(text or header())
    return receive_until(raw, b"(<stream:stream .*?</stream:features>)").group(1).decode()


def begin_tls(raw, **arguments):
    raw.send(STARTTLS)
    receive_until(raw, b"<proceed [^>]*/>")
    return raw.start_tls(sni=DOMAIN, **arguments)


def sasl(raw, text):
    """The answer to an element of SASL: (name, inner)."""
    raw.send(text)
    found = receive_until(raw, rb"<(challenge|success|failure) xmlns='[^']*'(?:/>|>(.*?)</\1>)")
    return found.group(1).decode(), (found.group(2) or b"").decode()


def element(name, content="", **attributes):
    given = "".join(f" {key}='{value}'" for key, value in attributes.items())
    return f"<{name} xmlns='{SASL}'{given}>{content}</{name}>"


def encode(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


# Section 4: streams


@conforms("RFC 6120", "4.2", "the server answers a header with its own, once, before anything else")
@conforms("RFC 6120", "4.3.1", "features follow the header of every stream")
@conforms("RFC 6120", "4.3.2", "features are qualified by the stream's namespace, and say which of them are required")
@conforms("RFC 6120", "4.8.1", "the header is qualified by the stream's namespace, with the prefix stream")
@conforms("RFC 6120", "4.8.2", "the content namespace is declared as the default")
@conforms("RFC 6120", "11.5", "the server's stream begins with an XML declaration that names UTF-8")
@conforms("RFC 6120", "5.4.1", "before TLS the features offer STARTTLS")
def test_first_words(site):
    with plain(site) as raw:
        text = features(raw)
        assert raw.received == b"" and text.count("<stream:stream ") == 1
        assert f"xmlns:stream='{STREAMS}'" in text and "xmlns='jabber:client'" in text
        assert text.endswith("<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
                             "</stream:features>")
    with plain(site) as raw:
        raw.send(header())
        assert re.match(rb"<\?xml version='1.0'(?: encoding='UTF-8')?\?><stream:stream ", raw.receive())


@conforms("RFC 6120", "4.3.4", "every restart offers what is to be done next, and not what is done")
@conforms("RFC 6120", "4.3.5", "after resource binding nothing is left to be negotiated: stanzas flow")
@conforms("RFC 6120", "4.3.6", "the address is who authenticated, with the resource that was bound")
@conforms("RFC 6120", "5.3.4", "TLS comes before SASL")
@conforms("RFC 6120", "6.3.2", "a new stream follows SASL")
@conforms("RFC 6120", "7.3.2", "no new stream follows resource binding")
@conforms("RFC 6120", "7.4", "binding is advertised after SASL, and not before")
@conforms("RFC 6120", "13.3", "the layers are TCP, TLS, SASL, XMPP")
@conforms("RFC 6120", "6.4.1", "the features offer mechanisms before SASL, and none after it")
def test_the_whole_way(site):
    with plain(site) as raw:
        first = features(raw)
        assert "<starttls" in first and "<mechanism" not in first and "<bind" not in first
        begin_tls(raw)
        second = features(raw)
        assert "<starttls" not in second and "<mechanism>" in second and "<bind" not in second
        assert sasl(raw, auth("juliet"))[0] == "success"
        third = features(raw)
        assert "<starttls" not in third and "<mechanism" not in third and "<bind" in third
        assert len({re.search(" id='([^']*)'", text).group(1) for text in (first, second, third)}) == 3
        raw.send(bind("balcony"))
        assert receive_until(raw, b"<jid>([^<]*)</jid>").group(1).decode() == f"juliet@{DOMAIN}/balcony"
        raw.send(ping(id="on the same stream"))
        receive_until(raw, b"id='on the same stream'")


@conforms("RFC 6120", "4.5", "client and server share one connection for both directions")
@conforms("RFC 6120", "4.6.3", "white space between stanzas keeps a connection alive, and means nothing")
@conforms("RFC 6120", "11.7", "white space between stanzas is no fault")
def test_white_space(site):
    with logged_in(site.c2s_direct, "juliet") as raw:
        raw.send(" \n\t\r\n " * 20)
        assert pong(raw) == ""
        raw.send("\n" + ping(id="a") + "  \n")
        receive_until(raw, b"id='a'")


@conforms("RFC 6120", "4.6.1", "a connection that ends without a word is noticed, and its resource is free again")
@conforms("RFC 6120", "4.6.2", "a stream whose connection broke is over: a stanza for it comes back")
def test_a_broken_connection(site):
    romeo = logged_in(site.c2s_direct, "romeo", resource="gone")
    romeo.tcp.shutdown(socket.SHUT_RDWR)
    romeo.tcp.close()
    with logged_in(site.c2s_direct, "juliet") as juliet:
        def refused():
            juliet.send(ping(to=f"romeo@{DOMAIN}/gone", id="there"))
            return b"service-unavailable" in receive_until(juliet, b"<iq [^>]*id='there'.*?(</iq>|/>)").group(0)
        wait_until(refused, "the end of a connection")


NS = "http://etherx.jabber.org/streams"


@conforms("RFC 6120", "4.8.1", "another stream namespace is refused")
@conforms("RFC 6120", "4.8.3", "another content namespace than ours is refused")
@conforms("RFC 6120", "4.8.5", "prefixes other than stream are taken, or refused by the right error")
@conforms("RFC 6120", "4.9.3.10", "invalid-namespace for another stream or content namespace")
@conforms("RFC 6120", "4.9.1.2", "an error during setup comes behind our header")
@conforms("RFC 6120", "4.9.1.1", "an error ends the stream, and the connection")
@conforms("RFC 6120", "4.9.2", "an error is one condition in its namespace, text only behind it")
@pytest.mark.parametrize("text, wanted", [
    ("<stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='urn:x'>" % DOMAIN, "invalid-namespace"),
    ("<stream:stream to='%s' version='1.0' xmlns='urn:x' xmlns:stream='%s'>" % (DOMAIN, NS), "invalid-namespace"),
    ("<stream:features to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='%s'>" % (DOMAIN, NS), "bad-format"),
    ("<message/>", "bad-format"),
    ("GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
    ("<stream:stream", None),
])
def test_headers_that_are_none(site, text, wanted):
    with direct(site.c2s_direct) as raw:
        if wanted is None:
            raw.send(text + ">")
            got = condition(ending(raw))
            assert got in ("bad-namespace-prefix", "not-well-formed")
            return
        out = said(raw, text)
        assert condition(out) == wanted and out.index("<stream:stream ") < out.index("<stream:error>")


@conforms("RFC 6120", "4.9.3.2", "a prefix that is not declared")
@conforms("RFC 6120", "11.2", "names and prefixes are those of XML namespaces")
@conforms("RFC 6120", "11.3", "what is not well-formed ends the stream")
@conforms("RFC 6120", "4.9.3.13", "not-well-formed")
@pytest.mark.parametrize("text", ["<x:y/>", "<message></iq>", "<message ", "<1/>", "<a b=c/>", "<a b='<'/>", "<a>]]></a>"])
def test_not_well_formed(site, text):
    with logged_in(site.c2s_direct, "juliet") as raw:
        assert condition(said(raw, text + "<a>")) in ("not-well-formed", "bad-namespace-prefix")


@conforms("RFC 6120", "4.8.5", "a client may use another prefix for the stream's namespace")
@conforms("RFC 6120", "4.8.4", "other namespaces inside a stanza are the recipient's business")
def test_another_prefix(site):
    for text in (f"<s:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:s='{STREAMS}'>",
                 f"<stream to='{DOMAIN}' version='1.0' xmlns='{STREAMS}'>"):
        with direct(site.c2s_direct) as raw:
            raw.send(text)
            assert receive_until(raw, b"<stream:features>")
    with logged_in(site.c2s_direct, "juliet") as raw:
        raw.send(f"<message to='{raw.jid}' id='ns'><x:a xmlns:x='urn:x'><b xmlns='urn:y' x:c='1'/></x:a></message>")
        text = receive_until(raw, b"<message .*</message>").group(0).decode()
        assert "<a xmlns='urn:x'><b xmlns='urn:y' " in text and "='urn:x'" in text


@conforms("RFC 6120", "4.9.3.6", "a host that is not served, and none at all")
@conforms("RFC 6120", "4.9.1.3", "the error comes although no host could be named")
@pytest.mark.parametrize("to", ["elsewhere.test", "", None, "@", "juliet@" + DOMAIN])
def test_unknown_hosts(site, to):
    with direct(site.c2s_direct) as raw:
        out = said(raw, header(to))
        assert condition(out) in ("host-unknown", "improper-addressing")
        assert out.count("<stream:stream ") == 1 and DOMAIN in out


@conforms("RFC 6120", "4.9.3.7", "an address in the header that is none")
def test_improper_addressing(site):
    with direct(site.c2s_direct) as raw:
        assert condition(said(raw, header("a b@@"))) in ("improper-addressing", "host-unknown")


@conforms("RFC 6120", "4.9.3.1", "text between stanzas is not the format")
def test_bad_format(site):
    with logged_in(site.c2s_direct, "juliet") as raw:
        assert condition(said(raw, "<message/>juliet<message/>")) == "bad-format"


@conforms("RFC 6120", "4.9.3.12", "a stanza before authentication, or before binding")
@conforms("RFC 6120", "7.3.1", "without a resource there are no stanzas")
@conforms("RFC 6120", "6.3.1", "without authentication there are no stanzas")
@conforms("RFC 6120", "5.3.1", "without TLS there are no stanzas")
@pytest.mark.parametrize("before", ["", "authenticated"])
def test_not_authorized(site, before):
    with direct(site.c2s_direct) as raw:
        features(raw)
        if before:
            assert sasl(raw, auth("juliet"))[0] == "success"
            features(raw)
        assert condition(said(raw, f"<message to='romeo@{DOMAIN}'><body>x</body></message>")) == "not-authorized"
    with plain(site) as raw:
        features(raw)
        assert condition(said(raw, f"<message to='romeo@{DOMAIN}'/>")) == "not-authorized"


@conforms("RFC 6120", "4.9.3.18", "restricted-xml for each feature of XML that XMPP forbids")
@conforms("RFC 6120", "4.9.1.4", "the error goes to who caused it, and to nobody else")
@pytest.mark.parametrize("text", ["<!-- -->", "<?x?>", "<!DOCTYPE a>", "<message><body>&nbsp;</body></message>"])
def test_restricted_xml(site, text):
    with logged_in(site.c2s_direct, "romeo") as other, logged_in(site.c2s_direct, "juliet") as raw:
        assert condition(said(raw, text)) == "restricted-xml"
        assert pong(other) == ""


@conforms("RFC 6120", "4.9.3.22", "another encoding than UTF-8")
@conforms("RFC 6120", "11.6", "UTF-8 and nothing else")
@conforms("RFC 6120", "13.9.6", "UTF-8 that is none ends the stream")
@pytest.mark.parametrize("text, wanted", [
    (b"<?xml version='1.0' encoding='ISO-8859-1'?>", "unsupported-encoding"),
    (b"<?xml version='1.0' encoding='UTF-16'?>", "unsupported-encoding"),
    ("<?xml version='1.0'?><stream:stream".encode("utf-16"), "unsupported-encoding"),
    (b"<stream:stream to='\xff'>", "not-well-formed"),
])
def test_encodings(site, text, wanted):
    with direct(site.c2s_direct) as raw:
        assert condition(said(raw, text + header()[len("<?xml version='1.0'?>"):].encode())) in (wanted, "not-well-formed")


@conforms("RFC 6120", "11.8", "version 1.0 of XML, and no other")
def test_versions_of_xml(site):
    with direct(site.c2s_direct) as raw:
        assert features(raw, "<?xml version='1.0' encoding='utf-8'?>" + header()[len("<?xml version='1.0'?>"):])
    with direct(site.c2s_direct) as raw:
        assert condition(said(raw, header().replace("version='1.0'?", "version='1.1'?"))) == "not-well-formed"


@conforms("RFC 6120", "11.4", "what is not valid by a schema, but well-formed, is no fault of the stream")
def test_no_validation(site):
    with logged_in(site.c2s_direct, "juliet") as raw:
        raw.send(f"<message to='{raw.jid}' id='odd' odd='1'><body><b xmlns='urn:x'/></body><body/></message>")
        assert b"odd='1'" in receive_until(raw, b"<message .*?</message>").group(0)


@conforms("RFC 6120", "4.9.3.20", "system-shutdown when the server stops")
@conforms("RFC 6120", "4.9.3.16", "reset when a new password makes the login out of date")
def test_shutdown_and_reset(own_site):
    site = own_site()
    site.backend.start()
    for user in ("juliet", "romeo"):
        site.backend.add_user(f"{user}@{DOMAIN}", "secret")
    with logged_in(site.c2s_direct, "juliet") as juliet, logged_in(site.c2s_direct, "romeo") as romeo:
        site.backend.ctl("passwd", f"juliet@{DOMAIN}", stdin="another\n")
        assert condition(ending(juliet)) == "reset"
        site.backend.signal(15)
        assert condition(ending(romeo)) == "system-shutdown"


@conforms("RFC 6120", "4.9.3.14", "policy-violation for who goes on guessing")
def test_policy_violation(site):
    with direct(site.c2s_direct) as raw:
        features(raw)
        for _ in range(4):
            assert sasl(raw, auth("juliet", "wrong"))[0] == "failure"
        assert condition(said(raw, auth("juliet", "wrong"))) == "policy-violation"


# Section 5: STARTTLS


@conforms("RFC 6120", "5.2", "a server without TLS is none: STARTTLS is offered and required")
@conforms("RFC 6120", "5.3.3", "only <starttls/> begins it; the answer is <proceed/> alone")
@conforms("RFC 6120", "5.4.2.1", "the client asks by <starttls/>")
@conforms("RFC 6120", "5.4.2.3", "<proceed/>, and then TLS")
@conforms("RFC 6120", "5.3.2", "a new stream follows TLS")
@conforms("RFC 6120", "5.3.6", "the server takes the name that the client indicates")
@conforms("RFC 6120", "13.4", "nothing but STARTTLS goes in clear")
@conforms("RFC 6120", "13.9.5", "at least TLS 1.2")
def test_starttls(site):
    with plain(site) as raw:
        features(raw)
        raw.send(STARTTLS)
        assert receive_until(raw, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>") and raw.received == b""
        raw.start_tls(sni=DOMAIN)
        assert raw.tls.get_protocol_version_name() in ("TLSv1.2", "TLSv1.3")
        assert features(raw)


FAILED_TLS = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"


@conforms("RFC 6120", "5.4.2.2", "STARTTLS that is not offered, or written wrongly: a failure, and the end of the stream")
def test_starttls_failure(site):
    with direct(site.c2s_direct) as raw:
        features(raw)
        assert said(raw, STARTTLS) == FAILED_TLS
    with logged_in(site.c2s_direct, "juliet") as raw:
        assert said(raw, STARTTLS).endswith(FAILED_TLS)
    with plain(site) as raw:
        features(raw)
        assert said(raw, STARTTLS.replace("<starttls", "<start")) == FAILED_TLS


@conforms("RFC 6120", "4.9.1.1", "a client's error ends the stream, and is answered by our end alone")
@pytest.mark.parametrize("bound", [False, True])
def test_error_of_the_client(site, bound):
    wrong = "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
    with logged_in(site.c2s_direct, "juliet") if bound else direct(site.c2s_direct) as raw:
        if not bound:
            features(raw)
        out = said(raw, wrong + "</stream:stream>")
        assert out.endswith("</stream:stream>") and "<stream:error" not in out
    site.backend.wait_log(event="stream_end", reason="client_error")


@conforms("RFC 6120", "5.4.3.2", "a handshake that fails ends the connection, without another word")
def test_tls_failure(site):
    with plain(site) as raw:
        features(raw)
        raw.send(STARTTLS)
        receive_until(raw, b"<proceed [^>]*/>")
        raw.send("this is no hello")
        rest, _ = raw.receive_all()
        assert b"<" not in rest


@conforms("RFC 6120", "5.3.5", "renegotiation is not done")
def test_no_renegotiation(site):
    with plain(site) as raw:
        features(raw)
        begin_tls(raw, version=SSL.TLS1_2_VERSION)
        features(raw)
        raw.tls.renegotiate()
        with pytest.raises(SSL.WantReadError):
            raw.tls.do_handshake()
        raw._flush()
        raw.tls.bio_write(raw._receive_bytes(time.monotonic() + 10))
        with pytest.raises(SSL.Error, match="no_renegotiation|no renegotiation"):
            raw.tls.do_handshake()


@conforms("RFC 6120", "5.4.3.1", "nothing behind <starttls/> is taken into the encrypted stream")
def test_nothing_is_carried_into_tls(site):
    with plain(site) as raw:
        features(raw)
        raw.send(STARTTLS + header() + auth("juliet"))
        receive_until(raw, b"<proceed [^>]*/>")
        raw.start_tls(sni=DOMAIN)
        assert "<mechanism>" in features(raw)


# Section 6: SASL


@conforms("RFC 6120", "6.2", "SASL is there for every client")
@conforms("RFC 6120", "6.3.3", "mechanisms in the order of the server's preference, those with channel binding first")
@conforms("RFC 6120", "6.3.4", "none of them is weaker than it must be without TLS, for TLS is there")
@conforms("RFC 6120", "6.3.6", "no security layer is offered: every one of the mechanisms has none")
@conforms("RFC 6120", "13.6", "no plain-text mechanism without TLS")
@conforms("RFC 6120", "13.8.1", "SCRAM-SHA-1 and SCRAM-SHA-1-PLUS")
@conforms("RFC 6120", "13.8.3", "TLS and SCRAM-SHA-1-PLUS, SCRAM-SHA-1 and PLAIN")
@conforms("RFC 6120", "13.8.2", "TLS without authentication is nothing here")
@conforms("RFC 6120", "13.9.4", "the mechanisms are those of SASL, by their registered names")
def test_mechanisms(site):
    with direct(site.c2s_direct) as raw:
        names = re.findall("<mechanism>([^<]*)</mechanism>", features(raw))
        assert {"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "PLAIN"} <= set(names)
        assert names[-1] == "PLAIN" and names[0].endswith("-PLUS") and not {"DIGEST-MD5", "CRAM-MD5", "LOGIN"} & set(names)
    with plain(site) as raw:
        assert "<mechanism" not in features(raw)


@conforms("RFC 6120", "6.3.7", "the simple user name is the local part")
@conforms("RFC 6120", "6.3.9", "there are no realms: the host of the stream decides")
@conforms("RFC 6120", "6.3.10", "an initial response spares a round trip; without one it is asked for")
@conforms("RFC 6120", "6.4.2", "an empty challenge asks for the initial response")
@conforms("RFC 6120", "6.4.3", "challenge and response until there is an outcome")
def test_without_an_initial_response(site):
    with direct(site.c2s_direct) as raw:
        features(raw)
        assert sasl(raw, element("auth", mechanism="PLAIN")) == ("challenge", "=")
        assert sasl(raw, element("response", encode("\0juliet\0secret")))[0] == "success"


@conforms("RFC 6120", "6.3.5", "data is base64, the empty one is =")
@conforms("RFC 6120", "6.5.5", "incorrect-encoding for what is no base64")
@conforms("RFC 6120", "13.9.1", "base64 without white space or foreign characters, with its padding")
@pytest.mark.parametrize("data", ["!", "AGp1", "AGp1bGl ldA==", "AGp1bGlldA=", "AGp1bGlldA==\n", "A", "AB=C"])
def test_base64(site, data):
    with direct(site.c2s_direct) as raw:
        features(raw)
        wanted = "malformed-request" if data == "AGp1" else "incorrect-encoding"
        assert sasl(raw, element("auth", data, mechanism="PLAIN")) == ("failure", f"<{wanted}/>")


@conforms("RFC 6120", "6.3.8", "who asks to act as somebody else is refused; as oneself is fine")
@conforms("RFC 6120", "6.5.6", "invalid-authzid")
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("authzid, good", [(f"juliet@{DOMAIN}", True), (f"romeo@{DOMAIN}", False),
                                           (f"juliet@{DOMAIN}/r", False), ("juliet@elsewhere.test", False), ("@", False)])
def test_authorization_identity(site, mechanism, authzid, good):
    with direct(site.c2s_direct) as raw:
        features(raw)
        if mechanism == "PLAIN":
            got = sasl(raw, element("auth", encode(f"{authzid}\0juliet\0secret"), mechanism=mechanism))
            assert got[0] == "success" if good else got == ("failure", "<invalid-authzid/>")
        else:
            got = sasl(raw, element("auth", encode(f"n,a={authzid},n=juliet,r=abc"), mechanism=mechanism))
            assert got[0] == "challenge" if good else got == ("failure", "<invalid-authzid/>")


@conforms("RFC 6120", "6.4.4", "a client may give up, and try again")
@conforms("RFC 6120", "6.5.1", "aborted")
@conforms("RFC 6120", "6.4.5", "after a failure another attempt may follow on the same stream")
def test_abort(site):
    with direct(site.c2s_direct) as raw:
        features(raw)
        assert sasl(raw, element("auth", encode("n,,n=juliet,r=abc"), mechanism="SCRAM-SHA-1"))[0] == "challenge"
        assert sasl(raw, element("abort")) == ("failure", "<aborted/>")
        assert sasl(raw, auth("juliet"))[0] == "success"


@conforms("RFC 6120", "6.5.4", "encryption-required for who would authenticate in clear")
def test_encryption_required(site):
    with plain(site) as raw:
        features(raw)
        assert sasl(raw, auth("juliet")) == ("failure", "<encryption-required/>")


@conforms("RFC 6120", "6.5.2", "account-disabled, for who has proved the password")
def test_account_disabled(site):
    site.backend.ctl("disable", f"nurse@{DOMAIN}")
    try:
        with direct(site.c2s_direct) as raw:
            features(raw)
            assert sasl(raw, auth("nurse", "wrong"))[1].startswith("<not-authorized/>")
            assert sasl(raw, auth("nurse"))[1].startswith("<account-disabled/>")
    finally:
        site.backend.ctl("enable", f"nurse@{DOMAIN}")


@conforms("RFC 6120", "6.5.7", "invalid-mechanism for one that is not offered")
@conforms("RFC 6120", "6.5.8", "malformed-request for data that is none of the mechanism")
@conforms("RFC 6120", "6.5.10", "not-authorized for a wrong password and for nobody")
@pytest.mark.parametrize("mechanism, data, wanted", [
    ("DIGEST-MD5", "=", "invalid-mechanism"), ("", "=", "invalid-mechanism"), ("plain", "=", "invalid-mechanism"),
    ("EXTERNAL", "=", "invalid-mechanism"), ("ANONYMOUS", "=", "invalid-mechanism"),
    ("PLAIN", "=", "malformed-request"), ("PLAIN", encode("juliet"), "malformed-request"),
    ("PLAIN", encode("\0juliet\0secret\0more"), "malformed-request"), ("PLAIN", encode("\0\0"), "malformed-request"),
    ("SCRAM-SHA-1", encode("x"), "malformed-request"), ("SCRAM-SHA-1", encode("n,,m=ext,n=a,r=b"), "malformed-request"),
    ("PLAIN", encode("\0juliet\0wrong"), "not-authorized"), ("PLAIN", encode("\0nobody\0secret"), "not-authorized"),
])
def test_failures(site, mechanism, data, wanted):
    with direct(site.c2s_direct) as raw:
        features(raw)
        got, inner = sasl(raw, element("auth", data, mechanism=mechanism))
        assert got == "failure" and inner.startswith(f"<{wanted}/>")


# Section 7: resource binding


def unbound(site, user="nurse"):
    raw = direct(site.c2s_direct)
    raw.send(header() + auth(user) + header())
    receive_until(raw, b"<success.*<stream:features>.*</stream:features>")
    return raw


def answer(raw, text):
    raw.send(text)
    return receive_until(raw, b"<iq .*?</iq>").group(0).decode()


@conforms("RFC 6120", "7.2", "resource binding is there for every client")
@conforms("RFC 6120", "7.7.1", "the resource that a client asks for is the one it gets, prepared")
@conforms("RFC 6120", "7.5", "a resource that the server makes up is not to be guessed")
def test_binding(site):
    with unbound(site) as raw:
        assert f"<jid>nurse@{DOMAIN}/a b</jid>" in answer(raw, bind("a b"))
    with unbound(site) as raw:
        made_up = re.search("<jid>[^/]*/([^<]*)</jid>", answer(raw, bind())).group(1)
        assert len(made_up) >= 16


@conforms("RFC 6120", "7.7.2.1", "bad-request for a resource that is none")
@conforms("RFC 6120", "7.7.3", "a client may try again after an error")
@pytest.mark.parametrize("resource", ["x" * 1024, "&#x80;", "a\u2028b"])
def test_resources_that_are_none(site, resource):
    with unbound(site) as raw:
        got = answer(raw, bind(resource))
        assert "<bad-request" in got and "type='modify'" in got
        assert "type='result'" in answer(raw, bind("good"))


@conforms("RFC 6120", "7.6.2.2", "a second resource on one stream is not allowed")
def test_a_second_resource(site):
    with unbound(site) as raw:
        assert "type='result'" in answer(raw, bind("one"))
        assert "<not-allowed" in answer(raw, bind("two"))


# Section 8: errors that no other test is about


@conforms("RFC 6120", "8.1.2", "what the server itself says to a client about its account may go without a from")
@conforms("RFC 6120", "8.3.3.3", "feature-not-implemented for a request of the wrong type")
@conforms("RFC 6120", "8.3.3.7", "item-not-found for a node that is not there")
@conforms("RFC 6120", "8.3.3.10", "not-allowed for a second resource")
@conforms("RFC 6120", "8.3.3.4", "forbidden for what only administrators may")
@pytest.mark.parametrize("type, payload, wanted", [
    ("set", "<ping xmlns='urn:xmpp:ping'/>", ("cancel", "feature-not-implemented")),
    ("get", "<query xmlns='http://jabber.org/protocol/disco#info' node='urn:none'/>", ("cancel", "item-not-found")),
    ("set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>", ("cancel", "not-allowed")),
    ("set", "<command xmlns='http://jabber.org/protocol/commands' action='execute' "
     "node='http://jabber.org/protocol/admin#add-user'/>", ("auth", "forbidden")),
])
def test_stanza_errors(site, type, payload, wanted):
    with logged_in(site.c2s_direct, "juliet") as raw:
        raw.send(f"<iq type='{type}' id='e' to='{DOMAIN}'>{payload}</iq>")
        text = receive_until(raw, b"<iq [^>]*id='e'.*?</iq>").group(0).decode()
        assert re.search(f"<error type='{wanted[0]}'><{wanted[1]} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>", text)


# Section 13


@conforms("RFC 6120", "13.7.1.2", "the certificate is the one for the host")
@conforms("RFC 6120", "13.5", "the server proves who it is by its certificate")
def test_certificate(site):
    with direct(site.c2s_direct) as raw:
        certificate = raw.tls.get_peer_certificate().to_cryptography()
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert DOMAIN in names.get_values_for_type(x509.DNSName)


@conforms("RFC 7590", "3.2", "neither TLS nor XMPP compresses")
@conforms("RFC 7590", "3.3", "sessions of TLS are not resumed here")
@conforms("RFC 7590", "3.4", "nobody authenticates without TLS; TLS offers ciphers with forward secrecy alone")
@conforms("RFC 7590", "3.6", "the name that a client indicates chooses the certificate")
def test_tls_as_it_should_be(site):
    with direct(site.c2s_direct) as raw:
        assert "compression" not in features(raw)
        assert raw.tls.get_cipher_name().startswith("TLS_")
        session = raw.tls.get_session()
    with RawClient("127.0.0.1", site.c2s_direct).start_tls(sni=DOMAIN, session=session) as raw:
        assert not raw.is_resumed()
        assert raw.tls.get_servername() in (DOMAIN.encode(), None)
    with RawClient("127.0.0.1", site.c2s_direct).start_tls(sni=DOMAIN, version=SSL.TLS1_2_VERSION) as raw:
        assert "DHE" in raw.tls.get_cipher_name()


@conforms("RFC 7622", "4", "addresses are prepared wherever they stand: who writes one in another form reaches the same")
def test_addresses_in_every_slot(site):
    with logged_in(site.c2s_direct, "JULIET", resource="Balcony") as juliet:
        assert juliet.jid == f"juliet@{DOMAIN}/Balcony"
        for to in (f"Juliet@{DOMAIN.upper()}/Balcony", f"JULIET@{DOMAIN}./Balcony"):
            juliet.send(f"<message to='{to}' from='jULIET@{DOMAIN}' id='slot'><body>x</body></message>")
            got = receive_until(juliet, b"<message [^>]*>").group(0).decode()
            assert f"to='{juliet.jid}'" in got and f"from='{juliet.jid}'" in got


@conforms("RFC 6120", "13.10.1", "no stanza and no error tells the address of anybody")
def test_addresses_are_not_told(site):
    with logged_in(site.c2s_direct, "juliet") as juliet, logged_in(site.c2s_direct, "romeo") as romeo:
        juliet.send("<presence/>")
        juliet.send(f"<presence to='{romeo.jid}'/><message to='{romeo.jid}'><body>x</body></message>")
        text = receive_until(romeo, b"<message .*?</message>")
        assert b"127.0.0.1" not in text.string
        assert "127.0.0.1" not in pong(juliet)
