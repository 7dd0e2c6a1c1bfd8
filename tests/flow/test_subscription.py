"""Subscriptions to presence: RFC 6121 section 3.  Every transition of appendix A has its test elsewhere; here is what
goes with them."""

import json
import pwd
import subprocess

import pytest

from harness.component import Component
from harness.place import USER
from harness.ports import reserve_port
from harness.site import DOMAIN
from harness.stage import Stage, bare, brief, error, local_name, number, push_item

COMPONENT, SECRET = "contacts.example.test", "a-shared-secret"
COMPONENT_PORT = reserve_port()
BACKEND_EXTRA = f"""
roster-requests = 3
listener "components" {{ address = "127.0.0.1:{COMPONENT_PORT}" serve = components }}
component "{COMPONENT}" {{ secret = "{SECRET}" }}
"""
TYPES = "subscribe", "subscribed", "unsubscribe", "unsubscribed"


def conforms(section, what):
    return pytest.mark.conforms("RFC 6121", section, what)


@pytest.fixture
def contacts(stage):
    return stage.add(Component(COMPONENT_PORT, COMPONENT, SECRET))


@pytest.fixture
def pair(stage):
    """Two who have nothing to do with each other, both interested."""
    return stage.enter(interested=True), stage.enter(interested=True)


@pytest.fixture
def friends(stage, pair):
    """Two who see each other."""
    stage.befriend(*pair)
    stage.settle()
    return pair


def state(client, contact):
    """subscription, ask, approved of a contact; None when it is not in the roster."""
    item = client.roster().get(bare(contact))
    return item and tuple(item.get(name) for name in ("subscription", "ask", "approved"))


def subscriptions(elements):
    """(type, from, to, status) of the stanzas about subscriptions among the elements."""
    return [(got.get("type"), got.get("from"), got.get("to"), got.findtext("{*}status")) for got in elements
            if local_name(got) == "presence" and got.get("type") in TYPES]


@pytest.mark.tsan
@conforms("3.1.2", "a request is noted, pushed, stamped with bare addresses, and routed as it is")
@conforms("3.1.3", "a request is delivered, and no item made of it")
@conforms("3.1.5", "an approval is routed and pushed, and the presence of each available resource sent")
@conforms("3.1.6", "an approval is delivered, then pushed")
def test_asked_and_granted(stage, pair):
    juliet, romeo = pair
    other = stage.enter(juliet.bare, "chamber", priority=5)
    stage.settle()
    romeo.send_presence("subscribe", juliet.jid, "<status>it is I</status><nick xmlns='urn:x'>R</nick>", id="ask1")
    assert push_item(romeo.expect("push"))["ask"] == "subscribe"
    assert state(romeo, juliet.jid) == ("none", "subscribe", None)
    for client in juliet, other:
        got = client.expect("presence", "subscribe", romeo.bare, juliet.bare, id="ask1")
        assert got.findtext("{*}status") == "it is I"
        assert got.findtext("{urn:x}nick") == "R"
    assert juliet.roster() == {}
    juliet.send_presence("subscribed", romeo.jid, id="yes1")
    assert push_item(juliet.expect("push"))["subscription"] == "from"
    assert state(juliet, romeo.jid) == ("from", None, None)
    juliet.nothing()
    romeo.expect("presence", "subscribed", juliet.bare, romeo.bare, id="yes1")
    assert push_item(romeo.expect("push"))["subscription"] == "to"
    shown = {romeo.expect("presence", "available", to=romeo.bare).get("from") for _ in range(2)}
    assert shown == {juliet.jid, other.jid}
    romeo.nothing()
    other.nothing()


@conforms("3.1.3", "a request goes to available resources only, whether interested or not")
@conforms("3.2.3", "what answers it goes to interested resources only")
def test_who_hears_of_it(stage, pair):
    juliet, romeo = pair
    clients = {"deaf": stage.enter(juliet.bare), "shy": stage.enter(juliet.bare, interested=True, priority=None)}
    stage.settle()
    romeo.send_presence("subscribe", juliet.bare)
    assert set(stage.settled()) == {romeo.jid, juliet.jid, clients["deaf"].jid}
    romeo.send_presence("unsubscribe", juliet.bare)
    assert set(stage.settled()) == {romeo.jid, juliet.jid, clients["shy"].jid}


