"""Contenders take turns, so that a machine that is slower for a while is so for all."""

import statistics


def take_turns(contenders, count):
    """(round, contender) of so many rounds, every other one the other way round."""
    for number in range(count):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            yield number, contender


def medians(rounds):
    """{contender: {metric: median of its rounds}}"""
    return {name: {key: statistics.median(values[key] for values in each)
                   for key in each[0] if isinstance(each[0][key], (int, float))}
            for name, each in rounds.items() if each}


def show(figure, number, count, name, values):
    print(f"{figure} {number + 1}/{count} {name}:",
          ", ".join(f"{key} {value:.4g}" for key, value in values.items() if isinstance(value, (int, float))), flush=True)
