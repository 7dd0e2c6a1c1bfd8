"""Latencies: what is shown of a histogram."""

PERCENTS = (0, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99)


def values(latency):
    """Of one round."""
    return {key: latency[key] for key in ("p50_us", "p99_us", "p999_us", "max_us")} | {"histogram": latency["histogram"]}


def merged(rounds):
    """The histogram of all rounds of one contender."""
    total = {}
    for each in rounds:
        for us, count in each["histogram"]:
            total[us] = total.get(us, 0) + count
    return sorted(total.items())


def curve(histogram):
    """The value at each of PERCENTS that so many can tell apart."""
    all_of_them, seen, at, found = sum(count for _, count in histogram), 0, iter(histogram), []
    us = 0
    for percent in PERCENTS:
        if percent and (100 - percent) / 100 * all_of_them < 1:
            break
        while seen <= percent / 100 * all_of_them:
            try:
                us, count = next(at)
            except StopIteration:
                break
            seen += count
        found.append(us)
    return found


def take_curves(rounds):
    """{contender: curve}, with the histograms taken out of the rounds."""
    curves = {}
    for name, each in rounds.items():
        if each and "histogram" in each[0]:
            curves[name] = curve(merged(each))
            for values_of_round in each:
                del values_of_round["histogram"]
    return curves
