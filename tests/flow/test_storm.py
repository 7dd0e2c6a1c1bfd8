"""Clients that do everything at once, to themselves and to each other, while an administrator does the same: nothing is
expected of it but that the server goes on, without a word from a sanitizer."""

import random
import threading
import time

import pytest

from harness.postern import run
from harness.rawxmpp import Closed
from harness.site import DOMAIN, Site
from harness.sm import SM, cut
from harness.stage import PASSWORD, Actor, local_name

NAMES = [f"u{i}" for i in range(10)]
OPTIONS = ("resume-timeout = 1s\nunacked-stanzas = 20\noutput-limit = 64k\nack-timeout = 1s\nsessions-per-user = 8\n"
           "streams-per-source = 0\n")


class Weather:
    def __init__(self, site, seed, seconds):
        self.site, self.random, self.end = site, random.Random(seed), time.monotonic() + seconds
        self.resumable = []

    def login(self, name):
        actor = Actor("127.0.0.1", self.site.c2s_direct).start_tls(sni=DOMAIN)
        actor.open(DOMAIN)
        actor.authenticate(name, PASSWORD, "PLAIN")
        actor.open(DOMAIN)
        return actor

    def resume(self, actor, name):
        """The id of a session of that name that goes on; None."""
        own = [one for one in self.resumable if one[0] == name]
        if not own or self.random.random() > 0.7:
            return None
        one = self.random.choice(own)
        self.resumable.remove(one)
        actor.send(f"<resume xmlns='{SM}' previd='{one[1]}' h='{self.random.choice([0, 0, 1, 5])}'/>")
        return one[1] if local_name(actor.next()) == "resumed" else None

    def begin(self, actor):
        """A session; its id for resumption, if it wants one."""
        actor.command("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                      f"<resource>{self.random.choice('abcd')}</resource></bind></iq>")
        id = None
        if self.random.random() < 0.7:
            actor.send(f"<enable xmlns='{SM}' resume='true'/>")
            for _ in range(50):
                got = actor.next()
                if local_name(got) == "enabled":
                    id = got.get("id")
                    break
        actor.send("<presence/>")
        return id

    def stanza(self, managed):
        to = self.random.choice(NAMES) + "@" + DOMAIN + self.random.choice(["", "", "/a", "/b"])
        bare = to.split("/")[0]
        text = "x" * self.random.choice([3, 3, 3000, 60000])
        word = self.random.choice(["subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"])
        removal = self.random.choice(["", " subscription='remove'"])
        block = self.random.choice(["block", "unblock"])
        return self.random.choice([
            *[f"<message to='{to}' type='{kind}'><body>{text}</body></message>" for kind in ("chat", "normal", "headline")],
            f"<presence to='{to}' type='{word}'/>", "<presence/>", "<presence type='unavailable'/>", f"<presence to='{to}'/>",
            f"<iq type='set' id='x'><query xmlns='jabber:iq:roster'><item jid='{bare}'{removal}/></query></iq>",
            "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>",
            f"<iq type='set' id='x'><{block} xmlns='urn:xmpp:blocking'><item jid='{to}'/></{block}></iq>",
            f"<r xmlns='{SM}'/>" if managed else " "])

    def leave(self, actor, how):
        if how < 0.6:
            cut(actor)
            return
        if how < 0.8:
            actor.send("</stream:stream>")
        if how < 0.9:
            actor.tcp.close()

    def one_session(self):
        name = self.random.choice(NAMES)
        actor = self.login(name)
        id = self.resume(actor, name) or self.begin(actor)
        for _ in range(self.random.randrange(1, 30)):
            actor.send(self.stanza(id))
            if self.random.random() < 0.3:
                time.sleep(self.random.random() * 0.01)
            if self.random.random() < 0.3:
                try:
                    actor.next(0.005)
                except TimeoutError:
                    pass
        if id:
            self.resumable = [*self.resumable, (name, id)][-5:]
        self.leave(actor, self.random.random())

    def users(self):
        while time.monotonic() < self.end and self.site.backend.running():
            try:
                self.one_session()
            except (Exception, Closed):  # the server may refuse, and end, whatever it likes
                pass

    def administrator(self):
        while time.monotonic() < self.end and self.site.backend.running():
            jid = self.random.choice(NAMES) + "@" + DOMAIN
            command, text = self.random.choice([
                (["kick", jid], ""), (["passwd", jid], PASSWORD + "\n"), (["deluser", jid], ""), (["adduser", jid], PASSWORD + "\n"),
                (["adduser", jid], PASSWORD + "\n"), (["sessions"], ""), (["reload"], ""), (["roster", "get", jid], "")])
            run("posternctl", "-c", self.site.backend.config, *command, stdin=text)


def storm(shards, seconds, seed):
    site = Site(backend_extra=f"shards = {shards}\n{OPTIONS}")
    try:
        site.backend.start()
        for name in NAMES:
            site.backend.add_user(f"{name}@{DOMAIN}", PASSWORD)
        weathers = [Weather(site, seed + i, seconds) for i in range(9)]
        threads = [threading.Thread(target=one.users) for one in weathers[:-1]]
        threads.append(threading.Thread(target=weathers[-1].administrator))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert site.backend.running(), site.backend.log_text()[-5000:]
    finally:
        site.stop()


@pytest.mark.tsan
@pytest.mark.parametrize("shards", [1, 4])
def test_a_short_storm(shards):
    storm(shards, 5, seed=shards)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 4])
def test_a_long_storm(shards):
    storm(shards, 120, seed=int(time.time()))
