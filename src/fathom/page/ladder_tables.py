"""The ladder of a network and what came of each deeper one: as tables, and as bars."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from fathom.diagnosis.looks import Tally
from fathom.page.answers import next_steps
from fathom.page.content import Content
from fathom.page.drawing import share_bar
from fathom.page.tables import Bar, Cell, Table, as_csv, left_cell
from fathom.reports.verdict_text import median_epoch_in_words
from fathom.statistics.row_text import decimal, difference, marked, signed_interval
from fathom.study.rows import short


def ladder_table(content: Content, network: str) -> Table:
    """Return the changes that were tried on a network, each with its share and its effects."""
    verdict, confidence = content.verdicts[network], content.params["diagnosis"]["confidence"]
    own = left_cell_of(verdict["left"], confidence)
    rows = [(Cell("none", run=network), own, *(Cell(""),) * 4)]
    rows += [
        (
            Cell(rung["name"].removeprefix(f"{network}-"), run=rung["name"]),
            left_cell_of(rung["left"], confidence),
            Cell(
                median_epoch_in_words(rung["median_epoch"], Tally(**rung["left"])),
                rung["median_epoch"],
            ),
            # A control was trained on other labels: its fit to the true ones says nothing.
            Cell("") if rung["shuffled"] else effect_cell(rung["train_accuracy"]),
            effect_cell(rung["validation"]),
            Cell(_state(rung)),
        )
        for rung in verdict["rungs"]
    ]
    headings = ("one change", "left the plateau", "median epoch", "training accuracy",
                "validation accuracy", "came to")  # fmt: skip
    flat = pd.json_normalize([{"row": network, "left": verdict["left"]}, *verdict["rungs"]])
    return Table(f"ladder-{network}", f"Changes tried on {network}, one at a time", headings,
                 tuple(rows), as_csv(flat))  # fmt: skip


def left_cell_of(tally: Mapping[str, int], confidence: float) -> Cell:
    """Return k of n with its exact interval."""
    counted = Tally(tally["left"], tally["networks"])
    low, high = (decimal(end, 2) for end in counted.interval(confidence))
    return Cell(f"{counted} [{low}, {high}]", counted.left / max(counted.networks, 1))


def effect_cell(effect: Mapping[str, float | None]) -> Cell:
    """Return a paired difference with its interval."""
    estimate, low, high = (effect[of] for of in ("estimate", "low", "high"))
    if estimate is None:
        return Cell("")
    return Cell(signed_interval(estimate, low, high), estimate)


def share_bars(content: Content, network: str) -> list[Bar]:
    """Return k of n networks that left the plateau, of a network and of each change on it."""
    verdict = content.verdicts[network]
    confidence = content.params["diagnosis"]["confidence"]
    rows = [(network, network, verdict["left"], "")]
    rows += [
        (rung["name"], rung["name"].removeprefix(f"{network}-"), rung["left"], _state(rung))
        for rung in verdict["rungs"]
    ]
    bars = []
    for name, shown, tally, state in rows:
        counted = Tally(**tally)
        ends = counted.interval(confidence)
        picture = share_bar(name, content.place(name), counted.left, counted.networks, ends)
        text = f"{counted} [{decimal(ends[0], 2)}, {decimal(ends[1], 2)}]"
        bars.append(Bar(name, shown, picture, text, state))
    return bars


def _state(rung: Mapping[str, Any]) -> str:
    return "" if rung["state"] == "no cure" else str(rung["state"])


def deeper_table(content: Content) -> Table:
    """Return each network deeper than the first run: its cause, its cures, what comes next."""
    headings = ("network", "layers", f"minus {short(content.first)}", "left the plateau",
                "cause", "cures that worked", "what to do next")  # fmt: skip
    names = _deeper(content)
    rows = tuple(_deeper_row(content, name) for name in names)
    numbers = pd.DataFrame([_deeper_numbers(content, name) for name in names])
    return Table(
        "deeper",
        "Deeper than the first run: cause, cures, what to do next",
        headings,
        rows,
        as_csv(numbers),
        tuple(counted_apart(content, names)),
    )


def _deeper(content: Content) -> list[str]:
    results = content.results
    depth = results[content.first].get("weight_layers", 0) if content.networks else 0
    return [
        name
        for name in content.networks
        if results[name]["weight_layers"] > depth or name in content.verdicts
    ]


def _deeper_row(content: Content, name: str) -> tuple[Cell, ...]:
    numbers, key = content.results[name], "difference_to_first"
    return (
        Cell(marked(name, numbers), run=name),
        Cell(f"{numbers['weight_layers']:.0f}"),
        Cell(difference(numbers, key) if key in numbers else ""),
        left_cell(content, name),
        *map(Cell, _cause_cures_next(content, name)),
    )


def _deeper_numbers(content: Content, name: str) -> dict[str, object]:
    """Return the same row as a script reads it: a number a column."""
    key = "difference_to_first"
    ends = [f"{key}{end}" for end in ("", "_low", "_high", "_claim")]
    left, networks = content.left.get(name, ("", ""))
    cause, cures, step = _cause_cures_next(content, name)
    own = content.results[name]
    return {
        "network": name,
        "layers": own["weight_layers"],
        **{end: own.get(end, "") for end in ends},
        "left": left,
        "networks": networks,
        "cause": cause,
        "cures": cures,
        "next": step,
    }


def _cause_cures_next(content: Content, name: str) -> tuple[str, str, str]:
    if name in content.verdicts:
        verdict = content.verdicts[name]
        causes = "; ".join(cause["name"] for cause in verdict["causes"])
        cures = ", ".join(one.removeprefix(f"{name}-") for one in verdict["together"])
        return causes, cures or "none", " ".join(next_steps(content, verdict))
    for network, verdict in content.verdicts.items():
        for rung in verdict["rungs"]:
            if rung["name"] == name:
                return f"a change tried on {network}: {rung['state']}", "", ""
    return "not diagnosed", "", f"Name {name} in diagnosis.networks to learn why."


def counted_apart(content: Content, names: list[str]) -> Iterator[str]:
    """Yield which networks which column is about, where ladders added some to a run."""
    own = {name: int(content.results[name]["cells"]) for name in names}
    grown = [name for name, cells in own.items() if content.left.get(name, (0, 0))[1] > cells]
    if grown:
        counts = sorted({own[name] for name in grown})
        yield (
            f"Accuracies and differences of a run are those of its own "
            f"{' or '.join(map(str, counts))} networks; 'left the plateau' also counts those that "
            "the ladder added."
        )
