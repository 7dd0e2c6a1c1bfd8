"""Clients that write down what the server has acknowledged, and ask for it after a crash.

A writer is a thread with an account of its own.  It does one thing after another until the server is gone; what was
acknowledged must be there afterwards, what was under way may be."""

import threading
import time

from harness.rawxmpp import Closed
from harness.site import DOMAIN
from harness.stage import PASSWORD, Actor, bare, body, local_name
from harness.wait import PATIENCE_S

SM = "urn:xmpp:sm:3"
NOTE = "<query xmlns='jabber:iq:private'><n xmlns='test:note'>{}</n></query>"
GONE = (Closed, OSError, TimeoutError)


def connect(site, user):
    actor = Actor("127.0.0.1", site.c2s_direct).start_tls(sni=DOMAIN)
    actor.login(user, PASSWORD, DOMAIN, mechanism="PLAIN")
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
    """The roster: contacts are added, and every third is removed again."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.contacts, self.under_way, self.number = set(), None, 0

    def step(self, actor):
        self.number += 1
        remove = self.number % 3 == 0
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
            except AssertionError:
                return  # refused or not answered: the server is gone
            self.acknowledged.add(self.under_way)
            self.steps += 1

    def verify(self):
        found = {jid.split("@")[0] for jid in self.site.backend.ctl("users").split()}
        mine = {user for user in found if user.startswith(f"made-{self.user}-")}
        assert mine ^ self.acknowledged <= {self.under_way}, (mine ^ self.acknowledged, self.under_way)
        self.acknowledged = mine
        self.steps += 1


def load(writers, backend, wait_s=30, kill_after_s=None):
    """Have all write until the server is gone: killed by us after a while, or by itself."""
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    if kill_after_s is not None:
        time.sleep(kill_after_s)  # a random moment is what is wanted
        backend.kill()
    backend.popen.wait(wait_s)
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
