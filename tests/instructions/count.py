#!/usr/bin/python3
"""Instructions for a message, a login, a connection, compared with expected.json:  count.py [--write] [--profile] [backend] [gateway]

Fails when a figure differs by more than a tenth either way.  --write keeps what was counted as what is expected; --profile
also prints the functions that take most.  The programs are those in $POSTERN_BIN, a release build."""

import argparse
import json
import pathlib
import platform
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "flow"))

from harness.process import BIN  # noqa: E402
import backend_work  # noqa: E402
import gateway_work  # noqa: E402

EXPECTED = HERE / "expected.json"
WORK = {"backend": backend_work, "gateway": gateway_work}
TOLERANCE = 0.10
KEPT = 20  # functions of a figure that are kept in the file: so many of ours, and so many of libraries
SHOWN = 10
LEFT_OUT = 77  # the exit status for it
PACKAGES = ("gcc-12", "libc6", "libssl3", "libexpat1", "libevent-core-2.1-7", "valgrind")
OURS = ("postern-backend", "postern-gateway")


def versions():
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES], capture_output=True, text=True)
    return dict(line.split() for line in asked.stdout.splitlines())


def why_not():
    """Why figures of this machine cannot be compared; None if they can."""
    if platform.machine() != "x86_64":
        return f"the figures are those of x86-64, not of {platform.machine()}"
    # With it, valgrind shows programs one and the same processor, whatever the true one is.
    if " avx2 " not in pathlib.Path("/proc/cpuinfo").read_text():
        return "the processor has no AVX2, so libraries take other ways than those that were counted"
    return None


def summary(functions):
    """What is kept of a figure, of {(object, function): instructions}."""
    ours = {key: count for key, count in functions.items() if key[0] in OURS}
    theirs = {key: count for key, count in functions.items() if key[0] not in OURS}
    most = [item for part in (ours, theirs) for item in sorted(part.items(), key=lambda item: -item[1])[:KEPT]]
    return {"total": round(sum(functions.values())), "own": round(sum(ours.values())),
            "functions": {f"{name} ({where})": round(count) for (where, name), count in most}}


def table(rows):
    return "".join(f"    {change:>+12,} -> {now:>12,}  {name}\n" for change, now, name in rows[:SHOWN] if change)


def difference(now, then):
    """The functions that changed most, in the direction of the whole.  What is not among those kept counts as 0."""
    rows = [(count - then["functions"].get(name, 0), count, name) for name, count in now["functions"].items()]
    rows += [(-count, 0, name) for name, count in then["functions"].items() if name not in now["functions"]]
    worse = now["total"] - then["total"] + now["own"] - then["own"] > 0
    return table(sorted(rows, reverse=worse))


def judge(figure, now, then):
    """What is wrong with a figure, as text; "" if nothing is.  Ours are looked at apart, for in a login they are a
    small part of the whole."""
    found = []
    for part, what in (("total", "in all"), ("own", "in our own code")):
        ratio = now[part] / then[part]
        if abs(ratio - 1) > TOLERANCE:
            found.append(f"{figure}: {now[part]:,} instructions {what}, expected {then[part]:,}: "
                         f"{abs(ratio - 1):.1%} {'more' if ratio > 1 else 'fewer'}")
    if not found:
        return ""
    return "\n".join(found) + "\n  the functions that changed most (change -> now, for one):\n" + difference(now, then)


def compare(counted, expected):
    """Prints what is wrong; whether nothing is."""
    faults = [fault for figure, now in counted.items() if (fault := judge(figure, now, expected["figures"][figure]))]
    if not faults:
        return True
    print("\n" + "\n".join(faults))
    changed = [f"{name} {then} -> {now}" for name, then in expected["versions"].items()
               if (now := versions().get(name, "none")) != then]
    print("Versions differ from those of the file: " + ", ".join(changed) if changed else
          "All versions are those of the file: the change is ours.")
    print("If it is meant, or an improvement, keep the new figures with  scripts/instructions --write  and commit "
          "tests/instructions/expected.json.")
    return False


def write(counted):
    kept = json.loads(EXPECTED.read_text())["figures"] if EXPECTED.exists() else {}
    figures = {**kept, **counted}
    EXPECTED.write_text(json.dumps({"versions": versions(), "figures": figures}, indent=1, ensure_ascii=False) + "\n")
    print(f"written to {EXPECTED}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("programs", nargs="*", choices=[[], *WORK])
    arguments = parser.parse_args()
    if reason := why_not():
        print(f"left out: {reason}")
        sys.exit(LEFT_OUT)
    if not (BIN / "postern-backend").exists():
        sys.exit(f"no build in {BIN}")
    counted = {}
    for program in arguments.programs or WORK:
        for figure, functions in WORK[program].run().items():
            now = counted[figure] = summary(functions)
            print(f"{figure:26} {now['total']:>11,} instructions, {now['own']:>8,} of them in our own code", flush=True)
            if arguments.profile:
                print("".join(f"    {count:>12,}  {name}\n" for name, count in now["functions"].items()))
    if arguments.write:
        write(counted)
    elif not compare(counted, json.loads(EXPECTED.read_text())):
        sys.exit(1)


main()