@conforms("3.1.3", "of several requests the contact gets one")
def test_asked_again(stage, pair):
    juliet, romeo = pair
    for text in "first", "second":
        romeo.send_presence("subscribe", juliet.bare, f"<status>{text}</status>")
    came = stage.settle()
    assert subscriptions(came[juliet]) == [("subscribe", romeo.bare, juliet.bare, "first")]
    assert state(romeo, juliet.jid) == ("none", "subscribe", None)


@pytest.mark.tsan
@conforms("3.1.3", "a request waits over restarts, as it came, until it is answered")
@pytest.mark.parametrize("answer", ["unsubscribed", "subscribed"])
def test_a_request_waits(stage, answer):
    romeo = stage.enter(interested=True)
    absent = stage.account()
    for text in "first", "second":
        romeo.send_presence("subscribe", absent, f"<status>{text}</status><nick xmlns='urn:x'>R</nick>")
    stage.settle()
    stage.site.backend.stop()
    stage.site.backend.start()
    stage.parties.clear()
    for _ in range(2):
        juliet = stage.enter(absent, interested=True)
        came = juliet.own_presence + juliet.sync()
        assert subscriptions(came) == [("subscribe", romeo.bare, absent, "first")]
        assert [got.findtext("{urn:x}nick") for got in came if got.get("type") == "subscribe"] == ["R"]
        assert juliet.roster() == {}
        stage.remove(juliet)
    juliet = stage.enter(absent, interested=True)
    second = stage.enter(absent, priority=None)
    second.sync()
    second.send_presence()
    assert subscriptions(second.sync() + second.sync())[0][:2] == ("subscribe", romeo.bare)
    second.send_presence(inner="<show>away</show>")
    assert subscriptions(second.sync() + second.sync()) == []
    juliet.send_presence(answer, romeo.bare)
    juliet.sync()
    for client in juliet, second:
        stage.remove(client)
    juliet = stage.enter(absent, interested=True)
    assert subscriptions(juliet.own_presence + juliet.sync()) == []


@conforms("3.3.3", "a request that was withdrawn waits no more")
def test_a_request_is_withdrawn(stage):
    romeo = stage.enter(interested=True)
    absent = stage.account()
    romeo.send_presence("subscribe", absent)
    romeo.send_presence("unsubscribe", absent)
    stage.settle()
    assert state(romeo, absent) == ("none", None, None)
    juliet = stage.enter(absent, interested=True)
    assert subscriptions(juliet.own_presence + juliet.sync()) == []


@conforms("3.2.1", "a request may be refused")
def test_refused(stage, pair):
    juliet, romeo = pair
    romeo.send_presence("subscribe", juliet.bare)
    stage.settle()
    juliet.send_presence("unsubscribed", romeo.bare)
    assert stage.settled() == {romeo.jid: [f"presence unsubscribed from={juliet.bare}", f"push {juliet.bare} none"]}
    assert juliet.roster() == {}


@conforms("3.2.2", "a cancelled subscription: unavailable presence, then the news, and a push")
@conforms("3.2.3", "a cancellation is delivered and pushed")
def test_cancelled(friends):
    juliet, romeo = friends
    juliet.send_presence("unsubscribed", romeo.jid)
    assert push_item(juliet.expect("push"))["subscription"] == "to"
    juliet.nothing()
    romeo.expect("presence", "unavailable", juliet.jid, romeo.bare)
    romeo.expect("presence", "unsubscribed", juliet.bare, romeo.bare)
    assert push_item(romeo.expect("push"))["subscription"] == "from"
    romeo.nothing()
    juliet.send_presence(inner="<show>away</show>")
    juliet.sync()
    romeo.nothing()


