"""Time and memory of every stage by the number of nuclei: 10,000, 100,000, a million.

    python benchmarks/million_nuclei.py /scratch/nuclei --sizes 10000 100000 1000000

Simulated nuclei of 48 px (`fathom.simulation`), 500 a patient, a slide each, 100 an image (fewer
where there would be fewer than ten patients). Every
stage is a process of its own; its peak is that of resident memory, of it or of the largest process
it started, whichever is more. What is done is kept in the folder, so that a call that was ended
goes on, and another folder measures anew. `benchmarks/results/million_nuclei.json` has what is
known so far.

`audit` is that of nuclei and labels: images are looked at one by one (`benchmarks/audit_scale.py`).
`baseline` fits one combination of each grid, with `baseline.most_nuclei` as params.yaml has it.
`epoch` is one epoch of the shallow network on the first fold. `predict` writes GeoJSON, Parquet
and overlay of nuclei that are found already. `repro` and `status` are those of DVC when nothing is
to be done. Seconds are of the clock and of the processor: the second says more on a busy machine.
"""

import argparse
import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

import fathom.ground.stage  # noqa: F401  the instruction sets, before NumPy
from fathom.baselines.baseline import classify, write_baseline
from fathom.baselines.features import feature_table, read_features
from fathom.baselines.params import Baseline, Features
from fathom.ground.image_store import ImageStore
from fathom.ground.output import write_json, write_table
from fathom.ground.processor import cores, processor_name
from fathom.ground.section import read_section
from fathom.simulation.simulated_nuclei import simulate_nuclei
from fathom.simulation.simulation import DEFAULT
from fathom.splitting.folds import write_splits
from fathom.study.nuclei import NUCLEUS_COLUMNS, TABLE, read_nuclei
from fathom.study.splits import Split, read_splits

SIZES = (10_000, 100_000, 1_000_000)
EACH, IN_IMAGE, PATIENTS = 500, 100, 10  # nuclei of a patient and an image; patients at least
RESULTS = Path(__file__).parent / "results" / "million_nuclei.json"
DVC = [sys.executable, "-m", "dvc"]


