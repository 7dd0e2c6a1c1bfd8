"""A program under callgrind: driven in lock step, and what it wrote, function by function.

Instructions are counted between two marks.  A mark is something that nothing else in a run makes the program do: a function
that only it enters writes down what was counted since the mark before (--dump-before)."""

import collections
import os
import pathlib
import re
import time

from harness.process import Process
from harness.wait import PATIENCE_S, wait_until

COST = re.compile(r"[+*\-\d]\S* (\d+)")
NAME = re.compile(r"(ob|fn)=\((\d+)\)(?: (.*))?")
# What the compiler and callgrind append: a part of a function, a copy of it, a recursion.
SUFFIX = re.compile(r"(\.(part|isra|constprop|cold)(\.\d+)*|'\d+)+$")


class Counted:
    """A Server (harness/postern.py), not started yet, whose marks enter this function of its."""

    def __init__(self, server, mark_function):
        self.server, self.mark_function = server, mark_function
        self.folder = server.place.folder(f"{server.name}-callgrind")
        self.pid = None  # of the process that counts
        self.marks = 0
        server.arguments = ["valgrind", "--tool=callgrind", "--vgdb=no", f"--dump-before={mark_function}",
                            f"--callgrind-out-file={self.folder}/%p", *server.arguments]

    def start(self, pid_of):
        """pid_of(server): the process that counts, once the server is started."""
        Process.start(self.server)
        wait_until(lambda: self.server.log(event="ready") or not self.server.running(), f"{self.server.name} is ready",
                   timeout_s=4 * PATIENCE_S)  # a start is two seconds of CPU time
        assert self.server.running(), self.server.log_text()
        self.pid = pid_of(self.server)
        for path in self.folder.iterdir():  # made before the program became somebody else
            self.server.place.own(path)
        return self

    def stop(self):
        self.server.stop()

    def sleeps(self):
        """Whether every thread waits for something."""
        threads = pathlib.Path(f"/proc/{self.pid}/task").glob("*/stat")
        try:
            return all(stat.read_text().rpartition(")")[2].split()[0] == "S" for stat in threads)
        except (FileNotFoundError, ProcessLookupError):
            return False  # a thread has just ended

    def rest(self):
        """Wait until the program has done all that it was asked for: it is woken up by what we do, not by the time at
        which we do it, so it is woken up as often in each run."""
        end = time.monotonic() + PATIENCE_S
        while not self.sleeps():
            assert time.monotonic() < end, f"{self.server.name} does not come to rest"
            time.sleep(0.0002)

    def marked(self):
        """To be called after a mark: what was counted since the one before, {(object, function): instructions}."""
        self.marks += 1
        path = self.folder / f"{self.pid}.{self.marks}"
        wait_until(path.exists, f"a mark: does nothing enter {self.mark_function} any more?")
        self.rest()
        return read(path.read_text())


def read(text):
    """{(object, function): instructions of its own} of a file that callgrind wrote."""
    names, at = {"ob": {}, "fn": {}}, {"ob": "?", "fn": "?"}
    counts, called = collections.Counter(), False
    for line in text.splitlines():
        if match := NAME.match(line):
            kind, number, name = match.groups()
            if name is not None:
                names[kind][number] = os.path.basename(name) if kind == "ob" else SUFFIX.sub("", name)
            at[kind] = names[kind][number]
        elif line.startswith("calls="):
            called = True  # the next line's cost is the callee's
        elif match := COST.match(line):
            if not called:
                counts[at["ob"], at["fn"]] += int(match.group(1))
            called = False
        elif match := re.match(r"cob=\((\d+)\) (.*)", line):
            names["ob"][match.group(1)] = os.path.basename(match.group(2))
        elif match := re.match(r"cfn=\((\d+)\) (.*)", line):
            names["fn"][match.group(1)] = SUFFIX.sub("", match.group(2))
    (total,) = re.findall(r"^totals: (\d+)", text, re.M)
    assert sum(counts.values()) == int(total), "callgrind's file was misread"
    return counts


def per_unit(counted, mark, work, units):
    """Instructions for one of the units that work(n) is made of, by function.  What it takes to begin, and the mark, are
    in both lengths; the difference is n units."""
    work(max(units // 4, 2))  # fills what the first ones fill: caches, free lists
    mark()
    counted.marked()
    lengths = []
    for n in units, 2 * units:
        work(n)
        mark()
        lengths.append(counted.marked())
    short, long = lengths
    return {key: (long[key] - short[key]) / units for key in long | short}
