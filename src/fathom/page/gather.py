"""Gather what the page needs from the stages' large tables into one small folder that git keeps.

From it, and from `metrics`, `plots` and `verdicts`, the page is written: in the pipeline and on a
clone without data alike, to the same bytes.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fathom.diagnosis.case import Diagnosis
from fathom.diagnosis.diagnosis import read_trained_rows, suspects
from fathom.diagnosis.ladder_file import read_climbed
from fathom.ground.csv_file import write_csv
from fathom.ground.output import write_json
from fathom.networks.recipe import Recipe
from fathom.page import network_tables
from fathom.page.crop_pictures import write_crops
from fathom.page.field_pictures import write_pictures
from fathom.page.files import CALIBRATION, CURVES, LAYERS, NETWORKS, STUDY
from fathom.page.network_tables import Row
from fathom.statistics.comparison import read_all_cells
from fathom.statistics.scores import class_names, study_of
from fathom.study.certificate import TABLE as SPLITS
from fathom.study.nuclei import Nuclei, data_sha256, read_nuclei
from fathom.study.rows import CLASSIFIERS, Run, names_in_order
from fathom.study.trained import PREDICTIONS

# Whose versions decide numbers.
LIBRARIES = ("fathom", "numpy", "onnxruntime", "pandas", "scikit-image", "scikit-learn", "scipy",
             "torch")  # fmt: skip


@dataclass(frozen=True)
class Places:
    """The folders that other stages wrote, and the study's data set."""

    dataset: Path
    labels: Path
    nuclei: Path
    splits: Path
    audit: Path
    baseline: Path
    runs: Path
    ladders: Path
    new_slides: Path


@dataclass(frozen=True)
class Asked:
    """What params say of the rows: which there are, their lines, recipe, groups, intervals."""

    runs: Mapping[str, Run]
    lines: Mapping[str, str]
    recipe: Recipe
    limits: Diagnosis
    group: str
    confidence: float  # of the intervals


def gather(places: Places, asked: Asked, out: Path) -> None:
    """Write all tables and pictures into the folder `out`, anew; nothing else may lie in it."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    nuclei = read_nuclei(places.nuclei)
    rows = _rows(places, asked, nuclei)
    everyone = read_all_cells(
        asked.runs, places.runs, places.baseline, study_of(nuclei, asked.group)
    )
    for name, table in (
        (NETWORKS, network_tables.networks(rows)),
        (CURVES, network_tables.curves(rows)),
        (LAYERS, network_tables.layers(rows)),
        (CALIBRATION, network_tables.calibration(everyone, asked.confidence)),
    ):
        write_csv(out / name, table)
    predictions = _predictions(places, asked)
    write_crops(out, nuclei, predictions, everyone)
    write_pictures(out, places.dataset, places.labels, nuclei, places.audit, places.new_slides)
    write_json(out / STUDY, _study(places, nuclei, predictions))


def _rows(places: Places, asked: Asked, nuclei: Nuclei) -> dict[str, Row]:
    """Return the rows of params, then those that ladders added; a row that one grew is the grown.

    A network that two ladders trained under one name is the first's.
    """
    trained = read_trained_rows(
        asked.runs, places.runs, asked.lines, asked.recipe, nuclei, asked.group
    )
    rows = {
        name: Row(places.runs / name, row.evidence, row.probes) for name, row in trained.items()
    }
    grown: dict[str, Row] = {}
    for given in suspects(trained, asked.limits, nuclei.crop_px):
        ladder = places.ladders / given.base.name
        case, _, probes = read_climbed(ladder, given, nuclei, asked.group)
        for evidence in (case.base, *case.ladder):
            name = evidence.name
            if name in probes and name not in grown:
                grown[name] = Row(ladder / name, evidence, probes[name])
    return rows | grown


def _predictions(places: Places, asked: Asked) -> dict[str, Path]:
    """Return the prediction table of everyone that is compared."""
    files = [places.runs / run / PREDICTIONS for run in asked.runs]
    files += [places.baseline / f"{classifier}.parquet" for classifier in CLASSIFIERS]
    return dict(zip(names_in_order(asked.runs), files, strict=True))


def _study(places: Places, nuclei: Nuclei, predictions: Mapping[str, Path]) -> dict[str, Any]:
    negative, positive = class_names(nuclei)
    kept = nuclei.kept
    best = places.new_slides / "best_run.txt"
    return {
        "classes": {"negative": negative, "positive": positive},
        "nuclei": len(kept),
        "positive": int(kept["positive"].sum()),
        "images": int(kept["image"].nunique()),
        "slides": int(kept["slide"].nunique()),
        "patients": int(kept["patient"].nunique()),
        "channels": int(nuclei.crops().shape[-1]),
        "crop_px": nuclei.crop_px,
        "scored_by": best.read_text(encoding="utf-8").strip() if best.is_file() else "",
        "sha256": {
            "nuclei": data_sha256(nuclei),
            "splits": _sha256(places.splits / SPLITS),
            "predictions": {name: _sha256(path) for name, path in predictions.items()},
        },
        # The part behind a plus says which processor a build is for.
        "versions": {name: version(name).partition("+")[0] for name in LIBRARIES},
    }


def _sha256(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
