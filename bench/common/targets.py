"""What is meant to be reached: a ratio of two medians, or a value."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Target:
    """ours / best of against must be at most (or at least) limit; without against, ours itself, less that of minus."""
    title: str
    figure: str
    metric: str
    ours: str
    against: tuple
    limit: float
    at_most: bool = True
    minus: str = None


@dataclasses.dataclass(frozen=True)
class Verdict:
    title: str
    ours: float
    theirs: float  # None when a value is compared
    who: str
    value: float  # what is compared with the limit
    target: str
    reached: bool


def best(values, lower_is_better):
    """The name of the best of {name: value}."""
    return (min if lower_is_better else max)(values, key=values.get)


def verdicts(targets, figures):
    """Of each target that was measured."""
    for target in targets:
        figure = figures.get(target.figure, {"medians": {}})
        medians = {name: values for name, values in figure["medians"].items() if target.metric in values}
        if target.ours in medians and (target.minus is None or target.minus in medians):
            verdict = _verdict(target, figure, medians)
            if verdict is not None:
                yield verdict


def _verdict(target, figure, medians):
    metric = figure["metrics"][target.metric]
    ours = medians[target.ours][target.metric]
    sign = "≤" if target.at_most else "≥"
    if target.against:
        # Who breaks connections does less than the others, so it is shown, and not compared with.
        others = {name: medians[name][target.metric] for name in target.against
                  if name in medians and not medians[name].get("broken")}
        if not others:
            return None
        who = best(others, metric["lower_is_better"])
        theirs, value = others[who], ours / others[who] if others[who] else float("inf")
        words = f"{sign} {target.limit:.2f}"
    else:
        theirs, who = (medians[target.minus][target.metric], target.minus) if target.minus else (None, None)
        value = ours - (theirs or 0)
        words = f"{sign} {target.limit:,g} {metric['unit']}" + (" more" if target.minus else "")
    reached = value <= target.limit if target.at_most else value >= target.limit
    return Verdict(target.title, ours, theirs, who, value, words, reached)
