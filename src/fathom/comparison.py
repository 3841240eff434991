"""What is reported of every run, with intervals: same nuclei, same resamples.

Balanced accuracy, sensitivity and specificity count the decisions of all test folds together,
each fold's and seed's at its own threshold. AUROC counts pairs of nuclei of the same fold and seed
only: probabilities of two networks are not comparable. Several seeds are counted together, which
averages them, for each has the same nuclei.

`validation_balanced_accuracy` is measured on the nuclei that chose the threshold and, with
`recipe.weights: best`, the epoch. It is optimistic: it serves to choose a run, never to report one.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from fathom.architecture import parse
from fathom.architecture_cost import weight_layers
from fathom.errors import FathomError
from fathom.intervals import draw_groups, interval
from fathom.metrics import (
    EVEN,
    Floats,
    balanced_accuracy,
    ordered_pairs,
    sensitivity,
    share,
    specificity,
)
from fathom.names import baseline_name, names_in_order
from fathom.output import write_metrics
from fathom.params import CLASSIFIERS, Comparison, Run
from fathom.scores import Cells, Study, read_cells

Numbers = dict[str, float | int]

SUMMARY_SIZE = 40  # numbers a person can still compare between two branches
# What the summary holds of each run, in order of importance: as many rows as fit.
SUMMARY = (
    ("balanced_accuracy",),
    ("balanced_accuracy_low", "balanced_accuracy_high"),
    ("training_accuracy",),
    ("auroc",),
)


def read_all_cells(
    runs: Iterable[str], run_folder: Path, baseline_folder: Path, study: Study
) -> dict[str, Cells]:
    """Read the predictions of every run and every statistical classifier, by name in order."""
    files = [run_folder / run / "predictions.parquet" for run in runs]
    files += [baseline_folder / f"{classifier}.parquet" for classifier in CLASSIFIERS]
    names = names_in_order(runs)
    return {name: read_cells(file, study) for name, file in zip(names, files, strict=True)}


def compare(
    everyone: Mapping[str, Cells], study: Study, layers: Mapping[str, int], params: Comparison
) -> dict[str, Numbers]:
    """Return the numbers of everyone that is compared, in order; `layers` is what `depths` gives.

    Each measure has its interval in `<measure>_low` and `<measure>_high`. Differences are paired,
    to the first run (`difference_to_first`) and to the classifier that params name
    (`difference_to_baseline`): of balanced accuracy, and with the prefix `auroc_` of AUROC. None is
    to itself.
    """
    draws = draw_groups(study.groups, params.resamples, params.seed)
    measured = {name: measure(cells, draws) for name, cells in everyone.items()}
    references = {"first": next(iter(everyone)), "baseline": baseline_name(params.baseline)}
    results: dict[str, Numbers] = {}
    for name, cells in everyone.items():
        differences = {
            f"{prefix}difference_to_{reference}": measured[name][of] - measured[other][of]
            for reference, other in references.items()
            for prefix, of in (("", "balanced_accuracy"), ("auroc_", "auroc"))
            if other != name
        }
        results[name] = {
            **_intervals(name, {**measured[name], **differences}, params.confidence),
            "confidence": params.confidence,
            "nuclei": len(study.nucleus),
            "groups": study.groups,
            "cells": len(cells),
            "constant_cells": sum(cell.test.constant for cell in cells),
        }
        if name in layers:
            results[name]["weight_layers"] = layers[name]
    return results


def measure(cells: Cells, draws: Floats) -> dict[str, Floats]:
    """Compute every measure of a run on every resample.

    Parameters
    ----------
    cells : the run's
    draws : (resamples, groups) float64, how often each group stands in each resample

    Returns
    -------
    dict of (resamples,) float64
        NaN where a resample lacks a class. What is added up are whole numbers and halves, so the
        sums are exact whatever the order in which a BLAS adds them.
    """
    groups = draws.shape[1]
    test = draws @ sum(cell.test.counts(cell.threshold, groups) for cell in cells)
    validation = draws @ sum(cell.validation.counts(cell.threshold, groups) for cell in cells)
    train = draws @ sum(cell.train.counts(EVEN, groups) for cell in cells)
    return {
        "balanced_accuracy": balanced_accuracy(test),
        "auroc": _auroc(cells, draws),
        "sensitivity": sensitivity(test),
        "specificity": specificity(test),
        # The classes are balanced in training: this is the plain accuracy of the training nuclei.
        # In a resample they are not, and a plain accuracy would move with their share.
        "training_accuracy": balanced_accuracy(train),
        "validation_balanced_accuracy": balanced_accuracy(validation),
    }


def _auroc(cells: Cells, draws: Floats) -> Floats:
    """Return the share of the pairs within cells that are in the right order: (resamples,)."""
    ordered, pairs = np.zeros(len(draws)), np.zeros(len(draws))
    for test in (cell.test for cell in cells):
        present, group = np.unique(test.group, return_inverse=True)
        weights = draws[:, present]
        matrix = ordered_pairs(test.probability, test.positive, group, len(present))
        ordered += ((weights @ matrix) * weights).sum(axis=1)
        positives = np.bincount(group, test.positive, len(present))
        negatives = np.bincount(group, ~test.positive, len(present))
        pairs += (weights @ positives) * (weights @ negatives)
    return share(ordered, pairs)


def _intervals(name: str, measured: Mapping[str, Floats], confidence: float) -> Numbers:
    """Return estimate, low and high of each measure, and how many resamples lacked any of them."""
    numbers: Numbers = {}
    for measure_name, values in measured.items():
        try:
            found = interval(values, confidence)
        except FathomError as error:
            raise FathomError(f"{measure_name} of '{name}': {error}") from None
        numbers[measure_name] = found.estimate
        numbers[f"{measure_name}_low"] = found.low
        numbers[f"{measure_name}_high"] = found.high
    lacking = np.isnan(np.stack(list(measured.values()))).any(axis=0)
    numbers["degenerate_resamples"] = int(lacking.sum())
    return numbers


def summary(results: Mapping[str, Numbers]) -> Numbers:
    """Return at most `SUMMARY_SIZE` numbers, `<run>.<measure>`, for `dvc metrics diff`.

    A row of `SUMMARY` is there for all runs or for none. With more than `SUMMARY_SIZE` runs only
    the first ones are there.
    """
    chosen = list(results)[:SUMMARY_SIZE]
    numbers: Numbers = {}
    for measures in SUMMARY:
        if len(numbers) + len(chosen) * len(measures) > SUMMARY_SIZE:
            break
        numbers |= {f"{run}.{key}": results[run][key] for run in chosen for key in measures}
    return numbers


def write_results(folder: Path, results: Mapping[str, Numbers]) -> None:
    """Write the numbers of each as <name>.json."""
    for name, numbers in results.items():
        write_metrics(folder / f"{name}.json", numbers)


def depths(runs: Mapping[str, Run], lines: Mapping[str, str]) -> dict[str, int]:
    """Return each run's number of layers with weights; `lines` holds the architectures by name."""
    return {name: weight_layers(parse(lines[run.architecture])) for name, run in runs.items()}
