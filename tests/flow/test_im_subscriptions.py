"""RFC 6121 section 3, section by section: what the state tables (test_subscription_states) do not say."""

import pytest

from harness.site import DOMAIN
from harness.stage import bare, body, brief, briefs, local_name, number, push_item

conforms = pytest.mark.conforms


@pytest.fixture
def cast(stage):
    """Romeo and Juliet, each with an account that nobody has used and one interested, available resource."""
    romeo, juliet = stage.enter(None, "orchard", interested=True), stage.enter(None, "balcony", interested=True)
    stage.settle()
    return romeo, juliet


def not_pushes(elements):
    return [stanza for stanza in elements if not push_item(stanza)]


def requests(elements):
    return [stanza for stanza in elements if local_name(stanza) == "presence" and stanza.get("type") == "subscribe"]


@conforms("RFC 6121", "3.1.2", "the request goes out from the bare address, whole, and the roster shows that it is under way")
@conforms("RFC 6121", "3.1.3", "every available resource is asked, with all that the request contains; nobody else")
@conforms("RFC 6120", "8.1.2.1", "a subscription stanza has the bare address of its sender")
def test_a_request(stage, cast):
    romeo, juliet = cast
    chamber = stage.enter(juliet.bare, "chamber", -3)
    stage.enter(juliet.bare, "bound only", None)
    stage.settle()
    inner = "<status>Let me see you</status><nick xmlns='http://jabber.org/protocol/nick'>R</nick>"
    romeo.send_presence("subscribe", juliet.bare, inner, id="ask1")
    came = stage.settle()
    assert briefs(came.pop(romeo)) == [f"push {juliet.bare} none ask"]
    for resource in (juliet, chamber):
        (request,) = came.pop(resource)
        assert brief(request) == f"presence subscribe from={romeo.bare}"
        assert (request.get("to"), request.get("id")) == (juliet.bare, "ask1")
        assert request.findtext("{*}status") == "Let me see you" and request.findtext("{*}nick") == "R"
    assert came == {}
    assert juliet.roster() == {}


@conforms("RFC 6121", "3.1.2", "a request to a full address goes to the bare one")
@conforms("RFC 6121", "3.1.3", "a request to a full address is for the account")
def test_a_request_to_a_full_address(stage, cast):
    romeo, juliet = cast
    chamber = stage.enter(juliet.bare, "chamber")
    stage.settle()
    romeo.send_presence("subscribe", juliet.jid)
    came = stage.settle()
    assert briefs(came[romeo]) == [f"push {juliet.bare} none ask"]
    assert briefs(came[juliet]) == briefs(came[chamber]) == [f"presence subscribe from={romeo.bare}"]


@conforms("RFC 6121", "3.1.3", "nothing is approved for the user, and nothing of the user's presence is told before")
def test_nothing_is_told_before_the_approval(stage, cast):
    romeo, juliet = cast
    romeo.send_presence("subscribe", juliet.bare)
    stage.settle()
    juliet.send_presence(inner="<show>away</show>")
    assert romeo not in stage.settle()


@conforms("RFC 6121", "3.1.3", "a request to somebody who is not there is kept, one from each, until it is answered")
def test_a_request_waits(stage, cast):
    romeo, juliet = cast
    stage.remove(juliet)
    for at in range(3):
        romeo.send_presence("subscribe", juliet.bare, f"<status>try {at}</status>", id=f"try{at}")
    stage.settle()
    for _ in range(2):  # again at each login, as long as it is not answered
        juliet = stage.enter(juliet.bare)
        (request,) = requests(juliet.own_presence + juliet.sync())
        assert (request.get("from"), request.get("to")) == (romeo.bare, juliet.bare)
        assert request.findtext("{*}status") in ("try 0", "try 2")
        stage.remove(juliet)
    juliet = stage.enter(juliet.bare)
    juliet.send_presence("unsubscribed", romeo.bare)
    stage.settle()
    stage.remove(juliet)
    juliet = stage.enter(juliet.bare)
    assert requests(juliet.own_presence + juliet.sync()) == []


@conforms("RFC 6121", "3.1.3", "a request waits for a resource that is available, not for one that is only bound")
def test_a_request_waits_for_presence(stage, cast):
    romeo, juliet = cast
    stage.remove(juliet)
    romeo.send_presence("subscribe", juliet.bare)
    stage.settle()
    juliet = stage.enter(juliet.bare, "bound", None, interested=True)
    assert requests(juliet.sync()) == []
    juliet.send_presence()
    assert len(requests(juliet.sync())) == 1
    juliet.send_presence(inner="<show>away</show>")  # not a new resource
    assert requests(juliet.sync()) == []


@conforms("RFC 6121", "3.1.3", "who asks again and may see already is told so at once, by the server")
def test_a_request_of_a_subscriber(stage, cast):
    romeo, juliet = cast
    stage.befriend(romeo, juliet)
    for there in (True, False):
        if not there:
            stage.remove(juliet)
            stage.settle()
        romeo.send_presence("subscribe", juliet.bare)
        came = stage.settle()
        assert juliet not in came
        # the answer does not reach the client: to a user who is subscribed it changes nothing (A.3.3)
        assert [one for one in not_pushes(came.get(romeo, [])) if one.get("type") == "subscribe"] == []
    assert romeo.roster()[juliet.bare]["subscription"] == "both"


