"""What happens inside a network, layer by layer, beside the changes that were tried on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from fathom.diagnosis.verdict import Verdict
from fathom.reports.plots import BLUE, CHANCE, DASHED, GREY, PALE, VERMILLION, picture

SMALLEST = 1e-9  # a standard deviation of 0 is drawn here: the axis is logarithmic


def draw_verdicts(
    verdicts: Sequence[Verdict], probes: Mapping[str, pd.DataFrame], folder: Path
) -> None:
    """Draw <network>.png for each verdict; `probes` are the tables of probes by row."""
    for verdict in verdicts:
        rungs = [rung.name for rung in verdict.rungs]
        best = max(verdict.rungs, key=lambda rung: rung.validation.estimate, default=None)
        chosen = {name: layers_of(probes[name]) for name in (verdict.network, *rungs)}
        with picture(folder / f"{verdict.network}.png", height=3.4) as figure:
            left, right = figure.subplots(1, 2)
            for name, table in chosen.items():
                ours = name == verdict.network
                highlighted = ours or (best is not None and name == best.name)
                colour = BLUE if ours else VERMILLION if highlighted else PALE
                label = name if highlighted else None
                _signal(left, table, colour, label, both=highlighted)
                right.plot(table.index, table["readability"], color=colour, label=label)
            left.set_yscale("log")
            left.set_ylim(bottom=SMALLEST)
            left.set_title(
                "standard deviation between nuclei\ndashed: at the start; line: at the end"
            )
            right.axhline(CHANCE, color=GREY, linewidth=0.7)
            right.set_title("balanced accuracy of a linear probe\nof each layer, after training")
            for axes in (left, right):
                axes.set_xlabel("layer with weights; grey: the other changes")
            right.legend()


def layers_of(probes: pd.DataFrame) -> pd.DataFrame:
    """Return a row a layer, by place: columns start, end (median SD between samples), readability.

    Medians over folds and seeds; the input, place 0, has no readability.
    """
    start, end = probes["epoch"].min(), probes["epoch"].max()

    def median(epoch: int, column: str) -> pd.Series:
        return probes[probes["epoch"] == epoch].groupby("place")[column].median()

    return pd.DataFrame(
        {
            "start": median(start, "between_samples"),
            "end": median(end, "between_samples"),
            "readability": median(end, "readability"),
        }
    )


def _signal(axes: Axes, table: pd.DataFrame, colour: str, label: str | None, *, both: bool) -> None:
    if both:
        axes.plot(table.index, table["start"].clip(SMALLEST), color=colour, linestyle=DASHED)
    zorder = 2 if both else 1
    axes.plot(table.index, table["end"].clip(SMALLEST), color=colour, label=label, zorder=zorder)
