"""RFC 6121 section 2, section by section: the roster."""

import pytest

from harness.rawxmpp import STREAM
from harness.stage import ROSTER, brief, briefs, error, number, push_item

conforms = pytest.mark.conforms
ROMEO = "romeo@montague.example"


def query(*items, version=""):
    return f"<query xmlns='jabber:iq:roster'{version}>{''.join(items)}</query>"


@pytest.fixture
def juliet(stage):
    """Two of an account's resources get pushes, the third has never asked for the roster."""
    name = stage.account()
    balcony = stage.enter(name, "balcony", interested=True)
    balcony.chamber = stage.enter(name, "chamber", interested=True, priority=None)
    balcony.silent = stage.enter(name, "silent")
    stage.settle()
    return balcony


def refused(actor, *items, type="set"):
    """The error of a roster set; nothing was pushed, and the roster is as it was."""
    before = actor.roster()
    answer = actor.request(type, query(*items))
    assert answer.get("type") == "error"
    actor.nothing()
    assert actor.roster() == before
    return error(answer)[1]


@conforms("RFC 6121", "2.1.3", "a client gets its own roster, without an address or by its own bare one")
@conforms("RFC 6121", "2.1.4", "the result is a query, an empty one for a new account")
@conforms("RFC 6121", "2.2", "the roster can be had before initial presence")
def test_getting_the_roster(stage):
    actor = stage.enter(priority=None)
    for to in (None, actor.bare):
        answer = actor.request("get", query(), to)
        assert answer.get("type") == "result" and len(answer.find(ROSTER + "query")) == 0
        assert answer.get("from") in (None, actor.bare)


@conforms("RFC 6121", "2.1.3", "a get has no items, and a full address of ours is not asked")
def test_a_get_with_items(juliet):
    assert error(juliet.request("get", query(f"<item jid='{ROMEO}'/>")))[1] == "bad-request"


@conforms("RFC 6121", "2.3.1", "an item is added with name and groups")
@conforms("RFC 6121", "2.3.2", "all interested resources get the item with subscription none, the others nothing")
@conforms("RFC 6121", "2.1.6", "a push is an iq set with one item, from the account or without an address")
@conforms("RFC 6121", "2.1.2", "an item has jid, name, subscription and groups")
@conforms("RFC 6121", "2.1.2.4", "the name is kept as it was given")
@conforms("RFC 6121", "2.1.2.6", "groups are kept as they were given")
def test_adding_an_item(stage, juliet):
    answer = juliet.roster_set(ROMEO, name="Roméo &lt;3", groups=("Friends", "Ðe Montagues"))
    assert answer.get("type") == "result" and len(answer) == 0
    wanted = {"jid": ROMEO, "name": "Roméo <3", "subscription": "none", "groups": ["Friends", "Ðe Montagues"]}
    came = stage.settle()
    for resource in (juliet, juliet.chamber):
        (push,) = came.pop(resource)
        item = push_item(push)
        item.pop("ver", None)
        assert item == wanted
        assert push.get("from") in (None, juliet.bare) and push.get("to") in (None, resource.jid) and push.get("id")
    assert came == {}
    assert juliet.roster() == juliet.chamber.roster() == {ROMEO: wanted}


@conforms("RFC 6121", "2.2", "only who has asked for the roster gets pushes")
def test_a_resource_is_interested_from_its_request_on(stage, juliet):
    juliet.silent.roster()
    juliet.roster_set(ROMEO)
    assert len(stage.settle()[juliet.silent]) == 1


@conforms("RFC 6121", "2.1.2.5", "whatever subscription a client claims, a new item has none")
@conforms("RFC 6121", "2.1.2.2", "a client's ask is ignored")
@conforms("RFC 6121", "2.1.2.1", "a client's approved is ignored")
@pytest.mark.parametrize("claimed", [{"subscription": "both"}, {"subscription": "to"}, {"ask": "subscribe"},
                                     {"approved": "true"}])
def test_what_only_the_server_may_say(stage, juliet, claimed):
    contact = stage.enter()
    assert juliet.roster_set(contact.bare, **claimed).get("type") == "result"
    assert juliet.roster()[contact.bare] == {"jid": contact.bare, "subscription": "none", "groups": []}
    stage.settle()
    contact.send_presence(inner="<status>not for those who merely say so</status>")
    came = stage.settle()
    assert set(came) == {contact}


@conforms("RFC 6121", "2.1.2.3", "one item for each bare JID, whatever way it is written")
def test_an_address_is_prepared(stage, juliet):
    juliet.roster_set("ROMEO@Montague.Example", name="one")
    juliet.roster_set(ROMEO, name="two")
    assert juliet.roster() == {ROMEO: {"jid": ROMEO, "name": "two", "subscription": "none", "groups": []}}