@conforms("RFC 6121", "3.1.5", "the approval comes from the bare address, with the presence of each available resource")
@conforms("RFC 6121", "3.1.6", "the approval reaches all interested resources, before the push")
def test_an_approval(stage, cast):
    romeo, juliet = cast
    garden = stage.enter(romeo.bare, "garden", None, interested=True)
    chamber = stage.enter(juliet.bare, "chamber", -3)
    stage.enter(juliet.bare, "bound only", None)
    romeo.send_presence("subscribe", juliet.bare)
    stage.settle()
    juliet.send_presence("subscribed", romeo.jid, "<status>Yes</status>", id="yes")
    came = stage.settle()
    assert briefs(came[juliet]) == [f"push {romeo.bare} from"]
    approval, push = came[garden]
    assert brief(approval) == f"presence subscribed from={juliet.bare}" and approval.get("to") == romeo.bare
    assert approval.findtext("{*}status") == "Yes" and approval.get("id") == "yes"
    assert brief(push) == f"push {juliet.bare} to"
    at = [brief(stanza) for stanza in came[romeo]]
    assert at.index(f"presence subscribed from={juliet.bare}") < at.index(f"push {juliet.bare} to")
    assert sorted(at) == sorted([
        f"presence subscribed from={juliet.bare}", f"push {juliet.bare} to",
        f"presence available from={juliet.jid}", f"presence available from={chamber.jid}"])


@conforms("RFC 6121", "3.1.6", "an approval that nobody asked for is not delivered and changes nothing")
def test_an_approval_out_of_the_blue(stage, cast):
    romeo, juliet = cast
    juliet.send_presence("subscribed", romeo.bare)
    came = stage.settle()
    assert romeo not in came and romeo.roster() == {}


@conforms("RFC 6121", "3.2.2", "the subscriber is told that the user is unavailable, and that the subscription has ended")
@conforms("RFC 6121", "3.2.3", "the cancellation reaches all interested resources, before the push")
def test_a_cancellation(stage, cast):
    romeo, juliet = cast
    stage.befriend(romeo, juliet)
    garden = stage.enter(romeo.bare, "garden", None, interested=True)
    stage.settle()
    juliet.send_presence("unsubscribed", romeo.bare)
    came = stage.settle()
    assert briefs(came[juliet]) == [f"push {romeo.bare} to"]
    assert [brief(stanza) for stanza in came[garden]] == [
        f"presence unsubscribed from={juliet.bare}", f"push {juliet.bare} from"]
    assert f"presence unavailable from={juliet.jid}" in briefs(came[romeo])
    juliet.send_presence(inner="<show>away</show>")
    assert romeo not in stage.settle()
    romeo.send_presence(inner="<show>away</show>")
    assert f"presence available from={romeo.jid}" in briefs(stage.settle()[juliet])


@conforms("RFC 6121", "3.2.3", "a denial ends the request, also while the user is away")
def test_a_denial(stage, cast):
    romeo, juliet = cast
    romeo.send_presence("subscribe", juliet.bare)
    stage.settle()
    stage.remove(romeo)
    juliet.send_presence("unsubscribed", romeo.bare)
    assert stage.settled() == {}
    romeo = stage.enter(romeo.bare, "back")
    assert romeo.roster() == {juliet.bare: {"jid": juliet.bare, "subscription": "none", "groups": []}}


@conforms("RFC 6121", "3.3.2", "the unsubscribe goes out from the bare address, and the roster follows")
@conforms("RFC 6121", "3.3.3", "it reaches all interested resources before the push; then nothing more of our presence is told")
def test_unsubscribing(stage, cast):
    romeo, juliet = cast
    stage.befriend(romeo, juliet)
    chamber = stage.enter(juliet.bare, "chamber", None, interested=True)
    stage.settle()
    romeo.send_presence("unsubscribe", juliet.jid, id="enough")
    came = stage.settle()
    assert [brief(stanza) for stanza in came[chamber]] == [
        f"presence unsubscribe from={romeo.bare}", f"push {romeo.bare} to"]
    assert came[chamber][0].get("id") == "enough"
    assert briefs(came[romeo]) == sorted([f"push {juliet.bare} from", f"presence unavailable from={juliet.jid}"])
    juliet.send_presence(inner="<show>away</show>")
    assert romeo not in stage.settle()


@conforms("RFC 6121", "3.3.3", "an unsubscribe of somebody who is not subscribed is ignored")
def test_unsubscribing_without_a_subscription(stage, cast):
    romeo, juliet = cast
    romeo.send_presence("unsubscribe", juliet.bare)
    assert stage.settle() == {}
    assert juliet.roster() == romeo.roster() == {}


