"""RFC 6121 section 4, section by section: presence."""

import datetime

import pytest

from harness.component import Component
from harness.ports import reserve_port
from harness.stage import Stage, bare, brief, briefs, error, local_name

conforms = pytest.mark.conforms
COMPONENT, SECRET = "theatre.example.test", "a-shared-secret"
COMPONENT_PORT = reserve_port()
BACKEND_EXTRA = f"""
listener "components" {{ address = "127.0.0.1:{COMPONENT_PORT}" serve = components }}
component "{COMPONENT}" {{ secret = "{SECRET}" }}
"""


class Cast:
    """Juliet, with friends in each state: both (romeo), to (she sees tybalt), from (the nurse sees her), none (paris)."""

    def __init__(self, stage):
        self.stage = stage
        self.juliet, self.romeo, self.tybalt, self.nurse, self.paris = (
            stage.enter(None, resource) for resource in ("balcony", "orchard", "street", "hall", "church"))
        stage.befriend(self.juliet, self.romeo)
        for asking, asked in ((self.juliet, self.tybalt), (self.nurse, self.juliet)):
            asking.send_presence("subscribe", asked.bare)
            stage.settle()
            asked.send_presence("subscribed", asking.bare)
            stage.settle()

    def seen_by(self):
        """What each of them has got: {name: [brief …]} of those who got something."""
        names = {getattr(self, name): name for name in ("juliet", "romeo", "tybalt", "nurse", "paris")}
        return {names[party]: briefs(stanzas) for party, stanzas in self.stage.settle(*names).items()}


@pytest.fixture(scope="module")
def company(backend_site):
    with Stage(backend_site) as stage:
        yield Cast(stage), stage.add(Component(COMPONENT_PORT, COMPONENT, SECRET))


@pytest.fixture
def cast(company):
    """The same people for all tests of this file, each of them there and with nothing unread."""
    cast, theatre = company
    cast.stage.reset(theatre, cast.juliet, cast.romeo, cast.tybalt, cast.nurse, cast.paris)
    return cast


@pytest.fixture
def stage(cast):
    return cast.stage


@pytest.fixture
def theatre(company):
    return company[1]


@conforms("RFC 6121", "4.1", "presence goes to those who are subscribed to it, and to nobody else")
@conforms("RFC 6120", "8.2.2", "presence without an address reaches who is subscribed, and nobody else")
@conforms("RFC 6121", "4.2.2", "initial presence goes to the subscribers and to the own resources, itself among them")
@conforms("RFC 6121", "4.2.3", "it is delivered to all available resources of a subscriber")
@conforms("RFC 6121", "4.3.1", "who comes in learns who of the contacts is there")
def test_initial_presence(stage, cast):
    cellar = stage.enter(cast.romeo.bare, "cellar", -1)
    bound = [stage.enter(one.bare, "bound", None) for one in (cast.romeo, cast.juliet)]
    stage.settle()
    chamber = stage.enter(cast.juliet.bare, "chamber", None)
    assert stage.settle() == {}, "who has only logged in is not seen"
    chamber.send_presence(inner="<show>dnd</show><status>studying</status>")
    came = stage.settle()
    mine = f"presence available from={chamber.jid}"
    for party in (cast.juliet, cast.romeo, cellar, cast.nurse):
        assert briefs(came[party]) == [mine], party.jid
        (stanza,) = came[party]
        assert bare(stanza.get("to")) == party.bare
        assert (stanza.findtext("{*}show"), stanza.findtext("{*}status")) == ("dnd", "studying")
    assert not {*bound, cast.paris, cast.tybalt} & set(came)
    assert briefs(came[chamber]) == sorted([mine] + [
        f"presence available from={one.jid}" for one in (cast.juliet, cast.romeo, cellar, cast.tybalt)])


@conforms("RFC 6121", "4.4.2", "a change goes to the same, as it was said, and asks nobody anything")
@conforms("RFC 6121", "4.4.3", "it is delivered to all available resources of a subscriber")
def test_subsequent_presence(cast):
    juliet = cast.juliet
    juliet.send_presence(inner="<show>xa</show><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/>")
    assert cast.seen_by() == {name: [f"presence available from={juliet.jid}"] for name in ("juliet", "romeo", "nurse")}


