"""Messages to another server that cannot be reached wait in the store, in order, and nothing that was acknowledged is
lost."""

import json
import random
import sqlite3
import threading

import pytest

from harness.pair import Pair
from harness.sm import enable, wait_acknowledged
from harness.stage import body, error, local_name
from harness.wait import wait_until

conforms = pytest.mark.conforms
DELAY = "{urn:xmpp:delay}delay"


@pytest.fixture(scope="module")
def shared():
    pair = Pair()
    try:
        yield pair
    finally:
        pair.end()


@pytest.fixture
def pair(shared):
    """Both run, nobody is logged in, and nothing waits."""
    for half in (shared.near, shared.far):
        if not half.backend.running():
            half.backend.start()
    yield shared
    for party in list(shared.parties):
        party.tcp.close()
        shared.parties.remove(party)


def rows(half):
    """The texts that are in the store for the other server."""
    with sqlite3.connect(f"file:{half.backend.state_dir}/postern.sqlite?mode=ro", uri=True) as db:
        return [text for text, in db.execute("SELECT text FROM queue WHERE kind = 'remote' ORDER BY id")]


def wait_rows(half, wanted, what=""):
    wait_until(lambda: sum(what in text for text in rows(half)) == wanted,
               lambda: f"{wanted} rows for another server: {rows(half)}")


def take(actor, word, count):
    """So many messages whose body has the word, without those that came before; in the order in which they came."""
    seen = {}
    while len(seen) < count:
        got = actor.next()
        if local_name(got) == "message" and word in (body(got) or ""):
            seen.setdefault(body(got), got)
    return list(seen.values())


def numbered(word, count):
    return [f"{word} {number:04}" for number in range(count)]


def bodies(stanzas):
    return [body(stanza) for stanza in stanzas]


def until(actor, kind, **wanted):
    """The next stanza of that kind with these attributes; those before it are passed over."""
    while True:
        got = actor.next()
        if local_name(got) == kind and all(got.get(name) == value for name, value in wanted.items()):
            return got


def come_back(pair, jid):
    """The other server starts, and lets the first one know by itself."""
    pair.far.backend.start()
    actor = pair.enter(jid, priority=None)
    actor.send_presence()
    actor.send_message("nobody@near.example", "we are back")
    return actor


def stop_far(pair):
    """The other server stops, and the first one knows it."""
    pair.far.backend.stop()
    wait_until(lambda: "open" not in {row["state"] for row in json.loads(pair.near.backend.ctl("--json", "s2s", "list"))},
               "no stream is open")


def test_there_and_back(pair):
    juliet, romeo = pair.enter("juliet@near.example"), pair.enter("romeo@far.example")
    juliet.send_message(romeo.jid, "art thou there")
    romeo.expect("message", body="art thou there")
    romeo.send_message(juliet.jid, "I am")
    juliet.expect("message", body="I am")


@conforms("XEP-0198", "4", "a message for a server that is away is acknowledged when it is stored")
@conforms("XEP-0203", "4", "what has waited says since when")
def test_away_and_back(pair):
    juliet = pair.enter("juliet@near.example")
    pair.account("romeo@far.example")
    enable(juliet)
    pair.far.backend.stop()
    for text in numbered("away", 40):
        juliet.send_message("romeo@far.example", text)
    wait_acknowledged(juliet, 40)
    wait_rows(pair.near, 40, "away")
    romeo = come_back(pair, "romeo@far.example")
    stanzas = take(romeo, "away", 40)
    assert bodies(stanzas) == numbered("away", 40)
    assert stanzas[0].find(DELAY).get("from") == "near.example"
    wait_rows(pair.near, 0)


def test_kill_of_either(pair):
    juliet = pair.enter("juliet@near.example")
    pair.account("romeo@far.example")
    enable(juliet)
    pair.far.backend.kill()
    for text in numbered("killed", 10):
        juliet.send_message("romeo@far.example", text)
    wait_acknowledged(juliet, 10)
    pair.near.backend.kill()
    pair.near.backend.start()
    pair.near.backend.wait_log(event="s2s_waiting")
    romeo = come_back(pair, "romeo@far.example")
    assert bodies(take(romeo, "killed", 10)) == numbered("killed", 10)
    wait_rows(pair.near, 0)


class Writer(threading.Thread):
    """Sends numbers, and says when it is done."""

    def __init__(self, actor, to, count, pause):
        super().__init__()
        self.actor, self.to, self.count, self.pause = actor, to, count, pause
        self.start()

    def run(self):
        for number in range(self.count):
            self.actor.send_message(self.to, f"{self.actor.bare} {number:04}")
            self.pause.wait(0.004)


@pytest.mark.tsan
def test_order_with_several_senders(pair):
    """live, cut, queue, live again, while everybody goes on writing; both ways."""
    romeo = pair.enter("romeo@far.example")
    senders = [pair.enter(f"sender{number}@near.example") for number in range(4)]
    for sender in senders:
        enable(sender)
    pause = threading.Event()
    writers = [Writer(sender, romeo.jid, 300, pause) for sender in senders]
    for _ in range(3):
        pause.wait(random.uniform(0.1, 0.3))
        pair.cut()
        pause.wait(random.uniform(0.1, 0.3))
        pair.mend()
    for writer in writers:
        writer.join()
    for sender in senders:
        wait_acknowledged(sender, 300)
    seen = bodies(take(romeo, "sender", 1200))
    for sender in senders:
        assert [text for text in seen if text.startswith(sender.bare)] == numbered(sender.bare, 300)
    wait_rows(pair.near, 0)


