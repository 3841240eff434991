"""The pictures of a comparison, by matplotlib: same numbers, same bytes.

Colours are Okabe & Ito's, which people with any colour vision tell apart, and no picture needs
colour alone to be read. Each is legible at the 800 pixels that a README shows.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fathom.ground.output import written_whole
from fathom.statistics.intervals import Numbers
from fathom.statistics.row_text import decimal, failed, marked, with_interval
from fathom.study.rows import is_classifier

BLUE, VERMILLION = "#0072B2", "#D55E00"
INK, GREY, PALE = "#222222", "#6B6B6B", "#D5D5D5"
WIDTH, DPI = 8.0, 150  # inches, pixels an inch
CHANCE = 0.5
MOST_LEVEL_NAMES = 6  # of runs side by side; more are slanted
DASHED = (0, (4, 3))

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: every machine draws the same letters
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.labelsize": 9,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.06,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


def draw_all(
    tables: Mapping[str, pd.DataFrame],
    results: Mapping[str, Numbers],
    confidence: float,
    folder: Path,
) -> None:
    """Draw the `tables` of `plot_tables` and the `results` of `comparison`."""
    draw_results(results, confidence, folder / "results.png")
    draw_depth(tables["depth"], results, folder / "depth.png")
    draw_curves(tables["curves"], results, folder / "curves.png")
    draw_roc(tables["roc"], results, folder / "roc.png")
    draw_confusion(tables["confusion"], results, folder / "confusion.png")


def draw_results(results: Mapping[str, Numbers], confidence: float, path: Path) -> None:
    """Draw balanced accuracy with its interval, a line a run: networks, then classifiers."""
    networks = sum(not is_classifier(name) for name in results)
    rows = [place + 0.5 * (place >= networks) for place in range(len(results))]
    with picture(path, height=1 + 0.27 * len(results)) as figure:
        axes = figure.subplots()
        for row, (name, numbers) in zip(rows, results.items(), strict=True):
            colour, marker = (GREY, "s") if is_classifier(name) else (BLUE, "o")
            low, high = numbers["balanced_accuracy_low"], numbers["balanced_accuracy_high"]
            axes.plot([low, high], [row, row], color=colour, linewidth=2)
            axes.plot(numbers["balanced_accuracy"], row, marker, color=colour, markersize=6)
            learned = failed(numbers) < numbers["cells"]
            axes.annotate(
                with_interval(numbers, "balanced_accuracy") if learned else _nothing(numbers),
                (1.02, row),
                xycoords=("axes fraction", "data"),
                verticalalignment="center",
            )
        _chance(axes.axvline)
        axes.annotate(
            "chance",
            (CHANCE, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            color=GREY,
            horizontalalignment="center",
        )
        axes.set_yticks(rows, [marked(name, numbers) for name, numbers in results.items()])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(rows[-1] + 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 5, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: decimal(value, 2))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=PALE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_xlabel(
            f"balanced accuracy of test nuclei and its {confidence * 100:g} % interval over groups"
        )


def draw_depth(table: pd.DataFrame, results: Mapping[str, Numbers], path: Path) -> None:
    """Draw training and test error by depth: is the deeper one worse, and in training too.

    After figure 1 of He et al. 2015. Runs of one recipe are joined by a line.
    """
    table = table.sort_values("weight_layers", kind="stable")
    depths = dict(zip(table["run"], table["weight_layers"], strict=True))
    table = table.assign(place=table["run"].map(list(depths).index))
    crowded = len(depths) > MOST_LEVEL_NAMES
    with picture(path, height=4.6 if crowded else 3.6) as figure:
        axes = figure.subplots()
        _chance(axes.axhline)
        for part, colour, marker, aside in (
            ("training", BLUE, "o", -0.06),
            ("test", VERMILLION, "s", 0.06),
        ):
            for _, line in table[table["part"] == part].groupby("recipe", sort=False):
                axes.errorbar(
                    line["place"] + aside,
                    line["error"],
                    yerr=(line["error"] - line["low"], line["high"] - line["error"]),
                    color=colour,
                    marker=marker,
                    linewidth=0.8,
                    elinewidth=2,
                    label=f"{part} error",
                )
        between = ", " if crowded else "\n"
        names = [
            f"{marked(run, results[run])}{between}{layers} layers" for run, layers in depths.items()
        ]
        axes.set_xticks(range(len(depths)), names)
        if crowded:
            for name in axes.get_xticklabels():
                name.set(rotation=40, horizontalalignment="right", rotation_mode="anchor")
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.5, len(depths) - 0.5)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: decimal(value, 1))
        axes.set_ylabel("1 - balanced accuracy")
        _legend(figure, axes)


def draw_curves(table: pd.DataFrame, results: Mapping[str, Numbers], path: Path) -> None:
    """Draw accuracy by epoch, a panel a run: a thin line each network, a thick one their mean."""
    looks = {"training": (BLUE, "-"), "validation": (VERMILLION, (0, (5, 1.5)))}
    with picture(path, height=0.8 + 1.75 * _rows(table, 3)) as figure:
        panels = _panels(figure, table, results, columns=3)
        for (run, part), curves in table.groupby(["run", "part"], sort=False):
            colour, line = looks[str(part)]
            axes = panels[str(run)]
            for _, curve in curves.groupby("network", sort=False):
                axes.plot(curve["epoch"], curve["accuracy"], color=colour, alpha=0.5, linewidth=0.6)
            mean = curves.groupby("epoch")["accuracy"].mean()
            axes.plot(mean.index, mean, color=colour, linestyle=line, label=part)
        for axes in panels.values():
            _chance(axes.axhline)
            axes.yaxis.set_major_formatter(lambda value, _: decimal(value, 1))
        _legend(figure, axes)
        figure.supxlabel("epoch")
        figure.supylabel("accuracy")


def draw_roc(table: pd.DataFrame, results: Mapping[str, Numbers], path: Path) -> None:
    """Draw ROC curves, a panel a run, in front of the others' in grey."""
    with picture(path, height=0.5 + 2.05 * _rows(table, 4)) as figure:
        panels = _panels(figure, table, results, columns=4)
        curves = {
            str(run): (curve["false_positive_rate"], curve["true_positive_rate"])
            for run, curve in table.groupby("run", sort=False)
        }
        for run, axes in panels.items():
            axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=DASHED)
            for other in curves.values():
                axes.plot(*other, color=PALE, linewidth=0.8)
            axes.plot(*curves[run], color=BLUE, linewidth=1.8)
            axes.text(
                0.98,
                0.04,
                "AUROC\n" + with_interval(results[run], "auroc").replace(" ", "\n", 1),
                horizontalalignment="right",
                fontsize=8,
            )
            axes.set_aspect("equal")
            axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
            axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
        figure.supxlabel("false positive rate")
        figure.supylabel("true positive rate")