@conforms("3.3.2", "who unsubscribes has a push, and the contact hears of it")
@conforms("3.3.3", "an unsubscribe is delivered, then pushed, and the contact's resources are gone for the user")
def test_unsubscribed(friends):
    juliet, romeo = friends
    romeo.send_presence("unsubscribe", juliet.jid)
    assert push_item(romeo.expect("push"))["subscription"] == "from"
    juliet.expect("presence", "unsubscribe", romeo.bare, juliet.bare)
    assert push_item(juliet.expect("push"))["subscription"] == "to"
    juliet.nothing()
    romeo.expect("presence", "unavailable", juliet.jid, romeo.bare)
    romeo.nothing()


@conforms("3.1.3", "who is subscribed already is answered for the contact, who is not asked")
def test_asked_for_what_is_granted(friends):
    juliet, romeo = friends
    romeo.send_presence("subscribe", juliet.bare)
    romeo.sync()
    juliet.nothing()
    assert state(romeo, juliet.jid) == ("both", None, None)
    assert state(juliet, romeo.jid) == ("both", None, None)


@conforms("3.1.3", "a server that has forgotten what was granted learns of it")
def test_the_other_side_has_forgotten(stage, friends):
    """As it is after a roster was lost on one side; posternctl can do the same."""
    juliet, romeo = friends
    stage.site.backend.ctl("roster", "add", romeo.bare, juliet.bare, "subscription=none")
    stage.settle()
    romeo.send_presence("subscribe", juliet.bare)
    came = stage.settled()
    assert came == {romeo.jid: sorted([
        f"push {juliet.bare} none ask", f"presence subscribed from={juliet.bare}", f"push {juliet.bare} to",
        f"presence available from={juliet.jid}"])}


@pytest.mark.tsan
@conforms("3.4.2", "an approval in advance is noted and pushed, not routed; the request is then answered for the user")
def test_approved_in_advance(stage, pair):
    juliet, romeo = pair
    juliet.send_presence("subscribed", romeo.jid)
    assert stage.settled() == {juliet.jid: [f"push {romeo.bare} none approved"]}
    romeo.send_presence("subscribe", juliet.bare)
    came = stage.settled()
    assert came == {juliet.jid: [f"push {romeo.bare} from"], romeo.jid: sorted([
        f"push {juliet.bare} none ask", f"presence subscribed from={juliet.bare}", f"push {juliet.bare} to",
        f"presence available from={juliet.jid}"])}
    assert state(juliet, romeo.jid) == ("from", None, None)


@conforms("3.4.2", "an approval in advance survives a restart")
def test_an_approval_waits(stage, pair):
    juliet, romeo = pair
    juliet.send_presence("subscribed", romeo.jid)
    stage.settle()
    stage.parties.clear()
    stage.site.backend.stop()
    stage.site.backend.start()
    juliet, romeo = stage.enter(juliet.bare), stage.enter(romeo.bare, interested=True)
    romeo.send_presence("subscribe", juliet.bare)
    came = stage.settle()
    assert juliet not in came
    assert [got[:2] for got in subscriptions(came[romeo])] == [("subscribed", juliet.bare)]


@conforms("3.2.2", "an approval in advance is taken back without a word to the other")
def test_an_approval_is_taken_back(stage, pair):
    juliet, romeo = pair
    juliet.send_presence("subscribed", romeo.jid)
    juliet.send_presence("unsubscribed", romeo.jid)
    assert stage.settled() == {juliet.jid: [f"push {romeo.bare} none", f"push {romeo.bare} none approved"]}
    romeo.send_presence("subscribe", juliet.bare)
    assert stage.settled()[juliet.jid] == [f"presence subscribe from={romeo.bare}"]