@conforms("RFC 6121", "4.5.2", "the end of presence goes to the same, with its status; afterwards nothing is told to it")
@conforms("RFC 6121", "4.5.3", "it is delivered to all available resources of a subscriber")
def test_unavailable_presence(stage, cast):
    juliet = cast.juliet
    juliet.send_presence("unavailable", inner="<status>good night</status>")
    came = stage.settle()
    came.pop(juliet, None)  # its own, if anything
    for party in (cast.romeo, cast.nurse):
        (stanza,) = came.pop(party)
        assert brief(stanza) == f"presence unavailable from={juliet.jid}"
        assert stanza.findtext("{*}status") == "good night"
    assert came == {}
    cast.romeo.send_presence(inner="<show>away</show>")
    assert juliet not in stage.settle()
    juliet.send_presence("unavailable")  # twice is not told twice
    assert cast.seen_by() == {}


@conforms("RFC 6121", "4.5.2", "the server says it when the stream ends, in order or by the connection breaking")
@pytest.mark.parametrize("how", ["closed", "broken", "stream error"])
def test_the_end_of_a_stream_is_the_end_of_presence(stage, cast, how):
    chamber = stage.enter(cast.juliet.bare, "chamber")
    stage.settle()
    stage.parties.remove(chamber)
    if how == "closed":
        chamber.leave()
    elif how == "broken":
        chamber.tcp.close()
    else:
        chamber.send("<nonsense xmlns='jabber:client'/>")
        chamber.receive_all()
    for party in (cast.juliet, cast.romeo, cast.nurse):
        party.expect("presence", "unavailable", chamber.jid)
    assert stage.settle() == {}


@conforms("RFC 6121", "4.5.2", "who is bound but was never available ends without a word")
def test_the_end_of_one_who_was_never_there(stage, cast):
    bound = stage.enter(cast.juliet.bare, "bound", None)
    stage.remove(bound)
    assert stage.settle() == {}


@conforms("RFC 6121", "4.6.1", "directed presence is for those who are not subscribed")
@conforms("RFC 6121", "4.6.3", "delivered, remembered, not repeated, and taken back when the resource becomes unavailable")
@conforms("RFC 6121", "4.6.4", "directed presence is delivered as any other stanza to that address")
def test_directed_presence(stage, cast):
    juliet, paris = cast.juliet, cast.paris
    juliet.send_presence(to=paris.jid, inner="<show>chat</show>")
    assert cast.seen_by() == {"paris": [f"presence available from={juliet.jid}"]}
    juliet.send_presence(inner="<show>away</show>")
    assert "paris" not in cast.seen_by()
    juliet.send_presence("unavailable")
    assert cast.seen_by()["paris"] == [f"presence unavailable from={juliet.jid}"]
    juliet.send_presence()
    assert "paris" not in cast.seen_by()
    juliet.send_presence("unavailable")
    assert "paris" not in cast.seen_by()


@conforms("RFC 6121", "4.6.3", "directed unavailable presence ends it for that one; also after the connection breaks")
def test_the_end_of_directed_presence(stage, cast):
    chamber = stage.enter(cast.juliet.bare, "chamber")
    stage.settle()
    chamber.send_presence(to=cast.paris.bare)
    chamber.send_presence(to=cast.tybalt.bare)
    assert set(cast.seen_by()) == {"paris", "tybalt"}
    chamber.send_presence("unavailable", to=cast.paris.bare)
    assert cast.seen_by() == {"paris": [f"presence unavailable from={chamber.jid}"]}
    stage.parties.remove(chamber)
    chamber.tcp.close()
    cast.tybalt.expect("presence", "unavailable", chamber.jid)
    for party in (cast.juliet, cast.romeo, cast.nurse):
        party.expect("presence", "unavailable", chamber.jid)
    assert stage.settle() == {}


@conforms("RFC 6121", "4.6.3", "one who is not available may direct presence as well, and it is taken back too")
def test_directed_presence_without_presence(stage, cast):
    bound = stage.enter(cast.juliet.bare, "bound", None)
    bound.send_presence(to=cast.paris.jid)
    assert cast.seen_by() == {"paris": [f"presence available from={bound.jid}"]}
    stage.remove(bound)
    cast.paris.expect("presence", "unavailable", bound.jid)
    assert stage.settle() == {}


def subscribed(stage, theatre, actor, contact):
    """The contact, at the component, may see the actor's presence."""
    theatre.send_presence("subscribe", actor.bare, from_=contact)
    stage.settle()
    actor.send_presence("subscribed", contact)
    stage.settle()


def probe(stage, theatre, contact, address, id=None):
    theatre.send_presence("probe", address, from_=contact, id=id)
    return stage.settle().get(theatre, [])


