"""Wake-ups that do nothing: a thread of the server wakes, and sleeps again without having asked the kernel for
anything.  Seen by strace, so in a run of its own whose times mean nothing."""

import pathlib
import re
import signal
import subprocess

from bench.backend.scenarios import Mixed

LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)")
RESULT = re.compile(r"= (-?\d+)(?: (E\w+))?")
WAITS = {"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "futex", "select", "pselect6"}
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


def count(lines):
    """(wake-ups, those that did nothing, {what they woke from: how many})."""
    woke, vain, last, kinds = 0, 0, {}, {}
    for line in lines:
        found = LINE.match(line)
        if not found:
            continue
        thread, call = found.groups()
        if call not in WAITS:
            if RESULT.search(line) is None or RESULT.search(line)[2] != "EAGAIN":
                last[thread] = None  # it has done something
            continue
        if "resumed>" not in line:  # it goes to sleep, or would
            if last.get(thread):
                vain += 1
                kinds[last[thread]] = kinds.get(last[thread], 0) + 1
            last[thread] = None
        if "unfinished" not in line:  # and wakes
            woke += 1
            last[thread] = f"{call} {'timeout' if RESULT.search(line) and RESULT.search(line)[1] == '0' else 'event'}"
    return woke, vain, kinds


class Vain(Mixed):
    key, alone, ways_matter = "vain", True, False

    def __init__(self, sizes):
        super().__init__(sizes)
        self.title = f"wake-ups of Postern in {self.title}, seen by strace"

    def metrics(self, part):
        return {"woke_per_s": ("wake-ups", "1/s", True), "vain_per_s": ("that did nothing", "1/s", True)}

    def drive(self, place, generator, contender):
        tracer = Tracer(place, contender)
        answer = self.day(generator)
        woke, vain, kinds = count(tracer.stop())
        pathlib.Path(tracer.path).unlink()
        seconds = answer["wall_ns"] / 1e9
        return {"woke_per_s": woke / seconds, "vain_per_s": vain / seconds} | {f"vain {kind}": number for kind, number in kinds.items()}
