"""What the rows of `runs` came to beside one of them: who left the plateau, and the paired effects.

    python benchmarks/rows_beside.py [--base vgg-13] [--out docs/questions.csv]

Run in a study's folder, after `dvc repro compare`. Balanced accuracy of test nuclei is the one of
`fathom table`. Effects on training loss (a factor) and on the balanced accuracy of training and
validation nuclei are paired over folds and seeds, without a prior (`fathom.diagnosis.effects`).
"""

from math import exp
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from fathom.diagnosis.case import Diagnosis
from fathom.diagnosis.diagnosis import evidence_table, read_trained_rows
from fathom.diagnosis.effects import Effect, effect
from fathom.diagnosis.looks import median_epoch
from fathom.ground.section import read_section
from fathom.networks.recipe import Recipe
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_architectures, read_runs
from fathom.study.splits import Split

MEASURES = {"training": "train_accuracy", "validation": "validation"}


def ends(name: str, found: Effect) -> dict[str, float]:
    """Return an effect and the ends of its interval, by column."""
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def main(
    base: Annotated[
        str, typer.Option(help="The row that the others are compared with.")
    ] = "vgg-13",
    out: Annotated[Path | None, typer.Option(help="A table, CSV.")] = None,
) -> None:
    """Print a line a row, and write the table."""
    nuclei, group = read_nuclei(Path("data/nuclei")), read_section(Split).group
    given = Path("data/runs"), read_architectures(), read_section(Recipe), nuclei, group
    rows = {name: row.evidence for name, row in read_trained_rows(read_runs(), *given).items()}
    confidence = read_section(Diagnosis).confidence
    table = evidence_table(rows, confidence).set_index("row").drop(columns="tested")
    more = {}
    for name, row in rows.items():
        more[name] = {"median_epoch_left": median_epoch(row.left_at)}
        if name != base:
            loss = effect(rows[base], row, "log_train_loss", confidence)
            more[name] |= {key: exp(value) for key, value in ends("loss_times", loss).items()}
            for key, measure in MEASURES.items():
                more[name] |= ends(f"{key}_gain", effect(rows[base], row, measure, confidence))
    found = table.join(pd.DataFrame.from_dict(more, orient="index")).round(4)
    print(found.to_string())
    if out:
        found.to_csv(out)


if __name__ == "__main__":
    typer.run(main)
