"""The small extensions, as clients see them."""

import asyncio
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from harness.client import Client
from harness.rawxmpp import RawClient
from harness.site import DOMAIN, PASSWORDS, XMPPS, Site
from harness.stage import Stage, error

CAPS = "{http://jabber.org/protocol/caps}"
INFO = "{http://jabber.org/protocol/disco#info}"
DATA = "{jabber:x:data}"


@pytest.fixture(scope="module")
def site():
    shared = Site(host_extra='contact-abuse = "mailto:abuse@example.test" announce-os = true '
                             'max-private-size = 2000 max-vcard-size = 2000')
    try:
        yield shared.start()
    finally:
        shared.stop()


def client(site, name):
    return Client(f"{name}@{DOMAIN}", PASSWORDS[name], site.cert, mechanism="PLAIN")


def login(site, name):
    raw = RawClient("127.0.0.1", site.c2s_direct).start_tls(sni=DOMAIN)
    raw.login(name, PASSWORDS[name], DOMAIN)
    return raw


@pytest.mark.conforms("XEP-0092", "2", "name and version of the server")
@pytest.mark.conforms("XEP-0202", "2", "the server's time and offset")
@pytest.mark.conforms("XEP-0012", "5", "the server's uptime")
@pytest.mark.conforms("XEP-0157", "3", "whom to contact, in the host's disco#info")
@pytest.mark.conforms("XEP-0030", "3.1", "the host's identity and features")
def test_a_real_client_asks_the_host(site):
    async def run():
        async with client(site, "juliet") as juliet:
            for plugin in ("xep_0012", "xep_0030", "xep_0092", "xep_0202"):
                juliet.register_plugin(plugin)
            await juliet.connect_to("127.0.0.1", site.port, sni=XMPPS)
            version = await juliet["xep_0092"].get_version(DOMAIN)
            uptime = await juliet["xep_0012"].get_last_activity(DOMAIN, local=False)
            now = await juliet["xep_0202"].get_entity_time(DOMAIN)
            info = await juliet["xep_0030"].get_info(DOMAIN)
            return version["software_version"], uptime["last_activity"], now["entity_time"], info["disco_info"]

    version, uptime, now, info = asyncio.run(run())
    assert version["name"] == "Postern" and version["version"] and version["os"].startswith("Linux")
    assert 0 <= uptime["seconds"] < 600
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", now.xml.findtext("{urn:xmpp:time}utc"))
    assert ("server", "im", None, "Postern") in info["identities"]
    assert {"jabber:iq:version", "jabber:iq:last", "urn:xmpp:time", "http://jabber.org/protocol/caps"} <= info["features"]
    assert "mailto:abuse@example.test" in str(info)


@pytest.mark.conforms("XEP-0115", "6.3", "the stream feature names what disco#info says of the host")
def test_capabilities_in_the_stream_features(site):
    raw = RawClient("127.0.0.1", site.c2s_direct).start_tls(sni=DOMAIN)
    raw.open(DOMAIN)
    raw.authenticate("juliet", PASSWORDS["juliet"], "SCRAM-SHA-256")
    features = raw.open(DOMAIN)
    caps = features.find(CAPS + "c")
    assert caps.get("hash") == "sha-1"
    raw.command("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
    query = "<iq type='get' id='i' to='{}'><query xmlns='http://jabber.org/protocol/disco#info'{}/></iq>"
    plain = raw.command(query.format(DOMAIN, "")).find(INFO + "query")
    node = f"{caps.get('node')}#{caps.get('ver')}"
    named = raw.command(query.format(DOMAIN, f" node='{node}'")).find(INFO + "query")
    assert named.get("node") == node and len(named) > 5
    assert [one.attrib for one in named] == [one.attrib for one in plain]
    wrong = raw.command(query.format(DOMAIN, f" node='{node}x'"))
    assert wrong.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}item-not-found") is not None
    raw.tcp.close()



def condition(answer):
    assert answer.get("type") == "error", ElementTree.tostring(answer)
    return answer.find("{jabber:client}error")[0].tag.split("}")[1]


