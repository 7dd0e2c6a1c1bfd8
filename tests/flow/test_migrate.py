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
from harness.postern import run
from harness.process import STARTED
from harness.rawxmpp import AuthenticationFailed, RawClient
from harness.site import DOMAIN, Site

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
        done = run("posternctl", "-c", self.backend.config, "--json", "import", *options, source)
        assert done.returncode == status, done.stdout + done.stderr
        report = json.loads(done.stdout)
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
    assert ask(raw, "<vCard xmlns='vcard-temp'/>")[0].find("{vcard-temp}FN").text == "Juliet & Capulet"
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


# Other servers

PROSODY = """
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "presence", "message", "iq", "offline", "private", "vcard",
                     "blocklist", "privacy_lists" }}
modules_disabled = {{ "s2s", "vcard_legacy" }}
storage = "internal"
interfaces = {{ "127.0.0.1" }}
c2s_direct_tls_ports = {{ {port} }}
password_hash = "{hash}"
"""

EJABBERD = """  -
    port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    tls: true
"""

EJABBERD_MODULES = """  mod_offline: {}
  mod_private: {}
  mod_vcard: {}
  mod_privacy: {}
  mod_blocking: {}
"""


def client_of(peer, user, mechanism="SCRAM-SHA-1"):
    raw = RawClient("127.0.0.1", peer.port).start_tls(sni=DOMAIN)
    raw.login(user, USERS[user], DOMAIN, mechanism)
    return raw


def subscribe(asker, granter, asker_jid, granter_jid):
    """asker sees granter's presence from now on; both are available."""
    asker.send(f"<presence type='subscribe' to='{granter_jid}'/>")
    while granter.next().get("type") != "subscribe":
        pass
    granter.send(f"<presence type='subscribed' to='{asker_jid}'/>")
    while asker.next().get("type") != "subscribed":
        pass


def live(peer, mechanism="SCRAM-SHA-1"):
    """What users do on a server before it is left: contacts, a request, a vCard, private data, blocking, and messages
    to somebody who is away."""
    jid = {name: f"{name}@{DOMAIN}" for name in USERS}
    with client_of(peer, "juliet", mechanism) as juliet, client_of(peer, "romeo", mechanism) as romeo:
        for raw in (juliet, romeo):
            contacts(raw)
            raw.send("<presence/>")
        subscribe(juliet, romeo, jid["juliet"], jid["romeo"])
        subscribe(romeo, juliet, jid["romeo"], jid["juliet"])
        ask(juliet, f"<query xmlns='jabber:iq:roster'><item jid='{jid['romeo']}' name='Romeo &lt;3 ä'><group>Friends</group>"
            "<group>Verona &amp; co</group></item></query>", kind="set")
        ask(juliet, VCARD, kind="set")
        ask(juliet, f"<query xmlns='jabber:iq:private'>{NOTE}</query>", kind="set")
        ask(juliet, "<block xmlns='urn:xmpp:blocking'><item jid='spam.test'/></block>", kind="set")
        juliet.send("<presence type='unavailable'/></stream:stream>")
        juliet.receive_all()
        body = BODY.replace("&", "&amp;").replace("<", "&lt;")
        for text in (body, "2"):
            romeo.send(f"<message type='chat' to='{jid['juliet']}'><body>{text}</body></message>")
        with client_of(peer, "nurse", mechanism) as nurse:
            nurse.send(f"<presence/><presence type='subscribe' to='{jid['juliet']}'/>")
            contacts(nurse)
            nurse.send("</stream:stream>")
            nurse.receive_all()
        contacts(romeo)
        romeo.send("</stream:stream>")
        romeo.receive_all()


def check_moved(move, mechanism):
    """juliet has all that live() made, and everybody the password as before."""
    for name in USERS:
        with move.log_in(name, mechanism=mechanism) as raw:
            assert raw.jid.startswith(name)
    with pytest.raises(AuthenticationFailed):
        move.log_in("romeo", "wrong", mechanism)
    with move.log_in("juliet", mechanism=mechanism) as raw:
        assert contacts(raw) == {
            f"romeo@{DOMAIN}": ("Romeo <3 ä", "both", None, ["Friends", "Verona & co"])}
        assert ask(raw, "<vCard xmlns='vcard-temp'/>")[0].find("{vcard-temp}FN").text == "Juliet & Capulet"
        kept = ask(raw, "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>")[0][0]
        assert kept.get("kind") == "a<b" and kept.find("nick").text == "J" and kept.find("nick").tail == " two "
        assert [item.get("jid") for item in ask(raw, "<blocklist xmlns='urn:xmpp:blocking'/>")[0]] == ["spam.test"]
        found = arrivals(raw, 3)
        requests = [one.get("from") for one in found if one.get("type") == "subscribe"]
        messages = [one for one in found if one.tag.endswith("message")]
        assert requests == [f"nurse@{DOMAIN}"]
        assert [one.find("{jabber:client}body").text for one in messages] == [BODY, "2"]
        assert all(one.find("{urn:xmpp:delay}delay") is not None for one in messages)
    with move.log_in("nurse", mechanism=mechanism) as raw:
        assert contacts(raw)[f"juliet@{DOMAIN}"][1:3] == ("none", "subscribe")


