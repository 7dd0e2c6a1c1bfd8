"""Presence: RFC 6121 section 4."""

import re

import pytest

from harness.site import DOMAIN
from harness.stage import brief, element, error, local_name, number

DELAY = "{urn:xmpp:delay}delay"
STATUS = "<show>away</show><status>in the garden</status><x xmlns='urn:example:more'><y/></x>"
PING = "<ping xmlns='urn:xmpp:ping'/>"


def conforms(section, what):
    return pytest.mark.conforms("RFC 6121", section, what)


@pytest.fixture
def friends(stage):
    """Juliet and Romeo see each other's presence."""
    juliet, romeo = stage.enter(interested=True), stage.enter(interested=True)
    stage.befriend(juliet, romeo)
    return juliet, romeo


def inner(presence):
    return sorted(local_name(child) for child in presence)


@conforms("4.2.2", "initial presence goes to subscribers and to the user's own available resources, itself too")
@conforms("4.2.3", "inbound presence goes to all available resources")
def test_initial_presence(stage, friends):
    juliet, romeo = friends
    phone = stage.enter(romeo.bare, "phone", priority=-5)
    stage.enter(romeo.bare, "silent", priority=None)
    stage.enter()  # a stranger
    stage.settle()
    garden = stage.enter(juliet.bare, "garden", priority=None)
    garden.send_presence(inner=STATUS, id="p1")
    for witness in (juliet, romeo, phone):
        got = witness.expect("presence", "available", garden.jid, witness.bare, id="p1")
        assert inner(got) == ["show", "status", "x"]
    garden.expect("presence", "available", garden.jid, juliet.bare, id="p1")
    came = stage.settled()
    assert came == {garden.jid: sorted(f"presence available from={other.jid}" for other in (juliet, romeo, phone))}


@conforms("4.3.1", "the user's server probes the contacts that the user is subscribed to")
@conforms("4.3.2", "the last presence of every available resource is sent, with its content")
@pytest.mark.conforms("XEP-0203", "2", "the host says when the presence was sent")
def test_what_a_newcomer_is_told(stage, friends):
    juliet, romeo = friends
    romeo.send_presence(inner=STATUS, id="p2")
    stage.settle()
    garden = stage.enter(juliet.bare, "garden", priority=None)
    garden.send_presence()
    garden.expect("presence", "available", garden.jid)
    told = {got.get("from"): got for got in stage.settle()[garden]}
    assert set(told) == {juliet.jid, romeo.jid}
    assert inner(told[romeo.jid]) == ["delay", "show", "status", "x"] and told[romeo.jid].get("id") == "p2"
    delay = told[romeo.jid].find(DELAY)
    assert delay.get("from") == DOMAIN
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", delay.get("stamp"))


@conforms("4.3.2", "a contact that is not there: unavailable")
def test_a_contact_that_is_not_there(stage, friends):
    juliet, romeo = friends
    stage.remove(romeo)
    juliet.expect("presence", "unavailable", romeo.jid)
    garden = stage.enter(juliet.bare, "garden", priority=None)
    garden.send_presence()
    garden.expect("presence", "available", garden.jid)
    garden.expect("presence", "available", juliet.jid)
    juliet.expect("presence", "available", garden.jid)
    assert stage.settle() == {}, "who comes takes for unavailable of whom it hears nothing"
    garden.send_presence("probe", romeo.bare)
    garden.expect("presence", "unavailable", romeo.bare, garden.jid)


@conforms("4.3.2", "who may not know hears unsubscribed, whether there is such an account or not")
@conforms("8.5.1", "a probe to nobody: unsubscribed")
@conforms("8.5.2.1.2", "a probe is answered by the server")
@conforms("8.5.2.2.2", "a probe is answered by the server")
def test_probes_of_strangers(stage):
    here, stranger = stage.enter(), stage.enter()
    absent = stage.account()
    for asked in (here.bare, absent, f"nobody{number()}@{DOMAIN}"):
        stranger.send_presence("probe", asked, id="probe")  # its own server knows that it is not subscribed
    for asked in (here.jid, f"{here.bare}/gone", f"{absent}/gone", f"nobody@{DOMAIN}/gone"):
        stranger.send_presence("probe", asked, id="probe")  # the same
    assert stage.settle() == {}


