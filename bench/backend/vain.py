"""Wake-ups that do nothing: a thread of the server wakes, and sleeps again without having asked the kernel for
anything.  Seen by strace, so in a run of its own whose times mean nothing."""

import re
import signal
import subprocess

from bench.backend.scenarios import Mixed

LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)")
RESULT = re.compile(r"= -?\d+(?: (E\w+))?")
WAITS = {"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6"}
LOCKED = "PRIVATE, 2,"  # what a mutex of glibc holds while others wait for it
ATTACH_SECONDS = 20


class Tracer:
    def __init__(self, place, contender):
        self.path = place.folder / "trace"
        pids = [word for pid in contender.pids() for word in ("-p", str(pid))]
        self.process = subprocess.Popen(["strace", "-f", "-o", self.path, *pids], stderr=subprocess.PIPE, text=True)
        self.process.stderr.readline()  # "Process ... attached"

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=ATTACH_SECONDS)
        return self.path.read_text(errors="replace").splitlines()


def kind_of(call, line):
    """sleep: until something happens; lock: until another thread lets go of a lock; anything else is work.  Threads
    also wake each other by futex."""
    if call == "futex" and "WAIT" in line:
        return "lock" if LOCKED in line else "sleep"
    return "sleep" if call in WAITS else "work"


def count(lines):
    """{"woke": wake-ups, "vain": those that did nothing, "locked": waits for a lock}"""
    found, fruitless, under_way = {"woke": 0, "vain": 0, "locked": 0}, set(), {}
    for line in lines:
        match = LINE.match(line)
        if not match:
            continue
        thread, call = match.groups()
        resumed = "resumed>" in line
        kind = under_way.pop(thread, "work") if resumed else kind_of(call, line)
        if "<unfinished" in line:
            under_way[thread] = kind
        if kind == "work":
            result = RESULT.search(line)
            if result is None or result[1] != "EAGAIN":
                fruitless.discard(thread)
        elif kind == "lock":
            found["locked"] += not resumed
        else:
            if not resumed:  # it goes to sleep, or would
                found["vain"] += thread in fruitless
                fruitless.discard(thread)
            if "<unfinished" not in line:  # and wakes
                found["woke"] += 1
                fruitless.add(thread)
    return found


class Vain(Mixed):
    key, alone, ways_matter = "vain", True, False

    def __init__(self, sizes):
        super().__init__(sizes)
        self.title = f"wake-ups of Postern in {self.title}, seen by strace"

    def metrics(self, part):
        return {"woke_per_s": ("wake-ups", "1/s", True), "vain_per_s": ("that did nothing", "1/s", True),
                "locked_per_s": ("waits for a lock, which strace makes many", "1/s", True)}

    def drive(self, place, generator, contender):
        tracer = Tracer(place, contender)
        answer = self.day(generator)
        found = count(tracer.stop())
        tracer.path.unlink()
        seconds = answer["wall_ns"] / 1e9
        return {f"{what}_per_s": number / seconds for what, number in found.items()}
