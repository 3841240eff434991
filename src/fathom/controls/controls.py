"""The controls read and scored: all numbers of metrics/controls.json."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.controls.catalogue import (
    ACROSS,
    CLASSIFIER_CONTROLS,
    LABEL_PIXELS,
    NETWORK_CONTROLS,
    RECOGNISED,
    reference_of,
)
from fathom.controls.control_scores import (
    batch_effect,
    control_scores,
    label_leak,
    label_strata,
    mutual_information,
    recognition,
)
from fathom.controls.params import Shortcuts
from fathom.ground.arrays import Ints
from fathom.ground.errors import FathomError
from fathom.statistics.comparison import read_all_cells
from fathom.statistics.final_network import networks
from fathom.statistics.intervals import Design, Numbers, design_of
from fathom.statistics.measures import seeds_of, stratified
from fathom.statistics.params import Comparison
from fathom.statistics.scores import Cells, Study, read_cells, study_of
from fathom.study.nuclei import Nuclei
from fathom.study.rows import CLASSIFIERS, Run, baseline_name
from fathom.study.trained import PREDICTIONS


@dataclass(frozen=True)
class PredictionPaths:
    """Where the predictions lie."""

    runs: Path
    baseline: Path
    control_runs: Path
    control_classifiers: Path
    label_pixels: Path


@dataclass(frozen=True)
class Rows:
    """The rows of params.yaml: the networks that are compared, and those that are controls."""

    runs: Mapping[str, Run]
    controls: Mapping[str, Run]

    def __post_init__(self) -> None:
        """Refuse a control for which nothing writes crops."""
        for name in self.controls:
            if name not in NETWORK_CONTROLS:
                raise FathomError(
                    f"params.yaml: 'controls.{name}' is not one of {', '.join(NETWORK_CONTROLS)}"
                )


def score_controls(
    nuclei: Nuclei,
    group: str,
    rows: Rows,
    paths: PredictionPaths,
    comparison: Comparison,
    shortcuts: Shortcuts,
) -> Numbers:
    """Return every number of the controls, with intervals over groups (a column of `nuclei`)."""
    study, confidence = study_of(nuclei, group), comparison.confidence

    def everyone(of: Study) -> dict[str, Cells]:
        return read_all_cells(rows.runs, paths.runs, paths.baseline, of)

    compared, found = everyone(study), _read_controls(rows, paths, study)
    seeds = seeds_of([*compared.values(), *found.values()])
    design = design_of(study.positive, study.group, study.groups, seeds)
    references = {
        name: compared[reference_of(name, rows.controls, rows.runs, comparison.baseline)]
        for name in found
    }
    return {
        "nuclei": len(study.nucleus),
        "groups": study.groups,
        "confidence": confidence,
        **control_scores(found, references, design, confidence),
        **_failed(found, rows, paths),
        **_batch(nuclei, study, everyone, paths, design, shortcuts, confidence),
        **_leak(study, everyone, paths, design, shortcuts, confidence),
    }


def _read_controls(rows: Rows, paths: PredictionPaths, study: Study) -> dict[str, Cells]:
    """Read the predictions of the controls; that by the label's pixels may be missing."""
    files = {name: paths.control_runs / name / PREDICTIONS for name in rows.controls}
    folder = paths.control_classifiers
    files |= {name: folder / f"{name}.parquet" for name in (*CLASSIFIER_CONTROLS, LABEL_PIXELS)}
    if not files[LABEL_PIXELS].is_file():
        del files[LABEL_PIXELS]
    return {name: read_cells(file, study) for name, file in files.items()}


def _failed(found: Mapping[str, Cells], rows: Rows, paths: PredictionPaths) -> Numbers:
    """Return of each control how many networks it has, and how many diverged or are constant."""
    numbers: Numbers = {}
    for name, cells in found.items():
        constant = sum(cell.test.constant for cell in cells)
        numbers |= {f"{name}.cells": len(cells), f"{name}.constant_cells": constant}
        if name in rows.controls:
            diverged = int(networks(paths.control_runs / name)["diverged"].sum())
            numbers[f"{name}.diverged_cells"] = diverged
    return numbers


def _batch(
    nuclei: Nuclei,
    study: Study,
    everyone: Callable[[Study], dict[str, Cells]],
    paths: PredictionPaths,
    design: Design,
    shortcuts: Shortcuts,
    confidence: float,
) -> Numbers:
    """Return whether acquisitions are recognised, tell the label, and what they do to scores."""
    numbers: Numbers = {}
    for column in dict.fromkeys(("slide", shortcuts.acquisition)):
        file = paths.control_classifiers / RECOGNISED / f"{column}.parquet"
        if file.is_file():
            predictions = pd.read_parquet(file)
            numbers |= recognition(predictions, study, design, confidence, column)
            bits, by_chance = mutual_information(nuclei, column)
            numbers |= {f"{column}.bits": bits, f"{column}.bits_by_chance": by_chance}
    strata = stratified(study, _codes(nuclei, shortcuts.acquisition))
    folder = paths.control_classifiers / ACROSS
    across = {
        baseline_name(name): read_cells(file, strata.study)
        for name in CLASSIFIERS
        if (file := folder / f"{name}.parquet").is_file()
    }
    return numbers | batch_effect(everyone(strata.study), across, strata, design, confidence)


def _leak(
    study: Study,
    everyone: Callable[[Study], dict[str, Cells]],
    paths: PredictionPaths,
    design: Design,
    shortcuts: Shortcuts,
    confidence: float,
) -> Numbers:
    """Return what the label's own pixels in the crops add to the scores, if they are known."""
    counts = pd.read_parquet(paths.label_pixels)  # of `fathom.controls.control_crops`
    strata, numbers = label_strata(counts, study, shortcuts.least_label_px)
    if not numbers["label_pixels.nuclei"]:
        return numbers
    return numbers | label_leak(everyone(strata.study), strata, design, confidence)


def _codes(nuclei: Nuclei, column: str) -> Ints:
    return pd.factorize(nuclei.kept[column], sort=True)[0].astype(np.int64)