@conforms("4.3.2.1", "an answer that the server makes has the id of the probe, one that repeats presence its own")
def test_the_id_of_a_probe(stage, friends):
    juliet, romeo = friends
    juliet.send_presence(id="mine")
    stage.settle()
    romeo.send_presence("probe", juliet.bare, id="theirs")
    romeo.expect("presence", "available", juliet.jid, id="mine")
    romeo.send_presence("probe", f"{juliet.bare}/gone", id="theirs")
    romeo.expect("presence", "unavailable", f"{juliet.bare}/gone", id="theirs")
    assert stage.settle() == {}


@conforms("4.4.2", "later presence goes to the same, and nobody is probed")
@conforms("4.4.3", "later presence goes to all available resources")
def test_later_presence(stage, friends):
    juliet, romeo = friends
    juliet.send_presence(inner=STATUS)
    assert inner(romeo.expect("presence", "available", juliet.jid, romeo.bare)) == ["show", "status", "x"]
    juliet.expect("presence", "available", juliet.jid)
    assert stage.settle() == {}


@conforms("4.5.2", "unavailable presence goes to subscribers and to the user's own resources, itself too, with its status")
@conforms("4.5.3", "unavailable presence goes to all available resources")
def test_unavailable(stage, friends):
    juliet, romeo = friends
    garden = stage.enter(juliet.bare, "garden")
    stage.settle()
    garden.send_presence("unavailable", inner="<status>asleep</status>")
    for witness in (juliet, romeo, garden):
        got = witness.expect("presence", "unavailable", garden.jid, witness.bare)
        assert got.findtext("{*}status") == "asleep"
    romeo.send_presence(inner=STATUS)
    juliet.expect("presence", "available", romeo.jid)
    romeo.expect("presence", "available", romeo.jid)
    assert stage.settle() == {}, "who is unavailable is told nothing more"
    garden.send_presence("unavailable")
    assert stage.settle() == {}, "a second time is of no interest"
    garden.send_presence()  # and this is initial presence again
    juliet.expect("presence", "available", garden.jid)
    romeo.expect("presence", "available", garden.jid)
    assert sorted(map(brief, stage.settle()[garden])) == sorted(
        f"presence available from={jid}" for jid in (garden.jid, juliet.jid, romeo.jid))


@conforms("4.5.2", "the server says it for a client that goes without a word")
@pytest.mark.parametrize("how", ["closed", "broken", "replaced"])
def test_a_client_that_goes(stage, friends, how):
    juliet, romeo = friends
    garden = stage.enter(juliet.bare, "garden")
    stage.settle()
    stage.parties.remove(garden)
    if how == "closed":
        garden.leave()
    elif how == "broken":
        garden.tcp.close()
    else:
        stage.enter(juliet.bare, "garden", priority=None)
    for witness in (juliet, romeo):
        witness.expect("presence", "unavailable", garden.jid, witness.bare)
    assert stage.settle() == {}


@conforms("4.6.1", "who was sent directed presence hears when the sender goes, unless it has been told before")
@conforms("4.6.3", "directed presence is delivered, and the receiver gets no broadcasts")
@conforms("4.6.4", "inbound directed presence is delivered, also from strangers")
@pytest.mark.parametrize("address", ["bare", "full"])
@pytest.mark.parametrize("how", ["unavailable", "closed", "broken"])
def test_directed_presence(stage, address, how):
    juliet, stranger, other = stage.enter(), stage.enter(), stage.enter()
    for party in (stranger, other):
        to = party.bare if address == "bare" else party.jid
        juliet.send_presence(to=to, inner=STATUS)
        assert inner(party.expect("presence", "available", juliet.jid, to)) == ["show", "status", "x"]
    juliet.send_presence(inner="<show>dnd</show>")
    juliet.expect("presence", "available", juliet.jid)
    juliet.send_presence("unavailable", other.bare if address == "bare" else other.jid)
    other.expect("presence", "unavailable", juliet.jid)
    assert stage.settle() == {}
    if how == "unavailable":
        juliet.send_presence("unavailable", inner="<status>asleep</status>")
        juliet.expect("presence", "unavailable", juliet.jid)
    else:
        stage.parties.remove(juliet)
        juliet.leave() if how == "closed" else juliet.tcp.close()
    got = stranger.expect("presence", "unavailable", juliet.jid)
    assert got.findtext("{*}status") == ("asleep" if how == "unavailable" else None)
    assert stage.settle() == {}


