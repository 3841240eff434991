"""From the rows of params.yaml and what their training left to a verdict on each network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.diagnosis.causes import Case, Diagnosis
from fathom.diagnosis.data_faults import NO_FAULTS, DataFaults
from fathom.diagnosis.effects import held_out_accuracy
from fathom.diagnosis.evidence import Evidence, evidence_of
from fathom.diagnosis.ladder import changes, is_control
from fathom.diagnosis.verdict import Verdict, depth_effect, is_worse, judge
from fathom.ground.errors import FathomError
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import weight_layers
from fathom.networks.interventions import Plan, planned
from fathom.networks.recipe import Recipe
from fathom.statistics.scores import read_cells, study_of
from fathom.study.nuclei import Nuclei
from fathom.study.rows import Run
from fathom.study.trained import PREDICTIONS

TABLES = ("predictions", "history", "probes")


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
    crop_px = nuclei.crops().shape[1]
    study = study_of(nuclei, group)
    positive = nuclei.kept.set_index("nucleus")["positive"]
    found = {}
    for name, run in rows.items():
        if run.architecture not in lines:
            raise FathomError(f"params.yaml: '{name}' names no architecture: {run.architecture}")
        plan = planned(run, name, lines[run.architecture], recipe, crop_px)
        layers = weight_layers(parse(plan.line))
        tables = [_read(folder / name / f"{table}.parquet") for table in TABLES]
        evidence = evidence_of(name, plan, layers, positive, *tables)
        scored = read_cells(folder / name / PREDICTIONS, study)
        counts = sum(cell.test.counts(cell.threshold, study.groups) for cell in scored)
        held_out = tuple(tuple(row) for row in np.asarray(counts).tolist())
        found[name] = TrainedRow(run, plan, replace(evidence, held_out=held_out), tables[-1])
    return found


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FathomError(f"{path} is missing: run 'dvc repro' to make it")
    return pd.read_parquet(path)


def diagnose(
    rows: Mapping[str, TrainedRow], limits: Diagnosis, crop_px: int, faults: DataFaults = NO_FAULTS
) -> list[Verdict]:
    """Return a verdict on each network that params name, in the order of the rows.

    "worse": on each that is worse than the best shallower one under the same interventions, by an
    interval of balanced accuracy that excludes 0 and a difference that counts
    (`fathom.diagnosis.verdict.is_worse`).
    """
    named = () if limits.networks == "worse" else limits.networks
    if unknown := [name for name in named if name not in rows]:
        raise FathomError(
            f"params.yaml: 'diagnosis.networks' names {unknown[0]!r}; there is: {', '.join(rows)}"
        )
    verdicts = []
    for name in rows:
        case = replace(case_of(name, rows, crop_px), faults=faults)
        if name in named or (not named and _is_worse(case, limits)):
            verdicts.append(replace(judge(case, limits), by_seed=_by_seed(case, limits)))
    return verdicts


def row_table(rows: Mapping[str, TrainedRow], confidence: float) -> pd.DataFrame:
    """Return what every row came to, one a line: medians over cells, and held-out nuclei.

    Columns: row, layers, changes, epochs, cells, training_accuracy, validation_balanced_accuracy,
    and balanced_accuracy of the test nuclei with its interval over groups, low and high.
    """
    lines = []
    for name, row in rows.items():
        tested = held_out_accuracy(row.evidence, confidence)
        lines.append(
            {
                "row": name,
                "layers": row.evidence.weight_layers,
                "changes": " + ".join(row.run.interventions),
                "epochs": row.plan.recipe.epochs,
                "cells": len(row.evidence.cells),
                "training_accuracy": row.evidence.median("train_accuracy"),
                "validation_balanced_accuracy": row.evidence.median("validation"),
                "balanced_accuracy": tested.estimate if tested else nan,
                "low": tested.low if tested else nan,
                "high": tested.high if tested else nan,
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
    return Case(base.evidence, tuple(shallower), tuple(ladder), crop_px)


def _is_worse(case: Case, limits: Diagnosis) -> bool:
    return is_worse(depth_effect(case, limits), limits) and not is_control(case.base.plan)


def _by_seed(case: Case, limits: Diagnosis) -> dict[int, str]:
    """Return the main cause that each seed alone would give: with one seed, the verdict again."""
    seeds = sorted({cell.seed for cell in case.base.cells})
    return {seed: judge(_of_seed(case, seed), limits).main for seed in seeds}


def _of_seed(case: Case, seed: int) -> Case:
    def only(rows: Sequence[Evidence]) -> tuple[Evidence, ...]:
        kept = (
            replace(row, cells=tuple(cell for cell in row.cells if cell.seed == seed))
            for row in rows
        )
        return tuple(row for row in kept if row.cells)

    [base] = only([case.base])
    return replace(case, base=base, shallower=only(case.shallower), ladder=only(case.ladder))
