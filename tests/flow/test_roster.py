"""The roster: RFC 6121 section 2."""

import pytest

from harness.site import DOMAIN
from harness.stage import element, error, number, push_item

BACKEND_EXTRA = "roster-items = 20\n"
VERSIONS, PREAPPROVAL = "urn:xmpp:features:rosterver", "urn:xmpp:features:pre-approval"


def conforms(section, what):
    return pytest.mark.conforms("RFC 6121", section, what)


@pytest.fixture
def user(stage):
    """A client of an account that nobody has used, interested in its roster."""
    return stage.enter(interested=True)


def contact():
    return f"contact{number()}@{DOMAIN}"


def query(*items, **attributes):
    return element("query", {"xmlns": "jabber:iq:roster", **attributes}, *items)


def item(jid, name=None, groups=(), **attributes):
    return element("item", {"jid": jid, "name": name, **attributes}, *(f"<group>{group}</group>" for group in groups))


def add(client, jid=None, **arguments):
    """Add a contact, and read the push; its address."""
    jid = jid or contact()
    assert client.roster_set(jid, **arguments).get("type") == "result"
    client.expect("push", to=client.jid)
    return jid


def pushes(client):
    """The pushes that have come: [(jid, version)]."""
    return [(push_item(got)["jid"], got[0].get("ver")) for got in client.sync() if push_item(got)]


@conforms("2.1.4", "an empty roster is an empty result")
def test_an_empty_roster(user):
    assert user.roster() == {}


@conforms("2.6.1", "versioning is a feature of the stream")
def test_features(stage):
    juliet = stage.account()
    client = stage.connect()
    client.open(DOMAIN)
    client.authenticate(juliet.split("@")[0], "a-password-for-every-part", "PLAIN")
    features = client.open(DOMAIN)
    assert features.find(f"{{{VERSIONS}}}ver") is not None
    assert features.find(f"{{{PREAPPROVAL}}}sub") is not None
    client.tcp.close()


@pytest.mark.tsan
@conforms("2.2", "pushes go to resources that have asked for the roster, available or not")
@conforms("2.3.2", "an item is added and pushed, and the request answered")
@conforms("2.1.6", "a push has one item, and is addressed to the resource")
def test_an_item_is_added(stage, user):
    other = stage.enter(user.bare, interested=True, priority=None)
    deaf = stage.enter(user.bare)
    jid = contact()
    stage.settle()
    assert user.roster_set(jid.upper(), "Nurse", ["Servants", "Verona"]).get("type") == "result"
    for client in user, other:
        push = client.expect("push", to=client.jid)
        assert push.get("from") in (None, user.bare)
        assert push.get("id")
        assert push_item(push) == {"jid": jid, "name": "Nurse", "subscription": "none",
                                   "groups": ["Servants", "Verona"]}
        client.nothing()
    deaf.nothing()
    assert user.roster() == {jid: push_item(push)}


@conforms("2.4.2", "an item is updated: what the client leaves out is gone")
def test_an_item_is_updated(user):
    jid = add(user, name="Nurse", groups=["Servants"])
    add(user, jid, name="Angelica", groups=["Friends", "servants"])
    assert user.roster()[jid] == {"jid": jid, "name": "Angelica", "subscription": "none",
                                  "groups": ["Friends", "servants"]}
    add(user, jid)
    assert user.roster()[jid] == {"jid": jid, "subscription": "none", "groups": []}


@conforms("2.1.2.1", "approved is ignored in a set")
@conforms("2.1.2.2", "ask is ignored in a set")
@conforms("2.1.2.5", "a subscription other than remove is ignored in a set")
@pytest.mark.parametrize("attributes", [{"approved": "true"}, {"ask": "subscribe"}, {"subscription": "both"},
                                        {"subscription": "made-up"}])
def test_what_is_not_the_client_s_to_set(user, attributes):
    jid = add(user, **attributes)
    assert user.roster()[jid] == {"jid": jid, "subscription": "none", "groups": []}


def test_names_of_any_letters(user):
    jid = add(user, name="&lt;&amp;&apos;\u00e9\U0001f339", groups=["&gt; ]]&gt;", "\u03a9 "])
    got = user.roster()[jid]
    assert (got["name"], got["groups"]) == ("<&'\u00e9\U0001f339", ["> ]]>", "\u03a9 "])