def draw_confusion(table: pd.DataFrame, results: Mapping[str, Numbers], path: Path) -> None:
    """Draw how the test nuclei of each class were called, a panel a run."""
    classes = list(dict.fromkeys(table["actual"]))
    with picture(path, height=0.7 + 2.05 * _rows(table, 4)) as figure:
        panels = _panels(figure, table, results, columns=4)
        for run, decisions in table.groupby("run", sort=False):
            axes = panels[str(run)]
            square = decisions.pivot(index="actual", columns="predicted").loc[classes]
            shares, nuclei = (square[of][classes].to_numpy() for of in ("share", "nuclei"))
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for (row, column), share in np.ndenumerate(shares):
                count = f"{nuclei[row, column]:.1f}".removesuffix(".0")
                axes.text(
                    column,
                    row,
                    f"{decimal(share, 2)}\n{count}",
                    color="white" if share > 0.6 else INK,
                    horizontalalignment="center",
                    verticalalignment="center",
                )
            axes.set_xticks([0, 1], classes, fontsize=7)
            axes.set_yticks([0, 1], classes, fontsize=7, rotation=90, verticalalignment="center")
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
        figure.supxlabel("predicted")
        figure.supylabel("actual")


@contextmanager
def picture(path: Path, height: float) -> Iterator[Figure]:
    """Yield a figure that is written to `path`, whatever the user's own matplotlib style is."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as part:
            # Matplotlib's version in the file would be a difference without a meaning.
            figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})


def _nothing(numbers: Numbers) -> str:
    """Return what is written for the score of a run all of whose networks failed."""
    return ".500, constant" if numbers["constant_cells"] == numbers["cells"] else "diverged"


def _panels(
    figure: Figure, table: pd.DataFrame, results: Mapping[str, Numbers], columns: int
) -> dict[str, Axes]:
    """Return a panel for each run of `table`, titled with its name, on common axes."""
    names = list(dict.fromkeys(table["run"]))
    columns = min(columns, len(names))
    grid = figure.subplots(
        _rows(table, columns), columns, sharex=True, sharey=True, squeeze=False
    ).ravel()
    for name, axes in zip(names, grid, strict=False):
        axes.set_title(marked(name, results[name]))
    for number, axes in enumerate(grid):
        axes.set_visible(number < len(names))
        # Under the last row stand the numbers of the axis; so they do above an empty place.
        axes.tick_params(labelbottom=number + columns >= len(names))
    return dict(zip(names, grid, strict=False))


def _rows(table: pd.DataFrame, columns: int) -> int:
    return -(-table["run"].nunique() // columns)


def _chance(draw: Callable[..., object]) -> None:
    draw(CHANCE, color=GREY, linewidth=0.8, linestyle=DASHED, zorder=0)


def _legend(figure: Figure, axes: Axes) -> None:
    """Write what the colours are above the figure, each once."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside upper left", ncols=len(once))
