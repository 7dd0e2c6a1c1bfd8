"""Privacy lists (XEP-0016), for clients that still use them."""

import pytest

from harness.site import DOMAIN, Site
from harness.stage import Stage, error, local_name

QUERY = "{jabber:iq:privacy}query"
NOBODY = "<item action='deny' order='1'/>"


@pytest.fixture(scope="module")
def site():
    shared = Site(backend_extra="shards = 2", host_extra="max-privacy-items = 6")
    try:
        yield shared.start()
    finally:
        shared.stop()


@pytest.fixture
def stage(site):
    with Stage(site) as one:
        yield one


def ask(actor, type, inner=""):
    """The query of the answer, or the condition of the error."""
    answer = actor.request(type, f"<query xmlns='jabber:iq:privacy'>{inner}</query>")
    if error(answer):
        return error(answer)[1]
    return answer.find(QUERY)


def put(actor, name, items):
    return ask(actor, "set", f"<list name='{name}'>{items}</list>")


def names(actor):
    return [(local_name(one), one.get("name")) for one in ask(actor, "get")]


def pushed(actor):
    got = actor.expect("iq", "set")
    return got.find(QUERY)[0].get("name")


@pytest.mark.conforms("XEP-0016", "2.3", "names, one list; item-not-found, bad-request for two")
@pytest.mark.conforms("XEP-0016", "2.6", "a list is replaced whole, and its name pushed to every resource")
@pytest.mark.conforms("XEP-0016", "2.7", "a new list")
@pytest.mark.conforms("XEP-0016", "2.8", "removed; conflict while another resource uses it")
def test_lists(stage):
    one, two = (actor := stage.enter()), stage.enter(actor.bare)
    stage.settle()
    assert names(one) == []
    assert put(one, "a", "<item type='jid' value='Eve@B' action='deny' order='5'><message/></item>"
                         "<item action='allow' order='2'/>") is None
    assert pushed(one) == "a" and pushed(two) == "a"
    got = ask(two, "get", "<list name='a'/>")[0]
    assert [item.attrib for item in got] == [{"action": "allow", "order": "2"},
                                             {"type": "jid", "value": "eve@b", "action": "deny", "order": "5"}]
    assert [local_name(kind) for kind in got[1]] == ["message"]
    assert ask(one, "get", "<list name='b'/>") == "item-not-found"
    assert ask(one, "get", "<list name='a'/><list name='a'/>") == "bad-request"
    assert put(one, "a", "<item action='deny' order='1'/><item action='deny' order='1'/>") == "bad-request"
    assert put(one, "b", "<item type='group' value='Nobodies' action='deny' order='1'/>") == "item-not-found"
    assert put(one, "b", "".join(f"<item action='deny' order='{i}'/>" for i in range(5))) == "policy-violation"
    assert ask(one, "set", "<list name='a'/><active/>") == "bad-request"
    assert ask(one, "set", "<active name='b'/>") == "item-not-found"
    assert ask(one, "set", "<default name='b'/>") == "item-not-found"
    assert ask(two, "set", "<active name='a'/>") is None
    assert ask(one, "set", "<list name='a'/>") == "conflict"
    assert ask(two, "set", "<active/>") is None
    assert ask(one, "set", "<default name='a'/>") is None
    assert names(one) == [("default", "a"), ("list", "a")]
    assert ask(one, "set", "<list name='a'/>") == "conflict"
    assert ask(one, "set", "<default/>") == "conflict"
    two.leave()
    stage.parties.remove(two)
    assert ask(one, "set", "<list name='a'/>") is None
    assert ask(one, "set", "<list name='a'/>") == "item-not-found"
    assert names(one) == []


@pytest.mark.conforms("XEP-0016", "2.4", "an active list is in force for its session alone, at once")
@pytest.mark.conforms("XEP-0016", "2.5", "the default list is in force for who has no active one, and when nobody is there")
@pytest.mark.conforms("XEP-0016", "2.14", "the blocked entity hears service-unavailable, the user not-acceptable")
def test_active_and_default(stage):
    one, other = stage.enter(), stage.enter()
    two = stage.enter(one.bare)
    stage.settle()
    for name, items in (("nobody", NOBODY), ("open", "<item action='allow' order='1'/>")):
        assert put(one, name, items) is None
    stage.settle()
    assert ask(one, "set", "<active name='nobody'/>") is None
    other.send_message(one.jid, "x")
    other.expect("message", "error", error="service-unavailable")
    one.send_message(other.jid, "y")
    one.expect("message", "error", error="not-acceptable")
    other.send_message(one.bare, "to the other resource")
    two.expect("message", body="to the other resource")
    one.nothing()
    assert ask(two, "set", "<active name='open'/>") is None
    assert ask(two, "set", "<default name='nobody'/>") is None
    other.send_message(two.jid, "open")
    two.expect("message", body="open")
    assert ask(two, "set", "<active/>") is None
    other.send_message(two.jid, "closed")
    other.expect("message", "error", error="service-unavailable")
    for actor in (one, two):
        actor.leave()
        stage.parties.remove(actor)
    other.send_message(one.bare, "nobody is there")
    other.expect("message", "error", error="service-unavailable")


@pytest.mark.conforms("XEP-0016", "2.11", "presence-out: contacts see the user go, and come back")
@pytest.mark.conforms("XEP-0016", "2.10", "presence-in: the user sees the contact go, and come back")
def test_presence(stage):
    user, friend = stage.enter(interested=True), stage.enter(interested=True)
    stage.befriend(user, friend)
    stage.settle()
    invisible = "<item action='deny' order='1'><presence-out/></item>"
    assert put(user, "invisible", invisible) is None
    pushed(user)
    assert ask(user, "set", "<active name='invisible'/>") is None
    friend.expect("presence", "unavailable", frm=user.jid)
    user.send_presence(inner="<show>chat</show>")
    user.expect("presence", frm=user.jid)
    friend.send_presence("probe", user.bare)
    user.send_presence(to=friend.jid, inner="<show>dnd</show>")
    user.expect("presence", "error", frm=friend.jid, error="not-acceptable")
    user.nothing()
    assert ask(user, "set", "<active/>") is None
    while friend.expect("presence").findtext("{*}show") != "chat":
        pass
    assert put(user, "deaf", "<item type='subscription' value='both' action='deny' order='1'><presence-in/></item>") is None
    pushed(user)
    assert ask(user, "set", "<active name='deaf'/>") is None
    user.expect("presence", "unavailable", frm=friend.bare)
    friend.send_message(user.jid, "still heard")
    user.expect("message", body="still heard")
    assert ask(user, "set", "<active/>") is None
    user.expect("presence", "available", frm=friend.jid)
