"""A study and its prediction tables with a known effect, as `crop` and `train` write them."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from fathom.ground.output import write_table
from fathom.statistics.params import Comparison
from fathom.statistics.scores import Study, study_of
from fathom.study.nuclei import NUCLEUS_COLUMNS, Nuclei

FOLDS = 3
PARAMS = Comparison(confidence=0.95, baseline="forest")
RUNS = {
    "shallow": {"architecture": "small", "interventions": {}},
    "deep": {"architecture": "large", "interventions": {}},
    "deep-normed": {"architecture": "large", "interventions": {"batchnorm": {"norm": "batch"}}},
}
ARCHITECTURES = {"small": "8conv3x3 - gap - o", "large": "3*(8conv3x3) - gap - fc8 - o"}
EFFECTS = {"shallow": 1.0, "deep": 0.0, "deep-normed": 0.7}
CLASSIFIERS = {"logistic": 0.3, "svm": 0.4, "forest": 0.5}


def nuclei(groups: int = 9, size: int = 12) -> Nuclei:
    """Return `groups` slides of `size` nuclei, their share of the positive class uneven."""
    slide = np.repeat([f"s{number}" for number in range(groups)], size)
    rank = np.tile(np.arange(size), groups)
    positive = rank < np.repeat(size // 3 + np.arange(groups) % (size // 3), size)
    table = pd.DataFrame(dict.fromkeys(NUCLEUS_COLUMNS, 0), index=range(len(slide)))
    table["nucleus"] = [f"images/{s}.tif#{r + 1}" for s, r in zip(slide, rank, strict=True)]
    table["slide"] = table["patient"] = slide
    table["image"] = [f"images/{s}.tif" for s in slide]
    table["label"] = np.where(positive, "ill", "well")
    table["positive"] = positive
    table["left_out"] = ""
    return Nuclei(Path("nowhere"), table, table)


def study(**size: int) -> Study:
    return study_of(nuclei(**size), "slide")


def predictions(made_of: Study, effect: float, seeds: tuple[int, ...] = (0,)) -> pd.DataFrame:
    """Return a prediction table; `effect` parts the classes, in SD of the logit; 0: a constant."""
    fold_of = np.arange(made_of.groups) % FOLDS
    tables = []
    for fold in (-1, *range(FOLDS)):
        for seed in seeds:
            rng = np.random.default_rng([fold + 1, seed])
            rest = np.flatnonzero(fold_of != fold)
            validation = np.isin(made_of.group, rest[:2])
            test = fold_of[made_of.group] == fold
            part = np.where(test, "test", np.where(validation, "validation", "train"))
            sign = np.where(made_of.positive, 1, -1)
            logit = rng.normal(0, 0.1) + effect * (sign / 2 + rng.normal(0, 1, len(sign)))
            tables.append(
                pd.DataFrame(
                    {
                        "nucleus": made_of.nucleus,
                        "fold": fold,
                        "seed": seed,
                        "part": part,
                        "probability": 1 / (1 + np.exp(-logit)),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def history(epochs: int = 4, seeds: tuple[int, ...] = (0,)) -> pd.DataFrame:
    rows = [
        {
            "fold": fold,
            "seed": seed,
            "epoch": epoch,
            "train_loss": 0.7 - 0.05 * epoch,
            "train_accuracy": 0.5 + 0.05 * epoch + 0.01 * fold,
            "validation_loss": 0.7,
            "validation_accuracy": 0.5 + 0.01 * fold,
        }
        for fold in (-1, *range(FOLDS))
        for seed in seeds
        for epoch in range(1, epochs + 1)
    ]
    return pd.DataFrame(rows)


def write_project(folder: Path) -> None:
    """Write params.yaml and what the stage `compare` reads."""
    params = {
        "numerics": "portable",
        "split": {"group": "slide", "folds": FOLDS, "validation_share": 0.3, "seed": 0},
        "architectures": ARCHITECTURES,
        "runs": RUNS,
        "comparison": PARAMS.model_dump(),
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    made = study()
    write_table(folder / "nuclei" / "nuclei.parquet", nuclei().table)
    for run, effect in EFFECTS.items():
        write_table(folder / "runs" / run / "predictions.parquet", predictions(made, effect))
        write_table(folder / "runs" / run / "history.parquet", history())
    for classifier, effect in CLASSIFIERS.items():
        write_table(folder / "baseline" / f"{classifier}.parquet", predictions(made, effect))
