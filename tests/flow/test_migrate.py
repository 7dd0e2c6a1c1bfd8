"""posternctl export and import: XEP-0227, what Debian's Prosody keeps, what Debian's ejabberd exports."""

import base64
import hashlib
import hmac
import json
import os
import re
import stat
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from harness.peers import Ejabberd, Prosody
from harness.ports import reserve_port
from harness.process import STARTED
from harness.rawxmpp import AuthenticationFailed, RawClient
from harness.site import DOMAIN, Site
from harness.wait import wait_until

PIE = "urn:xmpp:pie:0"
USERS = {"juliet": "s3cret-of-juliet", "romeo": "s3cret-of-romeo", "nurse": "s3cret-of-nurse"}
VCARD = "<vCard xmlns='vcard-temp'><FN>Juliet &amp; Capulet</FN><PHOTO><BINVAL>aGk=</BINVAL></PHOTO></vCard>"
NOTE = "<exodus xmlns='exodus:prefs' kind='a&lt;b'><nick xmlns=''>J</nick> two </exodus>"
BODY = "Neither, fair saint, if either thee dislike. <&> ä 🌹"


def scram(password, digest="sha1", salt=b"seasalt", count=4096):
    """An element with the keys of a password."""
    name = {"sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}[digest]
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, count)
    stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
    server = hmac.digest(salted, b"Server Key", digest)
    salt, server, stored = (base64.b64encode(part).decode() for part in (salt, server, stored))
    return (f"<scram-credentials xmlns='{PIE}#scram' mechanism='SCRAM-{name}'><iter-count>{count}</iter-count>"
            f"<salt>{salt}</salt><server-key>{server}</server-key><stored-key>{stored}</stored-key></scram-credentials>")


def document(users, host=DOMAIN, ns=PIE):
    return f"<?xml version='1.0'?>\n<server-data xmlns='{ns}'>\n<host jid='{host}'>\n{users}\n</host>\n</server-data>\n"


class Migration:
    """A backend, and what is moved to it and from it."""

    def __init__(self, site):
        self.site, self.backend = site, site.backend
        self.folder = site.place.path

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def load(self, source, *options, status=0):
        """Import; the counts and the notes."""
        report = json.loads(self.backend.ctl("--json", "import", *options, source, status=status))
        return report["counts"], report["notes"]

    def load_text(self, users, *options, status=0, **arguments):
        return self.load(self.write("in.xml", document(users, **arguments)), *options, status=status)

    def export(self):
        return self.backend.ctl("export", "-")

    def wipe(self):
        for jid in self.backend.ctl("users").split():
            self.backend.ctl("deluser", jid)

    def log_in(self, user, password=None, mechanism="SCRAM-SHA-1"):
        raw = RawClient("127.0.0.1", self.site.c2s_direct).start_tls(sni=DOMAIN)
        raw.login(user, password or USERS[user], DOMAIN, mechanism)
        return raw


@pytest.fixture(scope="module")
def shared():
    site = Site()
    try:
        site.backend.start()
        yield Migration(site)
    finally:
        site.stop()
        STARTED.clear()


@pytest.fixture
def move(shared):
    yield shared
    shared.wipe()


def ask(raw, payload, to="", kind="get"):
    """What an iq is answered with; other stanzas that come meanwhile are passed over."""
    raw.send(f"<iq type='{kind}' id='ask'{to}>{payload}</iq>")
    while True:
        answer = raw.next()
        if answer.tag == "{jabber:client}iq" and answer.get("id") == "ask":
            assert answer.get("type") == "result", ElementTree.tostring(answer)
            return answer


def contacts(raw):
    query = ask(raw, "<query xmlns='jabber:iq:roster'/>")[0]
    return {item.get("jid"): (item.get("name"), item.get("subscription"), item.get("ask"),
                              sorted(group.text for group in item)) for item in query}


def arrivals(raw, count):
    """What comes to a client that becomes available, but for presence of contacts."""
    raw.send("<presence/>")
    found = []
    while len(found) < count:
        stanza = raw.next()
        if stanza.tag == "{jabber:client}message" or stanza.get("type") == "subscribe":
            found.append(stanza)
    return found


def normal(text):
    return ElementTree.canonicalize(text, strip_text=True)