def crops(folder: Path, size: int) -> None:
    """Simulate the nuclei, a patient at a time; patients that are there are kept."""
    (folder / "nuclei").mkdir(exist_ok=True)
    tables = []
    each = min(EACH, size // PATIENTS)
    for patient in range(size // each):
        path = folder / "nuclei" / f"{patient:05d}.npy"
        kept = folder / f"{patient:05d}.parquet"
        if not kept.exists():
            study = replace(DEFAULT, patients=1, nuclei_per_patient=each)
            simulated = simulate_nuclei(study, seed=patient)
            np.save(path, simulated.crops)
            image = [f"images/{patient:05d}-{row // IN_IMAGE:03d}.tif" for row in range(each)]
            nucleus = [f"{name}#{row}" for row, name in enumerate(image)]
            name = f"p{patient:05d}"
            told = {"image": image, "nucleus": nucleus, "patient": name, "slide": name}
            table = simulated.table.assign(**told, shard=path.name, row=np.arange(each))
            write_table(kept, table[list(NUCLEUS_COLUMNS)])
        tables.append(pd.read_parquet(kept))
    write_table(folder / "nuclei" / TABLE, pd.concat(tables, ignore_index=True))


def features(folder: Path, size: int) -> None:
    """Measure them, as the stage does, with an empty store."""
    del size
    store = ImageStore(folder / ".images")
    nuclei = read_nuclei(folder / "nuclei")
    table = feature_table(nuclei, read_section(Features), store)
    write_table(folder / "features.parquet", table)


def audit(folder: Path, size: int) -> None:
    """Look for near-duplicates, marks, label errors and what else the audit looks for in nuclei."""
    del size
    from fathom.audit.audit import _label_findings  # noqa: PLC0415
    from fathom.audit.class_checks import (  # noqa: PLC0415
        audit_brightness,
        audit_marks,
        audit_patients,
    )
    from fathom.audit.nucleus_checks import (  # noqa: PLC0415
        audit_nuclei,
        audit_pairs,
        near_duplicate_table,
    )
    from fathom.audit.params import Audit  # noqa: PLC0415

    params, nuclei = read_section(Audit), read_nuclei(folder / "nuclei")
    pixels, kept = nuclei.crops(), nuclei.kept
    pairs = near_duplicate_table(nuclei, pixels, params, ImageStore(folder / ".images"))
    found = [
        *audit_nuclei(nuclei, pixels, params),
        *audit_pairs(pairs),
        *audit_brightness(kept, pixels, params),
        *audit_marks(kept, pixels, params),
        *audit_patients(kept, params),
    ]
    measured = read_features(folder / "features.parquet", nuclei)
    found += _label_findings(kept, measured, params) or []
    write_json(folder / "audit.json", {"findings": len(found), "pairs": len(pairs)})


def split(folder: Path, size: int) -> None:
    """Divide them by patient."""
    del size
    params = read_section(Split).model_copy(update={"group": "patient"})
    write_splits(read_nuclei(folder / "nuclei"), params, folder / "splits")


def baseline(folder: Path, size: int) -> None:
    """Fit and apply the classifiers, the first combination of each grid."""
    del size
    params = read_section(Baseline)
    grids = {
        name: {key: values[:1] for key, values in getattr(params, name).model_dump().items()}
        for name in ("logistic", "svm", "forest")
    }
    nuclei = read_nuclei(folder / "nuclei")
    results = classify(
        read_features(folder / "features.parquet", nuclei),
        nuclei,
        read_splits(folder / "splits", nuclei),
        Baseline.model_validate(params.model_dump() | grids),
    )
    write_baseline(folder / "baseline", results)


def epoch(folder: Path, size: int) -> None:
    """Train one epoch of the shallow network on the first fold."""
    del size
    from fathom.networks.interventions import planned  # noqa: PLC0415
    from fathom.networks.recipe import Probes, Recipe  # noqa: PLC0415
    from fathom.study.rows import read_row  # noqa: PLC0415
    from fathom.training.trained_rows import cells_of, train_rows  # noqa: PLC0415

    shutil.rmtree(folder / "cells", ignore_errors=True)
    row, line = read_row("runs", "shallow")
    nuclei = read_nuclei(folder / "nuclei")
    recipe = read_section(Recipe).model_copy(update={"epochs": 1})
    plan = planned(row, "runs.shallow", line, recipe, nuclei.crop_px)
    splits = read_splits(folder / "splits", nuclei)
    cells = cells_of("shallow", plan, read_section(Probes), nuclei, splits, final=False)[:1]
    train_rows({folder / "run": (cells, nuclei)}, "portable", folder / "cells")


def predict(folder: Path, size: int) -> None:
    """Write the files of a slide with all these nuclei."""
    from fathom.models.onnx_model import OnnxModel  # noqa: PLC0415
    from fathom.results.coordinates import PixelGrid  # noqa: PLC0415
    from fathom.results.nuclei_table import SCORE_COLUMNS  # noqa: PLC0415
    from fathom.results.nuclei_writer import NucleiBatch  # noqa: PLC0415
    from fathom.results.slide_files import slide_files  # noqa: PLC0415

    card = OnnxModel(Path(os.environ["FATHOM_MODEL"])).card
    shards = sorted((folder / "nuclei").glob("*.npy"))
    # A square a nucleus of 60 px, row by row.
    across = math.isqrt(size) + 1
    side = across * 60
    picture = np.zeros((600, 600), dtype=np.uint8)
    place = 0
    with slide_files(folder / "scored", PixelGrid(side, side, 0.5), picture, card, "s") as files:
        for shard in shards:
            pixels = np.load(shard, mmap_mode="r")
            for first in range(0, len(pixels), 200):
                masks = [one.any(axis=-1) for one in pixels[first : first + 200]]
                numbers = np.arange(place, place + len(masks))
                place += len(masks)
                top, left = np.divmod(numbers, across) * np.array(60)[..., None]
                shape = np.array([mask.shape for mask in masks])
                table = pd.DataFrame({"label_number": numbers + 1, "top": top, "left": left})
                table = table.assign(bottom=top + shape[:, 0], right=left + shape[:, 1])
                table = table.assign(y=top + 24.0, x=left + 24.0, image="s", left_out="")
                table["nucleus"] = [f"s#{number + 1}" for number in numbers]
                table["area_px"] = [int(mask.sum()) for mask in masks]
                table = table.assign(touches_border=False, focus=0.1, logit=0.0, probability=0.5)
                table["class"] = card.positive
                files.add(NucleiBatch(table[SCORE_COLUMNS], masks))


def tracked(folder: Path, size: int) -> None:
    """Hand all of it to DVC."""
    del size
    outs = ["features.parquet", "splits", "baseline", "run", "scored.parquet", "scored.geojson"]
    stages = {
        f"stage{number}": {"cmd": "false", "deps": ["nuclei"], "outs": [out]}
        for number, out in enumerate(outs)
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    if not (folder / ".dvc").exists():
        dvc(folder, "init", "--no-scm", "-q")
    dvc(folder, "add", "nuclei", "-q")
    dvc(folder, "commit", "-f", "-q")


def repro(folder: Path, size: int) -> None:
    """Run nothing."""
    del size
    dvc(folder, "repro", "-q")


def status(folder: Path, size: int) -> None:
    """Find nothing changed."""
    del size
    dvc(folder, "status", "-q")


def dvc(folder: Path, *words: str) -> None:
    """Run DVC in a folder."""
    subprocess.run(
        [*DVC, *words], cwd=folder, check=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"}
    )


Stage = Callable[[Path, int], None]
STAGES: tuple[Stage, ...] = (
    *(crops, features, audit, split, baseline, epoch, predict, tracked, repro, status),
)


def measured(stage: str, folder: Path, size: int) -> dict[str, float]:
    """Run a stage in this process; return its seconds and its peak, GiB."""
    start = time.monotonic()
    {one.__name__: one for one in STAGES}[stage](folder, size)
    seconds = time.monotonic() - start
    if "joblib" in sys.modules:  # its workers count when they have ended
        from joblib.externals.loky import get_reusable_executor  # noqa: PLC0415

        get_reusable_executor().shutdown(wait=True)
    own = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(sum(os.times()[:4]), 2),
        "peak_gib": round(max(own, started) / 2**20, 3),
    }


def table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return a Markdown table: a row a stage, three columns a size, and how it grows.

    The last column is the exponent of the processor's time between the two largest sizes: 1 is
    linear.
    """
    sizes = sorted(found, key=int)
    heads = [f"{int(size):,}: s | CPU s | GiB" for size in sizes]
    rows = [f"| stage | {' | '.join(heads)} | grows as n^ |"]
    rows.append("| --- |" + " ---: |" * (3 * len(sizes) + 1))
    for stage in (one.__name__ for one in STAGES):
        cells, known = [], []
        for size in sizes:
            one = found[size].get(stage)
            if one:
                known.append((int(size), one["cpu_seconds"]))
                cells.append(
                    f"{one['seconds']:,.1f} | {one['cpu_seconds']:,.1f} | {one['peak_gib']:.2f}"
                )
            else:
                cells.append(" | | ")
        power = ""
        if len(known) > 1:
            (few, before), (many, after) = known[-2:]
            power = f"{math.log(max(after, 0.01) / max(before, 0.01)) / math.log(many / few):.2f}"
        rows.append(f"| `{stage}` | {' | '.join(cells)} | {power} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measure what is not known yet, a stage at a time, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--model", type=Path, default=Path("models/shallow.onnx"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--stage", help="measure it alone, in this process")
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(measured(given.stage, given.folder, given.sizes[0])))
        return
    known = json.loads(given.out.read_text("utf-8")) if given.out.exists() else {}
    found = known.get("sizes", {})
    about = {"processor": processor_name(), "cores": cores(), "n": 1}
    environment = {**os.environ, "FATHOM_MODEL": str(given.model.resolve())}
    for size in given.sizes:
        folder = given.folder.resolve() / str(size)
        folder.mkdir(parents=True, exist_ok=True)
        of_size = found.setdefault(str(size), {})
        for stage in (one.__name__ for one in STAGES):
            done = folder / f".{stage}.done"
            if done.exists() and stage in of_size:
                continue
            command = [
                sys.executable,
                __file__,
                str(folder),
                "--sizes",
                str(size),
                "--stage",
                stage,
            ]
            run = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, check=True, env=environment
            )
            of_size[stage] = json.loads(run.stdout.splitlines()[-1])
            done.touch()
            write_json(given.out, {**about, "sizes": found})
            print(f"{size:,} {stage}: {of_size[stage]}", file=sys.stderr, flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