@conforms("2.3.3", "what is wrong with an item has its error, and changes nothing")
@pytest.mark.parametrize("items,condition", [
    ([], "bad-request"),
    ([item("a@example.test"), item("b@example.test")], "bad-request"),
    ([item("a@example.test", groups=["Same", "Same"])], "bad-request"),
    (["<item name='nobody'/>"], "bad-request"),
    (["<other jid='a@example.test'/>"], "bad-request"),
    (["<item xmlns='urn:x' jid='a@example.test'/>"], "bad-request"),
    ([item("a@example.test/resource")], "bad-request"),
    ([item("@example.test")], "jid-malformed"),
    ([item("a b@example.test")], "jid-malformed"),
    ([item("a@example.test", name="n" * 1024)], "not-acceptable"),
    ([item("a@example.test", groups=[""])], "not-acceptable"),
    ([item("a@example.test", groups=["g" * 1024])], "not-acceptable"),
    ([item("a@example.test", groups=[f"g{i}" for i in range(33)])], "not-acceptable"),
])
def test_a_wrong_item(user, items, condition):
    answer = user.request("set", query(*items))
    assert error(answer)[1] == condition
    user.nothing()
    assert user.roster() == {}


def test_the_longest_names(user):
    jid = add(user, name="n" * 1023, groups=["g" * 1023] + [f"g{i}" for i in range(31)])
    assert len(user.roster()[jid]["groups"]) == 32


@conforms("2.3.3", "the own address is no contact")
def test_oneself(user):
    assert error(user.roster_set(user.bare)) == ("cancel", "not-allowed")


@conforms("2.3.3", "only an account's own resources may change its roster")
@conforms("2.1.5", "a set of somebody else's roster is refused")
@pytest.mark.parametrize("exists", [True, False])
def test_somebody_else_s(stage, user, exists):
    other = stage.enter(interested=True).bare if exists else contact()
    for type, inner in ("set", item("a@example.test")), ("get", ""):
        answer = user.request(type, query(inner), other)
        assert (answer.get("from"), error(answer)) == (other, ("auth", "forbidden"))
    assert stage.settled() == {}


@conforms("2.1.3", "a get has no items")
@pytest.mark.parametrize("payload", [query(item("a@example.test")), "<other xmlns='jabber:iq:roster'/>"])
def test_a_wrong_get(user, payload):
    assert error(user.request("get", payload)) == ("modify", "bad-request")


@conforms("2.5.2", "an item is removed and its removal pushed")
@conforms("2.5.3", "what is not there cannot be removed")
def test_an_item_is_removed(stage, user):
    other = stage.enter(user.bare, interested=True)
    stage.settle()
    jid = add(user)
    stage.settle()
    assert error(user.roster_set(contact(), subscription="remove")) == ("cancel", "item-not-found")
    answer = user.request("set", query(item(jid, subscription="remove"), item(contact(), subscription="remove")))
    assert error(answer) == ("modify", "bad-request")
    assert user.roster_set(jid.upper(), subscription="remove").get("type") == "result"
    for client in user, other:
        assert push_item(client.expect("push")) == {"jid": jid, "subscription": "remove", "groups": []}
    assert user.roster() == {}
    assert error(user.roster_set(jid, subscription="remove")) == ("cancel", "item-not-found")


@pytest.mark.tsan
@conforms("2.5.2", "what was between the two ends with the item")
def test_a_removal_ends_subscriptions(stage):
    romeo, juliet = stage.enter(interested=True), stage.enter(interested=True)
    stage.befriend(romeo, juliet)
    assert romeo.roster()[juliet.bare]["subscription"] == "both"
    stage.settle()
    romeo.roster_set(juliet.bare, subscription="remove")
    came = stage.settled()
    assert came[juliet.jid] == sorted([
        f"presence unavailable from={romeo.jid}", f"presence unsubscribe from={romeo.bare}",
        f"presence unsubscribed from={romeo.bare}", f"push {romeo.bare} none", f"push {romeo.bare} to"])
    assert f"push {juliet.bare} remove" in came[romeo.jid]
    assert f"presence unavailable from={juliet.jid}" in came[romeo.jid]
    assert juliet.roster()[romeo.bare]["subscription"] == "none"
    assert romeo.roster() == {}