@conforms("RFC 6121", "3.4.2", "pre-approval is a stream feature")
def test_pre_approval_is_advertised(stage, cast):
    connection = stage.connect()
    connection.open(DOMAIN)
    connection.authenticate(cast[0].bare.split("@")[0], stage.password(cast[0].bare), "PLAIN")
    assert connection.open(DOMAIN).find("{urn:xmpp:features:pre-approval}sub") is not None
    connection.tcp.close()


@conforms("RFC 6121", "3.4.2", "kept in the roster, not told to the contact, and answers the contact's request")
@conforms("RFC 6121", "3.1.3", "a pre-approved request is answered by the server")
@conforms("RFC 6121", "2.1.2.1", "a pre-approved contact is marked as approved")
def test_pre_approval(stage, cast):
    romeo, juliet = cast
    juliet.send_presence("subscribed", romeo.bare)
    assert stage.settled() == {juliet.jid: [f"push {romeo.bare} none approved"]}
    juliet.send_presence("subscribed", romeo.bare)  # said already
    stage.settle()
    stage.remove(juliet)
    juliet = stage.enter(juliet.bare, "again", interested=True)
    assert juliet.roster()[romeo.bare]["approved"] == "true"
    romeo.send_presence("subscribe", juliet.bare)
    came = stage.settle()
    assert requests(came.get(juliet, [])) == []
    assert [brief(stanza) for stanza in came[juliet]][-1].startswith(f"push {romeo.bare} from")
    assert f"presence subscribed from={juliet.bare}" in briefs(came[romeo])
    assert f"presence available from={juliet.jid}" in briefs(came[romeo])
    assert romeo.roster()[juliet.bare]["subscription"] == "to"


@conforms("RFC 6121", "3.4.2", "unsubscribed takes a pre-approval back, and is not told to the contact")
def test_a_pre_approval_is_taken_back(stage, cast):
    romeo, juliet = cast
    juliet.send_presence("subscribed", romeo.bare)
    stage.settle()
    juliet.send_presence("unsubscribed", romeo.bare)
    assert stage.settled() == {juliet.jid: [f"push {romeo.bare} none"]}
    romeo.send_presence("subscribe", juliet.bare)
    assert len(requests(stage.settle()[juliet])) == 1


@conforms("RFC 6121", "3.4.2", "an unsubscribe of the contact's leaves a pre-approval alone")
def test_a_pre_approval_outlives_an_unsubscribe(stage, cast):
    romeo, juliet = cast
    juliet.send_presence("subscribed", romeo.bare)
    stage.settle()
    romeo.send_presence("unsubscribe", juliet.bare)
    assert juliet not in stage.settle()
    assert juliet.roster()[romeo.bare]["approved"] == "true"


@conforms("RFC 6121", "3.1.3", "requests, subscriptions and pre-approvals outlive a restart of the server")
def test_a_restart(own_site):
    from harness.stage import Stage
    site = own_site(backend_extra="shards = 4\n")
    site.backend.start()
    with Stage(site) as stage:
        people = [stage.enter(f"actor{at}", interested=True) for at in range(4)]
        one, friend, asked, approved = people
        stage.befriend(one, friend)
        stage.remove(asked)
        one.send_presence("subscribe", asked.bare, "<status>before the restart</status>")
        one.send_presence("subscribed", approved.bare)
        stage.settle()
        rosters = {person.bare: person.roster() for person in people if person is not asked}
        site.backend.stop()
    site.backend.start()
    with Stage(site) as stage:
        people = {jid: stage.enter(jid, interested=True) for jid in rosters}
        assert {jid: person.roster() for jid, person in people.items()} == rosters
        late = stage.enter(asked.bare)
        (request,) = requests(late.own_presence + late.sync())
        assert request.findtext("{*}status") == "before the restart"
        people[approved.bare].send_presence("subscribe", one.bare)
        assert f"presence subscribed from={one.bare}" in briefs(stage.settle()[people[approved.bare]])


@conforms("RFC 6121", "3.1.2", "who asks for nobody's presence is told nothing, and nobody's own presence can be asked for")
def test_strange_requests(stage, cast):
    romeo, _ = cast
    romeo.send_presence("subscribe", f"nobody{number()}@{DOMAIN}")
    came = stage.settle()
    assert [brief(one).split(" ")[0] for one in came.pop(romeo)] == ["push"] and came == {}
    for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
        romeo.send_presence(kind, romeo.bare)
    came = [stanza for stanza in stage.settle().get(romeo, []) if stanza.get("type") != "error"]
    assert came == [] and romeo.bare not in romeo.roster()


@conforms("RFC 6120", "8.1.2.1", "a request in another's name goes out in one's own, or ends the stream")
def test_a_forged_request(stage, cast):
    romeo, juliet = cast
    chorus = stage.enter("chorus", "stage")
    stage.settle()
    romeo.send(f"<presence type='subscribed' from='{chorus.bare}' to='{juliet.bare}'/>")
    assert romeo.next().tag.endswith("}error")
    stage.parties.remove(romeo)
    romeo.tcp.close()
    assert all(bare(stanza.get("from")) != chorus.bare or body(stanza) for stanza in stage.settle().get(juliet, []))
