"""Messages that wait for their recipient: XEP-0160, XEP-0203, RFC 6121 section 8.5.2.2."""

import contextlib
import json
import re
import signal
import sqlite3
import threading

import pytest

from harness.site import DOMAIN
from harness.stage import Stage, body, error, local_name, number
from harness.wait import PATIENCE_S, wait_until

DELAY = "{urn:xmpp:delay}delay"
DISCO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
NUMBERS = 200  # of each who writes


def conforms(section, what):
    return pytest.mark.conforms("XEP-0160", section, what)


def messages(elements):
    return [one for one in elements if local_name(one) == "message"]


def bodies(elements):
    return [body(one) for one in messages(elements)]


def counters(site):
    return json.loads(site.backend.ctl("--json", "status"))["counters"]


def come(actor, priority=0):
    """Become available, and wait until all that has waited is there; the messages."""
    actor.send_presence(inner=f"<priority>{priority}</priority>")
    return messages(actor.sync())


@conforms("2", "stored, and delivered in order to the resource that comes, with the time")
@conforms("3", "normal and chat are stored")
@pytest.mark.conforms("XEP-0203", "2", "the host says when it has got the message")
@pytest.mark.conforms("RFC 6121", "8.5.2.2.1", "normal and chat are stored for an account without available resources")
def test_stored_and_delivered(stage):
    romeo, absent = stage.enter(), stage.account()
    romeo.send_message(absent, "chat", id="m1", **{"xml:lang": "it"})
    romeo.send_message(f"{absent}/gone", "to a resource", id="m2")
    romeo.send_message(absent, "normal", type="normal", id="m3", extra="<subject>s</subject><x xmlns='urn:example:x'/>")
    romeo.sync()
    silent = stage.enter(absent, "silent", priority=None)
    juliet = stage.enter(absent, "r", priority=None)
    got = come(juliet)
    assert [(one.get("id"), one.get("type"), one.get("to"), one.get("from"), body(one)) for one in got] == [
        ("m1", "chat", absent, romeo.jid, "chat"), ("m2", "chat", f"{absent}/gone", romeo.jid, "to a resource"),
        ("m3", "normal", absent, romeo.jid, "normal")]
    assert got[0].get("{http://www.w3.org/XML/1998/namespace}lang") == "it"
    assert [local_name(child) for child in got[2]] == ["body", "subject", "x", "stanza-id", "delay"]
    for one in got:
        (delay,) = one.findall(DELAY)
        assert delay.get("from") == DOMAIN
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", delay.get("stamp"))
    assert stage.settle() == {}
    silent.send_presence()
    assert messages(silent.sync()) == [], "once is enough"


