"""Hostile and unlucky clients who have logged in: what they send must neither end the server, nor lose or betray what
others rely on."""

import xml.etree.ElementTree as ElementTree

import pytest

from harness.site import DOMAIN, Site
from harness.sm import cut, enable, unacknowledged
from harness.stage import Stage, body, error
from harness.wait import wait_until


@pytest.fixture(scope="module", params=[1, 4], ids=["one shard", "four shards"])
def site(request):
    shared = Site(backend_extra=f"shards = {request.param}\nresume-timeout = 2s\noutput-limit = 64k\nunacked-bytes = 64m\n"
                                "roster-items = 4\n", host_extra="anonymous = true")
    try:
        shared.backend.start()
        yield shared
    finally:
        shared.stop()


@pytest.fixture
def stage(site):
    with Stage(site) as one:
        yield one


def silent(stage, actor):
    """It reads and answers nothing from here on."""
    stage.parties.remove(actor)
    return actor


def ended(site, actor, event="stream_end"):
    wait_until(lambda: site.backend.log(event=event, jid=actor.jid), f"{event} of {actor.jid}")


def stored(site):
    return site.backend.counter("offline_stored")


def test_slow_reader_with_stream_management(site, stage):
    """The session ends by what is written to it, in the middle of writing."""
    writer, reader = stage.enter(), stage.enter()
    enable(reader)
    silent(stage, reader)
    for _ in range(60):
        writer.send_message(reader.jid, "x" * 200000, type="headline")
        writer.sync()
        if site.backend.log(event="stream_end", jid=reader.jid):
            break
    writer.nothing()


def test_session_ends_while_it_is_given_what_waited(own_site):
    """What waited is more than a client may leave unread: its connection breaks, and nothing is lost."""
    site = own_site()
    site.backend.start()
    with Stage(site) as stage:
        give_too_much(site, stage)


def give_too_much(site, stage):
    writer, jid = stage.enter(), stage.account()
    before = stored(site)
    for number in range(12):
        writer.send_message(jid, f"{number} " + "x" * 200000)
    wait_until(lambda: stored(site) == before + 12, "what waits")
    reader = stage.enter(jid, priority=None)
    enable(reader, resume=False)
    reader.send_presence()
    wait_until(lambda: unacknowledged(site, reader.jid), "some of it is on its way")
    cut(silent(stage, reader))
    ended(site, reader)
    again = stage.enter(jid)
    got = [body(one).split()[0] for one in again.own_presence if body(one)]
    assert sorted(set(got), key=int) == [str(number) for number in range(12)]


def test_presence_of_a_session_that_has_gone(stage):
    """It is held until the store has answered; meanwhile its connection breaks, and another session is there."""
    one = stage.enter()
    for number in range(4):
        other = stage.enter(one.jid, priority=None)
        other.send("<iq type='set' id='r'><query xmlns='jabber:iq:roster'>"
                   f"<item jid='nobody{number}@example.test'/></query></iq><presence/>")
        cut(silent(stage, other))
        one.sync()
    wait_until(lambda: len(one.roster()) == 4, "the rosters")
    one.sync()


def test_attributes_that_grow_when_printed(stage):
    """Each attribute declares its namespace where it is printed: the message must not get lost by it."""
    writer, victim = stage.enter(), stage.enter()
    enable(victim)
    prefixes = [f"p{depth}{number}" for depth in range(8) for number in range(8)]
    text = "<q:z" + "".join(f" {prefix}:x=''" for prefix in prefixes) + "/>"
    for depth in range(8):
        declared = "".join(f" xmlns:p{depth}{number}='urn:{depth}{number}'" for number in range(8))
        text = f"<d xmlns='urn:d' xmlns:q='urn:q'{declared}>{text}</d>"
    writer.send_message(victim.bare, "hello", extra=text)
    writer.sync()
    silent(stage, victim).send("</stream:stream>")
    again = stage.enter(victim.jid)
    assert [body(one) for one in again.own_presence if body(one)] == ["hello"]


def test_a_message_to_several_sessions_that_all_break(site, stage):
    """A third session, which has not had it, is no reason to forget it."""
    writer, jid = stage.enter(), stage.account()
    one, two = stage.enter(jid), stage.enter(jid)
    for each in (one, two):
        enable(each)
        silent(stage, each)
    writer.send_message(jid, "precious")
    writer.sync()
    cut(one)
    cut(two)
    ended(site, one, "session_detached")
    ended(site, two, "session_detached")
    three = stage.enter(jid)
    ended(site, one, "session_expired")
    ended(site, two, "session_expired")
    assert [body(message) for message in three.own_presence + three.drain() if body(message)] == ["precious"]