@conforms("3.1.6", "an approval that nobody asked for is ignored")
@conforms("3.2.3", "a cancellation of nothing is ignored")
@conforms("3.3.3", "an unsubscribe of nobody is ignored")
@conforms("8.5.1", "subscriptions to no account are ignored, and look like those to one that is away")
@pytest.mark.parametrize("type", TYPES)
def test_accounts_that_are_not_there_are_like_those_that_are(stage, type):
    romeo = stage.enter(interested=True)
    told = {}
    for who, contact in ("absent", stage.account()), ("nobody", f"nobody{number()}@{DOMAIN}"):
        romeo.send_presence(type, contact)
        told[who] = [brief(got).replace(contact, "CONTACT") for got in romeo.sync()]
    assert told["absent"] == told["nobody"]
    assert stage.settled() == {}


@pytest.mark.parametrize("type", TYPES[1:])
def test_what_nobody_asked_for_is_not_delivered(stage, pair, type):
    juliet, romeo = pair
    romeo.send_presence(type, juliet.bare)
    assert juliet.jid not in stage.settled()
    assert juliet.roster() == {}


@conforms("3.1.2", "a request needs somebody it is for")
@pytest.mark.parametrize("type", TYPES)
def test_to_nobody_or_oneself(stage, type):
    romeo = stage.enter(interested=True)
    romeo.send_presence(type, id="nobody")
    assert error(romeo.expect("presence", "error", id="nobody")) == ("modify", "bad-request")
    romeo.send_presence(type, romeo.bare, id="self")
    assert error(romeo.expect("presence", "error", id="self")) == ("cancel", "not-allowed")
    romeo.nothing()
    assert romeo.roster() == {}


def test_a_request_may_not_be_endless(stage, pair):
    juliet, romeo = pair
    romeo.send_presence("subscribe", juliet.bare, f"<status>{'x' * 20000}</status>", id="long")
    assert error(romeo.expect("presence", "error", juliet.bare, romeo.jid, id="long")) == ("modify", "not-acceptable")
    romeo.send_presence("subscribe", juliet.bare, f"<status>{'x' * 10000}</status>")
    assert stage.settled()[juliet.jid] == [f"presence subscribe from={romeo.bare}"]


def test_requests_beyond_the_limit_are_dropped(stage):
    absent = stage.account()
    beggars = [stage.enter(interested=True) for _ in range(4)]
    for beggar in beggars:
        beggar.send_presence("subscribe", absent)
        beggar.expect("push")
    stage.settle()
    juliet = stage.enter(absent, interested=True)
    came = subscriptions(juliet.own_presence + juliet.sync())
    assert sorted(got[1] for got in came) == sorted(beggar.bare for beggar in beggars[:3])
    assert stage.settled() == {}


@conforms("8.1", "who is in the roster is told what a stranger would not be")
def test_a_contact_hears_of_the_limit(stage):
    absent, friend = stage.enter(interested=True), stage.enter(interested=True)
    absent.roster_set(friend.bare)
    for _ in range(3):
        stage.enter().send_presence("subscribe", absent.bare)
    stage.settle()
    friend.send_presence("subscribe", absent.bare)
    friend.expect("push")
    answer = friend.expect("presence", "error", absent.bare)
    assert error(answer) == ("wait", "resource-constraint")


def limit(pid, size):
    """No file of the process may grow beyond so many bytes, as if the disk were full."""
    who = {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []} if USER else {}
    subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"], check=True, **who)


def counter(stage, name):
    return stage.site.backend.counter(name)


@conforms("3.1.2", "a request to another server whose error comes back is not lost to the client, and is tried again")
def test_a_contact_elsewhere(stage):
    romeo, there = stage.enter(interested=True), "juliet@elsewhere.test"
    romeo.send_presence("subscribe", there, id="ask7")
    assert romeo.expect("push")
    got = romeo.expect("presence", "error", there, romeo.bare, id="ask7")
    assert error(got) == ("cancel", "remote-server-not-found")
    before = counter(stage, "stanza_errors")
    second = stage.enter(romeo.bare)
    assert counter(stage, "stanza_errors") == before
    for client in romeo, second:
        stage.remove(client)
    back = stage.enter(romeo.bare)
    assert subscriptions(back.own_presence + back.sync()) == []
    assert [local_name(got) for got in back.own_presence if got.get("type") == "error"] == []
    assert counter(stage, "stanza_errors") == before + 1