@conforms("4.6.3", "a resource that is not available sends directed presence, also to a subscriber, who hears of its end")
def test_directed_presence_without_initial_presence(stage, friends):
    juliet, romeo = friends
    garden = stage.enter(juliet.bare, "garden", priority=None)
    garden.send_presence(to=romeo.bare)
    romeo.expect("presence", "available", garden.jid)
    stage.remove(garden)
    romeo.expect("presence", "unavailable", garden.jid)
    assert stage.settle() == {}


@conforms("4.6.3", "directed presence to a subscriber changes nothing for it")
def test_directed_presence_to_a_subscriber(stage, friends):
    juliet, romeo = friends
    juliet.send_presence(to=romeo.jid, inner=STATUS)
    romeo.expect("presence", "available", juliet.jid, romeo.jid)
    juliet.send_presence("unavailable")
    juliet.expect("presence", "unavailable", juliet.jid)
    romeo.expect("presence", "unavailable", juliet.jid, romeo.bare)
    assert stage.settle() == {}, "once is enough"


@pytest.mark.conforms("RFC 6120", "8.3.3.18", "resource-constraint as a limit of the server's is reached")
@conforms("4.6.3", "what cannot be kept in mind is refused")
def test_too_many_directed_presences(stage):
    juliet = stage.enter()
    room = "r" * 900
    for i in range(100):
        juliet.send_presence(to=f"{room}{i}@{DOMAIN}/nick", id=str(i))
    refused = [int(got.get("id")) for got in juliet.sync() if error(got) == ("wait", "resource-constraint")]
    assert refused and refused == list(range(refused[0], 100)) and 60 < refused[0] < 80
    juliet.send_presence("unavailable", f"{room}0@{DOMAIN}/nick")
    juliet.send_presence(to=f"{room}99@{DOMAIN}/nick")
    assert stage.settle() == {}


@conforms("4.6.6", "who was sent directed presence may ask whether the resource is still there, and hears no more")
def test_probes_after_directed_presence(stage):
    juliet, stranger = stage.enter(), stage.enter()
    juliet.send_presence(to=stranger.bare, inner=STATUS)
    stranger.expect("presence", "available", juliet.jid)
    for asked in (juliet.jid, juliet.bare):
        stranger.send_presence("probe", asked)
        assert inner(stranger.expect("presence", "available", juliet.jid, stranger.jid)) == []
    juliet.send_presence("unavailable", stranger.bare)
    stranger.expect("presence", "unavailable", juliet.jid)
    stranger.send_presence("probe", juliet.jid)  # unsubscribed, to one who is not
    assert stage.settle() == {}


@conforms("4.7.2.3", "a priority is a number from -128 to 127")
@pytest.mark.parametrize("priority", ["128", "-129", "high", "", "1.5", "0x1", "7 7", "99999999999999999999"])
def test_a_priority_that_is_none(stage, priority):
    juliet, romeo = stage.enter(priority=5), stage.enter()
    juliet.send_presence(inner=f"<priority>{priority}</priority>", id="p")
    assert error(juliet.expect("presence", "error", juliet.bare, juliet.jid, id="p")) == ("modify", "bad-request")
    romeo.send_message(juliet.bare, "still there?")
    juliet.expect("message", "chat", romeo.jid)
    assert stage.settle() == {}


