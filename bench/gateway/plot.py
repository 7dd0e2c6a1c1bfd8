"""The medians as bars in one SVG: a block for each figure, in each a bar for each contender."""

from xml.sax.saxutils import escape

WIDTH, NAMES, VALUES = 820, 170, 90
BAR, GAP, TITLE = 15, 4, 34
OURS, THEIRS = "#3465a4", "#b8bcc4"


def text(x, y, words, anchor="start", weight="normal"):
    return (f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>\n')


def block(figure, key, y):
    """One metric of one figure; returns its SVG and where the next may begin."""
    metric = figure["metrics"][key]
    better = "less is better" if metric["lower_is_better"] else "more is better"
    svg = text(8, y + 22, f"{figure['title']}: {metric['title']}, {metric['unit']} ({better})", weight="bold")
    y += TITLE
    most = max(values[key] for values in figure["medians"].values())
    for name, values in figure["medians"].items():
        length = max(1, (WIDTH - NAMES - VALUES) * values[key] / most) if most > 0 else 1
        colour = OURS if name.startswith("postern") else THEIRS
        svg += text(NAMES - 8, y + BAR - 3, name, "end")
        svg += f'<rect x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>\n'
        svg += text(round(NAMES + length + 6), y + BAR - 3, f"{values[key]:,.4g}")
        y += BAR + GAP
    return svg, y


def plot(figures):
    body, y = "", 0
    for figure in figures.values():
        for key in figure["metrics"]:
            svg, y = block(figure, key, y)
            body += svg
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 12}" font-family="sans-serif" '
            f'font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{body}</svg>\n')