@pytest.mark.tsan
def test_crossing_requests(stage, pair):
    """Both ask at once, and both grant."""
    juliet, romeo = pair
    for one, other in (juliet, romeo), (romeo, juliet):
        one.send_presence("subscribe", other.bare)
    stage.settle()
    for one, other in (juliet, romeo), (romeo, juliet):
        one.send_presence("subscribed", other.bare)
    stage.settle()
    for one, other in (juliet, romeo), (romeo, juliet):
        assert state(one, other.jid) == ("both", None, None)
        one.send_presence(inner="<show>dnd</show>")
        one.sync()
        assert other.expect("presence", "available", one.jid).findtext("{*}show") == "dnd"


def test_names_stay_when_the_subscription_changes(stage, pair):
    juliet, romeo = pair
    romeo.roster_set(juliet.bare, "Capulet", ["Verona"])
    romeo.send_presence("subscribe", juliet.bare)
    stage.settle()
    juliet.send_presence("subscribed", romeo.bare)
    stage.settle()
    item = romeo.roster()[juliet.bare]
    assert (item["name"], item["groups"], item["subscription"]) == ("Capulet", ["Verona"], "to")


def test_the_administrator_s_hand(stage, pair):
    juliet, romeo = pair
    ctl = stage.site.backend.ctl
    for one, other in (juliet, romeo), (romeo, juliet):
        told = ctl("roster", "add", one.bare, other.bare, "name=A Friend", "group=A", "group=B=C", "subscription=both")
        assert told == f"added {other.bare}\n"
    came = stage.settled()
    for one, other in (juliet, romeo), (romeo, juliet):
        assert came[one.jid] == [f"presence available from={other.jid}", f"push {other.bare} both"]
        assert one.roster()[other.bare] == {"jid": other.bare, "name": "A Friend", "subscription": "both",
                                            "groups": ["A", "B=C"]}
    assert json.loads(ctl("--json", "roster", "get", juliet.bare)) == [
        {"jid": romeo.bare, "name": "A Friend", "subscription": "both", "asked": False, "asks": False,
         "approved": False, "groups": ["A", "B=C"]}]
    assert ctl("roster", "remove", juliet.bare, romeo.bare) == f"removed {romeo.bare}\n"
    came = stage.settled()
    assert f"push {romeo.bare} remove" in came[juliet.jid]
    assert f"push {juliet.bare} none" in came[romeo.jid]
    assert ctl("roster", "get", juliet.bare) == ""


@pytest.mark.parametrize("arguments,status", [
    (["get", f"nobody@{DOMAIN}"], 1),
    (["get", "juliet@elsewhere.test"], 1),
    (["get", DOMAIN], 1),
    (["get"], 2),
    (["add", "SOMEBODY", "a@b/c"], 1),
    (["add", "SOMEBODY", "SOMEBODY"], 1),
    (["add", "SOMEBODY"], 2),
    (["add", "SOMEBODY", "a@b", "nickname=A"], 2),
    (["add", "SOMEBODY", "a@b", "subscription=maybe"], 1),
    (["add", "SOMEBODY", "a@b", "group=A", "group=A"], 1),
    (["add", "SOMEBODY", "a@b", "name=" + "n" * 2000], 1),
    (["remove", "SOMEBODY", "a@b"], 1),
])
def test_the_administrator_s_mistakes(stage, arguments, status):
    somebody = stage.account()
    arguments = [somebody if argument == "SOMEBODY" else argument for argument in arguments]
    assert stage.site.backend.ctl("roster", *arguments, status=status)
    assert stage.site.backend.ctl("roster", "get", somebody) == ""


