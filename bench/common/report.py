"""Makes a page of all results of a suite: which targets were reached, and a table for each figure."""

from bench.common import plot, result
from bench.common.plot import number
from bench.common.targets import verdicts

ALMOST_ALL = 0.9  # of a core: who used so much of it was what kept the figure from being better
SPREADS = 2  # so many of a table's metrics are shown with their least and most


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def table_of_targets(targets, figures):
    text = row(["figure", "Postern", "compared with", "ratio", "target", "reached"]) + row(["---"] * 6)
    for verdict in verdicts(targets, figures):
        theirs = f"{number(verdict.theirs)} ({verdict.who})" if verdict.who else ""
        ratio = (f"{verdict.value:.2f}" if "more" not in verdict.target else f"{number(verdict.value)} more") if theirs else ""
        text += row([verdict.title, number(verdict.ours), theirs, ratio, verdict.target,
                     "yes" if verdict.reached else "**no**"])
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
        found.append(f"generator late by {number(values['late_p99_us'])} us")
    if values.get("swapped_bytes") or values.get("reclaimed_pages"):
        found.append("the kernel took memory back meanwhile: not to be relied on")
    return ", ".join(found)


def cell(name, key, medians):
    """The value, and how many times that of Postern it is."""
    value, ours = medians[name].get(key), medians.get("postern", {}).get(key)
    if value is None:
        return ""
    return number(value) + (f" (×{value / ours:.2f})" if name != "postern" and ours else "")


def spread(rounds, key):
    found = [each[key] for each in rounds if key in each]
    return f"{number(min(found))} to {number(max(found))}" if found else "-"


def table_of_figure(figure):
    metrics, medians = figure["metrics"], figure["medians"]
    shown = list(metrics)[:SPREADS]
    text = row(["", *(", ".join(filter(None, (metric["title"], metric["unit"]))) for metric in metrics.values()),
                "least to most" + (" of the first ones" if len(shown) < len(metrics) else ""),
                "remarks"]) + row(["---"] * (len(metrics) + 3))
    for name, values in medians.items():
        text += row([name, *(cell(name, key, medians) for key in metrics),
                     "; ".join(spread(figure["rounds"][name], key) for key in shown), remarks(values)])
    return text


def took(found):
    return f" in {max(1, round(found['seconds'] / 60))} minutes" if "seconds" in found else ""


def scenario(found, folder):
    versions = ", ".join(version for version in found["versions"].values() if version)
    text = (f"\n## {found['title']}\n\n[{found['scenario']}.json]({folder}/{found['scenario']}.json): {found['date']}, commit "
            f"{found['commit']}, medians of {found['round_count']} rounds{took(found)}" +
            (f" (of the {found['size']} size)" if found["size"] != "full" else "") + f"; {versions}.\n")
    if found["notes"]:
        text += "\n" + "".join(f"- {name}: {note}\n" for name, note in found["notes"].items())
    for key, figure in found["figures"].items():
        heading = f"### {figure['title']} (`{key}`)\n\n" if figure["title"] != found["title"] else ""
        text += f"\n{heading}{table_of_figure(figure)}"
    return text


def machines(results):
    """A line for each machine that results are of: one, unless they were put together."""
    found = {}
    for each in results:
        machine = each["machine"]
        words = (f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_mib'] / 1024:.0f} GiB, Linux "
                 f"{machine['kernel']}, {machine['system']}, {machine['openssl']}")
        found.setdefault(words, []).append(each["scenario"])
    return "".join(f"- {words}" + ("" if len(found) == 1 else f": {', '.join(which)}") + "\n"
                   for words, which in found.items())


def write(suite, folder):
    """folder/SUITE.md, with plots beside it, of what stands in folder/SUITE/; returns how the targets stand."""
    results = result.load(folder / suite.name, suite.keys())
    figures = {key: figure for each in results for key, figure in each["figures"].items()}
    (folder / f"{suite.name}.svg").write_text(plot.bars(figures, {(target.figure, target.metric) for target in suite.targets}))
    curves = plot.curves(figures)
    pictures = f"![what has a target, as bars]({suite.name}.svg)\n"
    if curves:
        (folder / f"{suite.name}-latency.svg").write_text(curves)
        pictures += f"\n![latency by percentile]({suite.name}-latency.svg)\n"
    targets = table_of_targets(suite.targets, figures)
    text = (f"# The {suite.name}'s figures\n\nMade by `scripts/bench {suite.name}`; "
            f"[docs/benchmarks.md](../../docs/benchmarks.md) says how to read them. Every round is in the JSON files in "
            f"[{suite.name}/]({suite.name}/). Contenders took turns; what stands in brackets is a multiple of Postern's.\n\n"
            f"{machines(results)}\n## Against the targets\n\n{targets}\n{pictures}")
    (folder / f"{suite.name}.md").write_text(text + "".join(scenario(each, suite.name) for each in results))
    return targets
