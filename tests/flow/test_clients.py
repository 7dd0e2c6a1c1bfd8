"""Real clients through the one port: with ALPN, and by server name alone."""

import asyncio

import pytest

from harness.client import Client
from harness.rawxmpp import Closed, RawClient
from harness.site import DOMAIN, PASSWORDS, XMPPS

JULIET, ROMEO = f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"


def client(site, jid, **arguments):
    return Client(jid, PASSWORDS[jid.split("@")[0]], site.cert, **arguments)


@pytest.mark.release
@pytest.mark.tsan
def test_two_clients_chat_and_the_backend_sees_both_true_addresses(site):
    async def run():
        async with client(site, JULIET) as juliet, client(site, ROMEO) as romeo:
            # XEP-0368: the server name is the JID's domain, here the website's, too; the ALPN decides.
            await juliet.connect_to("127.0.0.1", site.port, sni=DOMAIN, alpn=["xmpp-client"])
            await romeo.connect_to("::1", site.port, sni=XMPPS)
            for number in range(20):
                await juliet.chat(romeo, f"to romeo {number} <&>\u2764")
                await romeo.chat(juliet, f"to juliet {number}")
            addresses = [one.transport.get_extra_info("sockname")[:2] for one in (juliet, romeo)]
        return addresses

    (host, port), (host6, port6) = asyncio.run(run())
    juliet = site.backend.wait_log(event="stream_bound", peer=f"{host}:{port}")
    romeo = site.backend.wait_log(event="stream_bound", peer=f"[{host6}]:{port6}")
    assert juliet["jid"].startswith(JULIET) and romeo["jid"].startswith(ROMEO)
    by_alpn = site.gateway.close_lines(peer=f"{host}:{port}")[0]
    by_name = site.gateway.close_lines(peer=f"[{host6}]:{port6}")[0]
    assert (by_alpn["route"], by_alpn["alpn"], by_alpn["reason"]) == ("xmpp-alpn", "xmpp-client", "handed_off")
    assert (by_name["route"], by_name["sni"], by_name["reason"]) == ("xmpp-sni", XMPPS, "handed_off")
    assert (by_alpn["conn"], by_name["conn"]) == (juliet["conn"], romeo["conn"])


def test_the_alpn_is_answered(site):
    for offer, chosen in ((["xmpp-client"], "xmpp-client"), (["h2", "xmpp-client"], "xmpp-client"), (["h2"], "")):
        with RawClient("127.0.0.1", site.port) as raw:
            raw.start_tls(sni=XMPPS, alpn=offer)
            assert raw.alpn() == chosen


def test_a_message_to_the_bare_address_and_one_to_nobody(site):
    async def run():
        async with client(site, JULIET) as juliet, client(site, ROMEO) as romeo:
            await juliet.connect_to("127.0.0.1", site.port, alpn=["xmpp-client"])
            await romeo.connect_to("127.0.0.1", site.port, sni=XMPPS)
            juliet.send_message(mto=ROMEO, mbody="to the bare address", mtype="chat")
            assert (await romeo.receive())["body"] == "to the bare address"
            juliet.send_message(mto=f"nobody@{DOMAIN}/phone", mbody="anyone?", mtype="normal")
            bounced = await juliet.receive_bounced()
            assert bounced["error"]["condition"] == "service-unavailable"

    asyncio.run(run())


def test_an_unknown_iq_and_a_ping(site):
    with RawClient("127.0.0.1", site.port) as raw:
        raw.start_tls(sni=XMPPS)
        raw.login("juliet", PASSWORDS["juliet"], DOMAIN)
        answer = raw.command("<iq type='get' id='a1'><query xmlns='urn:example:unknown'/></iq>")
        assert (answer.get("type"), answer.get("id")) == ("error", "a1")
        assert answer.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}service-unavailable") is not None
        answer = raw.command(f"<iq type='get' id='a2' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")
        assert (answer.get("type"), answer.get("id"), answer.get("from")) == ("result", "a2", DOMAIN)


def test_an_iq_goes_to_the_other_user_and_back(site):
    with RawClient("127.0.0.1", site.port) as juliet, RawClient("127.0.0.1", site.port) as romeo:
        for raw, user in ((juliet, "juliet"), (romeo, "romeo")):
            raw.start_tls(sni=XMPPS)
            raw.login(user, PASSWORDS[user], DOMAIN)
        romeo.send(f"<presence to='{JULIET}'/>")  # or a stranger's iq would not get to him
        romeo.command(f"<iq type='get' id='sent' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")
        juliet.send(f"<iq type='get' id='q' to='{romeo.jid}'><query xmlns='urn:example:q'/></iq>")
        asked = romeo.next()
        assert (asked.get("from"), asked.get("id")) == (juliet.jid, "q")
        romeo.send(f"<iq type='result' id='q' to='{juliet.jid}'/>")
        answered = juliet.next()
        assert (answered.get("from"), answered.get("type")) == (romeo.jid, "result")


def test_a_false_sender_is_refused(site):
    with RawClient("127.0.0.1", site.port) as raw:
        raw.start_tls(sni=XMPPS)
        raw.login("juliet", PASSWORDS["juliet"], DOMAIN)
        raw.send(f"<message from='{ROMEO}' to='{JULIET}'><body>not me</body></message>")
        error = raw.next()
        assert error.tag == "{http://etherx.jabber.org/streams}error"
        assert error[0].tag == "{urn:ietf:params:xml:ns:xmpp-streams}invalid-from"
        with pytest.raises(Closed):
            raw.next()