@conforms("RFC 6120", "10.4.3", "what cannot be kept is answered by an error when the other server cannot be reached")
def test_what_is_not_kept(pair):
    juliet = pair.enter("juliet@near.example")
    stop_far(pair)
    juliet.send_message("room@far.example", "not kept", type="groupchat", id="g")
    juliet.send_iq("get", "<ping xmlns='urn:xmpp:ping'/>", to="far.example", id="q")
    juliet.send_presence(to="room@far.example/nick", id="p")
    for kind in ("message", "iq", "presence"):
        assert "remote-server-timeout" in error(juliet.expect(kind, type="error"))
    assert not any("not kept" in text for text in rows(pair.near))


@conforms("RFC 6121", "3.1.2", "a subscription request waits for a server that is away")
def test_subscription_and_presence(pair):
    juliet = pair.enter("nurse@near.example", interested=True)
    pair.account("peter@far.example")
    pair.far.backend.stop()
    juliet.send_presence("subscribe", "peter@far.example")
    juliet.expect("push")
    wait_rows(pair.near, 1, "subscribe")
    pair.far.backend.start()
    romeo = pair.enter("peter@far.example", interested=True)
    romeo.send_message("nobody@near.example", "we are back")
    until(romeo, "presence", type="subscribe")
    romeo.send_presence("subscribed", juliet.bare)
    romeo.send_presence("subscribe", juliet.bare)
    until(juliet, "presence", type="subscribe")
    juliet.send_presence("subscribed", romeo.bare)
    until(romeo, "presence", **{"from": juliet.jid})
    # a stream that breaks: afterwards each side knows what the other one did meanwhile
    pair.cut()
    romeo.send_presence(inner="<status>cut off</status>")
    romeo.sync()
    pair.mend()
    juliet.send_message(romeo.jid, "mended")
    while until(juliet, "presence", **{"from": romeo.jid}).findtext("{jabber:client}status") != "cut off":
        pass
    assert body(until(romeo, "message", type="chat")) == "mended"


def test_idle_stream(own_pair):
    """One that nobody uses is closed in order, which is no failure; the next stanza opens another."""
    pair = own_pair(near_extra="s2s-idle-timeout = 1s")
    juliet, romeo = pair.enter("juliet@near.example"), pair.enter("romeo@far.example")
    for text in ("one", "two"):
        juliet.send_message(romeo.jid, text)
        romeo.expect("message", body=text)
        pair.near.backend.wait_log(event="s2s_end", reason="idle", count=1 if text == "one" else 2)
    assert not pair.near.backend.log(event="s2s_failed")


def test_denied(own_pair):
    """What waits for a domain that is not allowed any more comes back, and its streams are closed."""
    pair = own_pair()
    juliet = pair.enter("juliet@near.example")
    pair.far.backend.stop()
    juliet.send_message("romeo@far.example", "waits", id="waits")
    wait_rows(pair.near, 1)
    config = pair.near.backend.config
    config.write_text('s2s-deny = "far.example"\n' + config.read_text())
    pair.near.backend.ctl("reload")
    got = until(juliet, "message", type="error", id="waits")
    assert "policy-violation" in error(got)
    wait_rows(pair.near, 0)
    juliet.send_message("romeo@far.example", "never", id="never")
    assert "policy-violation" in error(until(juliet, "message", type="error", id="never"))
    assert pair.near.backend.log(event="s2s_failed", failure="denied")


def test_limit(own_pair):
    pair = own_pair(near_extra="s2s-queue-messages = 3")
    juliet = pair.enter("juliet@near.example")
    pair.far.backend.stop()
    for number in range(4):
        juliet.send_message("romeo@far.example", str(number), id=f"m{number}")
    got = juliet.expect("message", type="error")
    assert got.get("id") == "m3" and "resource-constraint" in error(got)
    wait_rows(pair.near, 3)


def test_too_old(own_pair):
    """What has waited for longer than s2s-queue-age is not delivered any more."""
    pair = own_pair()
    juliet = pair.enter("juliet@near.example")
    pair.account("romeo@far.example")
    enable(juliet)
    pair.far.backend.stop()
    for text in ("too old", "young"):
        juliet.send_message("romeo@far.example", text)
    wait_acknowledged(juliet, 2)
    pair.near.backend.stop()
    with sqlite3.connect(f"{pair.near.backend.state_dir}/postern.sqlite") as db:
        db.execute("UPDATE queue SET stamp_ms = stamp_ms - 8 * 86400000 WHERE text LIKE '%too old%'")
    db.close()
    pair.near.backend.start()
    wait_rows(pair.near, 1)
    wait_until(lambda: pair.near.counter("s2s_expired") == 1, "it has expired")
    romeo = come_back(pair, "romeo@far.example")
    assert body(until(romeo, "message")) == "young"


@pytest.fixture
def own_pair():
    """A function that makes a pair with a configuration of its own."""
    pairs = []

    def make(**arguments):
        pairs.append(Pair(**arguments))
        return pairs[-1]

    yield make
    for one in pairs:
        one.end()
