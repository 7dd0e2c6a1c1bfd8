"""The backend is killed at every named point, and at moments that nobody chose; nothing that it has acknowledged is
lost, and it starts again by itself."""

import json
import random
import signal

import pytest

from harness import process
from harness import site as deployment
from harness.ledger import Accounts, Archive, Contacts, Notes, Recipient, Sender, load
from harness.site import DOMAIN

POINTS = {"store-before-commit": 10, "store-in-commit": 10, "store-after-commit": 10, "store-in-checkpoint": 1,
          "offline-delete": 5, "resumption": 1}


class Survivor:
    """A backend, its writers, and their ledgers through many crashes."""

    def __init__(self, site):
        self.site, self.backend = site, site.backend
        self.backend.start()
        self.writers = [Notes(site, "notes"), Contacts(site, "contacts"), Contacts(site, "more-contacts"),
                        Accounts(site, "accounts")]
        recipient = Recipient(site, "recipient")
        recipient.senders = [Sender(site, user, f"recipient@{DOMAIN}") for user in ("sender", "other-sender")]
        self.recipient = recipient
        self.writers += [recipient, *recipient.senders]
        self.archives = [(Archive(site, sender.user), [sender]) for sender in recipient.senders]
        self.archives.append((Archive(site, recipient.user), recipient.senders))
        self.crashes = 0

    def crash(self, point=None, passing=1, after_s=None):
        """Under load, at a point or after a time; then all must be well."""
        if point:
            self.backend.stop()
            self.backend.environment["POSTERN_FAULT"] = f"{point}:{passing}"
            self.backend.start()
            del self.backend.environment["POSTERN_FAULT"]
        load(self.writers, self.backend, kill_after_s=after_s)
        assert self.backend.popen.returncode == -signal.SIGKILL
        if point:
            assert self.backend.log(event="fault", point=point), f"{point} was never passed"
        self.backend.start()
        for writer in self.writers:
            writer.verify()
        for archive, senders in self.archives:
            archive.verify(senders)
        assert json.loads(self.backend.ctl("--json", "check", "store"))["faults"] == 0
        self.crashes += 1
        print(f"{self.crashes} crashes, {len(self.recipient.read)} messages read, "
              f"{self.recipient.duplicates} of them more than once, {len(self.archives[-1][0].ids)} archived")


@pytest.fixture(scope="module")
def survivor():
    """One store for all crashes."""
    site = deployment.Site(host_extra="offline-messages = 100000")
    try:
        yield Survivor(site)
    finally:
        site.stop()
        process.STARTED.clear()


@pytest.mark.parametrize("point", POINTS)
def test_at_a_point(survivor, point):
    survivor.crash(point, random.randint(1, POINTS[point]))


def test_at_random(survivor):
    for _ in range(2):
        survivor.crash(after_s=random.uniform(0.05, 0.8))
    idle = [writer.user for writer in survivor.writers if not writer.steps]
    assert not idle, "no ledger of these was ever written: " + str(idle)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 4])
def test_hundreds_of_crashes(own_site, shards):
    """The same store all the time, which grows."""
    survivor = Survivor(own_site(backend_extra=f"shards = {shards}\n", host_extra="offline-messages = 100000"))
    points = list(POINTS.items())
    for number in range(200):
        if number % 2:
            survivor.crash(after_s=random.uniform(0.02, 1.5))
        else:
            point, highest = random.choice(points)
            survivor.crash(point, random.randint(1, 3 * highest))
    assert survivor.crashes == 200
