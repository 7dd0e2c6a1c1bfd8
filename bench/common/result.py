"""The files of results: one for each scenario, with every round, so that scenarios can be measured again one by one."""

import datetime
import json
import re

from bench.common import machine
from bench.common.rounds import medians

DIGITS = 6  # of what was measured; more would only be noise
NUMBERS = re.compile(r"\[\s+(-?[\d.e+-]+(?:,\s+-?[\d.e+-]+)*)\s+\]")


def figure(title, metrics, rounds, **more):
    """metrics: {key: (title, unit, lower is better)}; rounds: {contender: [{metric: value} of each]}."""
    return {"title": title, "metrics": {key: dict(zip(("title", "unit", "lower_is_better"), metric))
                                        for key, metric in metrics.items()},
            "medians": medians(rounds), "rounds": rounds, **more}


def save(folder, key, title, *, size, rounds, seconds, parameters, versions, figures, notes=None):
    folder.mkdir(parents=True, exist_ok=True)
    result = {"scenario": key, "title": title, "date": datetime.date.today().isoformat(), "commit": machine.commit(),
              "size": size, "round_count": rounds, "seconds": seconds, "parameters": parameters, "machine": machine.describe(),
              "versions": versions, "notes": notes or {}, "figures": figures}
    text = json.dumps(_rounded(result), indent=1, ensure_ascii=False)
    (folder / f"{key}.json").write_text(NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text) + "\n")


def _rounded(value):
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, (list, tuple)) else value


def load(folder, keys):
    """The results that there are, in the order of the keys."""
    return [json.loads(path.read_text()) for path in (folder / f"{key}.json" for key in keys) if path.exists()]