def run_peer(peer, mechanism):
    try:
        peer.start()
        for name, password in USERS.items():
            peer.add_user(name, password)
        live(peer, mechanism)
        yield peer
    finally:
        peer.kill()


@pytest.mark.parametrize("hash", ["SHA-1", "SHA-256"])
def test_from_prosody(move, hash):
    port = reserve_port()
    place = move.site.place
    for name in ("prosody-data", "prosody-certs"):
        if (place.path / name).exists():
            subprocess.run(["rm", "-r", place.path / name], check=True)
    peer = Prosody(place, PROSODY.format(port=port, hash=hash), port, DOMAIN, move.site.cert, move.site.key)
    for _ in run_peer(peer, f"SCRAM-{hash}"):
        peer.stop()
    counts, notes = move.load(place.path / "prosody-data")
    assert notes == [] and counts["accounts"] == 3 and counts["offline messages"] == 2, notes
    check_moved(move, f"SCRAM-{hash}")


def test_from_ejabberd(move):
    port = reserve_port()
    peer = Ejabberd(move.site.place, EJABBERD.format(port=port), port, DOMAIN, move.site.cert, move.site.key)
    config = move.site.place.path / "ejabberd" / "ejabberd.yml"
    config.write_text(config.read_text() + EJABBERD_MODULES)
    folder = move.site.place.path / "ejabberd" / "spool" / "export"
    for _ in run_peer(peer, "SCRAM-SHA-1"):
        folder.mkdir()
        os.chmod(folder, 0o777)
        done = subprocess.run([*map(str, peer.ctl), "export_piefxis", folder], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
    counts, notes = move.load(folder)
    assert notes == [] and counts["accounts"] == 3 and counts["offline messages"] == 2, notes
    check_moved(move, "SCRAM-SHA-1")


# What may be wrong

def two(name="juliet", other="romeo"):
    return "".join(f"<user name='{one}' password='{USERS[one]}'/>" for one in (name, other))


def test_a_trial_changes_nothing(move):
    assert move.load_text(two(), "--dry-run")[0]["accounts"] == 2
    assert move.backend.ctl("users") == ""


def test_accounts_that_exist(move):
    """They are a fault, or skipped, or replaced with all they have; and who is logged in is told."""
    move.load_text(FULL)
    counts, notes = move.load_text(two(), status=1)
    assert counts["accounts"] == 1 and counts["accounts not imported"] == 1
    assert re.search(rf"^juliet@{DOMAIN} \(.*/in.xml:4\): there is such an account already", notes[0])
    counts, notes = move.load_text(two(), "--skip-existing")
    assert counts["existing accounts skipped"] == 2 and notes == []
    with move.log_in("juliet") as raw:
        assert len(contacts(raw)) == 3
        assert move.load_text(two("juliet", "nurse"), "--replace")[0]["accounts"] == 2
        raw.receive_all()
    with move.log_in("juliet", mechanism="PLAIN") as raw:
        assert contacts(raw) == {}
    assert move.backend.ctl("users").split() == [f"{name}@{DOMAIN}" for name in sorted(USERS)]


@pytest.mark.parametrize("text, what", [
    ("<server-data xmlns='urn:xmpp:pie:0'><host jid='a'><user name='b'></host></server-data>", "in.xml:1: mismatched tag"),
    ("<!DOCTYPE a [<!ENTITY b 'c'>]><server-data xmlns='urn:xmpp:pie:0'/>", "a document type declaration is not allowed"),
    ("<html/>", "no <server-data/>"),
    ("<?xml version='1.0' encoding='ISO-8859-1'?><server-data xmlns='urn:xmpp:pie:0'/>", "expected the encoding UTF-8"),
    ("<server-data xmlns='urn:xmpp:pie:0' xmlns:i='http://www.w3.org/2001/XInclude'><i:include href='/etc/passwd'/>"
     "</server-data>", "expected an inclusion"),
    ("<server-data xmlns='urn:xmpp:pie:0' xmlns:i='http://www.w3.org/2001/XInclude'>\n<i:include href='in.xml'/>"
     "</server-data>", "in.xml:2: files include files too deeply"),
    ("<server-data xmlns='urn:xmpp:pie:0'><host jid='" + "a" * 5_000_000 + "'/></server-data>", "longer than 4 MiB"),
], ids=["cut", "entities", "no document", "encoding", "absolute", "endless", "huge tag"])
@pytest.mark.conforms("XEP-0227", "5", "inclusions are followed, relative ones only")
def test_a_broken_document_changes_nothing(move, text, what):
    path = move.write("in.xml", text)
    assert what in move.backend.ctl("import", path, status=1)
    assert move.backend.ctl("users") == ""


def test_what_is_wrong_in_a_user_is_left_out_and_told(move):
    deep = "<a xmlns='x:y'>" * 200 + "</a>" * 200
    counts, notes = move.load_text(f"""
<user name='juliet' password='{USERS["juliet"]}'>
<query xmlns='jabber:iq:roster'><item jid='@' subscription='both'/><item jid='a@b.test' subscription='odd'/>
<item jid='good@b.test' subscription='both'/></query>
<pubsub xmlns='http://jabber.org/protocol/pubsub'/>
<offline-messages><iq xmlns='jabber:client'/></offline-messages>
</user>
<user name='nurse'>{deep}</user>
<user name='a@b' password='x'/>
<user name='romeo'>{scram("x").replace("4096", "99999999")}</user>""", status=1)
    assert counts["accounts"] == 2 and counts["accounts not imported"] == 2 and counts["contacts"] == 1
    text = "\n".join(notes)
    for part in ("contact @", "contact a@b.test", "pubsub", "offline message 1", "too deep in each other",
                 "SCRAM credentials", f"romeo@{DOMAIN}"):
        assert part in text, (part, text)
    with move.log_in("juliet", mechanism="PLAIN") as raw:
        assert list(contacts(raw)) == ["good@b.test"]


def test_hosts_that_are_not_here(move):
    counts, notes = move.load_text(two(), host="else.test")
    assert counts["accounts"] == 0 and counts["accounts of other hosts"] == 2 and "else.test" in notes[0]
    assert "not served" in move.backend.ctl("import", "--host", "else.test", move.folder / "in.xml", status=1)


def test_a_broken_prosody_folder(move):
    """A file that is no table leaves its account out, and nothing in it is executed."""
    host = move.folder / "prosody-broken" / DOMAIN.replace(".", "%2e")
    for name in ("accounts", "roster"):
        (host / name).mkdir(parents=True)
    (host / "accounts" / "juliet.dat").write_text(f'return {{ ["password"] = "{USERS["juliet"]}" }};')
    (host / "accounts" / "romeo.dat").write_text('return { ["password"] = "x" };')
    (host / "accounts" / "nurse.dat").write_text(f'return {{\n["password"] = os.remove("{host}/roster/romeo.dat") }};')
    (host / "roster" / "romeo.dat").write_text("return {\n}}")
    counts, notes = move.load(host.parent, status=1)
    assert counts["accounts"] == 1 and counts["accounts not imported"] == 2
    assert (host / "roster" / "romeo.dat").exists()
    assert any("nurse.dat:2: expected a constant" in note for note in notes)
    assert any("romeo.dat:2: expected the end" in note for note in notes)
    move.log_in("juliet", mechanism="PLAIN").tcp.close()


def test_a_stopped_server(own_site):
    """Both ways work on it; the file is only ours, and never half written."""
    move = Migration(own_site())
    path = move.folder / "out.xml"
    counts, _ = move.load_text(FULL + two("romeo", "nurse"))
    assert counts["accounts"] == 3
    move.backend.ctl("export", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and not (move.folder / "out.xml.part").exists()
    assert "exists" in move.backend.ctl("export", path, status=1)
    tree = ElementTree.parse(path).getroot()
    assert [user.get("name") for user in tree.iter(f"{{{PIE}}}user")] == ["juliet", "nurse", "romeo"]
    move.backend.start()
    with move.log_in("juliet", mechanism="PLAIN") as raw:
        check_juliet(raw)
    assert move.export() != ""


def test_who_logs_in_by_plain_gets_keys_for_all_mechanisms(move):
    """One account that came with SHA-1 keys takes the stronger mechanisms from all on its host, but not for ever."""
    site, backend = move.site, move.backend
    move.load_text(f"<user name='nurse'>{scram(USERS['nurse'])}</user>"
                   f"<user name='romeo'>{scram(USERS['romeo'], 'sha512')}</user>")
    with move.log_in("nurse", mechanism="PLAIN"):
        pass
    backend.wait_log(event="keys_renewed", msg=f"nurse@{DOMAIN} has keys of every hash now")
    with move.log_in("romeo", mechanism="PLAIN"):
        pass
    backend.wait_log(event="keys_renewed", msg=f"romeo@{DOMAIN} has keys of every hash now")
    keys = re.findall(r"mechanism=.SCRAM-([^'\"]*)", move.export())
    assert sorted(keys) == sorted(2 * ["SHA-1", "SHA-256", "SHA-512"])
    backend.stop()
    backend.start()
    for user in ("nurse", "romeo"):
        for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"):
            with move.log_in(user, mechanism=mechanism):
                pass
    with pytest.raises(AuthenticationFailed):
        move.log_in("nurse", "wrong", mechanism="SCRAM-SHA-512")
    with move.log_in("nurse", mechanism="PLAIN"):
        pass
    assert len(backend.log(event="keys_renewed")) == 2