@conforms("RFC 6120", "8.3.3.9", "not-acceptable for an item that is too long or a group without a name")
@conforms("RFC 6121", "2.1.5", "a set has exactly one item, with an address")
@conforms("RFC 6121", "2.3.3", "bad-request, not-acceptable; nothing is changed and nothing pushed")
@pytest.mark.parametrize("items, condition", [
    ([], ("bad-request",)),
    ([f"<item jid='{ROMEO}'/>", "<item jid='mercutio@verona.example'/>"], ("bad-request",)),
    (["<item name='nobody'/>"], ("bad-request",)),
    (["<item jid=''/>"], ("bad-request", "jid-malformed")),
    (["<item jid='@no.local'/>"], ("bad-request", "jid-malformed")),
    ([f"<item jid='{ROMEO}'><group>A</group><group>A</group></item>"], ("bad-request",)),
    ([f"<item jid='{ROMEO}'><group/></item>"], ("not-acceptable",)),
    ([f"<item jid='{ROMEO}'><group>{'x' * 5000}</group></item>"], ("not-acceptable",)),
    ([f"<item jid='{ROMEO}' name='{'x' * 5000}'/>"], ("not-acceptable",)),
], ids=["no item", "two items", "no jid", "empty jid", "bad jid", "a group twice", "empty group", "long group",
        "long name"])
def test_a_set_that_is_refused(juliet, items, condition):
    assert refused(juliet, *items) in condition
    juliet.roster_set(ROMEO, name="as it was")
    juliet.sync()
    assert refused(juliet, *items) in condition


@conforms("RFC 6121", "2.3.3", "forbidden: another's roster is neither read nor written")
@conforms("RFC 6121", "2.1.5", "only the account's own resources may set")
def test_the_roster_of_another(stage, juliet):
    stranger = stage.enter()
    stage.settle()
    for type, items in (("get", ()), ("set", (f"<item jid='{stranger.bare}'/>",))):
        answer = stranger.request(type, query(*items), juliet.bare)
        assert error(answer)[1] in ("forbidden", "service-unavailable")
    assert stage.settle() == {}
    assert juliet.roster() == {}


@conforms("RFC 6121", "2.1.6", "a client's answer to a push goes nowhere")
def test_answers_to_pushes(stage, juliet):
    juliet.roster_set(ROMEO)
    (push,) = stage.settle()[juliet.chamber]
    juliet.chamber.send_iq("result", "", id=push.get("id"))
    juliet.chamber.send_iq("error", "<error type='cancel'><service-unavailable "
                           "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", id=push.get("id"))
    assert stage.settle() == {}


@conforms("RFC 6121", "2.1.6", "a push that another entity forges is no push")
def test_a_forged_push(stage, juliet):
    stranger = stage.enter()
    stage.settle()
    stranger.send_iq("set", query(f"<item jid='{stranger.bare}' subscription='both'/>"), juliet.jid)
    came = stage.settle()
    for stanza in came.get(juliet, []):
        assert stanza.get("from") == stranger.jid  # so that the client can see who says it
    assert juliet.roster() == {}


@conforms("RFC 6121", "2.4.1", "an item is updated by a set with the same address")
@conforms("RFC 6121", "2.4.2", "name and groups are replaced, the subscription stays; interested resources get it")
def test_updating_an_item(stage, juliet):
    contact = stage.enter()
    stage.befriend(juliet, contact)
    juliet.roster_set(contact.bare, name="one", groups=("A", "B"))
    juliet.roster_set(contact.bare, name="two", groups=("B", "C"))
    juliet.roster_set(contact.bare)
    came = stage.settle()
    items = [[(push_item(push).get("name"), push_item(push)["groups"], push_item(push)["subscription"])
              for push in came[resource]] for resource in (juliet, juliet.chamber)]
    assert items[0] == items[1] == [("one", ["A", "B"], "both"), ("two", ["B", "C"], "both"), (None, [], "both")]
    assert juliet.silent not in came


@conforms("RFC 6121", "2.4.3", "an update is refused as an addition is")
def test_updating_wrongly(juliet):
    juliet.roster_set(ROMEO, name="one", groups=("A",))
    juliet.sync()
    assert refused(juliet, f"<item jid='{ROMEO}' name='two'><group/></item>") == "not-acceptable"


