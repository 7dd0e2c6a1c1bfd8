"""RFC 6120 section by section: stream headers, versions, languages, restarts, resource binding, addresses."""

import re

import pytest

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend
from harness.rawxmpp import Closed, RawClient, mechanisms
from harness.site import DOMAIN
from harness.talk import auth, bind, condition, direct, ending, header, logged_in, ping, pong, receive_until

conforms = pytest.mark.conforms
REFUSE, RENAME = "refuse.test", "rename.test"


class Hosts:
    """A backend with three hosts, each with its own certificate."""

    def __init__(self):
        self.place = Place()
        self.c2s, self.direct = reserve_port(), reserve_port()
        text = (f'listener "c2s" {{ address = "127.0.0.1:{self.c2s}" }}\n'
                f'listener "direct" {{ address = "127.0.0.1:{self.direct}" tls = direct }}\n')
        for domain, extra in ((DOMAIN, ""), (REFUSE, "resource-conflict = refuse"),
                              (RENAME, "resource-conflict = rename")):
            cert, key = self.place.certificate(domain, [domain])
            text += f'host "{domain}" {{ certificate = "{cert}" key = "{key}" {extra} }}\n'
        self.backend = Backend(self.place, text)

    def start(self):
        self.backend.start()
        for user in ("juliet", "romeo"):
            self.backend.add_user(f"{user}@{DOMAIN}", "secret")
        for domain in (REFUSE, RENAME):
            self.backend.add_user(f"juliet@{domain}", "secret")
        return self

    def stop(self):
        try:
            self.backend.stop()
        finally:
            self.backend.kill()
            self.backend.log_text()
            self.place.remove()


@pytest.fixture(scope="module")
def hosts():
    made = Hosts()
    try:
        yield made.start()
    finally:
        made.stop()


def answer_to_header(hosts, text):
    """The server's stream header, and what follows it up to the features or the end."""
    with direct(hosts.direct) as raw:
        raw.send(text)
        found = receive_until(raw, b"<stream:stream ([^>]*)>(.*?)(</stream:features>|</stream:stream>)")
        return found.group(1).decode(), (found.group(2) + found.group(3)).decode()


# Section 4.7: stream attributes

@pytest.mark.conforms("RFC 6120", "4.9.3.25", "unsupported-version for 0.9 and none")
@conforms("RFC 6120", "4.7.5", "a lower or missing version is refused, a higher one answered with ours, numbers compared as such")
@pytest.mark.parametrize("version, wanted, ours", [
    ("1.0", None, "1.0"), ("1.1", None, "1.0"), ("2.0", None, "1.0"), ("01.0", None, "1.0"), ("10.0", None, "1.0"),
    ("0.9", "unsupported-version", "1.0"), ("0.10", "unsupported-version", "1.0"),
    ("one", "unsupported-version", "1.0"), ("1", "unsupported-version", "1.0"), ("-1.0", "unsupported-version", "1.0"),
    (None, "unsupported-version", None)])
def test_versions(hosts, version, wanted, ours):
    attributes, rest = answer_to_header(hosts, header(version=version))
    assert condition(rest) == wanted
    assert re.findall(" version='([^']*)'", " " + attributes) == ([ours] if ours else [])


@conforms("RFC 6120", "4.7.1", "the server's header names the host in \"from\"")
@conforms("RFC 6120", "4.7.2", "\"to\" is the bare address of the client's \"from\", and only if it gave one")
def test_addresses_of_headers(hosts):
    attributes, _ = answer_to_header(hosts, header())
    assert f"from='{DOMAIN}'" in attributes and " to=" not in attributes
    attributes, _ = answer_to_header(hosts, header(more=f" from='JULIET@{DOMAIN}/balcony'"))
    assert f"to='juliet@{DOMAIN}'" in attributes
    attributes, _ = answer_to_header(hosts, header(more=" from='@@'"))
    assert " to=" not in attributes


@conforms("RFC 6120", "4.7.3", "every stream and every restart has an id of its own that nobody can guess")
def test_stream_ids(hosts):
    seen = set()
    for _ in range(3):
        with direct(hosts.direct) as raw:
            raw.send(header() + auth("juliet") + header())
            for _ in range(2):
                seen.add(receive_until(raw, b"<stream:stream [^>]*id='([0-9a-f]{32})'").group(1))
    assert len(seen) == 6


@conforms("RFC 6120", "4.7.4", "the server's language is the one it speaks, for it has no other, whatever the client prefers")
@pytest.mark.parametrize("given", [None, "en", "en-GB", "de", "pt-BR", "not a tag", "x" * 36])
def test_language_of_the_header(hosts, given):
    attributes, _ = answer_to_header(hosts, header(more=f" xml:lang='{given}'" if given else ""))
    assert "xml:lang='en'" in attributes


@conforms("RFC 6120", "6.4.6", "who logs in as somebody else than the header behind TLS said is sent away")
@conforms("RFC 6120", "4.9.3.9", "invalid-from for who is not whom the header says")
@pytest.mark.parametrize("claimed, wanted", [(f"romeo@{DOMAIN}", "invalid-from"), ("juliet@elsewhere.example", "invalid-from"),
                                             (f"JULIET@{DOMAIN}/balcony", None), (DOMAIN, None), ("@@", None)])
def test_who_the_header_says_it_is(hosts, claimed, wanted):
    with direct(hosts.direct) as raw:
        raw.send(header(more=f" from='{claimed}'") + auth("juliet"))
        if wanted:
            text = ending(raw)
            assert condition(text) == wanted and "<success" not in text
        else:
            receive_until(raw, b"<success")


