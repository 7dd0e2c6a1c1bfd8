"""Measures all contenders side by side; scripts/bench calls it.  docs/benchmarks.md says how to read the results."""

import argparse
import importlib
import pathlib
import sys
import time

from bench.common import report, result
from bench.common.place import ROOT

SUITES = ("gateway", "backend")


def words(text):
    return text.split(",")


def options():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("what", choices=[*SUITES, "all"])
    parser.add_argument("--quick", dest="size", action="store_const", const="quick", default="full",
                        help="fewer and shorter rounds")
    parser.add_argument("--smoke", dest="size", action="store_const", const="smoke",
                        help="only whether everything still works; figures mean nothing")
    parser.add_argument("--peers", type=words, help="only these peers, such as haproxy,prosody; none: Postern alone")
    parser.add_argument("--scenarios", type=words, help="only these, as the files of results are named")
    parser.add_argument("--ways", type=words, default=["gateway", "plain"],
                        help="how the backend is reached: gateway, plain, or both")
    parser.add_argument("--rounds", type=int, help="so many rounds")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="build folder")
    parser.add_argument("--output", type=pathlib.Path, help="folder for the results")
    parser.add_argument("--report", action="store_true", help="measure nothing, make the pages of the results anew")
    parser.add_argument("--check", action="store_true",
                        help="measure nothing, show that the backend's contenders are configured as they are meant to be")
    found = parser.parse_args()
    found.build = found.build.resolve()
    kept = found.size == "full" and not found.peers and not found.rounds
    found.output = found.output or ROOT / ("bench/results" if kept else "build/bench-results")
    return found


def chosen(keys, wanted):
    if wanted is None:
        return keys
    return [key for key in keys if key in wanted]


def measure(suite, keys, given):
    """Writes a result as soon as it is there; returns how the targets stand."""
    targets = ""
    with suite.open(given) as session:
        for key in keys:
            one = session.scenario(key)
            rounds = given.rounds or one.rounds
            began = time.monotonic()
            figures, notes = one.run(session, rounds)
            result.save(given.output / suite.name, key, one.title, size=given.size, rounds=rounds,
                        seconds=time.monotonic() - began,
                        parameters=one.parameters, versions=session.versions(), figures=figures, notes=notes)
            targets = report.write(suite, given.output)
    return targets


def check(given):
    """The exit status."""
    backend = importlib.import_module("bench.backend.suite")
    with backend.open(given) as session:
        return 0 if session.check() else 1


def main():
    given = options()
    suites = [importlib.import_module(f"bench.{name}.suite") for name in SUITES if given.what in (name, "all")]
    known = [key for suite in map(importlib.import_module, (f"bench.{name}.suite" for name in SUITES)) for key in suite.keys()]
    for key in given.scenarios or ():
        if key not in known:
            raise SystemExit(f"there is no scenario '{key}'; there are {', '.join(known)}")
    if given.check:
        return check(given)
    for suite in suites:
        if given.report:
            print(report.write(suite, given.output))
        else:
            print(measure(suite, chosen(suite.keys(), given.scenarios), given))
    return 0


if __name__ == "__main__":
    sys.exit(main())
