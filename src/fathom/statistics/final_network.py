"""Whether a run's final network, the one that is exported, can be used at all.

The outer folds measure the recipe. The final network is one more network, trained once, and has no
test part: it can fail where all others learned. What can honestly be said of it is whether its
training diverged, and whether it tells nuclei apart on its own validation part. That part chose its
epoch and its threshold, so that its balanced accuracy there is too good; it proves failure only.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.statistics.intervals import Numbers
from fathom.statistics.metrics import balanced_accuracy_of, choose_threshold
from fathom.statistics.scores import Study, is_constant
from fathom.study.splits import FINAL
from fathom.study.trained import HISTORY, PREDICTIONS


def with_final_networks(
    results: Mapping[str, Numbers], runs: Iterable[str], folder: Path, study: Study
) -> dict[str, Numbers]:
    """Return the results of everyone with `final_numbers` of each run, `folder`/<run>, added."""
    of_runs = {run: final_numbers(folder / run, study) for run in runs}
    return {name: {**numbers, **of_runs.get(name, {})} for name, numbers in results.items()}


def final_numbers(trained: Path, study: Study) -> Numbers:
    """Return what the metrics of a run say of its networks that failed.

    `trained` is the folder of the stage `train`. `diverged_cells`: the folds' networks without an
    epoch of finite validation loss, whose weights are the initial ones. `final_diverged` and
    `final_constant` (0 or 1): the final network is one of those; it gives all nuclei of its
    validation part one answer. `final_validation_balanced_accuracy`:
    there, at its own threshold.
    """
    diverged = _diverged(trained)
    final = diverged.index.get_level_values("fold") == FINAL
    table = pd.read_parquet(trained / PREDICTIONS)
    rows = table[(table["fold"] == FINAL) & (table["part"] == "validation")]
    positive = study.positive[study.nucleus.get_indexer(pd.Index(rows["nucleus"]))]
    probability = rows["probability"].to_numpy(dtype=np.float64)
    constant = is_constant(probability)
    reached = 0.5
    if not constant:
        called = probability >= choose_threshold(probability, positive)
        reached = balanced_accuracy_of(called, positive)
    return {
        "diverged_cells": int(diverged[~final].sum()),
        "final_diverged": int(diverged[final].any()),
        "final_constant": int(constant),
        "final_validation_balanced_accuracy": reached,
    }


def networks(trained: Path) -> pd.DataFrame:
    """Return the networks of a row, by fold (`FINAL` is the last one) and seed: how they ended.

    `trained` is the folder of the stage that trained it. Columns `diverged` and `constant`, bool: a
    network that diverged is not called constant as well.
    """
    diverged = _diverged(trained)
    table = pd.read_parquet(trained / PREDICTIONS)
    # The final network has no test part.
    said = table[table["part"] == np.where(table["fold"] == FINAL, "validation", "test")]
    spread = said.groupby(["fold", "seed"])["probability"].agg(
        lambda one: is_constant(one.to_numpy(dtype=np.float64))
    )
    constant = spread.reindex(diverged.index, fill_value=False).astype(bool)
    return pd.DataFrame({"diverged": diverged, "constant": constant & ~diverged})


def _diverged(trained: Path) -> pd.Series:
    """Return whether each network, by fold and seed, never had a finite validation loss."""
    history = pd.read_parquet(trained / HISTORY, columns=["fold", "seed", "validation_loss"])
    finite = pd.Series(np.isfinite(history["validation_loss"]))
    return ~finite.groupby([history["fold"], history["seed"]]).any()
