"""What the charts of the page share: a run's line in its own colour, the line of chance, axes.

Charts are Vega-Lite specifications, narrow enough for a phone; side by side they fill a screen. A
run has one colour and one pattern of dashes in all of them, by its place in `Content.everyone`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from fathom.page.content import Content
from fathom.page.drawing import INK, run_dash, run_ink
from fathom.page.tables import Table

Specification = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """A picture, its heading, and the same in numbers."""

    title: str
    svg: Markup
    table: Table | None = None
    run: str = ""  # whom the whole chart is about


def run_lines(
    content: Content,
    runs: pd.Series,
    x: str,
    y: str,
    ends: Sequence[float] | None,
    x_title: str,
    y_title: str,
) -> Specification:
    """Return a layer with a line a run, in its colour and dashes, that can be followed."""
    names = list(dict.fromkeys(runs))
    scale = {"scale": fixed(ends)} if ends else {}
    dashes = [_dashes(content, name) for name in names]
    return {
        "transform": [{"calculate": "'run:' + datum.run", "as": "who"}],
        "mark": {"type": "line", "strokeWidth": 1.6},
        "encoding": {
            "x": {"field": x, "type": "quantitative", "title": x_title, "scale": {"nice": False}},
            "y": {"field": y, "type": "quantitative", "title": y_title, **scale},
            **own_colour(content, names),
            "strokeDash": {
                "field": "run",
                "type": "nominal",
                "sort": None,
                "scale": {"domain": names, "range": dashes},
                "legend": None,
            },
            "description": {"field": "who"},
        },
    }


def _dashes(content: Content, name: str) -> list[int]:
    dash = run_dash(content.everyone.index(name))
    return [int(length) for length in dash.split()] or [1, 0]


def own_colour(content: Content, names: Sequence[str] | None = None) -> Mapping[str, Any]:
    """Return the encoding that gives each run its colour."""
    listed = list(names or content.everyone)
    inks = [run_ink(content.everyone.index(name)) for name in listed]
    return {
        "color": {
            "field": "run",
            "type": "nominal",
            "scale": {"domain": listed, "range": inks},
            "legend": None,
        }
    }


def rule(axis: str, at: float, ends: Sequence[float]) -> Specification:
    """Return a dashed line at chance, or at the plateau, on an axis with these ends."""
    return {
        "data": {"values": [{}]},
        "mark": {"type": "rule", "color": INK, "strokeDash": [4, 3], "strokeWidth": 0.8},
        "encoding": {axis: {"datum": at, "type": "quantitative", "scale": fixed(ends)}},
    }


def fixed(ends: Sequence[float]) -> Specification:
    return {"domain": list(ends), "nice": False, "zero": False}


def diagonal() -> Specification:
    return {
        "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
        "mark": {"type": "line", "color": INK, "strokeDash": [4, 3], "strokeWidth": 0.8},
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
        },
    }


def ends_of(values: pd.Series, middle: float) -> tuple[float, float]:
    """Return the ends of an axis, with `middle` well inside, a margin around all values."""
    low, high = min(values.min(), middle), max(values.max(), middle)
    margin = max(0.05 * (high - low), 0.01)
    return round(float(low - margin), 3), round(float(high + margin), 3)