FULL = f"""<user name='juliet'>
<offline-messages>
<message xmlns='jabber:client' from='romeo@{DOMAIN}/orchard' to='juliet@{DOMAIN}' type='chat'><body>{{body}}</body><delay
 xmlns='urn:xmpp:delay' from='{DOMAIN}' stamp='2021-07-21T00:32:29Z'/></message>
<message xmlns='jabber:client' from='romeo@{DOMAIN}/orchard' to='juliet@{DOMAIN}' type='chat'><body>2</body><delay
 xmlns='urn:xmpp:delay' from='{DOMAIN}' stamp='2021-07-22T00:32:29Z'/></message>
</offline-messages>
{scram(USERS["juliet"])}
<query xmlns='jabber:iq:roster'>
<item jid='mercutio@else.test' name='M &amp; co' subscription='to' approved='true'/>
<item jid='romeo@{DOMAIN}' name='Romeo' subscription='both'><group>Friends</group><group>Verona</group></item>
<item jid='tybalt@else.test' subscription='none' ask='subscribe'/>
</query>
<presence xmlns='jabber:client' from='paris@else.test' to='juliet@{DOMAIN}' type='subscribe'><status>Pray</status></presence>
<blocklist xmlns='urn:xmpp:blocking'><item jid='spam.test'/></blocklist>
<query xmlns='jabber:iq:privacy'><default name='calm'/><list name='calm'><item type='jid' value='noise.test' action='deny'
 order='3'><message/></item></list></query>
<query xmlns='jabber:iq:private'>{NOTE}</query>
{VCARD}
</user>""".format(body=BODY.replace("&", "&amp;").replace("<", "&lt;"))


def check_juliet(raw):
    """All that FULL has, as a client sees it."""
    assert contacts(raw) == {
        "mercutio@else.test": ("M & co", "to", None, []),
        f"romeo@{DOMAIN}": ("Romeo", "both", None, ["Friends", "Verona"]),
        "tybalt@else.test": (None, "none", "subscribe", [])}
    assert ask(raw, "<vCard xmlns='vcard-temp'/>")[0][0].text == "Juliet & Capulet"
    kept = ask(raw, "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>")[0][0]
    assert kept.get("kind") == "a<b" and kept.find("nick").tail == " two "
    assert ask(raw, "<blocklist xmlns='urn:xmpp:blocking'/>")[0][0].get("jid") == "spam.test"
    privacy = ask(raw, "<query xmlns='jabber:iq:privacy'/>")[0]
    assert [(child.tag.split("}")[1], child.get("name")) for child in privacy] == [("default", "calm"), ("list", "calm")]


@pytest.mark.release
@pytest.mark.conforms("XEP-0227", "4.3", "SCRAM credentials are kept as they are")
@pytest.mark.conforms("XEP-0227", "4.4", "rosters are exported and imported")
@pytest.mark.conforms("XEP-0227", "4.5", "offline messages are exported and imported, oldest first")
@pytest.mark.conforms("XEP-0227", "4.6", "private data is exported and imported")
@pytest.mark.conforms("XEP-0227", "4.7", "vCards are exported and imported")
@pytest.mark.conforms("XEP-0227", "4.8", "privacy lists are exported and imported")
@pytest.mark.conforms("XEP-0227", "4.9", "subscription requests are exported and imported")
def test_a_document_comes_and_goes_unchanged(move):
    text = document(FULL)
    counts, notes = move.load(move.write("in.xml", text))
    assert notes == [] and counts["accounts"] == 1 and counts["contacts"] == 3 and counts["offline messages"] == 2
    first = move.export()
    assert normal(first) == normal(text)
    with pytest.raises(AuthenticationFailed):
        move.log_in("juliet", "wrong")
    move.wipe()
    move.load(move.write("again.xml", first))
    assert move.export() == first
    with move.log_in("juliet") as raw:
        check_juliet(raw)
        messages = [stanza for stanza in arrivals(raw, 3) if stanza.tag.endswith("message")]
        assert [one.find("{jabber:client}body").text for one in messages] == [BODY, "2"]
        assert messages[0].find("{urn:xmpp:delay}delay").get("stamp") == "2021-07-21T00:32:29Z"
