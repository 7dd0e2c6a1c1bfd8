"""Measures all contenders side by side; scripts/bench calls it.  docs/benchmarks.md says how to read the result."""

import argparse
import datetime
import json
import pathlib
import statistics
import sys

from contenders import ROOT, all_contenders
from figures import FULL, QUICK, SMOKE, all_figures
from machine import describe
from place import Place


def rounds_of(figure, contenders, place, count):
    """{contender: [values of each round]}; contenders take turns, every other round the other way round."""
    found = {contender.name: [] for contender in contenders}
    place.start_backend(figure.bulk_bytes)
    try:
        for number in range(count):
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                contender.start(place, figure.logs)
                try:
                    values = figure.measure(place, contender)
                finally:
                    contender.stop()
                found[contender.name].append(values)
                print(f"{figure.key} {number + 1}/{count} {contender.name}:",
                      ", ".join(f"{key} {value:.4g}" for key, value in values.items()), flush=True)
    finally:
        place.stop_backend()
    return found


def medians(rounds):
    return {name: {key: statistics.median(values[key] for values in each) for key in each[0]}
            for name, each in rounds.items() if each}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench gateway")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--smoke", action="store_true", help="only whether everything still works; figures mean nothing")
    parser.add_argument("--peers", help="only these peers, such as haproxy,nginx")
    parser.add_argument("--figures", help="only these figures, such as connection,idle")
    parser.add_argument("--rounds", type=int, help="so many rounds")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="build folder")
    parser.add_argument("--output", type=pathlib.Path, help="folder for the results")
    arguments = parser.parse_args()
    size = SMOKE if arguments.smoke else QUICK if arguments.quick else FULL
    contenders = all_contenders(arguments.build.resolve())
    peers = arguments.peers.split(",") if arguments.peers else None
    place = Place(arguments.build.resolve())
    result = {"date": datetime.date.today().isoformat(), "size": size,
              "rounds": arguments.rounds or size["rounds"], "machine": describe(arguments.build),
              "figures": {}}
    try:
        for figure in all_figures(size):
            if arguments.figures and figure.key not in arguments.figures.split(","):
                continue
            chosen = [contenders[name] for name in figure.contenders
                      if peers is None or name in ("direct", "bare") or name.startswith("postern")
                      or name.removesuffix("-tls") in peers]
            if not chosen:
                continue
            rounds = rounds_of(figure, chosen, place, result["rounds"])
            result["figures"][figure.key] = {
                "title": figure.title, "rounds": rounds, "medians": medians(rounds),
                "metrics": {key: dict(zip(("title", "unit", "lower_is_better"), metric))
                            for key, metric in figure.metrics.items()}}
    finally:
        place.close()
    if arguments.output:
        from report import write
        write(result, arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
