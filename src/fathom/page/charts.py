"""The charts of the page, as Vega-Lite specifications; every one has its numbers as a table.

All are narrow enough for a phone; side by side they fill a screen. A run has one colour and one
pattern of dashes in all of them, its place in `Content.everyone`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import pandas as pd
from markupsafe import Markup

from fathom.page import files
from fathom.page.content import Content
from fathom.page.drawing import GREY, INK, chart, run_dash, run_ink
from fathom.page.tables import Table, plain
from fathom.statistics.number_text import decimal, with_interval
from fathom.study.run_names import short

WIDTH, HEIGHT = 270, 190  # px of what is inside the axes
SMALL_WIDTH, SMALL_HEIGHT = 170, 80
SMALLEST = 1e-9  # a standard deviation of 0 is drawn here: the axis is logarithmic
PLATEAU = log(2)  # nats: the loss of .5 for every nucleus, with balanced classes

Specification = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """A picture, its heading, and the same in numbers."""

    title: str
    svg: Markup
    table: Table | None = None
    run: str = ""  # whom the whole chart is about


def curves(content: Content) -> Iterator[Chart]:
    """Yield a chart a row: loss above, validation accuracy below, a thin line a network.

    Networks that left the plateau have their run's colour, the others are grey: where some leave
    and others stay, the two kinds are seen.
    """
    table = content.tables.get(files.CURVES)
    networks = content.tables.get(files.NETWORKS)
    if table is None or networks is None:
        return
    left = networks.assign(left=networks["left_at"].notna())
    table = table.merge(left[["run", "fold", "seed", "left"]], on=["run", "fold", "seed"])
    table["network"] = table["seed"].astype(str) + "/" + table["fold"].astype(str)
    loss = _ends(table["loss"].clip(upper=2 * PLATEAU), PLATEAU)
    accuracy = _ends(table["validation"], 0.5)
    for run in dict.fromkeys(table["run"]):
        own, those = table[table["run"] == run], left[left["run"] == run]
        count = f"{int(those['left'].sum())} of {len(those)} left"
        said = (
            f"{run}: training loss and validation accuracy by epoch, a line a network; {count} the "
            "plateau"
        )
        yield Chart(
            f"{run}: {count}",
            chart(
                {
                    "data": {"values": own.to_dict("records")},
                    "vconcat": [
                        _thin_lines(content, run, "loss", "training loss", loss, PLATEAU),
                        _thin_lines(content, run, "validation", "validation", accuracy, 0.5),
                    ],
                    "spacing": 8,
                },
                said,
            ),
            run=run,
        )


def networks_table(content: Content) -> Table | None:
    """Return every network, when it left the plateau, and how it ended."""
    table = content.tables.get(files.NETWORKS)
    if table is None:
        return None
    shown = table.rename(columns={"left_at": "left_at_epoch", "constant": "says_one_answer"})
    return plain("networks", "Every network, and the epoch at which it left the plateau", shown,
                 sortable=True)  # fmt: skip


def _thin_lines(
    content: Content, run: str, of: str, title: str, ends: tuple[float, float], level: float
) -> Specification:
    place = content.everyone.index(run)
    return {
        "width": SMALL_WIDTH,
        "height": SMALL_HEIGHT,
        "layer": [
            _rule("y", level),
            {
                "mark": {"type": "line", "strokeWidth": 1.2, "clip": True},
                "encoding": {
                    "x": {
                        "field": "epoch",
                        "type": "quantitative",
                        "title": "epoch" if of == "validation" else None,
                        "axis": {"tickCount": 4, "labels": of == "validation"},
                    },
                    "y": {
                        "field": of,
                        "type": "quantitative",
                        "title": title,
                        "scale": {"domain": ends, "nice": False},
                        "axis": {"tickCount": 4, "format": ".2f"},
                    },
                    "detail": {"field": "network"},
                    "color": {
                        "condition": {"test": "datum.left", "value": run_ink(place)},
                        "value": GREY,
                    },
                    "strokeDash": {
                        "condition": {"test": "datum.left", "value": [1, 0]},
                        "value": [2, 2],
                    },
                    "description": {"value": f"run:{run}"},
                },
            },
        ],
    }


def error_by_epoch(content: Content) -> Iterator[Chart]:
    """Yield training and validation error by epoch, as in figure 1 of He et al. 2015."""
    table = content.plots.get("curves.csv")
    if table is None:
        return
    table = table.assign(error=1 - table["accuracy"])
    ends = _ends(table["error"], 0.5)
    for part in dict.fromkeys(table["part"]):
        own = table[table["part"] == part]
        last = own[own["epoch"] == own.groupby("run")["epoch"].transform("max")]
        numbers = last[["run", "epoch", "error", "accuracy_low", "accuracy_high", "loss"]]
        named = ", ".join(
            f"{run} {decimal(error)}" for run, error in zip(last["run"], last["error"], strict=True)
        )
        yield Chart(
            f"{part.capitalize()} error by epoch",
            chart(
                {
                    "data": {"values": own[["run", "epoch", "error"]].to_dict("records")},
                    "width": WIDTH,
                    "height": HEIGHT,
                    "layer": [
                        _rule("y", 0.5),
                        _run_lines(content, own["run"], "epoch", "error", ends, "epoch",
                                   f"{part} error"),
                    ],
                },
                f"{part} error by epoch, a line a run, the mean of its networks; in the last "
                f"epoch: {named}",
            ),
            plain(f"error-{part}", f"{part.capitalize()} error in the last epoch", numbers),
        )  # fmt: skip


def error_by_depth(content: Content) -> Chart | None:
    """Return training and test error of each run by its depth, with intervals."""
    table = content.plots.get("depth.csv")
    if table is None:
        return None
    table = table.sort_values("weight_layers", kind="stable")
    values = table.assign(
        line=table["run"] + ", " + table["weight_layers"].astype(int).astype(str) + " layers"
    )
    order = list(dict.fromkeys(values["line"]))
    y = {
        "field": "line",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"ticks": False, "domain": False, "labelLimit": 190},
    }
    aside = {"field": "part", "sort": ["training", "test"]}
    ends = _ends(pd.concat([table["low"], table["high"]]), 0.5)
    x = {"type": "quantitative", "scale": {"domain": ends, "nice": False}}
    common = {"y": y, "yOffset": aside, "description": {"field": "who"}, **_own_colour(content)}
    layers = [
        _rule("x", 0.5),
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {
                "x": {**x, "field": "low", "title": "error: 1 - balanced accuracy"},
                "x2": {"field": "high"},
                **common,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
            "encoding": {
                "x": {**x, "field": "error"},
                "shape": {
                    "condition": {"test": "datum.part == 'training'", "value": "circle"},
                    "value": "square",
                },
                **common,
            },
        },
    ]
    values = values.assign(who="run:" + values["run"])
    return Chart(
        "Error by depth: training (circle) and held-out (square)",
        chart(
            {
                "data": {"values": values.to_dict("records")},
                "width": 190,
                "height": {"step": 16},
                "layer": layers,
            },
            "training and test error of each run, from the shallowest to the deepest",
        ),
        plain("depth", "Training and test error by depth, as in figure 1 of He et al. 2015", table),
    )


def signal_by_layer(content: Content) -> Iterator[Chart]:
    """Yield the signal at the start and at the end of training, and what a linear probe reads."""
    table = content.tables.get(files.LAYERS)
    if table is None:
        return
    table = table[table["place"] > 0]
    low = max(SMALLEST, float(table[["start", "end"]].min().min()))
    high = float(table[["start", "end"]].max().max())
    for of, title, axis, scale in (
        ("start", "Signal by layer, before training", "SD between nuclei",
         {"type": "log", "domain": [low, high]}),
        ("end", "Signal by layer, after training", "SD between nuclei",
         {"type": "log", "domain": [low, high]}),
        ("readability", "What a linear probe reads of each layer", "balanced accuracy",
         {"domain": _ends(table["readability"], 0.5), "nice": False}),
    ):  # fmt: skip
        own = table[table[of].notna()].assign(value=lambda own, of=of: own[of].clip(lower=low))
        shown = own[["run", "place", "layer", of]]
        lines = _run_lines(content, own["run"], "place", "value", None, "layer with weights", axis)
        lines["encoding"]["y"] |= {"scale": scale}
        if of != "readability":
            lines["encoding"]["y"]["axis"] = {"tickCount": 4, "format": ".0e"}
        layers = [lines] if of != "readability" else [_rule("y", 0.5), lines]
        ends = own.groupby("run")["value"].last()
        said = ", ".join(f"{run} {value:.2g}" for run, value in ends.items())
        yield Chart(
            title,
            chart(
                {
                    "data": {"values": own[["run", "place", "value"]].to_dict("records")},
                    "width": WIDTH,
                    "height": HEIGHT,
                    "layer": layers,
                },
                f"{title}, a line a run, medians over networks; in the last layer: {said}",
            ),
            plain(f"layers-{of}", title, shown),
        )


def roc(content: Content) -> Chart | None:
    """Return the ROC curve of everyone."""
    table = content.plots.get("roc.csv")
    if table is None:
        return None
    areas = pd.DataFrame(
        [(short(name), with_interval(of, "auroc")) for name, of in content.results.items()],
        columns=["run", "AUROC"],
    )
    said = ", ".join(f"{run} {area}" for run, area in areas.itertuples(index=False))
    return Chart(
        "ROC of held-out nuclei",
        chart(
            {
                "data": {"values": table.drop(columns="part").to_dict("records")},
                "width": 220,
                "height": 220,
                "layer": [
                    _diagonal(),
                    _run_lines(content, table["run"], "false_positive_rate", "true_positive_rate",
                               (0, 1), "1 - specificity", "sensitivity"),
                ],
            },
            f"ROC curves; areas: {said}",
        ),
        Table("auroc", "Area under the ROC curve", ("run", "AUROC"),
              plain("auroc", "", areas).rows, plain("roc", "", table).csv),
    )  # fmt: skip


def calibration(content: Content) -> Chart | None:
    """Return how often nuclei are positive, by the probability that they were given."""
    table = content.tables.get(files.CALIBRATION)
    if table is None:
        return None
    lines = _run_lines(content, table["run"], "predicted", "observed", (0, 1),
                       "probability given", "share that is positive")  # fmt: skip
    lines["mark"]["point"] = {"size": 12, "filled": True}
    return Chart(
        "Calibration on held-out nuclei",
        chart(
            {
                "data": {"values": table.to_dict("records")},
                "width": 220,
                "height": 220,
                "layer": [_diagonal(), lines],
            },
            "share of positive nuclei by the probability that each run gave; the diagonal is right",
        ),
        plain("calibration", "Share of positive nuclei by the probability given", table),
    )


def _run_lines(
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
    scale = {"scale": {"domain": list(ends), "nice": False}} if ends else {}
    dashes = [_dashes(content, name) for name in names]
    return {
        "transform": [{"calculate": "'run:' + datum.run", "as": "who"}],
        "mark": {"type": "line", "strokeWidth": 1.6, "clip": True},
        "encoding": {
            "x": {"field": x, "type": "quantitative", "title": x_title, "scale": {"nice": False}},
            "y": {"field": y, "type": "quantitative", "title": y_title, **scale},
            **_own_colour(content, names),
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


def _own_colour(content: Content, names: Sequence[str] | None = None) -> Mapping[str, Any]:
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


def _rule(axis: str, at: float) -> Specification:
    """Return a dashed line at chance, or at the plateau."""
    return {
        "data": {"values": [{}]},
        "mark": {"type": "rule", "color": INK, "strokeDash": [4, 3], "strokeWidth": 0.8},
        "encoding": {axis: {"datum": at, "type": "quantitative"}},
    }


def _diagonal() -> Specification:
    return {
        "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
        "mark": {"type": "line", "color": INK, "strokeDash": [4, 3], "strokeWidth": 0.8},
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
        },
    }


def _ends(values: pd.Series, middle: float) -> tuple[float, float]:
    """Return the ends of an axis, with `middle` well inside, a margin around all values."""
    low, high = min(values.min(), middle), max(values.max(), middle)
    margin = max(0.05 * (high - low), 0.01)
    return round(float(low - margin), 3), round(float(high + margin), 3)
