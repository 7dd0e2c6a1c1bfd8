"""The backend is killed at every named point, and at moments that nobody chose; nothing that it has acknowledged is
lost, and it starts again by itself."""

import json
import random
import signal

import pytest

from harness.ledger import Accounts, Contacts, Notes, Recipient, Sender, load
from harness.site import DOMAIN

POINTS = {"store-before-commit": 10, "store-in-commit": 10, "store-after-commit": 10, "store-in-checkpoint": 1,
          "offline-delete": 5, "resumption": 1}


class Site:
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
        assert json.loads(self.backend.ctl("--json", "check", "store"))["faults"] == 0
        self.crashes += 1


@pytest.fixture
def place_of_crashes(own_site):
    return Site(own_site(host_extra="offline-messages = 100000"))


@pytest.mark.parametrize("point", POINTS)
def test_at_a_point(place_of_crashes, point):
    site, highest = place_of_crashes, POINTS[point]
    for passing in sorted({1, random.randint(1, highest)}):
        site.crash(point, passing)


def test_at_random(place_of_crashes):
    for _ in range(3):
        place_of_crashes.crash(after_s=random.uniform(0.05, 0.6))
    assert all(writer.steps for writer in place_of_crashes.writers)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 4])
def test_hundreds_of_crashes(own_site, shards):
    """The same store all the time, which grows."""
    site = Site(own_site(backend_extra=f"shards = {shards}\n", host_extra="offline-messages = 100000"))
    points = list(POINTS.items())
    for number in range(200):
        if number % 2:
            site.crash(after_s=random.uniform(0.02, 1.5))
        else:
            point, highest = random.choice(points)
            site.crash(point, random.randint(1, 3 * highest))
    assert site.crashes == 200