@conforms("2.5.2", "a request that waits, of either side, ends with the item")
@pytest.mark.parametrize("who,told", [("romeo", "unsubscribe"), ("juliet", "unsubscribed")])
def test_a_removal_ends_a_request(stage, who, told):
    romeo, juliet = stage.enter(interested=True), stage.enter(interested=True)
    romeo.send_presence("subscribe", juliet.bare)
    juliet.roster_set(romeo.bare, "Romeo")
    stage.settle()
    one, other = (romeo, juliet) if who == "romeo" else (juliet, romeo)
    one.roster_set(other.bare, subscription="remove")
    came = stage.settled()
    assert f"presence {told} from={one.bare}" in came[other.jid]
    assert "ask" not in romeo.roster().get(juliet.bare, {})
    later = stage.enter(juliet.bare)
    assert [got.get("type") for got in later.own_presence if got.get("from") == romeo.bare] == []


@pytest.mark.tsan
@conforms("2.1.1", "every result and push says the version of the roster")
@conforms("2.6.2", "an empty version asks for the whole")
@conforms("2.6.3", "who has the last version is told so; who is behind gets the pushes that it has missed, or the whole")
def test_versions(stage, user):
    jids = sorted(add(user) for _ in range(8))
    assert sorted(user.roster(version="")) == jids
    last = user.version
    assert last
    assert user.roster(version=last) == {} and user.version is None
    user.nothing()
    for jid, name in (jids[5], "five"), (jids[2], "two"), (jids[5], "five again"):
        add(user, jid, name=name)
    assert sorted(user.roster()) == jids
    now = user.version
    assert user.roster(version=last) == {} and user.version is None
    came = pushes(user)
    assert [jid for jid, _ in came] == [jids[2], jids[5]]
    assert came[1][1] == now
    assert user.roster(version=came[0][1]) == {} and pushes(user) == came[1:]
    for unknown in "1", str(int(now) + 1), "x", f" {now}", f"{now}x", "-1", "0", "18446744073709551616":
        assert sorted(user.roster(version=unknown)) == jids
        assert user.version == now
    user.nothing()


@conforms("2.6.3", "a removal is not missed")
def test_versions_and_removals(user):
    jids = [add(user) for _ in range(8)]
    user.roster()
    before = user.version
    user.roster_set(jids[0], subscription="remove")
    user.expect("push")
    assert sorted(user.roster(version=before)) == sorted(jids[1:])
    after = user.version
    assert user.roster(version=after) == {} and user.version is None
    add(user, jids[1], name="behind")
    assert user.roster(version=after) == {} and user.version is None
    assert [jid for jid, _ in pushes(user)] == [jids[1]]


def test_many_changes_are_told_as_a_whole(user):
    jids = [add(user) for _ in range(8)]
    user.roster()
    before = user.version
    for jid in jids[:4]:
        add(user, jid, name="changed")
    assert len(user.roster(version=before)) == 8


def test_the_version_of_an_empty_roster(user):
    assert user.roster() == {} and user.version
    assert user.roster(version=user.version) == {} and user.version is None
    jid = add(user)
    assert list(user.roster(version="0")) == [jid]
    user.roster_set(jid, subscription="remove")
    user.expect("push")
    assert user.roster(version="0") == {} and user.version not in (None, "0")
    assert user.roster(version=user.version) == {} and user.version is None


def test_a_deleted_account_leaves_no_version(stage, user):
    add(user)
    user.roster()
    version = user.version
    stage.parties.remove(user)
    stage.site.backend.ctl("deluser", user.bare)
    stage.site.accounts.remove(user.bare.split("@")[0])
    anew = stage.enter(user.bare)
    assert anew.roster(version=version) == {} and anew.version == "0"
    add(anew)
    assert len(anew.roster(version=version)) == 1


def test_a_roster_outlives_the_server(stage, user):
    jid = add(user, name="Nurse", groups=["Servants"])
    gone = add(user)
    user.roster_set(gone, subscription="remove")
    user.expect("push")
    roster = user.roster()
    version = user.version
    stage.parties.clear()
    stage.site.backend.stop()
    stage.site.backend.start()
    anew = stage.enter(user.bare)
    assert anew.roster(version=version) == {} and anew.version is None
    assert anew.roster() == roster and jid in roster and anew.version == version


def test_a_full_roster(user):
    jids = [add(user) for _ in range(20)]
    assert error(user.roster_set(contact())) == ("wait", "resource-constraint")
    add(user, jids[0], name="still to be changed")
    user.roster_set(jids[1], subscription="remove")
    user.expect("push")
    add(user)
    to = contact()
    user.send_presence("subscribe", to, id="one-more")
    got = user.expect("presence", "error", to, user.jid, id="one-more")
    assert error(got) == ("wait", "resource-constraint")
    user.nothing()
