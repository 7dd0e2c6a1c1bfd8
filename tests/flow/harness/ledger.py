"""Clients that write down what the server has acknowledged, and ask for it after a crash.

A writer is a thread with an account of its own.  It does one thing after another until the server is gone; what was
acknowledged must be there afterwards, what was under way may be."""

import itertools
import random
import threading
import time
import xml.etree.ElementTree as ElementTree

from harness.rawxmpp import Closed
from harness.site import DOMAIN
from harness.stage import PASSWORD, Actor, local_name
from harness.wait import PATIENCE_S

SM = "urn:xmpp:sm:3"
NOTE = "<query xmlns='jabber:iq:private'><n xmlns='test:note'>{}</n></query>"
NUMBERS = itertools.count(1)
GONE = (Closed, OSError, TimeoutError)


def connect(site, user):
    actor = Actor("127.0.0.1", site.c2s_direct).start_tls(sni=site.domain)
    actor.login(user, PASSWORD, site.domain, mechanism="PLAIN")
    return actor


class Writer:
    """One account and its ledger; kinds of writers say what a step is and how it is verified."""

    def __init__(self, site, user):
        self.site, self.user, self.steps = site, user, 0
        site.add_account(user, PASSWORD)

    def run(self):
        """Until the server is gone."""
        try:
            with connect(self.site, self.user) as actor:
                self.begin(actor)
                while True:
                    self.step(actor)
                    self.steps += 1
        except GONE:
            pass

    def begin(self, actor):
        pass


class Notes(Writer):
    """Private XML: one value that is replaced again and again, long enough to fill the store's log."""

    size = 20000
    acknowledged = under_way = 0

    def step(self, actor):
        self.under_way = self.acknowledged + 1
        assert actor.request("set", NOTE.format(f"{self.under_way} " + "x" * self.size)).get("type") == "result"
        self.acknowledged = self.under_way

    def verify(self):
        with connect(self.site, self.user) as actor:
            text = actor.request("get", NOTE.format(""))[0][0].text
            found = int(text.split()[0]) if text else 0
        assert found in (self.acknowledged, self.under_way), (self.user, found, self.acknowledged)
        self.acknowledged = self.under_way = found


class Contacts(Writer):
    """The roster: contacts are added, and some removed again."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.contacts, self.under_way, self.number = set(), None, 0

    def step(self, actor):
        self.number += 1
        remove = len(self.contacts) > 300 or (self.contacts and self.number % 3 == 0)
        jid = min(self.contacts) if remove else f"contact{self.number:06}@{DOMAIN}"
        self.under_way = jid
        answer = actor.roster_set(jid, **({"subscription": "remove"} if remove else {}))
        assert answer.get("type") == "result"
        self.contacts ^= {jid}
        self.under_way = None

    def verify(self):
        with connect(self.site, self.user) as actor:
            found = set(actor.roster())
        differs = found ^ self.contacts
        assert differs <= {self.under_way}, (self.user, differs, self.under_way)
        self.contacts, self.under_way = found, None


class Accounts(Writer):
    """Accounts made by posternctl."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.acknowledged, self.under_way = set(), None

    def run(self):
        while self.site.backend.running():
            self.under_way = f"made-{self.user}-{self.steps}"
            try:
                self.site.backend.add_user(f"{self.under_way}@{DOMAIN}", PASSWORD)
            except (AssertionError, OSError):
                return  # refused or not answered: the server is gone
            self.acknowledged.add(self.under_way)
            self.steps += 1

    def verify(self):
        found = {jid.split("@")[0] for jid in self.site.backend.ctl("users").split()}
        mine = {user for user in found if user.startswith(f"made-{self.user}-")}
        assert mine ^ self.acknowledged <= {self.under_way}, (mine ^ self.acknowledged, self.under_way)
        self.acknowledged = mine
        self.steps += 1


class Sender(Writer):
    """Messages under stream management: the ledger has the ids that an <a/> has covered."""

    def __init__(self, site, user, to):
        super().__init__(site, user)
        self.to, self.acknowledged, self.under_way = to, set(), []

    def begin(self, actor):
        actor.send(f"<enable xmlns='{SM}'/>")
        assert actor.next().tag == f"{{{SM}}}enabled"
        self.count, self.under_way = 0, []

    def step(self, actor):
        if self.count > 300:
            time.sleep(0.2)  # these are enough to lose: what is written must be read in the end, on a busy machine, too
        for _ in range(random.randint(1, 5)):
            id = f"{self.user}-{next(NUMBERS)}"
            self.under_way.append(id)
            actor.send_message(self.to, f"{id} " + "x" * 500, id=id)
        self.ask(actor)
        while len(self.under_way) > 30:  # nobody reads so fast
            time.sleep(0.005)
            self.ask(actor)

    def ask(self, actor):
        actor.send(f"<r xmlns='{SM}'/>")
        got = actor.next()
        assert got.tag == f"{{{SM}}}a", ElementTree.tostring(got)  # an error, too, is a loss here
        settled = int(got.get("h")) - self.count
        self.count += settled
        self.acknowledged |= set(self.under_way[:settled])
        del self.under_way[:settled]

    def verify(self):
        pass  # the recipient does