@pytest.mark.conforms("XEP-0054", "3.1", "none is item-not-found; what was set comes back")
@pytest.mark.conforms("XEP-0054", "3.2", "set, replaced, and emptied")
@pytest.mark.conforms("XEP-0054", "3.3", "another's is read, and not written")
def test_vcards(site):
    async def run():
        async with client(site, "juliet") as juliet, client(site, "romeo") as romeo:
            for one in (juliet, romeo):
                one.register_plugin("xep_0054")
                await one.connect_to("127.0.0.1", site.port, sni=XMPPS)
            card = juliet["xep_0054"].make_vcard()
            card["NICKNAME"] = "Jules & co"
            await juliet["xep_0054"].publish_vcard(card)
            for reader, whom in ((juliet, None), (romeo, juliet.boundjid.bare)):
                got = await reader["xep_0054"].get_vcard(jid=whom, cached=False)
                assert got["vcard_temp"]["NICKNAME"] == ["Jules & co"]

    asyncio.run(run())
    get = "<iq type='get' id='v' {}><vCard xmlns='vcard-temp'/></iq>"
    put = "<iq type='set' id='v' {}><vCard xmlns='vcard-temp'>{}</vCard></iq>"
    with login(site, "romeo") as romeo:
        assert condition(romeo.command(get.format(""))) == "item-not-found"
        for nobody in ("juliette", "romeo "):
            assert condition(romeo.command(get.format(f"to='{nobody.strip()}x@{DOMAIN}'"))) == "service-unavailable"
        assert condition(romeo.command(put.format(f"to='juliet@{DOMAIN}'", "<FN>x</FN>"))) == "forbidden"
        assert condition(romeo.command(put.format("", f"<FN>{2000 * 'x'}</FN>"))) == "policy-violation"
        assert romeo.command(put.format("", "<FN>Romeo</FN>")).get("type") == "result"
        assert romeo.command(get.format("")).find(".//{vcard-temp}FN").text == "Romeo"
        assert romeo.command(put.format("", "")).get("type") == "result"
        assert condition(romeo.command(get.format(""))) == "item-not-found"


@pytest.mark.conforms("XEP-0049", "2.1", "kept by namespace and name; another's is forbidden; none is an empty element")
def test_private_xml(site):
    query = "<iq type='{}' id='p' {}><query xmlns='jabber:iq:private'>{}</query></iq>"
    with login(site, "juliet") as juliet:
        both = "<a xmlns='urn:a'><b c='d'>e &amp; f</b></a><z xmlns='urn:z'/>"
        assert juliet.command(query.format("set", "", "<a xmlns='urn:a'>old</a><y xmlns='urn:a'>y</y>")).get("type") == "result"
        assert juliet.command(query.format("set", "", both)).get("type") == "result"
        got = juliet.command(query.format("get", "", "<a xmlns='urn:a'/>"))[0]
        assert len(got) == 1 and got[0][0].text == "e & f" and got[0][0].get("c") == "d"
        got = juliet.command(query.format("get", "", "<z xmlns='urn:z'/><y xmlns='urn:a'/>"))[0]
        assert [(one.tag, one.text) for one in got] == [("{urn:z}z", None), ("{urn:a}y", "y")]
        assert condition(juliet.command(query.format("get", "", ""))) == "bad-request"
        assert condition(juliet.command(query.format("set", "", "<a/>"))) == "not-acceptable"
        for whom in ("romeo", "nobody"):
            assert condition(juliet.command(query.format("get", f"to='{whom}@{DOMAIN}'", "<a xmlns='urn:a'/>"))) == "forbidden"
        large = f"<l xmlns='urn:l'>{1900 * 'x'}</l>"
        assert condition(juliet.command(query.format("set", "", large))) == "policy-violation"
        assert juliet.command(query.format("set", "", "<a xmlns='urn:a'/><y xmlns='urn:a'/>")).get("type") == "result"
        assert juliet.command(query.format("set", "", large)).get("type") == "result"
    async def run():
        async with client(site, "juliet") as juliet:
            for plugin in ("xep_0048", "xep_0049"):
                juliet.register_plugin(plugin)
            await juliet.connect_to("127.0.0.1", site.port, sni=XMPPS)
            got = await juliet["xep_0049"].retrieve("bookmarks")
            assert got["type"] == "result"

    asyncio.run(run())


