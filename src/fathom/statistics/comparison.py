"""What is reported of every run, with intervals: same nuclei, same groups and seeds left out.

`fathom.statistics.measures` says what is measured, `fathom.statistics.intervals` how sure it is,
`fathom.statistics.claims` when a difference may be claimed.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from fathom.ground.arrays import Floats
from fathom.ground.errors import FathomError
from fathom.ground.numerics import Numerics
from fathom.ground.output import write_metrics
from fathom.statistics.claims import to_reference
from fathom.statistics.intervals import Design, Numbers, design_of, leave_out, share_interval
from fathom.statistics.measures import measures_of, seeds_of
from fathom.statistics.params import Comparison
from fathom.statistics.row_text import failed, final_failed
from fathom.statistics.scores import Cells, Study, read_cells
from fathom.study.rows import CLASSIFIERS, baseline_name, names_in_order
from fathom.study.trained import PREDICTIONS

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
    files = [run_folder / run / PREDICTIONS for run in runs]
    files += [baseline_folder / f"{classifier}.parquet" for classifier in CLASSIFIERS]
    names = names_in_order(runs)
    return {name: read_cells(file, study) for name, file in zip(names, files, strict=True)}


def compare(
    everyone: Mapping[str, Cells],
    study: Study,
    layers: Mapping[str, int],
    params: Comparison,
    numerics: Numerics = "portable",
) -> dict[str, Numbers]:
    """Return the numbers of everyone that is compared, in order.

    `layers` is the number of layers with weights of each network. A network's `portable` is 1, or 0
    where its training was this machine's own (`numerics`).

    Each measure has its interval in `<measure>_low` and `<measure>_high`. Differences are paired,
    to the first run (`difference_to_first`) and to the classifier that params name
    (`difference_to_baseline`): of balanced accuracy, and with the prefix `auroc_` of AUROC. None is
    to itself. Each has its `_p`, its `_p_holm` among all that are compared with the same one, its
    `_claim` (1 better, -1 worse, 0 not claimed) and the smallest difference that is `_detectable`.
    """
    seeds = seeds_of(everyone.values())
    design = design_of(study.positive, study.group, study.groups, seeds)
    weights = leave_out(design)
    measured = {name: measures_of(cells, weights) for name, cells in everyone.items()}
    results: dict[str, Numbers] = {}
    for name, cells in everyone.items():
        results[name] = {
            **_intervals(name, measured[name], design, params.confidence),
            "confidence": params.confidence,
            "nuclei": len(study.nucleus),
            "groups": study.groups,
            "effective_groups": design.effective_groups,
            "cells": len(cells),
            "seeds": len(seeds_of([cells])),
            "constant_cells": sum(cell.test.constant for cell in cells),
        }
        if name in layers:
            results[name]["weight_layers"] = layers[name]
            results[name]["portable"] = int(numerics == "portable")
    references = {"first": next(iter(everyone)), "baseline": baseline_name(params.baseline)}
    for called, reference in references.items():
        found = to_reference(reference, called, everyone, measured, design, params.confidence)
        for name, numbers in found.items():
            results[name] |= numbers
    return results


def _intervals(
    name: str, measured: Mapping[str, Floats], design: Design, confidence: float
) -> Numbers:
    """Return estimate, low and high of each measure."""
    numbers: Numbers = {}
    for measure_name, values in measured.items():
        try:
            numbers |= share_interval(values, design, confidence).as_numbers(measure_name)
        except FathomError as error:
            raise FathomError(f"{measure_name} of '{name}': {error}") from None
    return numbers


def summary(results: Mapping[str, Numbers]) -> Numbers:
    """Return at most `SUMMARY_SIZE` measures, `<run>.<measure>`, for `dvc metrics diff`.

    A row of `SUMMARY` is there for all runs or for none. With more than `SUMMARY_SIZE` runs only
    the first ones are there. Beside them stands `<run>.failed_networks` of each run of which some
    network failed, the final one too: its other numbers say less than they seem to.
    """
    chosen = list(results)[:SUMMARY_SIZE]
    numbers: Numbers = {}
    for measures in SUMMARY:
        if len(numbers) + len(chosen) * len(measures) > SUMMARY_SIZE:
            break
        numbers |= {f"{run}.{key}": results[run][key] for run in chosen for key in measures}
    networks = {run: failed(results[run]) + final_failed(results[run]) for run in chosen}
    return numbers | {f"{run}.failed_networks": n for run, n in networks.items() if n}


def write_comparison(folder: Path, short: Path, results: Mapping[str, Numbers]) -> None:
    """Write the numbers of each as <name>.json in `folder`, and the summary as `short`."""
    write_metrics(short, summary(results))
    for name, numbers in results.items():
        write_metrics(folder / f"{name}.json", numbers)
