"""Blocking (XEP-0191): the list and its pushes, what it keeps out and in, and what it does to presence."""

import asyncio

import pytest

from harness.client import Client
from harness.site import DOMAIN, PASSWORDS, XMPPS, Site
from harness.stage import Stage, error, local_name

BLOCKING = "{urn:xmpp:blocking}"


@pytest.fixture(scope="module", params=[1, 3], ids=["one shard", "three shards"])
def site(request):
    shared = Site(backend_extra=f"shards = {request.param}", host_extra="max-blocked = 5")
    try:
        yield shared.start()
    finally:
        shared.stop()


@pytest.fixture
def stage(site):
    with Stage(site) as one:
        yield one


def command(name, *jids):
    inner = "".join(f"<item jid='{jid}'/>" for jid in jids)
    return f"<{name} xmlns='urn:xmpp:blocking'>{inner}</{name}>"


def listed(actor):
    answer = actor.request("get", "<blocklist xmlns='urn:xmpp:blocking'/>")
    return sorted(item.get("jid") for item in answer.find(BLOCKING + "blocklist"))


def change(actor, name, *jids):
    """The condition of the error, None: done."""
    answer = actor.request("set", command(name, *jids))
    return error(answer) and error(answer)[1]


def pushed(actor):
    """(block or unblock, addresses) of the next stanza."""
    got = actor.expect("iq", "set")
    assert got[0].tag.startswith(BLOCKING)
    return local_name(got[0]), sorted(item.get("jid") for item in got[0])


@pytest.mark.conforms("RFC 6120", "8.3.3.12", "policy-violation for more than the host's limits allow")
@pytest.mark.conforms("XEP-0191", "3.2", "empty at first, then with its items, prepared")
@pytest.mark.conforms("XEP-0191", "3.3", "block: pushed to the resources that have asked; without an item bad-request")
@pytest.mark.conforms("XEP-0191", "3.4", "unblock: pushed likewise")
@pytest.mark.conforms("XEP-0191", "3.5", "unblock all")
def test_the_list_and_its_pushes(stage):
    one = stage.enter()
    two, three = stage.enter(one.bare), stage.enter(one.bare)
    stage.settle()
    assert listed(one) == [] and listed(two) == []
    assert change(one, "block", "Eve@Example.TEST", f"a@{DOMAIN}/x") is None
    assert pushed(one) == ("block", ["Eve@Example.TEST", f"a@{DOMAIN}/x"])
    pushed(two)
    three.nothing()
    assert listed(two) == [f"a@{DOMAIN}/x", "eve@example.test"]
    assert change(one, "block", *[f"{i}@{DOMAIN}" for i in range(4)]) == "policy-violation"
    assert change(one, "block") == "bad-request"
    assert change(one, "block", "@") == "jid-malformed"
    assert error(one.request("get", command("block", "a@b")))[1] == "bad-request"
    assert change(two, "unblock", "eve@example.test", "nobody@example.test") is None
    pushed(one), pushed(two)
    assert listed(one) == [f"a@{DOMAIN}/x"]
    assert change(two, "unblock") is None
    assert pushed(one) == ("unblock", [])
    pushed(two)
    assert listed(one) == []
    one.nothing(), two.nothing()


@pytest.mark.conforms("XEP-0191", "3.3", "messages and iqs are refused, presence says nothing; outgoing not-acceptable")
@pytest.mark.conforms("XEP-0191", "3.4", "after unblocking all is delivered again")
def test_nothing_passes_either_way(stage):
    victim, pest = stage.enter(), stage.enter()
    assert change(victim, "block", pest.bare) is None
    for to in (victim.bare, victim.jid):
        pest.send_message(to, "hello")
        pest.expect("message", "error", frm=to, error="service-unavailable")
        pest.send_iq("get", "<query xmlns='jabber:iq:version'/>", to, id="v")
        pest.expect("iq", "error", id="v", error="service-unavailable")
        pest.send_iq("result", "", to, id="r")
        pest.send_presence(to=to)
        pest.send_presence("subscribe", victim.bare)
        pest.send_presence("probe", victim.bare)
    assert stage.settled(victim) == {}
    pest.nothing()
    victim.send_message(pest.jid, "never mind")
    refused = victim.expect("message", "error", frm=pest.jid, error="not-acceptable")
    assert refused.find("{*}error").get("type") == "cancel"
    assert refused.find("{*}error/{urn:xmpp:blocking:errors}blocked") is not None
    victim.send_presence(to=pest.jid)
    victim.expect("presence", "error", error="not-acceptable")
    victim.send_presence("subscribe", pest.bare)
    victim.expect("presence", "error", error="not-acceptable")
    pest.nothing()
    assert change(victim, "unblock", pest.bare) is None
    pest.send_message(victim.bare, "again")
    victim.expect("message", body="again")
    victim.send_message(pest.bare, "and back")
    pest.expect("message", body="and back")


