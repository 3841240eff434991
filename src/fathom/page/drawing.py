"""Pictures as SVG inside the page: charts by Vega-Lite, and intervals beside a table's numbers.

Charts are drawn when the page is built, not by a script in the browser: the page needs no library,
prints as it is seen, and opens at once. Colours are variables of the page's style sheet, so that
the dark scheme and a followed run need no other drawing. `vl-convert` brings Vega, and needs no
browser and no network.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import vl_convert
from markupsafe import Markup, escape

COLOURS = 7  # of runs, in style.css: Okabe & Ito's without yellow and black
DASHES = ("", "5 2", "2 2", "8 2 2 2", "1 3", "6 4", "3 1")  # one for every seven runs

# Inks of a specification, and the variables of style.css that take their place.
INK, GREY, PALE, PAPER = "#111111", "#666666", "#dddddd", "#fefefe"
_VARIABLES = {INK: "ink", GREY: "grey", PALE: "pale", PAPER: "paper"}
_RUN_INK = "#c0de{:02d}"

_CONFIG = {
    "font": "Liberation Sans",  # vl-convert brings it: labels take the same room on every machine
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": GREY,
        "tickColor": GREY,
        "gridColor": PALE,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "tickCount": 5,
        "grid": False,
    },
    "title": {"color": INK, "fontSize": 12, "fontWeight": "normal", "anchor": "start"},
    "text": {"color": INK, "fontSize": 11},
}

# What Vega writes for its own runtime or for readers of loose marks; the figure has its own name.
_WASTE = re.compile(
    r' (?:role|aria-roledescription|aria-hidden|pointer-events|class|opacity="1"|'
    r'stroke-miterlimit|xmlns:xlink|version)(?:="[^"]*")?'
)
_EMPTY = re.compile(r'<path(?: [a-z-]+="[^"]*")*? d=""(?: [a-z-]+="[^"]*")*/>')
_UNSEEN = re.compile(r'<path d="M0,0h[^"]*Z?"/>')
_OF_RUN = re.compile(r' aria-label="run:([^"]*)"')
_LABEL = re.compile(r' aria-label="[^"]*"')


def run_ink(place: int) -> str:
    """Return the colour, in a specification, of the run at `place` in the order of everyone."""
    return _RUN_INK.format(place % COLOURS)


def run_dash(place: int) -> str:
    """Return the dashes of the run at `place`: with the colour they tell 49 runs apart."""
    return DASHES[place // COLOURS % len(DASHES)]


def chart(specification: Mapping[str, Any], said: str) -> Markup:
    """Return a Vega-Lite specification as an SVG whose marks can be followed.

    A mark whose description is `run:<name>` carries `data-run`. `said` is what the picture shows,
    in words, for those who do not see it.
    """
    drawn = vl_convert.vegalite_to_svg({"config": _CONFIG, **specification})
    drawn = _OF_RUN.sub(r' data-run="\1"', drawn)
    drawn = _LABEL.sub("", drawn)
    drawn = _UNSEEN.sub("", _EMPTY.sub("", _WASTE.sub("", drawn)))
    for ink, variable in _VARIABLES.items():
        drawn = drawn.replace(f'"{ink}"', f'"var(--{variable})"')
    for place in range(COLOURS):
        drawn = drawn.replace(f'"{run_ink(place)}"', f'"var(--run-{place})"')
    drawn = re.sub(
        r'<svg xmlns="[^"]*" width="([\d.]+)" height="[\d.]+"',
        lambda found: (
            f'<svg class="chart" role="img" aria-label="{escape(said)}" '
            f'style="max-width:{float(found[1]):.0f}px"'
        ),
        drawn,
        count=1,
    )
    return Markup(drawn)


def interval(
    name: str, place: int | None, low: float, value: float, high: float, scale: tuple[float, float]
) -> Markup:
    """Return a number and its interval as a small picture; all of a table have one `scale`.

    `place` is that of a run in the order of everyone, None of what cannot be followed. The number
    stands beside it in the table, so that it is hidden from screen readers.
    """
    left, centre, right, chance = (
        100 * min(1.0, max(0.0, (one - scale[0]) / (scale[1] - scale[0])))
        for one in (low, value, high, 0.5)
    )
    ink = "grey" if place is None else f"run-{place % COLOURS}"
    return Markup(
        '<svg class="interval" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="chance" x1="{c:.1f}" x2="{c:.1f}" y1="0" y2="12"/>'
        '<g data-run="{name}" stroke="var(--{ink})">'
        '<line x1="{l:.1f}" x2="{r:.1f}" y1="6" y2="6"/>'
        '<line class="dot" x1="{v:.1f}" x2="{v:.1f}" y1="2" y2="10"/></g></svg>'
    ).format(c=chance, l=left, r=right, v=centre, name=name, ink=ink)


def share_bar(name: str, place: int, left: int, networks: int, ends: Sequence[float]) -> Markup:
    """Return k of n as squares, the filled ones first, and the interval of the share beneath."""
    width = 100 / max(networks, 1)
    squares = Markup("").join(
        Markup('<rect class="{kind}" x="{x:.2f}" y="1" width="{w:.2f}" height="8"/>').format(
            kind="left" if number < left else "stayed", x=number * width + 0.5, w=width - 1
        )
        for number in range(networks)
    )
    return Markup(
        '<svg class="share" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">'
        '<g data-run="{name}" fill="var(--run-{place})" stroke="var(--run-{place})">{squares}'
        '<line x1="{low:.1f}" x2="{high:.1f}" y1="12" y2="12"/></g></svg>'
    ).format(
        name=name,
        place=place % COLOURS,
        squares=squares,
        low=100 * ends[0],
        high=100 * ends[1],
    )