@conforms("RFC 6121", "4.3.2", "a subscriber is told of each available resource, as it last said; of none: unavailable")
@conforms("RFC 6121", "4.3.2.1", "an answer has the id of the presence that it repeats")
def test_a_probe(stage, cast, theatre):
    juliet, contact = cast.juliet, theatre.contact()
    chamber = stage.enter(juliet.bare, "chamber", -1)
    stage.enter(juliet.bare, "bound", None)
    subscribed(stage, theatre, juliet, contact)
    juliet.send_presence(inner="<show>away</show><x xmlns='urn:example:kept'/>", id="last")
    stage.settle()
    answers = {stanza.get("from"): stanza for stanza in probe(stage, theatre, contact, juliet.bare, "question")}
    assert set(answers) == {juliet.jid, chamber.jid}
    last = answers[juliet.jid]
    assert last.get("id") == "last" and last.get("to") == contact
    assert last.findtext("{*}show") == "away" and last.find("{urn:example:kept}x") is not None
    assert answers[chamber.jid].findtext("{*}priority") == "-1"
    stage.remove(chamber)
    juliet.send_presence("unavailable")
    stage.settle()
    (gone,) = probe(stage, theatre, contact, juliet.bare, "question")
    assert (brief(gone), gone.get("to")) == (f"presence unavailable from={juliet.bare}", contact)
    assert gone.get("id") == "question"
    (delay,) = gone
    assert delay.tag == "{urn:xmpp:delay}delay" and delay.get("from") == juliet.bare.split("@")[1]
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.strptime(
        delay.get("stamp"), "%Y-%m-%dT%H:%M:%S%z")
    assert datetime.timedelta(seconds=-2) < age < datetime.timedelta(seconds=60)


@conforms("RFC 6121", "4.3.2", "the time of the last presence survives that nobody of the account is there")
def test_since_when_nobody_is_there(stage, cast, theatre):
    contact, actor = theatre.contact(), stage.enter()
    subscribed(stage, theatre, actor, contact)
    actor.send_presence("unavailable")
    stage.settle()
    stage.remove(actor)
    for _ in range(2):
        theatre.send_presence("probe", actor.bare, from_=contact)
        gone = theatre.expect("presence", "unavailable", actor.bare, contact)
        assert gone.find("{urn:xmpp:delay}delay") is not None


@conforms("RFC 6121", "4.3.2", "a subscriber who asks for one resource is told that it is there, and no more")
def test_a_probe_for_one_resource(stage, cast, theatre):
    juliet, contact = cast.juliet, theatre.contact()
    stage.enter(juliet.bare, "chamber")
    subscribed(stage, theatre, juliet, contact)
    juliet.send_presence(inner="<show>away</show>")
    stage.settle()
    (answer,) = probe(stage, theatre, contact, juliet.jid)
    assert brief(answer) == f"presence available from={juliet.jid}" and len(answer) == 0
    assert briefs(probe(stage, theatre, contact, f"{juliet.bare}/attic")) == [
        f"presence unavailable from={juliet.bare}/attic"]


@conforms("RFC 6121", "4.6.1", "who sends unavailable presence is not told any more that the user goes")
def test_who_has_gone_is_forgotten(stage, cast, theatre):
    juliet, room, other = cast.juliet, f"{theatre.contact()}/juliet", f"{theatre.contact()}/juliet"
    for to in (room, other):
        juliet.send_presence(to=to)
    stage.settle()  # they have it, before one of them goes
    theatre.send_presence("unavailable", juliet.jid, from_=room)
    stage.settle()
    juliet.send_presence("unavailable")
    told = [stanza.get("to") for stanza in stage.settle()[theatre]]
    assert other in told and room not in told


@conforms("RFC 6121", "4.3.2", "a stranger, and one who is still waiting, gets unsubscribed from the bare address")
def test_a_probe_without_a_subscription(stage, cast, theatre):
    juliet, contact = cast.juliet, theatre.contact()
    refused = [f"presence unsubscribed from={juliet.bare}"]
    assert briefs(probe(stage, theatre, contact, juliet.bare)) == refused
    assert briefs(probe(stage, theatre, contact, juliet.jid)) == refused
    theatre.send_presence("subscribe", juliet.bare, from_=contact)
    stage.settle()
    assert briefs(probe(stage, theatre, contact, juliet.bare)) == refused


