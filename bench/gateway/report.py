"""Writes what was measured: gateway.json with every round, gateway.md with medians and ratios, gateway.svg."""

import json

from plot import plot
from targets import verdicts

ALMOST_ALL = 0.9  # of a core: who used so much of it was what kept the figure from being better


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def table_of_targets(figures):
    text = row(["figure", "Postern", "best peer", "ratio", "target", "reached"]) + row(["---"] * 6)
    for title, ours, theirs, name, ratio, limit, at_most, reached in verdicts(figures):
        target = ("≤ " if at_most else "≥ ") + (f"{limit} bytes" if theirs is None else f"{limit:.2f}")
        text += row([title, number(ours), f"{number(theirs)} ({name})" if name else "", f"{ratio:.2f}" if name else "",
                     target, "yes" if reached else "**no**"])
    return text


def remarks(values):
    found = []
    if values.get("broken"):
        found.append(f"broke {values['broken']:.0f} connections in a round")
    if values.get("connections"):
        found.append(f"with {values['connections']:.0f} connections")
    if values.get("generators_busy", 0) > ALMOST_ALL:
        found.append("the load generators were busy all the time")
    if "late_p99_us" in values:
        found.append(f"half of them {number(values['p50_us'])} us; generator late by {number(values['late_p99_us'])} us")
    return ", ".join(found)


def table_of_figure(figure):
    metrics = figure["metrics"]
    text = row(["", *(f"{metric['title']}, {metric['unit']}" for metric in metrics.values()), "least to most",
                "remarks"]) + row(["---"] * (len(metrics) + 3))
    for name, values in figure["medians"].items():
        spread = "; ".join("{} to {}".format(*(number(pick(each[key] for each in figure["rounds"][name]))
                                               for pick in (min, max))) for key in metrics)
        text += row([name, *(number(values[key]) for key in metrics), spread, remarks(values)])
    return text


def markdown(result):
    machine, size = result["machine"], result["size"]
    versions = "\n".join(f"- {version}" for version in machine["versions"].values() if version)
    text = (f"# Gateway: figures of {result['date']}\n\n"
            f"Made by `scripts/bench gateway`; [docs/benchmarks.md](../../docs/benchmarks.md) says how to read them. "
            f"Every round is in [gateway.json](gateway.json).\n\n"
            f"{machine['cores']} cores ({machine['cpu']}), Linux {machine['kernel']}, {machine['system']}; commit "
            f"{machine['commit']}. Medians of {result['rounds']} rounds, all in one run, contenders taking turns.\n\n"
            f"{versions}\n\n## Against the targets\n\n{table_of_targets(result['figures'])}\n"
            "![all medians as bars](gateway.svg)\n\n## Every figure\n")
    for key, figure in result["figures"].items():
        text += f"\n### {figure['title']} (`{key}`)\n\n{table_of_figure(figure)}"
    return text


def write(result, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gateway.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "gateway.md").write_text(markdown(result))
    (folder / "gateway.svg").write_text(plot(result["figures"]))
    print(table_of_targets(result["figures"]))
