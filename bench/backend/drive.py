"""One load generator, and what a server uses while it is driven."""

import json
import subprocess
import threading
import time

from bench.backend.population import DOMAIN, PASSWORD
from bench.common.accounting import cpu_ns, switches

GENERATOR_SECONDS = 900  # far more than any command needs
QUIET_SECONDS, QUIET_SHARE = 0.2, 0.05  # a server that uses less of a core in this time has nothing more to do
QUIET_WITHIN_SECONDS = 15


def wait_quiet(pids):
    """What is done after the last answer counts as well, and does not count for what comes next."""
    end, before = time.monotonic() + QUIET_WITHIN_SECONDS, cpu_ns(pids())
    while time.monotonic() < end:
        time.sleep(QUIET_SECONDS)
        now = cpu_ns(pids())
        if now - before < QUIET_SECONDS * QUIET_SHARE * 1e9:
            return
        before = now


class Generator:
    """bench-xmpp, driven by lines; use as a context manager."""

    def __init__(self, place, way, mechanism="SCRAM-SHA-256", options=()):
        address, port, tls = way
        self.errors = open(place.folder / "generator.errors", "w+")
        self.process = place.spawn("bench-xmpp", "--to", f"{address}:{port}", "--tls", tls, "--domain", DOMAIN,
                                   "--mechanism", mechanism, "--password", PASSWORD, "--keys", place.folder / "keys",
                                   *options, stdin=subprocess.PIPE, stderr=self.errors)

    def ask(self, *words):
        self.tell(*words)
        return self.answer()

    def tell(self, *words):
        self.command = " ".join(map(str, words))
        self.process.stdin.write(self.command + "\n")
        self.process.stdin.flush()

    def answer(self):
        # What hangs is ended, and what waits for it then fails.
        watchdog = threading.Timer(GENERATOR_SECONDS, self.process.kill)
        watchdog.daemon = True
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        answer = json.loads(line) if line else {"ok": False, "why": "it ended"}
        if not answer["ok"]:
            self.process.wait()
            self.errors.seek(0)
            raise SystemExit(f"bench-xmpp: {self.command}: {answer['why']}\n{self.errors.read()}")
        return answer

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.tell("quit")
        else:
            self.process.kill()
        self.process.wait()
        for stream in self.process.stdin, self.process.stdout, self.errors:
            stream.close()


class Meter:
    """What a contender and its gateway have used since it was made."""

    def __init__(self, contender):
        self.contender = contender
        wait_quiet(contender.pids)
        self.before = self._now()

    def _now(self):
        pids = self.contender.pids()
        return time.monotonic(), cpu_ns(pids), switches(pids), cpu_ns(self.contender.gateway_pids())

    def read(self, answer, per):
        """Of a command's answer: the usual values, for each of so many."""
        wait_quiet(self.contender.pids)
        _, used, (slept, put_off), front = (now for now in self._now())
        _, used_before, (slept_before, put_off_before), front_before = self.before
        used, front, wall = used - used_before, front - front_before, answer["wall_ns"]
        return {"cpu_us": used / per / 1e3, "gateway_cpu_us": front / per / 1e3, "per_s": per / (wall / 1e9),
                "wakeups": (slept - slept_before) / per, "switches": (slept - slept_before + put_off - put_off_before) / per,
                "count": per, "server_busy": used / wall, "generators_busy": (answer["cpu_ns"] + front) / wall}