@conforms("RFC 6120", "8.1.5", "a stanza without a language has that of its sender's stream; one with a language keeps it")
def test_language_of_stanzas(hosts):
    with logged_in(hosts.direct, "romeo", "a", more=" xml:lang='fr'") as romeo, logged_in(hosts.direct, "juliet") as juliet:
        for mine, wanted in (("", "fr"), (" xml:lang='it'", "it")):
            romeo.send(f"<message to='{juliet.jid}'{mine} id='m{wanted}'><body>x</body></message>")
            assert f"xml:lang='{wanted}'".encode() in receive_until(juliet, b"<message ([^>]*)>").group(1)


# Section 4.3 and 6.4.6: restarts

@conforms("RFC 6120", "4.3.3", "after TLS and after SASL the next thing is a new header, without the old stream being closed")
@conforms("RFC 6120", "6.4.6", "the features after SASL offer resource binding, and nothing to authenticate by")
def test_restarts(hosts):
    with RawClient("127.0.0.1", hosts.c2s) as raw:
        before = raw.open(DOMAIN)
        assert [child.tag for child in before] == ["{urn:ietf:params:xml:ns:xmpp-tls}starttls"]
        raw.starttls(sni=DOMAIN)
        assert mechanisms(raw.open(DOMAIN))
        raw.authenticate("juliet", "secret", "SCRAM-SHA-256")
        features = raw.open(DOMAIN)
        assert features.find("{urn:ietf:params:xml:ns:xmpp-bind}bind") is not None and not mechanisms(features)
        assert b"</stream:stream>" not in raw.received


@conforms("RFC 6120", "13.7.2.1", "a client that names no server gets the certificate of the host it opened a stream to")
@pytest.mark.parametrize("domain", [DOMAIN, REFUSE, RENAME])
def test_certificate_by_the_stream_header(hosts, domain):
    with RawClient("127.0.0.1", hosts.c2s) as raw:
        raw.open(domain)
        raw.starttls()
        assert raw.tls.get_peer_certificate().get_subject().CN == domain


# Section 7: resource binding

def resource_of(raw):
    return receive_until(raw, b"<jid>[^<]*/([^<]*)</jid></bind></iq>").group(1).decode()


@conforms("RFC 6120", "7.6.1", "a client that asks for no resource is given one, a different one each time")
def test_made_up_resources(hosts):
    with logged_in(hosts.direct, "juliet", "") as one, logged_in(hosts.direct, "juliet", "") as other:
        assert one.jid != other.jid and len(one.jid.split("/")[1]) >= 16


@pytest.mark.conforms("RFC 6120", "4.9.3.3", "conflict for the session whose resource is taken")
@conforms("RFC 6120", "7.7.2.2", "replace: the older session ends with a conflict, the newer has the resource")
def test_conflict_replace(hosts):
    with logged_in(hosts.direct, "juliet", "one") as old, logged_in(hosts.direct, "juliet", "one") as new:
        assert condition(ending(old)) == "conflict"
        pong(new)


@conforms("RFC 6120", "8.3.3.2", "conflict for a resource that is taken, where the host refuses")
@conforms("RFC 6120", "7.7.2.2", "refuse: the newcomer gets a conflict, and may ask for another resource")
def test_conflict_refuse(hosts):
    with logged_in(hosts.direct, "juliet", "one", REFUSE) as old, direct(hosts.direct) as new:
        new.send(header(REFUSE) + auth("juliet") + header(REFUSE) + bind("one"))
        receive_until(new, b"<iq [^>]*type='error'[^>]*><error type='modify'><conflict ")
        new.send(bind("two"))
        assert resource_of(new) == "two"
        old.send(ping(REFUSE))
        receive_until(old, b"id='ping'")


@conforms("RFC 6120", "7.7.2.2", "rename: the newcomer gets another resource, the older session goes on")
def test_conflict_rename(hosts):
    with logged_in(hosts.direct, "juliet", "one", RENAME) as old, logged_in(hosts.direct, "juliet", "one", RENAME) as new:
        assert new.jid.startswith(f"juliet@{RENAME}/") and new.jid != old.jid
        old.send(ping(RENAME))
        receive_until(old, b"id='ping'")


# Section 4.4: the end of a stream

def how_it_ends(raw):
    try:
        while True:
            raw.receive()
    except Closed as how:
        return str(how)


@conforms("RFC 6120", "4.4", "what a client sends before it answers our end is still taken; the connection is closed after its answer")
def test_last_words(hosts):
    with logged_in(hosts.direct, "romeo", "one") as old, logged_in(hosts.direct, "juliet") as juliet:
        with logged_in(hosts.direct, "romeo", "one"):
            receive_until(old, b"<conflict [^>]*/>.*</stream:stream>")
            old.send(f"<message to='{juliet.jid}' id='last'><body>x</body></message>")
            receive_until(juliet, b"id='last'")
            old.send(f"</stream:stream><message to='{juliet.jid}' id='too-late'/>")
            assert how_it_ends(old) == "close_notify"
            assert "too-late" not in pong(juliet)


@conforms("RFC 6120", "4.4", "the end of a client's stream is answered by ours, and TLS is closed in order")
def test_the_client_ends(hosts):
    with logged_in(hosts.direct, "romeo") as raw:
        raw.send("</stream:stream>" + ping())
        assert raw.receive_all() == (b"</stream:stream>", "close_notify")


@conforms("RFC 6120", "4.4", "a client that does not answer our end is given up after a while")
def test_no_answer_to_the_end(hosts):
    with logged_in(hosts.direct, "romeo", "one") as old, logged_in(hosts.direct, "romeo", "one"):
        receive_until(old, b"<conflict [^>]*/>.*</stream:stream>")
        assert how_it_ends(old) == "close_notify"