def asked_last(actor, to):
    """(seconds, status) of jabber:iq:last, or the condition of the error."""
    answer = actor.request("get", "<query xmlns='jabber:iq:last'/>", to)
    if error(answer):
        return error(answer)[1]
    return int(answer[0].get("seconds")), answer[0].text


@pytest.mark.conforms("XEP-0012", "3", "a subscriber hears since when, with the last status; others are refused")
@pytest.mark.conforms("XEP-0012", "7", "who has no subscription hears the same about an account that is not there")
def test_last_activity_of_a_user(site):
    with Stage(site) as stage:
        user, friend, stranger = stage.enter(interested=True), stage.enter(interested=True), stage.enter()
        stage.befriend(user, friend)
        second = stage.enter(user.bare)
        stage.settle()
        assert asked_last(stranger, user.bare) == asked_last(stranger, f"nobody@{DOMAIN}") == "forbidden"
        assert asked_last(friend, user.bare) == asked_last(user, None) == (0, None)
        second.send_presence("unavailable", inner="<status>not yet</status>")
        stage.settle()
        assert asked_last(friend, user.bare) == (0, None)
        user.send_presence("unavailable", inner="<status>Heading &amp; home</status>")
        stage.settle()
        seconds, status = asked_last(friend, user.bare)
        assert 0 <= seconds < 60 and status == "Heading & home"
        assert asked_last(user, None)[1] == "Heading & home"
        assert asked_last(stranger, user.bare) == "forbidden"


@pytest.mark.conforms("XEP-0030", "8", "an account is there for itself and its subscribers, for nobody else")
def test_discovery_of_an_account(site):
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    items = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
    with Stage(site) as stage:
        user, friend, stranger = stage.enter(interested=True), stage.enter(interested=True), stage.enter()
        stage.befriend(user, friend)
        for query in (info, items):
            for nobody in (user.bare, f"nobody@{DOMAIN}"):
                assert error(stranger.request("get", query, nobody)) == ("cancel", "service-unavailable")
        for asker in (user, friend):
            answer = asker.request("get", info, user.bare)[0]
            assert (answer[0].get("category"), answer[0].get("type")) == ("account", "registered")
            assert [item.get("jid") for item in asker.request("get", items, user.bare)[0]] == [user.jid]
        assert error(user.request("get", info.replace("/>", " node='x'/>"), user.bare))[1] == "item-not-found"


def test_notices_by_posternctl(site):
    ctl = site.backend.ctl
    with Stage(site) as stage:
        online = stage.enter()
        ctl("motd", "set", DOMAIN, "Mind the <gap>")
        online.expect("message", "headline", frm=DOMAIN, body="Mind the <gap>")
        assert json.loads(ctl("--json", "motd", "show", DOMAIN)) == {"text": "Mind the <gap>"}
        ctl("motd", "edit", DOMAIN, stdin="Two\nlines\n")
        assert json.loads(ctl("--json", "motd", "show", DOMAIN)) == {"text": "Two\nlines"}
        ctl("motd", "delete", DOMAIN)
        assert json.loads(ctl("--json", "motd", "show", DOMAIN)) == {"text": None}
        assert ctl("motd", "show", DOMAIN) == ctl("welcome", "show", DOMAIN) == "none is set\n"
        ctl("welcome", "set", DOMAIN, "Hello")
        assert json.loads(ctl("--json", "welcome", "show", DOMAIN)) == {"text": "Hello"}
        ctl("welcome", "delete", DOMAIN)
        assert "not served" in ctl("motd", "show", "elsewhere.test", status=1)
        assert "control characters" in ctl("welcome", "set", DOMAIN, "\x07", status=1)
        online.nothing()
