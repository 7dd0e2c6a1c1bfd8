"""The backend is killed while it sends to another server, which is killed as well, over a wire that is cut again and
again; nothing that it has acknowledged is lost."""

import random
import signal
import threading

import pytest

from harness.ledger import Recipient, Sender, load
from harness.pair import Pair

POINTS = {"store-before-commit": 15, "store-in-commit": 15, "store-after-commit": 15, "remote-delete": 10}


class Survivor:
    """A pair of servers, of which one is killed, and the ledgers of those who write there to somebody at the other."""

    def __init__(self, extra=""):
        self.pair = Pair(extra=f"s2s-queue-messages = 1000000\n{extra}",
                         host_extra="offline-messages = 100000 offline-bytes = 1g")
        self.backend, self.far = self.pair.near.backend, self.pair.far.backend
        self.senders = [Sender(self.pair.near, f"sender{number}", "recipient@far.example") for number in range(3)]
        self.recipient = Recipient(self.pair.far, "recipient")
        self.recipient.senders = self.senders
        self.speaker = self.pair.enter("speaker@far.example", priority=None)
        self.crashes = 0

    def disturb(self, over, kills):
        """Cut the wire or kill the other server until it is over; somebody there sees to it that it is soon tried
        again.  Not as often for ever: on a busy machine nothing would come through."""
        pause = 0.5
        while not over.wait(random.uniform(0.1, pause)):
            pause = min(3, pause * 1.2)
            if kills and random.random() < 0.5:
                self.far.kill()
                self.far.start()
                self.speaker = self.pair.enter("speaker@far.example", priority=None)
            else:
                self.pair.cut()
                over.wait(random.uniform(0, 0.1))
                self.pair.mend()
            self.speaker.send_message("nobody@near.example", "we are back")

    def crash(self, point=None, passing=1, after_s=None, kills=False):
        if point:
            self.backend.stop()
            self.backend.environment["POSTERN_FAULT"] = f"{point}:{passing}"
            self.backend.start()
            del self.backend.environment["POSTERN_FAULT"]
        over = threading.Event()
        thread = threading.Thread(target=self.disturb, args=(over, kills))
        thread.start()
        try:
            load(self.senders, self.backend, kill_after_s=after_s)
        finally:
            over.set()
            thread.join()
        assert self.backend.popen.returncode == -signal.SIGKILL
        if point:
            assert self.backend.log(event="fault", point=point), f"{point} was never passed"
        self.backend.start()
        self.recipient.verify()
        self.crashes += 1
        print(f"{self.crashes} crashes, {len(self.recipient.read)} messages read, "
              f"{self.recipient.duplicates} of them more than once")


@pytest.fixture(scope="module")
def survivor():
    survivor = Survivor()
    try:
        yield survivor
    finally:
        survivor.pair.end()


@pytest.mark.parametrize("point", POINTS)
def test_at_a_point(survivor, point):
    survivor.crash(point, random.randint(1, POINTS[point]))


def test_both_at_random(survivor):
    for _ in range(2):
        survivor.crash(after_s=random.uniform(0.3, 1.5), kills=True)
    assert all(sender.steps for sender in survivor.senders)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 4])
def test_many_crashes(shards):
    survivor = Survivor(extra=f"shards = {shards}")
    try:
        for number in range(60):
            if number % 2:
                survivor.crash(after_s=random.uniform(0.05, 1.5), kills=number % 4 == 1)
            else:
                point, highest = random.choice(list(POINTS.items()))
                survivor.crash(point, random.randint(1, 3 * highest))
    finally:
        survivor.pair.end()
