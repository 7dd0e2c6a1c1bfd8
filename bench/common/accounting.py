"""What processes use, by the kernel's accounting: CPU time, memory, how often they are woken."""

import pathlib
import re
import time

CLOCK_OF_PROCESS = 2  # the kernel's clock number: the CPU time of a whole process, ended threads included, in ns
TICK_NS = 10_000_000  # of times in /proc/PID/stat
RECLAIM = re.compile(r"^(pgsteal_\w+|pswpin|pswpout) (\d+)$", re.M)


def descendants(pid):
    """pid and all processes below it."""
    found = [pid]
    for parent in found:
        for task in pathlib.Path(f"/proc/{parent}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def lives(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def cpu_ns(pids):
    """CPU time that processes have used so far, with that of their children that have ended."""
    return sum(time.clock_gettime_ns(~pid << 3 | CLOCK_OF_PROCESS) + _ended_children_ns(pid) for pid in pids)


def _ended_children_ns(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * TICK_NS


def threads(pids):
    """{thread: (name, ns on a core, ns of waiting for a core)} of all threads that live."""
    found = {}
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            ran, waited, _ = map(int, (task / "schedstat").read_text().split())
            found[int(task.name)] = (task / "comm").read_text().strip(), ran, waited
    return found


def switches(pids):
    """(how often a thread went to sleep, so was woken again; how often one was put off its core) so far."""
    slept = put_off = 0
    for pid in pids:
        for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
            text = status.read_text()
            slept += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])
            put_off += int(re.search(r"^nonvoluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])
    return slept, put_off


def memory(pids):
    """{kind of memory: bytes} of all together: Rss, Pss, SwapPss, Private_Dirty, ..."""
    total = {}
    for pid in pids:
        for kind, kib in re.findall(r"^(\w+): +(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M):
            total[kind] = total.get(kind, 0) + int(kib) * 1024
    return total


def private_bytes(pids):
    """Memory that belongs to processes alone."""
    return sum(amount for kind, amount in memory(pids).items() if kind.startswith("Private_"))


def reclaimed():
    """Pages that the kernel has taken back or swapped so far, on the whole machine: while this does not grow, whatever
    was in memory is still there."""
    return sum(int(count) for _, count in RECLAIM.findall(pathlib.Path("/proc/vmstat").read_text()))
