"""Plots as SVG: medians as bars, and latencies by percentile as curves."""

import math
from xml.sax.saxutils import escape

WIDTH, NAMES, VALUES = 900, 170, 90
BAR, GAP, TITLE = 15, 4, 34
OURS, THEIRS = "#3465a4", "#b8bcc4"
COLOURS = {"postern": OURS, "prosody": "#c4632d", "ejabberd": "#4e9a42"}
OTHER_COLOURS = ("#8f5aa8", "#808080", "#c4a000")
CURVE_HEIGHT, CURVE_LEFT, CURVE_RIGHT, CURVE_TOP, CURVE_FOOT = 250, 80, 110, 40, 36
MARKS = (0, 50, 90, 99, 99.9, 99.99)


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def text(x, y, words, anchor="start", weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>\n')


def svg(height, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" font-family="sans-serif" '
            f'font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{body}</svg>\n')


def _bars_of(figure, key, y):
    """One metric of one figure; returns its SVG and where the next may begin."""
    metric = figure["metrics"][key]
    better = "less is better" if metric["lower_is_better"] else "more is better"
    body = text(8, y + 22, f"{figure['title']}: {metric['title']}, {metric['unit']} ({better})", weight="bold")
    y += TITLE
    found = {name: values[key] for name, values in figure["medians"].items() if key in values}
    most = max(found.values(), default=0)
    for name, value in found.items():
        length = max(1, (WIDTH - NAMES - VALUES) * value / most) if most > 0 else 1
        body += text(NAMES - 8, y + BAR - 3, name, "end")
        body += (f'<rect x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" '
                 f'fill="{OURS if name.startswith("postern") else THEIRS}"/>\n')
        body += text(NAMES + length + 6, y + BAR - 3, number(value))
        y += BAR + GAP
    return body, y


def bars(figures, chosen):
    """chosen: {(figure, metric)}, those that are shown."""
    body, y = "", 0
    for name, figure in figures.items():
        for key in figure["metrics"]:
            if (name, key) in chosen:
                more, y = _bars_of(figure, key, y)
                body += more
    return svg(y + 12, body)


class Panel:
    """Latency upward, percentiles to the right; both in powers of ten: each nine of a percentile has as much room."""

    def __init__(self, top, lowest, highest):
        self.top = top + CURVE_TOP
        self.low, self.high = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
        self.high = max(self.high, self.low + 1)

    def x(self, percent):
        return CURVE_LEFT - math.log10(1 - percent / 100) / 4 * (WIDTH - CURVE_LEFT - CURVE_RIGHT)

    def y(self, us):
        share = (math.log10(us) - self.low) / (self.high - self.low)
        return self.top + CURVE_HEIGHT * (1 - share)

    def frame(self, title):
        body = text(8, self.top - 18, title, weight="bold")
        for percent in MARKS:
            x = self.x(percent)
            body += f'<path d="M{x:.1f} {self.top}V{self.top + CURVE_HEIGHT}" stroke="#ddd"/>\n'
            body += text(x, self.top + CURVE_HEIGHT + 16, f"{percent} %", "middle")
        for power in range(self.low, self.high + 1):
            y = self.y(10 ** power)
            body += f'<path d="M{CURVE_LEFT} {y:.1f}H{WIDTH - CURVE_RIGHT}" stroke="#ddd"/>\n'
            body += text(CURVE_LEFT - 6, y + 4, _duration(10 ** power), "end")
        return body


def _duration(us):
    for size, unit in (1e6, "s"), (1e3, "ms"):
        if us >= size:
            return f"{us / size:g} {unit}"
    return f"{us:g} us"


def _curve_of(figure, top):
    curves = figure["curves"]
    values = [us for curve in curves.values() for us in curve if us > 0]
    panel = Panel(top, min(values), max(values))
    body = panel.frame(f"{figure['title']}: latency by percentile")
    labels, others = [], iter(OTHER_COLOURS * len(curves))
    for name, curve in curves.items():
        colour = COLOURS.get(name) or next(others)
        points = " ".join(f"{panel.x(percent):.1f},{panel.y(us):.1f}"
                          for percent, us in zip(figure["percents"], curve) if us > 0)
        body += f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>\n'
        labels.append((panel.y(curve[-1]), name, colour))
    below = 0
    for y, name, colour in sorted(labels):
        below = max(y + 4, below + 14)  # not one upon the other
        body += text(WIDTH - CURVE_RIGHT + 8, below, name).replace("<text", f'<text fill="{colour}"', 1)
    return body, top + CURVE_TOP + CURVE_HEIGHT + CURVE_FOOT


def curves(figures):
    """An empty text when no figure has any."""
    body, y = "", 0
    for figure in figures.values():
        if figure.get("curves"):
            more, y = _curve_of(figure, y)
            body += more
    return svg(y, body) if body else ""
