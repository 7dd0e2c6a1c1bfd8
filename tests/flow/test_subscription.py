"""Subscriptions to presence: RFC 6121 section 3."""

import pytest

from harness.stage import bare, local_name


def conforms(section, what):
    return pytest.mark.conforms("RFC 6121", section, what)


@pytest.fixture
def pair(stage):
    """Two who have nothing to do with each other, both interested."""
    return stage.enter(interested=True), stage.enter(interested=True)


def state(client, contact):
    """subscription, ask, approved of a contact; None when it is not in the roster."""
    item = client.roster().get(bare(contact))
    return item and tuple(item.get(name) for name in ("subscription", "ask", "approved"))


def subscriptions(elements):
    """(type, from, to, status) of the stanzas about subscriptions among the elements."""
    return [(got.get("type"), got.get("from"), got.get("to"), got.findtext("{*}status")) for got in elements
            if local_name(got) == "presence"
            and got.get("type") in ("subscribe", "subscribed", "unsubscribe", "unsubscribed")]


@conforms("3.1.2", "a request is noted, pushed, stamped with bare addresses, and routed")
@conforms("3.1.3", "a request is delivered to available resources, and no item made of it")
@conforms("3.1.5", "an approval is routed and pushed")
@conforms("3.1.6", "an approval is delivered and pushed")
def test_asked_and_granted(pair):
    juliet, romeo = pair
    romeo.send_presence("subscribe", juliet.jid, "<status>it is I</status>")
    romeo.expect("push")
    assert state(romeo, juliet.jid) == ("none", "subscribe", None)
    got = juliet.expect("presence", "subscribe", romeo.bare, juliet.bare)
    assert got.findtext("{*}status") == "it is I"
    assert juliet.roster() == {}
    juliet.send_presence("subscribed", romeo.bare)
    juliet.expect("push")
    assert state(juliet, romeo.jid) == ("from", None, None)
    romeo.expect("presence", "subscribed", juliet.bare, romeo.bare)
    romeo.expect("push")
    assert state(romeo, juliet.jid) == ("to", None, None)


@conforms("3.1.3", "a request waits over restarts, as it came, until it is answered")
def test_a_request_waits(stage):
    romeo = stage.enter(interested=True)
    absent = stage.account()
    for text in "first", "second":
        romeo.send_presence("subscribe", absent, f"<status>{text}</status>")
    stage.settle()
    stage.site.backend.stop()
    stage.site.backend.start()
    stage.parties.clear()
    for _ in range(2):
        juliet = stage.enter(absent, interested=True)
        juliet.elements[:0] = juliet.own_presence
        assert subscriptions(juliet.sync()) == [("subscribe", romeo.bare, absent, "first")]
        juliet.leave()
        stage.parties.clear()
    juliet = stage.enter(absent, interested=True)
    juliet.send_presence("unsubscribed", romeo.bare)
    juliet.nothing()
    stage.remove(juliet)
    juliet = stage.enter(absent, interested=True)
    assert subscriptions(juliet.own_presence + juliet.sync()) == []