@conforms("3", "groupchat, headline, error and chat states alone are not stored")
@pytest.mark.conforms("RFC 6121", "8.5.2.2.1", "groupchat is refused, headline and error are ignored")
def test_what_is_not_stored(stage):
    romeo, absent = stage.enter(), stage.account()
    romeo.send_message(absent, "x", type="groupchat")
    assert error(romeo.expect("message", "error", absent)) == ("cancel", "service-unavailable")
    for type in ("headline", "error"):
        romeo.send_message(absent, "x", type=type)
    romeo.send_message(absent, extra="<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    romeo.send_message(absent, "for your eyes only", extra="<no-store xmlns='urn:xmpp:hints'/>")
    assert stage.settle() == {}
    juliet = stage.enter(absent, priority=None)
    assert come(juliet) == []


@conforms("2", "a resource with a negative priority gets nothing, and everything once it is not negative")
@pytest.mark.conforms("RFC 6121", "8.5.2.1.1", "messages are stored when all resources are negative")
def test_negative_priorities(stage):
    juliet, romeo = stage.enter(priority=-1), stage.enter()
    romeo.send_message(juliet.bare, "one")
    assert stage.settle() == {}
    assert come(juliet, -7) == []
    assert bodies(come(juliet, 3)) == ["one"]
    assert come(juliet, 5) == []
    juliet.send_presence("unavailable")
    juliet.sync()
    romeo.send_message(juliet.bare, "two")
    assert stage.settle() == {}
    assert bodies(come(juliet)) == ["two"]


@conforms("4", "msgoffline is among the features of the host")
def test_the_feature(stage):
    romeo = stage.enter()
    answer = romeo.request("get", DISCO, DOMAIN)
    assert "msgoffline" in [feature.get("var") for feature in answer.findall(".//{*}feature")]


@pytest.mark.conforms("RFC 6121", "8.5.1", "who writes to nobody hears what they would hear of somebody who is not there")
def test_nobody_is_as_silent_as_somebody(stage):
    romeo, absent = stage.enter(), stage.account()
    nobody = f"nobody{number()}@{DOMAIN}"

    def heard(to):
        for type in ("normal", "chat", "headline", "error", "groupchat"):
            for address in (to, f"{to}/r"):
                romeo.send_message(address, "x", type=type, id=type)
        romeo.send_message(f"{to}/r", "x", type="normal", id="last")
        came = [romeo.next()]
        while came[-1].get("id") != "last":
            came.append(romeo.next())
        return [(got.get("id"), got.get("from").removeprefix(to), error(got)) for got in came]

    told = heard(nobody)
    assert [(id, frm) for id, frm, _ in told] == [("normal", "/r"), ("groupchat", ""), ("groupchat", "/r"), ("last", "/r")]
    assert told == heard(absent)


def test_a_crash_between_delivery_and_deletion(own_site):
    """The message comes once more: at least once is promised, and kept over restarts."""
    site = own_site()
    site.backend.environment["POSTERN_FAULT"] = "offline-delete:3"
    site.backend.start()
    del site.backend.environment["POSTERN_FAULT"]
    with Stage(site) as stage:
        romeo, absent = stage.enter(), stage.account()
        for i in range(5):
            romeo.send_message(absent, str(i))
        romeo.sync()
        wait_until(lambda: counters(site)["offline_stored"] == 5, "five messages are stored")
        stage.enter(absent, priority=None).send_presence()
        site.backend.popen.wait(PATIENCE_S)
    assert site.backend.popen.returncode == -signal.SIGKILL
    site.backend.start()
    with Stage(site) as stage:
        got = bodies(come(stage.enter(absent, priority=None)))
        assert got == [str(i) for i in range(5)][-len(got):] and len(got) >= 3
    site.backend.stop()
    site.backend.start()
    with Stage(site) as stage:
        assert come(stage.enter(absent, priority=None)) == []


@conforms("2", "service-unavailable when no more can be stored")
def test_limits(own_site):
    site = own_site(host_extra="offline-messages = 2")
    site.backend.start()
    with Stage(site) as stage:
        romeo, absent = stage.enter(), stage.account()
        for i in range(4):
            romeo.send_message(absent, str(i), id=str(i))
        for i in (2, 3):
            assert error(romeo.expect("message", "error", absent, id=str(i))) == ("cancel", "service-unavailable")
        assert bodies(come(stage.enter(absent, priority=None))) == ["0", "1"]


def test_a_limit_of_bytes(own_site):
    site = own_site(host_extra="offline-bytes = 10k")
    site.backend.start()
    with Stage(site) as stage:
        romeo, absent = stage.enter(), stage.account()
        for i in range(4):
            romeo.send_message(absent, str(i) * 4000, id=str(i))
        for i in (2, 3):
            assert error(romeo.expect("message", "error", absent, id=str(i))) == ("cancel", "service-unavailable")
        romeo.send_message(absent, "small")
        romeo.sync()
        assert bodies(come(stage.enter(absent, priority=None))) == ["0" * 4000, "1" * 4000, "small"]


@pytest.mark.conforms("RFC 6121", "8.5.2.2.1", "service-unavailable where nothing is stored")
def test_without_storage(own_site):
    site = own_site(host_extra="offline-messages = 0")
    site.backend.start()
    with Stage(site) as stage:
        romeo, absent = stage.enter(), stage.account()
        for to in (absent, f"nobody@{DOMAIN}", f"{absent}/gone", f"nobody@{DOMAIN}/gone"):
            romeo.send_message(to, "x")
            assert error(romeo.expect("message", "error", to)) == ("cancel", "service-unavailable")
        features = [feature.get("var") for feature in romeo.request("get", DISCO, DOMAIN).findall(".//{*}feature")]
        assert "msgoffline" not in features


@pytest.mark.tsan
@pytest.mark.conforms("RFC 6120", "10.1", "order is kept when what has waited is long, and its reader slow")
def test_a_long_queue_and_a_slow_reader(stage):
    """8 MB are more than the server would keep for a client that does not read; and what is sent meanwhile comes
    behind it."""
    romeo, absent = stage.enter(), stage.account()
    text = "x" * 40000
    for i in range(200):
        romeo.send_message(absent, f"{i} {text}")
    romeo.sync()
    juliet = stage.enter(absent, priority=None)
    juliet.send_presence()
    for i in range(200, 210):
        romeo.send_message(absent, f"{i} {text}")
        romeo.sync()
    got = []
    while len(got) < 210:
        one = juliet.next()
        if local_name(one) == "message":
            got.append(int(body(one).split()[0]))
    assert got == list(range(210))


class Pump(threading.Thread):
    """Somebody who writes numbers all the time, the second half of them once the event has come.  taken: so many the
    server has."""

    def __init__(self, actor, to, count, half):
        super().__init__()
        self.actor, self.to, self.count, self.half, self.taken = actor, to, count, half, 0

    def run(self):
        for i in range(self.count):
            if i == self.count // 2:
                self.half.wait()
            self.actor.send_message(self.to, f"{i}", id="pumped")
            if i % 3 == 2:
                self.actor.sync()
                self.taken = i


@pytest.mark.tsan
@pytest.mark.release
@pytest.mark.conforms("RFC 6120", "10.1", "order is kept over the change from stored to delivered at once")
def test_order_while_the_recipient_comes_and_goes(stage):
    juliet = stage.enter()
    senders = [stage.enter() for _ in range(4)]
    away = threading.Event()
    pumps = [Pump(sender, juliet.bare, NUMBERS, away) for sender in senders]
    numbers = {sender.jid: [] for sender in senders}
    for pump in pumps:
        pump.start()
    first = juliet.expect("message")  # at once; what comes when she is gone is stored
    numbers[first.get("from")].append(int(body(first)))
    kinds = {first.find(DELAY) is not None}
    while any(pump.is_alive() for pump in pumps):
        came = juliet.sync()
        juliet.send_presence("unavailable")
        came += juliet.sync()
        away.set()
        wait_until(lambda: all(pump.taken > NUMBERS // 2 for pump in pumps), "some of each come while she is away")
        juliet.send_presence()
        for one in messages(came + juliet.sync()):
            numbers[one.get("from")].append(int(body(one)))
            kinds.add(one.find(DELAY) is not None)
    while sum(map(len, numbers.values())) < NUMBERS * len(numbers):
        for one in messages([juliet.next()]):
            numbers[one.get("from")].append(int(body(one)))
    assert all(got == list(range(NUMBERS)) for got in numbers.values()), numbers
    assert kinds == {False, True}, "some were stored, others were not"
    assert messages(juliet.sync()) == []


@pytest.mark.conforms("XEP-0203", "4", "a delay that a client makes up in the name of our host is taken out")
def test_delays_in_our_name_are_taken_out(stage):
    romeo, juliet = stage.enter(), stage.enter()
    made_up = "".join(f"<delay xmlns='urn:xmpp:delay' from='{who}' stamp='2001-01-01T00:00:00Z'/>"
                      for who in (DOMAIN, "elsewhere.test", DOMAIN))
    romeo.send_message(juliet.jid, "x", extra=made_up)
    assert [one.get("from") for one in juliet.expect("message", body="x").findall(DELAY)] == ["elsewhere.test"]
    juliet.send_presence("unavailable")
    juliet.sync()
    romeo.send_message(juliet.bare, "y", extra=made_up)
    romeo.send_message(juliet.jid, "it is there", type="headline")
    juliet.expect("message", body="it is there")
    (got,) = come(juliet)
    stamps = {one.get("from"): one.get("stamp") for one in got.findall(DELAY)}
    assert len(got.findall(DELAY)) == 2 and stamps[DOMAIN] > "2026"


def test_expired(own_site):
    """What is older than offline-expire is not delivered; and when the queue is full it makes room."""
    site = own_site(host_extra="offline-expire = 1m\noffline-messages = 3")
    site.backend.start()
    with Stage(site) as stage:
        romeo, absent = stage.enter(), stage.account()
        for text in ("old", "older", "new"):
            romeo.send_message(absent, text)
        romeo.nothing()
        jid = romeo.jid
    site.backend.stop()
    with contextlib.closing(sqlite3.connect(site.backend.state_dir / "postern.sqlite")) as db, db:
        db.execute("UPDATE queue SET stamp_ms = stamp_ms - 120000 WHERE text NOT LIKE '%new%'")
    site.backend.start()
    with Stage(site) as stage:
        romeo = stage.enter(jid)
        for text in ("newer", "newest"):
            romeo.send_message(absent, text)
        romeo.send_message(absent, "too many", id="full")
        romeo.expect("message", "error", id="full", error="service-unavailable")
        assert bodies(come(stage.enter(absent, priority=None))) == ["new", "newer", "newest"]