@conforms("RFC 6121", "4.6.6", "who was sent directed presence may know whether that resource is still there, and no more")
def test_a_probe_after_directed_presence(stage, cast, theatre):
    juliet, contact = cast.juliet, theatre.contact()
    stage.enter(juliet.bare, "chamber")
    juliet.send_presence(to=contact, inner="<show>chat</show>")
    stage.settle()
    for address in (juliet.jid, juliet.bare):
        (answer,) = probe(stage, theatre, contact, address)
        assert brief(answer) == f"presence available from={juliet.jid}" and len(answer) == 0
    juliet.send_presence("unavailable", to=contact)
    stage.settle()
    assert all(local_name(stanza) == "presence" and stanza.get("type") in ("unsubscribed", "unavailable")
               for stanza in probe(stage, theatre, contact, juliet.jid))


@conforms("RFC 6121", "4.3.1", "contacts elsewhere are asked from the bare address as the first resource comes")
@conforms("RFC 6121", "4.2.2", "initial presence is sent to each subscriber elsewhere, from the full address")
def test_a_contact_elsewhere(stage, cast, theatre):
    juliet, contact = cast.juliet, theatre.contact()
    subscribed(stage, theatre, juliet, contact)
    juliet.send_presence("subscribe", contact)
    stage.settle()
    theatre.send_presence("subscribed", juliet.bare, from_=contact)
    stage.settle()
    juliet.send_presence("unavailable")
    stage.settle()
    juliet.send_presence()
    came = stage.settle()
    seen = [(brief(stanza), bare(stanza.get("to"))) for stanza in came[theatre]]
    assert (f"presence available from={juliet.jid}", contact) in seen
    assert (f"presence probe from={juliet.bare}", contact) in seen
    theatre.send_presence(to=juliet.bare, from_=f"{contact}/far")
    theatre.send_presence("unavailable", juliet.bare, from_=f"{contact}/far")
    assert [brief(stanza) for stanza in stage.settle()[juliet]] == [
        f"presence {type} from={contact}/far" for type in ("available", "unavailable")]


@conforms("RFC 6121", "4.7.1", "a type that there is not is refused with bad-request")
@pytest.mark.parametrize("type", ["available", "invisible", "online", ""])
def test_an_unknown_type(cast, type):
    cast.juliet.send(f"<presence type='{type}' id='strange'/>")
    answer = cast.juliet.expect("presence", "error", id="strange")
    assert error(answer) == ("modify", "bad-request")
    assert cast.seen_by() == {}


@conforms("RFC 6121", "4.7.2.3", "-128 to 127; anything else is refused with bad-request; none is 0")
@pytest.mark.parametrize("priority, good", [("-128", True), ("127", True), ("0", True), ("+5", True), ("128", False),
                                            ("-129", False), ("high", False), ("1.5", False), ("", False)])
def test_priorities(cast, priority, good):
    cast.juliet.send_presence(inner=f"<priority>{priority}</priority>", id="p")
    if good:
        assert set(cast.seen_by()) == {"juliet", "romeo", "nurse"}
    else:
        assert error(cast.juliet.expect("presence", "error", id="p")) == ("modify", "bad-request")
        assert cast.seen_by() == {}


@conforms("RFC 6121", "4.7.2.1", "show is passed on as it is")
@conforms("RFC 6121", "4.7.2.2", "status is passed on in each of its languages")
@conforms("RFC 6121", "4.7.3", "so is what the server does not know")
def test_contents_are_passed_on(stage, cast):
    cast.juliet.send_presence(inner="<show>xa</show><status xml:lang='en'>away</status><status xml:lang='cs'>pryč</status>"
                                    "<x xmlns='urn:example:unknown' a='1'><y>z</y></x>")
    (stanza,) = stage.settle()[cast.romeo]
    language = "{http://www.w3.org/XML/1998/namespace}lang"
    assert stanza.findtext("{*}show") == "xa"
    assert {child.get(language): child.text for child in stanza.findall("{*}status")} == {"en": "away", "cs": "pryč"}
    unknown = stanza.find("{urn:example:unknown}x")
    assert unknown.get("a") == "1" and unknown.findtext("{*}y") == "z"


@conforms("RFC 6121", "4.2.2", "friends on other shards are told once, whoever comes when")
def test_everyone_sees_everyone(stage):
    people = [stage.enter() for _ in range(4)]
    for at, one in enumerate(people):
        for other in people[at + 1:]:
            stage.befriend(one, other)
    for person in people:
        person.send_presence("unavailable")
    stage.settle()
    for person in people:
        person.send_presence()
    came = stage.settle()
    for person in people:
        seen = [brief(stanza) for stanza in came[person]]
        for other in people:
            count = seen.count(f"presence available from={other.jid}")
            assert count >= 1 if other is not person else count == 1, (person.jid, other.jid)