def test_a_full_disk(own_site):
    """Whoever asks is told, nothing has changed, and with room it is done."""
    site = own_site()
    site.backend.start()
    with Stage(site) as stage:
        juliet, romeo, filler = (stage.enter(interested=True) for _ in range(3))
        limit(site.backend.pid, 64 * 1024)
        while error(filler.roster_set(f"contact{number()}@{DOMAIN}", "n" * 1000)) is None:
            filler.expect("push")
        romeo.send_presence("subscribe", juliet.bare, id="ask1")
        got = romeo.expect("presence", "error", juliet.bare, romeo.jid, id="ask1")
        assert error(got) == ("wait", "resource-constraint")
        assert stage.settled() == {}
        assert romeo.roster() == {}
        limit(site.backend.pid, "unlimited")
        romeo.send_presence("subscribe", juliet.bare)
        assert stage.settled() == {romeo.jid: [f"push {juliet.bare} none ask"],
                                   juliet.jid: [f"presence subscribe from={romeo.bare}"]}
        limit(site.backend.pid, 64 * 1024)
        while error(filler.roster_set(f"contact{number()}@{DOMAIN}", "n" * 1000)) is None:
            filler.expect("push")
        juliet.send_presence("subscribed", romeo.bare, id="yes1")
        got = juliet.expect("presence", "error", romeo.bare, juliet.jid, id="yes1")
        assert error(got) == ("wait", "resource-constraint")
        assert stage.settled() == {}
        assert juliet.roster() == {}
        limit(site.backend.pid, "unlimited")
        juliet.send_presence("subscribed", romeo.bare)
        stage.settle()
        assert (state(romeo, juliet.jid), state(juliet, romeo.jid)) == (("to", None, None), ("from", None, None))


def test_an_account_that_was_away_for_a_moment(stage, pair):
    """What the server has remembered of an address without an account is not what it thinks of the one made then."""
    juliet, romeo = pair
    stage.parties.remove(juliet)
    stage.site.backend.ctl("deluser", juliet.bare)
    stage.site.accounts.remove(juliet.bare.split("@")[0])
    romeo.send_message(juliet.bare, "is anybody there?")
    romeo.sync()
    juliet = stage.enter(juliet.bare, interested=True)
    romeo.send_presence("subscribe", juliet.bare)
    assert stage.settled()[juliet.jid] == [f"presence subscribe from={romeo.bare}"]


def test_an_account_is_deleted_while_the_server_is_stopped(stage, friends):
    juliet, romeo = friends
    stage.parties.clear()
    stage.site.backend.stop()
    stage.site.backend.ctl("deluser", juliet.bare)
    stage.site.accounts.remove(juliet.bare.split("@")[0])
    stage.site.backend.start()
    romeo = stage.enter(romeo.bare)
    assert romeo.roster()[juliet.bare]["subscription"] == "none"


@conforms("8.4", "a host has no presence to share: who asks for it, or still believes to have it, hears unsubscribed")
@pytest.mark.parametrize("address", [DOMAIN, f"{DOMAIN}/service"])
def test_a_host_has_no_presence(stage, address):
    juliet = stage.enter(interested=True)
    juliet.send_presence("subscribe", address)
    assert stage.settled() == {juliet.jid: sorted([
        f"push {DOMAIN} none ask", f"presence unsubscribed from={DOMAIN}", f"push {DOMAIN} none"])}
    juliet.send_presence("probe", address)
    for type in TYPES[1:]:
        juliet.send_presence(type, address)
    stage.settle()
    assert state(juliet, DOMAIN)[:2] == ("none", None)
    juliet.roster_set(DOMAIN, subscription="remove")


@conforms("8.5.3.2.2", "to a resource that is not there a request is one to the account, and the other three are ignored")
def test_subscriptions_to_a_resource_that_is_not_there(stage, contacts, pair):
    juliet, _ = pair
    contact = contacts.contact()
    attic = f"{juliet.bare}/attic"
    contacts.send_presence("subscribe", attic, from_=contact)
    assert stage.settled() == {juliet.jid: [f"presence subscribe from={contact}"]}
    contacts.send_presence("unsubscribe", attic, from_=contact)
    assert stage.settled() == {}
    contacts.send_presence("unsubscribe", juliet.jid, from_=contact)
    assert stage.settled()[juliet.jid] == [f"presence unsubscribe from={contact}"]