@pytest.mark.conforms("XEP-0191", "6", "a resource, an account, a whole domain")
def test_what_an_address_stands_for(stage):
    victim, pest = stage.enter(), stage.enter()
    other = stage.enter(pest.bare)
    stage.settle()
    assert change(victim, "block", pest.jid) is None
    pest.send_message(victim.bare, "x")
    pest.expect("message", "error")
    other.send_message(victim.bare, "y")
    victim.expect("message", body="y")
    assert change(victim, "block", DOMAIN) is None
    other.send_message(victim.bare, "z")
    other.expect("message", "error")
    # the server itself and the own account are not shut out
    assert victim.request("get", "<ping xmlns='urn:xmpp:ping'/>", DOMAIN).get("type") == "result"
    assert listed(victim) == sorted([pest.jid, DOMAIN])


@pytest.mark.conforms("XEP-0191", "3.3", "a subscriber is told that the user has gone")
@pytest.mark.conforms("XEP-0191", "3.4", "a subscriber is told again what the user has broadcast last")
def test_presence_of_those_who_are_subscribed(stage):
    victim, friend, stranger = stage.enter(interested=True), stage.enter(interested=True), stage.enter()
    stage.befriend(victim, friend)
    stage.settle()
    victim.send_presence(inner="<show>away</show>")
    stage.settle()
    assert change(victim, "block", friend.bare, stranger.bare) is None
    friend.expect("presence", "unavailable", frm=victim.jid)
    victim.expect("presence", "unavailable", frm=friend.bare)
    victim.send_presence(inner="<show>dnd</show>")
    friend.send_presence(inner="<show>xa</show>")
    victim.expect("presence", frm=victim.jid)
    friend.expect("presence", frm=friend.jid)
    friend.nothing(), victim.nothing(), stranger.nothing()
    assert change(victim, "unblock") is None
    assert friend.expect("presence", "available", frm=victim.jid).findtext("{*}show") == "dnd"
    assert victim.expect("presence", "available", frm=friend.jid).findtext("{*}show") == "xa"
    assert stage.settled() == {}


def test_blocks_survive_a_restart(own_site):
    site = own_site().start()
    with Stage(site) as stage:
        victim, pest = stage.enter("juliet"), stage.enter("romeo")
        assert change(victim, "block", pest.bare) is None
        site.backend.stop()
        site.backend.start()
        victim, pest = stage.enter("juliet"), stage.enter("romeo")
        assert listed(victim) == [pest.bare]
        pest.send_message(victim.bare, "x")
        pest.expect("message", "error", error="service-unavailable")
        stage.parties.clear()


@pytest.mark.release
@pytest.mark.conforms("XEP-0191", "3.1", "the host says that it can")
def test_a_real_client(site):
    async def run():
        async with Client(f"juliet@{DOMAIN}", PASSWORDS["juliet"], site.cert, mechanism="PLAIN") as juliet:
            juliet.register_plugin("xep_0191")
            await juliet.connect_to("127.0.0.1", site.port, sni=XMPPS)
            info = await juliet["xep_0030"].get_info(DOMAIN)
            assert {"urn:xmpp:blocking", "jabber:iq:privacy"} <= info["disco_info"]["features"]
            await juliet["xep_0191"].block([f"eve@{DOMAIN}"])
            got = await juliet["xep_0191"].get_blocked()
            assert [str(jid) for jid in got["blocklist"]["items"]] == [f"eve@{DOMAIN}"]
            await juliet["xep_0191"].unblock(f"eve@{DOMAIN}")
            got = await juliet["xep_0191"].get_blocked()
            assert not got["blocklist"]["items"]

    asyncio.run(run())
