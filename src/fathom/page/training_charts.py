"""Charts of what training did: every network by epoch, error by epoch and depth, signal by layer.

Each has its numbers as a table.
"""

from collections.abc import Iterator, Sequence
from math import log

import pandas as pd

from fathom.page import files
from fathom.page.chart_layers import (
    Chart,
    Specification,
    ends_of,
    fixed,
    own_colour,
    rule,
    run_lines,
)
from fathom.page.content import Content
from fathom.page.drawing import GREY, chart, run_ink
from fathom.page.tables import Table, as_csv, plain
from fathom.statistics.row_text import decimal

WIDTH, HEIGHT = 270, 190  # px of what is inside the axes
SMALL_WIDTH, SMALL_HEIGHT = 170, {"loss": 110, "validation": 70}
LINE_HEIGHT = 30  # px of a run in the chart by depth
SMALLEST = 1e-9  # a standard deviation of 0 is drawn here: the axis is logarithmic
ABOVE = 0.03  # nats of what lies above the plateau that are drawn
PLATEAU = log(2)  # nats: the loss of .5 for every nucleus, with balanced classes


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
    # What lies high above the plateau, in first epochs or after a divergence, is cut off.
    table["loss"] = table["loss"].clip(upper=PLATEAU + ABOVE)
    loss = ends_of(table["loss"], PLATEAU)
    accuracy = ends_of(table["validation"], 0.5)
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
        "height": SMALL_HEIGHT[of],
        "layer": [
            rule("y", level, ends),
            {
                "mark": {"type": "line", "strokeWidth": 1.2},
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
                        "scale": fixed(ends),
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
    """Yield training and validation error by epoch, as in figure 1 of He et al. 2015.

    A line is the mean of a run's networks; `curves` has each of them.
    """
    table = content.plots.get("curves.csv")
    if table is None:
        return
    table = table.assign(error=1 - table["accuracy"])
    errors = table.groupby(["part", "run", "epoch"], sort=False)[["error", "loss"]]
    table = errors.mean().reset_index()
    ends = ends_of(table["error"], 0.5)
    for part in dict.fromkeys(table["part"]):
        own = table[table["part"] == part]
        last = own[own["epoch"] == own.groupby("run")["epoch"].transform("max")]
        numbers = last[["run", "epoch", "error", "loss"]]
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
                        rule("y", 0.5, ends),
                        run_lines(content, own["run"], "epoch", "error", ends, "epoch",
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
        line=table["run"] + " · " + table["weight_layers"].astype(int).astype(str)
    )
    values = values.assign(who="run:" + values["run"])
    height = max(HEIGHT, LINE_HEIGHT * values["line"].nunique())
    return Chart(
        "Error by depth (run · layers): circle training, square held-out",
        chart(
            {
                "data": {"values": values.to_dict("records")},
                "width": 150,
                "height": height,
                "layer": _error_layers(content, values),
            },
            f"training and held-out error of each run, from the shallowest to the deepest: "
            f"{_errors_in_words(values)}",
        ),
        plain("depth", "Training and test error by depth, as in figure 1 of He et al. 2015", table),
    )


def _errors_in_words(table: pd.DataFrame) -> str:
    """Return `a, 6 layers, training .400, test .500; b ...`."""
    said = []
    for run, own in table.groupby("run", sort=False):
        errors = zip(own["part"], own["error"], strict=True)
        told = ", ".join(f"{part} {decimal(error)}" for part, error in errors)
        said.append(f"{run}, {own['weight_layers'].iloc[0]:.0f} layers, {told}")
    return "; ".join(said)


def _error_layers(content: Content, values: pd.DataFrame) -> list[Specification]:
    """Return chance, the intervals and the errors themselves, a line a run."""
    order = list(dict.fromkeys(values["line"]))
    y = {
        "field": "line",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"ticks": False, "domain": False, "labelLimit": 170, "minExtent": 170},
    }
    aside = {"field": "part", "sort": ["training", "test"]}
    ends = ends_of(pd.concat([values["low"], values["high"]]), 0.5)
    x = {"type": "quantitative", "scale": fixed(ends)}
    common = {"y": y, "yOffset": aside, "description": {"field": "who"}, **own_colour(content)}
    return [
        rule("x", 0.5, ends),
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


def signal_by_layer(content: Content) -> Iterator[Chart]:
    """Yield the signal at the start and at the end of training, and what a linear probe reads."""
    table = content.tables.get(files.LAYERS)
    if table is None:
        return
    table = table[table["place"] > 0]
    low = max(SMALLEST, float(table[["start", "end"]].min().min()))
    high = float(table[["start", "end"]].max().max())
    logarithmic = {"type": "log", "domain": [low, high]}
    for of, title in (
        ("start", "Signal by layer, before training"),
        ("end", "Signal by layer, after training"),
    ):
        own = table[table[of].notna()]
        own = own.assign(value=own[of].clip(lower=low))
        lines = _layer_lines(content, own, "SD between nuclei")
        axis = {"tickCount": 4, "format": ".0e"}
        lines["encoding"]["y"] |= {"scale": logarithmic, "axis": axis}
        yield _layer_chart(title, own, [lines])
    own = table[table["readability"].notna()].assign(value=table["readability"])
    ends = ends_of(own["value"], 0.5)
    lines = _layer_lines(content, own, "balanced accuracy")
    lines["encoding"]["y"]["scale"] = fixed(ends)
    title = "What a linear probe reads of each layer"
    yield _layer_chart(title, own, [rule("y", 0.5, ends), lines])


def layers_table(content: Content) -> Table | None:
    """Return the signal of every layer, before and after training, and what a probe reads of it."""
    table = content.tables.get(files.LAYERS)
    return None if table is None else plain("layers", "Signal by layer", table, sortable=True)


def curves_csv(content: Content) -> str | None:
    """Return the curves as CSV, a line a network and measure, an epoch a column."""
    table = content.tables.get(files.CURVES)
    if table is None:
        return None
    keys = ["run", "fold", "seed"]
    wide = [
        table.pivot(index=keys, columns="epoch", values=of).reset_index().assign(measure=of)
        for of in ("loss", "validation")
    ]
    columns = [*keys, "measure", *sorted(table["epoch"].unique())]
    return as_csv(pd.concat(wide)[columns])


def _layer_lines(content: Content, own: pd.DataFrame, title: str) -> Specification:
    return run_lines(content, own["run"], "place", "value", None, "layer with weights", title)


def _layer_chart(title: str, own: pd.DataFrame, layers: Sequence[Specification]) -> Chart:
    last = own.groupby("run", sort=False)["value"].last()
    said = ", ".join(f"{run} {value:.2g}" for run, value in last.items())
    return Chart(
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
    )