@conforms("4.7.2.3", "a priority is a number from -128 to 127")
@pytest.mark.parametrize("priority, takes", [("-128", False), ("-1", False), ("127", True), (" 5\n", True), ("+3", True)])
def test_a_priority(stage, priority, takes):
    juliet, romeo = stage.enter(priority=None), stage.enter()
    juliet.send_presence(inner=f"<priority>{priority}</priority>")
    juliet.expect("presence", "available", juliet.jid)
    romeo.send_message(juliet.bare, "hello", type="headline")
    if takes:
        juliet.expect("message", "headline", romeo.jid)
    assert stage.settle() == {}


@conforms("4.7.1", "presence of a type that nobody knows is refused")
@conforms("4.7.1", "presence about somebody is to somebody")
@pytest.mark.parametrize("type", ["made-up", "probe", "subscribe", "unsubscribed"])
def test_presence_without_addressee(stage, type):
    juliet = stage.enter()
    juliet.send_presence(type)
    assert error(juliet.expect("presence", "error")) == ("modify", "bad-request")
    assert stage.settle() == {}


@conforms("3.1.5", "who is let in is told the presence of every available resource")
@conforms("3.2.2", "who is shut out is told that every available resource is gone")
def test_presence_follows_the_subscription(stage):
    juliet, romeo = stage.enter(interested=True), stage.enter(interested=True)
    phone = stage.enter(juliet.bare, "phone", interested=True)
    stage.settle()
    romeo.send_presence("subscribe", juliet.bare)
    stage.settle()
    juliet.send_presence("subscribed", romeo.bare)
    told = [brief(got) for got in stage.settle()[romeo] if local_name(got) == "presence"]
    assert sorted(told[1:]) == sorted(f"presence available from={jid}" for jid in (juliet.jid, phone.jid))
    assert told[0] == f"presence subscribed from={juliet.bare}"
    juliet.send_presence("unsubscribed", romeo.bare)
    told = [brief(got) for got in stage.settle()[romeo] if local_name(got) == "presence"]
    assert sorted(told[:-1]) == sorted(f"presence unavailable from={jid}" for jid in (juliet.jid, phone.jid))
    assert told[-1] == f"presence unsubscribed from={juliet.bare}"


@conforms("8.5.3.1", "presence to a resource that matches is delivered")
@conforms("8.5.3.2.2", "presence to a resource that nobody has is ignored")
@conforms("8.5.2.2.2", "presence to an account without available resources is ignored")
@conforms("8.5.1", "presence to nobody is ignored")
def test_presence_to_addresses(stage):
    juliet, romeo = stage.enter(), stage.enter(priority=None)
    for type in (None, "unavailable", "error"):
        juliet.send_presence(type, romeo.jid)
        romeo.expect("presence", type or "available", juliet.jid, romeo.jid)
        for nobody in (romeo.bare, f"{romeo.bare}/gone", f"nobody@{DOMAIN}", f"nobody@{DOMAIN}/gone", DOMAIN):
            juliet.send_presence(type, nobody)
    assert stage.settle() == {}


@pytest.mark.tsan
def test_many_resources_come_and_go(stage):
    """Everybody sees everybody, and at the end nobody."""
    juliet, romeo = stage.enter(interested=True), stage.enter(interested=True)
    stage.befriend(juliet, romeo)
    for _ in range(3):
        guests = [stage.enter(party.bare, f"r{number()}") for party in (juliet, romeo) for _ in range(4)]
        came = stage.settle()
        for witness in (juliet, romeo):
            assert {guest.jid for guest in guests} == {got.get("from") for got in came[witness]}
        for guest in guests:
            stage.parties.remove(guest)
            guest.tcp.close()
        gone = {guest.jid for guest in guests}
        for witness in (juliet, romeo):
            left = set(gone)
            while left:
                got = witness.next()
                if got.get("type") == "unavailable":
                    left.remove(got.get("from"))
    assert stage.settle() == {}