def test_a_message_to_several_sessions_comes_once(site, stage):
    """One of the sessions breaks: the other has it, and gets it no second time."""
    writer, jid = stage.enter(), stage.account()
    one, two = stage.enter(jid), stage.enter(jid)
    for each in (one, two):
        enable(each)
    silent(stage, one)
    writer.send_message(jid, "once")
    while body(two.next()) != "once":
        pass  # presence of the other
    cut(one)
    ended(site, one, "session_expired")
    assert [body(message) for message in two.drain() if body(message)] == []


def test_private_element_asked_for_again_and_again(stage):
    """The answer is no larger than what is stored."""
    one = stage.enter()
    store = "<query xmlns='jabber:iq:private'>{}</query>"
    assert one.request("set", store.format(f"<a xmlns='urn:a'>{'x' * 20000}</a>")).get("type") == "result"
    got = one.request("get", store.format("<a xmlns='urn:a'/>" * 100 + "<b xmlns='urn:b'/>"))
    assert [child.tag for child in got[0]] == ["{urn:a}a", "{urn:b}b"] and len(ElementTree.tostring(got)) < 30000
    assert error(one.request("get", store.format("<a xmlns='urn:a'/>" * 1000))) == ("modify", "not-acceptable")


def test_what_waits_does_not_wait_for_a_broken_connection(own_site):
    """A client that breaks while it is given what waited: the next one gets the rest, long before it is given up."""
    site = own_site()
    site.backend.start()
    with Stage(site) as stage:
        writer, jid = stage.enter(), stage.account()
        for number in range(100):
            writer.send_message(jid, str(number))
        wait_until(lambda: stored(site) == 100, "what waits")
        one = stage.enter(jid, priority=None)
        enable(silent(stage, one))
        one.send_presence()
        while body(one.next()) != "20":
            pass
        cut(one)
        ended(site, one, "session_detached")
        two = stage.enter(jid, priority=None)
        two.send_presence()
        while body(two.next()) != "99":
            pass


def test_a_huge_presence_is_not_told_to_everybody(stage):
    one = stage.enter()
    one.send_presence(inner=f"<status>{'x' * 100000}</status>")
    one.expect("presence", "error", error="not-acceptable")
    one.nothing()


def test_sessions_that_end_by_each_others_end(own_site):
    """Two sessions are kicked at once; that the first leaves is what the second has no room for."""
    site = own_site(backend_extra="unacked-stanzas = 10\n")
    site.backend.start()
    with Stage(site) as stage:
        one = stage.enter(resource="one")
        two = stage.enter(one.jid, resource="two")
        one.sync()
        enable(two)
        for _ in range(10):
            one.send_message(two.jid, "fill", type="headline")
        one.sync()
        site.backend.ctl("kick", one.bare)
        for each in (one, two):
            ended(site, silent(stage, each))
        stage.enter(one.jid).sync()


SPACES = ["urn:xmpp:ping", "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items",
          "http://jabber.org/protocol/commands", "urn:xmpp:blocking", "jabber:iq:privacy", "jabber:iq:private",
          "vcard-temp", "jabber:iq:version", "jabber:iq:last", "urn:xmpp:time", "jabber:iq:roster",
          "jabber:iq:register", "urn:ietf:params:xml:ns:xmpp-session", "urn:ietf:params:xml:ns:xmpp-bind",
          "jabber:client", ""]
CONTENTS = ["", "text", "<item/>", "<item jid=''/>", "<item jid='@'/>", "<x/>", "<x xmlns=''/>", "<query/>", "<list/>",
            "<list name=''/>", "<list name='a'><item/></list>", "<active/>", "<default/>", "<active name='none'/>",
            "<remove/>", "<remove/><x/>", "<username/><password/>", "<x xmlns='jabber:x:data' type='submit'/>",
            "<x xmlns='jabber:x:data' type='submit'><field/><field var='a'/><field var='b'><value/></field></x>"]


@pytest.mark.slow
def test_every_namespace_with_wrong_content(stage):
    """Each iq has one answer, whatever is in it."""
    one, other = stage.enter(), stage.enter()
    ids, answered = set(), {}
    for space in SPACES:
        for name in ("query", "command", "blocklist", "block", "unblock", "vCard", "ping", "no-such-thing"):
            for type in ("get", "set"):
                for to in (None, DOMAIN, other.bare, other.jid, "nobody@" + DOMAIN):
                    for content in CONTENTS:
                        if "remove" in content and space == "jabber:iq:register" and type == "set":
                            continue
                        attributes = " node='x'" if len(ids) % 3 else ""
                        id = one.send_iq(type, f"<{name} xmlns='{space}'{attributes}>{content}</{name}>", to)
                        ids.add(id)
                        while len(ids) - len(answered) > 40:
                            got = one.next()
                            if got.get("id") in ids:
                                assert got.get("id") not in answered
                                answered[got.get("id")] = got.get("type")
    for got in one.sync():
        if got.get("id") in ids:
            answered[got.get("id")] = got.get("type")
    assert set(answered) == ids
