"""From the rows of params.yaml and what their training left to the networks to be explained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.diagnosis.case import Case, Diagnosis
from fathom.diagnosis.cures import changes, is_control
from fathom.diagnosis.effects import held_out_accuracy
from fathom.diagnosis.evidence import Evidence, evidence_of
from fathom.diagnosis.verdict import depth_effect, is_worse
from fathom.ground.errors import FathomError
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import weight_layers
from fathom.networks.interventions import Plan, planned
from fathom.networks.recipe import Recipe
from fathom.statistics.scores import read_cells, study_of
from fathom.study.nuclei import Nuclei
from fathom.study.rows import Run
from fathom.study.splits import FINAL
from fathom.study.trained import HISTORY, PREDICTIONS, PROBES

TABLES = (PREDICTIONS, HISTORY, PROBES)


@dataclass(frozen=True)
class TrainedRow:
    """A row of params.yaml with its plan, its evidence and its table of probes."""

    run: Run
    plan: Plan
    evidence: Evidence
    probes: pd.DataFrame


def read_trained_rows(
    rows: Mapping[str, Run],
    folder: Path,
    lines: Mapping[str, str],
    recipe: Recipe,
    nuclei: Nuclei,
    group: str,
) -> dict[str, TrainedRow]:
    """Read what the training of `rows` left in `folder`/<name>.

    `group` is the column of the nuclei's table that stands on one side of a split. Raises
    `FathomError` naming a row that was not trained.
    """
    found = {}
    for name, run in rows.items():
        if run.architecture not in lines:
            raise FathomError(f"params.yaml: '{name}' names no architecture: {run.architecture}")
        plan = planned(run, name, lines[run.architecture], recipe, nuclei.crop_px)
        evidence, probes = read_evidence(name, plan, folder / name, nuclei, group)
        found[name] = TrainedRow(run, plan, evidence, probes)
    return found


def read_evidence(
    name: str, plan: Plan, folder: Path, nuclei: Nuclei, group: str, whole: int | None = None
) -> tuple[Evidence, pd.DataFrame]:
    """Return the evidence of the row whose tables are in `folder`, and its table of probes.

    The first `whole` units were trained to the end (`evidence_of`). Held-out nuclei are counted of
    the seeds whose finished folds test all of them; where there is none, they are not known.
    """
    study = study_of(nuclei, group)
    positive = nuclei.kept.set_index("nucleus")["positive"]
    layers = weight_layers(parse(plan.line))
    tables = [_read(folder / table) for table in TABLES]
    predictions, history, probes = tables
    evidence = evidence_of(name, plan, layers, positive, predictions, history, probes, whole)
    seeds = _whole_seeds(evidence, predictions, len(nuclei.kept))
    if not seeds:
        return evidence, probes
    scored = read_cells(folder / PREDICTIONS, study, seeds)
    counts = sum(cell.test.counts(cell.threshold, study.groups) for cell in scored)
    held_out = tuple(tuple(row) for row in np.asarray(counts).tolist())
    return replace(evidence, held_out=held_out, tested=len(scored)), probes


def _whole_seeds(evidence: Evidence, predictions: pd.DataFrame, nuclei: int) -> set[int]:
    """Return the seeds of which each fold was trained to the end: they test every nucleus.

    How many folds there are is not counted in the row: an arm of three networks may have three of
    five.
    """
    cut_short = {cell.seed for cell in evidence.cells if cell.only_left}
    tested = predictions[(predictions["part"] == "test") & (predictions["fold"] != FINAL)]
    counts = tested.groupby("seed")["nucleus"].nunique()
    return {int(seed) for seed in counts.index[counts == nuclei]} - cut_short


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FathomError(f"{path} is missing: run 'dvc repro' to make it")
    return pd.read_parquet(path)


def suspects(rows: Mapping[str, TrainedRow], limits: Diagnosis, crop_px: int) -> list[Case]:
    """Return the networks that params name, each with its relatives, in the order of the rows.

    "worse": each that has a shallower relative under the same interventions and is worse than the
    best of them, by an interval of balanced accuracy that excludes 0 and a difference that counts
    (`fathom.diagnosis.verdict.is_worse`), or of which a network never left the plateau.
    """
    named = () if limits.networks == "worse" else limits.networks
    if unknown := [name for name in named if name not in rows]:
        raise FathomError(
            f"params.yaml: 'diagnosis.networks' names {unknown[0]!r}; there is: {', '.join(rows)}"
        )
    if controls := [name for name in named if is_control(rows[name].plan)]:
        raise FathomError(
            f"params.yaml: 'diagnosis.networks' names {controls[0]!r}, which trains on shuffled "
            "labels: nothing can cure it. Name the row that it is the control of"
        )
    cases = [case_of(name, rows, crop_px) for name in rows]
    return [
        case
        for case in cases
        if case.base.name in named or (not named and _is_suspect(case, limits))
    ]


def evidence_table(rows: Mapping[str, Evidence], confidence: float) -> pd.DataFrame:
    """Return what every row came to, one a line: medians over networks, and held-out nuclei.

    Columns: row, layers, epochs, networks, left (how many left the plateau), training_accuracy,
    validation_balanced_accuracy, and balanced_accuracy of the test nuclei with its interval over
    groups, low and high, and tested, the networks that it is of.
    """
    lines = []
    for name, row in rows.items():
        tested = held_out_accuracy(row, confidence)
        lines.append(
            {
                "row": name,
                "layers": row.weight_layers,
                "epochs": row.plan.recipe.epochs,
                "networks": row.tally.networks,
                "left": row.tally.left,
                "training_accuracy": row.median("train_accuracy"),
                "validation_balanced_accuracy": row.median("validation"),
                "balanced_accuracy": tested.estimate if tested else nan,
                "low": tested.low if tested else nan,
                "high": tested.high if tested else nan,
                "tested": row.tested,
            }
        )
    return pd.DataFrame(lines)


def case_of(name: str, rows: Mapping[str, TrainedRow], crop_px: int) -> Case:
    """Return a network with its shallower relatives and its ladder.

    Shallower: fewer layers with weights, the same interventions. A rung: the same architecture and
    the network's interventions with one more, which changes something but the seeds.
    """
    base = rows[name]
    own = base.run.interventions
    others = [row for other, row in rows.items() if other != name]
    shallower = [
        row.evidence
        for row in others
        if row.run.interventions == own
        and row.evidence.weight_layers < base.evidence.weight_layers
        and not is_control(row.plan)
    ]
    ladder = [
        row.evidence
        for row in others
        if row.run.architecture == base.run.architecture
        and len(row.run.interventions) == len(own) + 1
        and own.items() <= row.run.interventions.items()
        and changes(base.plan, row.plan)
    ]
    return Case(base.evidence, tuple(shallower), tuple(ladder), crop_px, taken=frozenset(rows))


def _is_suspect(case: Case, limits: Diagnosis) -> bool:
    if is_control(case.base.plan) or not case.shallower:
        return False
    return is_worse(depth_effect(case, limits), limits) or not all(case.base.left)
