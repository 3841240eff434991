"""The controls beside the comparison: what tells the label that should not, in three tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fathom.controls.catalogue import ALL, CONTROLS, reference_of
from fathom.controls.params import Shortcuts
from fathom.ground.section import read_section
from fathom.reports.control_sentences import (
    Numbers,
    batch_sentences,
    control_sentence,
    leak_sentence,
    numbers_of,
)
from fathom.reports.texture_sentences import in_sd, texture_sentences
from fathom.statistics.number_text import decimal, signed, with_interval
from fathom.statistics.params import Comparison
from fathom.statistics.run_marks import mark, mark_notes, marked
from fathom.study.rows import read_controls, read_runs
from fathom.study.run_names import names_in_order, short
from fathom.texture.texture_scores import read_texture, sought_of

METRICS, TEXTURE = "controls.json", "texture.json"  # of the stages `controls` and `texture`


@dataclass(frozen=True)
class ControlTable:
    """A table to print: its headings, rows of cells, and the sentences under it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def control_tables(metrics: Path) -> Sequence[ControlTable]:
    """Return the tables of the controls in the folder `metrics`, of those that are scored."""
    return (*_negative(metrics), *_positive(metrics / TEXTURE))


def _positive(file: Path) -> Sequence[ControlTable]:
    """Return the table of the planted textures: a row a network and strength that it was asked."""
    if not file.is_file():
        return ()
    numbers = read_texture(file)
    rows, notes = [], [texture_sentences(numbers)]
    for one in sought_of(numbers):
        accuracy = with_interval(numbers, f"{one.network}.{one.strength:g}.balanced_accuracy")
        left, found = f"{one.left} of {one.cells}", "yes" if one.found else "no"
        rows.append(
            (one.network + mark(one.counts), in_sd(one.strength), accuracy, left, found),
        )
        notes += mark_notes(f"{one.network}, {in_sd(one.strength)}", one.counts)
    notes.append("Who does not find a change is not asked for weaker ones.")
    headings = ("network", "texture\nchanged by", "balanced accuracy", "left the\nplateau", "found")
    title = "Planted texture: a positive control"
    return (ControlTable(title, headings, tuple(rows), tuple(notes)),)


def _negative(metrics: Path) -> Sequence[ControlTable]:
    file = metrics / METRICS
    if not file.is_file():
        return ()
    numbers = json.loads(file.read_text(encoding="utf-8"))
    shortcuts, names = read_section(Shortcuts), names_in_order(read_runs())
    shown = {name: marked(name, _of_run(metrics, name)) for name in names}
    return (
        _controls(numbers),
        _batch(numbers, shown, shortcuts.acquisition),
        _leak(numbers, shown, shortcuts.least_label_px),
    )


def _of_run(metrics: Path, name: str) -> Numbers:
    """Return the metrics of a run, none where it was not compared yet."""
    file = metrics / "runs" / f"{name}.json"
    numbers: Numbers = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return numbers


def _controls(numbers: Numbers) -> ControlTable:
    runs, controls = read_runs(), read_controls()
    baseline = read_section(Comparison).baseline
    rows, notes = [], []
    for name in ALL:
        if f"{name}.balanced_accuracy" not in numbers:
            continue
        other = reference_of(name, controls, runs, baseline)
        own = numbers_of(name, numbers)
        learner = short(other) if name in controls else "classifier"
        rows.append(
            (
                CONTROLS[name].shown + mark(own),
                learner,
                CONTROLS[name].sees,
                with_interval(numbers, f"{name}.balanced_accuracy"),
            )
        )
        notes.append(control_sentence(name, numbers, other))
        notes += mark_notes(CONTROLS[name].shown, own)
    headings = ("control", "learner", "sees", "balanced accuracy")
    return ControlTable("Shortcut controls", headings, tuple(rows), tuple(notes))


def _batch(numbers: Numbers, shown: Mapping[str, str], acquisition: str) -> ControlTable:
    rows = []
    for name in (name for name in shown if f"batch.{name}.default" in numbers):
        keys = [f"batch.{name}.{of}" for of in ("default", "within", "across")]
        loss = f"batch.{name}.loss"
        rows.append(
            (
                shown[name],
                *(with_interval(numbers, key) if key in numbers else "" for key in keys),
                signed(numbers[loss]) if loss in numbers else "",
            )
        )
    headings = (
        "run",
        "as the folds are",
        f"within a {acquisition}",
        f"a new {acquisition}",
        "loss",
    )
    notes = tuple(batch_sentences(numbers, acquisition))
    return ControlTable("Batch effect: balanced accuracy", headings, tuple(rows), notes)


def _leak(numbers: Numbers, shown: Mapping[str, str], least_px: int) -> ControlTable:
    rows = []
    for name in (name for name in shown if f"label.{name}.all" in numbers):
        key = f"label.{name}"
        sensitivity = (f"{key}.sensitivity_shown", f"{key}.sensitivity_not_shown")
        rows.append(
            (
                shown[name],
                with_interval(numbers, f"{key}.all"),
                with_interval(numbers, f"{key}.without"),
                *(decimal(numbers[of], 2) if of in numbers else "" for of in sensitivity),
            )
        )
    headings = (
        "run",
        "all nuclei",
        "without those\nthat show it",
        "sensitivity\nto those",
        "to the\nothers",
    )
    notes = (leak_sentence(numbers, least_px),)
    return ControlTable("The label's own pixels in the crop", headings, tuple(rows), notes)
