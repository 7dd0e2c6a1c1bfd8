"""Two shards against one: throughput where cores are free, and whether a shard ever waits for another."""

import os
import pathlib
import platform
import threading
import time

from bench.backend.drive import Generator, Meter
from bench.backend.scenarios import Scenario, come_online, fitting_count
from bench.backend.population import Population
from bench.common.accounting import threads

WINDOW = 16
ENOUGH_CORES = 4      # two for the shards, one for the generator, one for all else
LOOK_SECONDS = 0.002  # from one look at what threads wait for to the next
FUTEX = {"x86_64": "202", "aarch64": "98"}[platform.machine()]  # the system call by which threads wait for each other


class Sharded:
    """Postern with so many shards, as a contender."""

    def __init__(self, postern, shards):
        self.postern, self.shards, self.name = postern, shards, f"postern-{shards}"

    def start(self, place, population, archive=False):
        self.postern.start(place, population, archive=archive, shards=self.shards)

    def __getattr__(self, what):
        return getattr(self.postern, what)


def shards_of(contender):
    """Their threads: the first one is that of the process itself, the others have a name; what they start later has
    the same."""
    pids, found = contender.pids(), {}
    for tid, times in sorted(threads(pids).items()):
        if tid in pids or times[0].startswith("shard-") and times[0] not in {one[0] for one in found.values()}:
            found[tid] = times
    return found


class Watch:
    """Looks again and again at what the shards wait for, until it is stopped; locked: the share of looks at which one
    waited for a lock."""

    def __init__(self, contender):
        self.paths = [path for pid in contender.pids() for path in pathlib.Path(f"/proc/{pid}/task").glob("*/syscall")
                      if int(path.parent.name) in shards_of(contender)]
        self.ended, self.looks, self.waits = threading.Event(), 0, 0
        self.thread = threading.Thread(target=self._look)
        self.thread.start()

    def _look(self):
        while not self.ended.wait(LOOK_SECONDS):
            for path in self.paths:
                self.looks += 1
                self.waits += path.read_text().split()[0] == FUTEX

    def stop(self):
        self.ended.set()
        self.thread.join()
        return self.waits / max(self.looks, 1)


def idle_ticks(cpus):
    """Time that cores had nothing to do, in ticks."""
    wanted = {f"cpu{number}" for number in cpus}
    rows = (line.split() for line in pathlib.Path("/proc/stat").read_text().splitlines())
    return sum(int(row[4]) + int(row[5]) for row in rows if row[0] in wanted)


class Shards(Scenario):
    key, title = "shards", "two shards against one, one-to-one chat of 100 users, 16 at once in each pair"
    population, ways_matter = Population(100, 20), False

    def contenders(self, session):
        cores = sorted(os.sched_getaffinity(0))
        self.free = len(cores) >= ENOUGH_CORES
        place = session.place
        place.server_cpus, place.other_cpus = (set(cores[:2]), set(cores[2:])) if self.free else (set(cores), set(cores))
        return [Sharded(session.contenders(alone=True)[0], shards) for shards in (1, 2)]

    def metrics(self, part):
        free = {"free_per_s": ("throughput, cores free for all", "1/s", False)} if self.free else {}
        return free | {"per_s": ("throughput", "1/s", False), "cpu_us": ("CPU for each message", "us", True),
                       "capacity": ("messages for each second of the busiest shard's CPU", "1/s", False),
                       "slept_percent": ("of the time a shard had nothing to do", "%", True),
                       "queued_percent": ("of the time it waited for a core", "%", True),
                       "locked_percent": ("of the time it waited for a lock", "%", True),
                       "cores_idle_percent": ("of the cores' time was not used by anybody", "%", True)}

    def measure(self, place, contender, way):
        pairs = self.population.users // 2
        with Generator(place, getattr(contender, way)) as generator:
            come_online(generator, self.population)
            count = fitting_count(generator, pairs, WINDOW, self.size["seconds"])
            meter, watch, before = Meter(contender), Watch(contender), shards_of(contender)
            began, idle = time.monotonic(), idle_ticks(place.server_cpus | place.other_cpus)
            answer = generator.ask("chat", pairs, WINDOW, count)
            wall = time.monotonic() - began
            idle = idle_ticks(place.server_cpus | place.other_cpus) - idle
            after, locked = shards_of(contender), watch.stop()
            found = meter.read(answer, answer["count"])
            generator.ask("logout")
        ran = [after[tid][1] - before[tid][1] for tid in before]
        queued = [after[tid][2] - before[tid][2] for tid in before]
        shard_ns = wall * 1e9 * len(before)
        found |= {"capacity": answer["count"] / max(ran) * 1e9, "queued_percent": 100 * sum(queued) / shard_ns,
                  "slept_percent": 100 * (1 - (sum(ran) + sum(queued)) / shard_ns), "locked_percent": 100 * locked,
                  "cores_idle_percent": 100 * idle / os.sysconf("SC_CLK_TCK") / wall / len(place.server_cpus | place.other_cpus)}
        return {"": found | ({"free_per_s": found["per_s"]} if self.free else {})}
