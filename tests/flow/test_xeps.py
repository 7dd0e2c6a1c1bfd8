"""The small extensions, as clients see them."""

import asyncio
import re

import pytest

from harness.client import Client
from harness.rawxmpp import RawClient
from harness.site import DOMAIN, PASSWORDS, XMPPS, Site

CAPS = "{http://jabber.org/protocol/caps}"
INFO = "{http://jabber.org/protocol/disco#info}"
DATA = "{jabber:x:data}"


@pytest.fixture(scope="module")
def site():
    shared = Site(host_extra='contact-abuse = "mailto:abuse@example.test" announce-os = true')
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