@conforms("RFC 6121", "2.5.1", "an item is removed by subscription='remove'")
@conforms("RFC 6121", "2.5.2", "interested resources are told, and the item is gone")
def test_deleting_an_item(stage, juliet):
    juliet.roster_set(ROMEO, name="one")
    stage.settle()
    assert juliet.roster_set(ROMEO, subscription="remove").get("type") == "result"
    assert stage.settled() == {resource.jid: [f"push {ROMEO} remove"] for resource in (juliet, juliet.chamber)}
    assert juliet.roster() == {}


@conforms("RFC 6121", "2.5.2", "both subscriptions end: unsubscribe and unsubscribed on behalf of who removes")
@conforms("RFC 6121", "4.5.2", "who may no longer see the user's presence is told that the user is unavailable")
def test_deleting_a_friend(stage, juliet):
    contact = stage.enter("nurse", "hall", interested=True)
    stage.befriend(juliet, contact)
    juliet.roster_set(contact.bare, subscription="remove")
    came = stage.settle()
    told = [brief(stanza) for stanza in came[contact] if not push_item(stanza)]
    assert sorted(told) == sorted([
        f"presence unsubscribe from={juliet.bare}", f"presence unsubscribed from={juliet.bare}",
        f"presence unavailable from={juliet.jid}", f"presence unavailable from={juliet.silent.jid}"])
    last = [brief(stanza) for stanza in came[contact] if push_item(stanza)][-1]
    assert last == f"push {juliet.bare} none"
    assert f"presence unavailable from={contact.jid}" in briefs(came[juliet])
    assert juliet.roster() == {}
    contact.roster_set(juliet.bare, subscription="remove")
    stage.settle()


@conforms("RFC 6121", "2.5.3", "item-not-found for a contact that is not in the roster")
def test_deleting_what_is_not_there(juliet):
    assert refused(juliet, f"<item jid='{ROMEO}' subscription='remove'/>") == "item-not-found"


@conforms("RFC 6121", "2.1.1", "a version comes with the roster and with every push")
@conforms("RFC 6121", "2.6.1", "versioning is a stream feature")
@conforms("RFC 6121", "2.6.2", "an empty version asks for the whole roster with its version")
@conforms("RFC 6121", "2.6.3", "a current version gets an empty result; an old one gets what has changed")
def test_versions(stage, juliet):
    feature = "{urn:xmpp:features:rosterver}ver"
    connection = stage.connect()
    connection.open(juliet.bare.split("@")[1])
    connection.authenticate(juliet.bare.split("@")[0], stage.password(juliet.bare), "PLAIN")
    features = connection.open(connection.domain)
    assert features.tag == STREAM + "features" and features.find(feature) is not None
    connection.tcp.close()

    juliet.roster_set(ROMEO, name="one")
    juliet.sync()
    assert set(juliet.roster("")) == {ROMEO}
    assert juliet.version
    first = juliet.version

    answer = juliet.request("get", query(version=f" ver='{first}'"))
    assert answer.get("type") == "result" and len(answer) == 0
    juliet.nothing()

    juliet.roster_set("mercutio@verona.example")
    juliet.roster_set(ROMEO, subscription="remove")
    came = stage.settle()
    versions = [push.find(ROSTER + "query").get("ver") for push in came[juliet.chamber]]
    assert all(versions) and len({first, *versions}) == 3

    after = stage.enter(juliet.bare, priority=None)
    answer = after.request("get", query(version=f" ver='{first}'"))
    if answer.find(ROSTER + "query") is not None:  # the whole roster
        assert [item.get("jid") for item in answer.find(ROSTER + "query")] == ["mercutio@verona.example"]
        assert answer.find(ROSTER + "query").get("ver") == versions[-1]
    else:  # only what has changed, as pushes
        assert sorted(brief(push) for push in after.sync()) == [
            "push mercutio@verona.example none", f"push {ROMEO} remove"]


@conforms("RFC 6121", "2.1.1", "a version that was never given gets the whole roster")
def test_a_version_of_somebody_else(juliet):
    juliet.roster_set(ROMEO)
    juliet.sync()
    for version in ("never-given", "99999999999999999999999", "-1", "0x1", " "):
        assert set(juliet.roster(version)) == {ROMEO}


@conforms("RFC 6121", "2.3.2", "the roster outlives the session")
def test_the_roster_is_kept(stage, juliet):
    for at in range(30):
        juliet.roster_set(f"friend{at}@verona.example", name=f"Friend {at}", groups=(f"G{at % 3}",))
    wanted = juliet.roster()
    stage.remove(juliet.chamber)
    stage.remove(juliet.silent)
    stage.remove(juliet)
    again = stage.enter(juliet.bare, f"again{number()}")
    assert again.roster() == wanted and len(wanted) == 30
