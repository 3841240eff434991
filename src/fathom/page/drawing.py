"""Pictures as SVG inside the page: charts by Vega-Lite, and intervals beside a table's numbers.

Charts are drawn when the page is built, not by a script in the browser: the page needs no library,
prints as it is seen, and opens at once. Colours are variables of the page's style sheet, so that
the dark scheme and a followed run need no other drawing. `vl-convert` brings Vega, and needs no
browser and no network.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import vl_convert
from markupsafe import Markup, escape

COLOURS = 7  # of runs, in style.css: Okabe & Ito's without yellow and black
DASHES = ("", "5 2", "2 2", "8 2 2 2", "1 3", "6 4", "3 1")  # one for every seven runs

# Inks of a specification, and the variables of style.css that take their place.
INK, GREY, PALE = "#111111", "#666666", "#dddddd"
_RUN_INKS = tuple(f"#c0de{place:02d}" for place in range(COLOURS))
_VARIABLES = {INK: "ink", GREY: "grey", PALE: "pale"} | {
    ink: f"run-{place}" for place, ink in enumerate(_RUN_INKS)
}

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

# Of Vega's own runtime, or what style.css says of all charts.
_WASTE = {
    *("class", "role", "aria-roledescription", "aria-hidden", "pointer-events", "version"),
    *("font-family", "font-size", "font-weight", "stroke-miterlimit"),
}
_DEFAULTS = {"stroke-width": "1", "opacity": "1", "transform": "translate(0,0)"}
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?")
_OF_RUN = "run:"


def run_ink(place: int) -> str:
    """Return the colour, in a specification, of the run at `place` in the order of everyone."""
    return _RUN_INKS[place % COLOURS]


def run_dash(place: int) -> str:
    """Return the dashes of the run at `place`: with the colour they tell 49 runs apart."""
    return DASHES[place // COLOURS % len(DASHES)]


def chart(specification: Mapping[str, Any], said: str) -> Markup:
    """Return a Vega-Lite specification as an SVG whose marks can be followed.

    A mark whose description is `run:<name>` carries `data-run`. `said` is what the picture shows,
    in words, for those who do not see it.
    """
    drawn = ElementTree.fromstring(vl_convert.vegalite_to_svg({"config": _CONFIG, **specification}))
    width, height = drawn.attrib["width"], drawn.attrib["height"]
    return Markup(
        f'<svg class="chart" role="img" aria-label="{escape(said)}" '
        f'viewBox="0 0 {width} {height}" style="max-width:{width}px">'
        f"{''.join(map(_written, drawn))}</svg>"
    )


def _written(element: ElementTree.Element) -> str:
    """Return an element of Vega's as text, without what draws nothing: a third of its length."""
    tag, kept = element.tag.rpartition("}")[2], dict(_kept(element))
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in kept.items())
    inside = escape(element.text or "") + Markup("").join(Markup(_written(one)) for one in element)
    if tag == "g" and not (kept and inside):
        return inside
    if tag == "path" and not (kept.get("d") and {"fill", "stroke"} & kept.keys()):
        return ""
    return f"<{tag}{attributes}>{inside}</{tag}>" if inside else f"<{tag}{attributes}/>"


def _kept(element: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        if name == "aria-label" and value.startswith(_OF_RUN):
            yield "data-run", value.removeprefix(_OF_RUN)
        elif name in ("fill", "stroke") and value in _VARIABLES:
            yield name, f"var(--{_VARIABLES[value]})"
        elif name not in {*_WASTE, "aria-label"} and _DEFAULTS.get(name) != value:
            yield name, _LONG_NUMBER.sub(_rounded, value)


def _rounded(number: re.Match[str]) -> str:
    """Return a coordinate to a tenth of a pixel."""
    return f"{round(float(number[0]), 1) + 0:g}"


def interval(
    name: str, place: int | None, low: float, value: float, high: float, scale: tuple[float, float]
) -> Markup:
    """Return a number and its interval as a small picture; all of a table have one `scale`.

    `place` is that of a run in the order of everyone, None of what cannot be followed. It gives
    the colour and the dashes. The number stands beside it in the table, so that it is hidden from
    screen readers.
    """
    left, centre, right, chance = (
        100 * min(1.0, max(0.0, (one - scale[0]) / (scale[1] - scale[0])))
        for one in (low, value, high, 0.5)
    )
    return Markup(
        '<svg class="interval" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="chance" x1="{c:.1f}" x2="{c:.1f}" y1="0" y2="12"/>'
        '<g data-run="{name}" stroke="var(--{ink})">'
        '<line x1="{l:.1f}" x2="{r:.1f}" y1="6" y2="6"{dashes}/>'
        '<line class="dot" x1="{v:.1f}" x2="{v:.1f}" y1="2" y2="10"/></g></svg>'
    ).format(
        c=chance, l=left, r=right, v=centre, name=name, ink=_variable(place), dashes=_dashes(place)
    )


def _variable(place: int | None) -> str:
    """Return the variable of style.css with a run's colour, grey of what is no run."""
    return "grey" if place is None else f"run-{place % COLOURS}"


def _dashes(place: int | None) -> Markup:
    dash = "" if place is None else run_dash(place)
    return Markup(' stroke-dasharray="{}"').format(dash) if dash else Markup("")


def share_bar(
    name: str, place: int | None, left: int, networks: int, ends: Sequence[float]
) -> Markup:
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
        '<g data-run="{name}" fill="var(--{ink})" stroke="var(--{ink})">{squares}'
        '<line x1="{low:.1f}" x2="{high:.1f}" y1="12" y2="12"/></g></svg>'
    ).format(
        name=name,
        ink=_variable(place),
        squares=squares,
        low=100 * ends[0],
        high=100 * ends[1],
    )