class Recipient(Writer):
    """Comes and goes, at times by a connection that breaks, and resumes its session when it can.  What it reads it
    acknowledges; what was acknowledged to a sender it must have read in the end."""

    def __init__(self, site, user):
        super().__init__(site, user)
        self.senders, self.read, self.duplicates = [], set(), 0
        self.resumption = None

    def take(self, got):
        """Count and write down a stanza."""
        if got.tag.startswith("{jabber:client}"):
            self.handled += 1
        if local_name(got) == "message" and got.get("id"):
            self.duplicates += got.get("id") in self.read
            self.read.add(got.get("id"))

    def acknowledge(self, actor):
        actor.send(f"<a xmlns='{SM}' h='{self.handled}'/>")

    def enter(self):
        """A session: the old one, or a new one."""
        actor = Actor("127.0.0.1", self.site.c2s_direct).start_tls(sni=self.site.domain)
        actor.open(self.site.domain)
        actor.authenticate(self.user, PASSWORD, "PLAIN")
        if self.resumption:
            actor.open(self.site.domain)
            got = actor.command(f"<resume xmlns='{SM}' previd='{self.resumption}' h='{self.handled}'/>")
            self.resumption = None
            if got.tag == f"{{{SM}}}resumed":
                self.resumption = got.get("previd")
                return actor
            got = actor.command("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
            assert got.get("type") == "result"
        else:
            actor.bind()
        actor.send(f"<enable xmlns='{SM}' resume='true'/>")
        self.resumption, self.handled = actor.next().get("id"), 0
        actor.send("<presence/>")
        return actor

    def listen(self, for_s):
        """Read for a while, then let the connection break: with what it brought not acknowledged, at times."""
        with self.enter() as actor:
            until = time.monotonic() + for_s
            while time.monotonic() < until:
                try:
                    got = actor.next(timeout_s=0.05)
                except TimeoutError:
                    continue
                self.take(got)
                if random.random() < 0.8:
                    self.acknowledge(actor)
                self.steps += 1

    def run(self):
        try:
            time.sleep(random.uniform(0, 0.5))  # some messages wait by then
            while True:
                self.listen(random.uniform(0.05, 0.3))
                if random.random() < 0.5:
                    self.resumption = None  # it has forgotten
                time.sleep(random.uniform(0, 0.1))  # away
        except GONE:
            self.resumption = None

    def verify(self):
        """The server has lost no message if a client that logs in now gets what is missing."""
        missing = set().union(*(sender.acknowledged for sender in self.senders)) - self.read
        with self.enter() as actor:
            heard = time.monotonic()
            while missing and time.monotonic() - heard < PATIENCE_S:
                try:
                    got = actor.next(timeout_s=0.2)
                except TimeoutError:
                    continue
                heard = time.monotonic()
                self.take(got)
                self.acknowledge(actor)
                missing.discard(got.get("id"))
            for got in actor.sync():
                self.take(got)
            self.acknowledge(actor)
            actor.leave()
        self.resumption = None
        assert not missing, f"{len(missing)} of {len(self.read)} messages are lost: {sorted(missing)[:20]}"


class Archive:
    """What a user's archive has (XEP-0313), read on from where it was read to before."""

    PAGE = ("<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>200</max>"
            "<after>{}</after></set></query>")

    def __init__(self, site, user):
        self.site, self.user, self.last, self.ids = site, user, "", set()

    def read_page(self, actor):
        """false: that was the last one."""
        id, page = actor.send_iq("set", self.PAGE.format(self.last).replace("<after></after>", "")), []
        while True:
            got = actor.next()
            if got.tag == "{jabber:client}iq" and got.get("id") == id:
                assert got.get("type") == "result", ElementTree.tostring(got)
                break
            page += [(got[0].get("id"), one.get("id")) for one in got.iter("{jabber:client}message") if one is not got]
        if page:
            self.last = page[-1][0]
            self.ids |= {id for _, id in page}
        return got[0].get("complete") != "true"

    def verify(self, senders):
        """All that was acknowledged to these is there."""
        with connect(self.site, self.user) as actor:
            while self.read_page(actor):
                pass
        missing = set().union(*(sender.acknowledged for sender in senders)) - self.ids
        assert not missing, f"{self.user}: {len(missing)} of {len(self.ids)} are not archived: {sorted(missing)[:20]}"


def load(writers, backend, wait_s=120, kill_after_s=None):
    """Have all write until the server is gone: killed by us after a while, or by itself."""
    failures = []

    def run(writer):
        try:
            writer.run()
        except Exception as failure:  # for the thread that waits
            failures.append(failure)
            backend.kill()

    threads = [threading.Thread(target=run, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    if kill_after_s is not None:
        time.sleep(kill_after_s)  # a random moment is what is wanted
        backend.kill()
    backend.popen.wait(wait_s)
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    if failures:
        raise failures[0]
