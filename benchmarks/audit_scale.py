"""How long and how much memory the whole audit takes for 10, 30 and 100 thousand nuclei.

    python benchmarks/audit_scale.py [SIZE ...]

Simulated nuclei of 48 px (`fathom.simulation.simulated_nuclei`, seed 0), 100 in an image of 768 px,
of which one in a thousand is there a second time: turned by 90 degrees, mirrored, a fifth brighter
and 5 levels up. The features of a nucleus are 60 random numbers that tell the class at d' = 3: they
are measured by a stage of its own. Each size runs in a process of its own, so that its peak of
resident memory is its own. CPU seconds are those of both cores together.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from fathom.audit.audit import audit
from fathom.audit.image_audit import audit_image_files
from fathom.audit.params import Audit
from fathom.ground.section import read_section
from fathom.simulation.simulated_nuclei import simulate_nuclei, write_simulated_nuclei
from fathom.simulation.simulation import DEFAULT
from fathom.study.accounts import ACCOUNT_COLUMNS
from fathom.study.nuclei import read_nuclei

SIZES = (10_000, 30_000, 100_000)
PATIENTS, IN_IMAGE, SIDE, CELL, CROP = 20, 100, 768, 76, 48


def write_study(folder: Path, size: int) -> None:
    """Write nuclei, the last thousandth of them changed copies of the first, and their images."""
    copies = size // 1000
    study = replace(DEFAULT, patients=PATIENTS, nuclei_per_patient=size // PATIENTS)
    simulated = simulate_nuclei(study, seed=0)
    crops = simulated.crops
    turned = np.rot90(crops[:copies, :, ::-1], axes=(1, 2))
    crops[-copies:] = np.where(turned > 0, np.clip(np.rint(turned * 1.2 + 5), 1, 255), 0)
    images = [f"images/{number // IN_IMAGE:04d}.tif" for number in range(size)]
    table = simulated.table.assign(image=images)
    write_simulated_nuclei(folder / "nuclei", replace(simulated, table=table))
    (folder / "set" / "images").mkdir(parents=True)
    for number in range(size // IN_IMAGE):
        here = slice(number * IN_IMAGE, (number + 1) * IN_IMAGE)
        tifffile.imwrite(folder / "set" / images[here.start], photographed(crops[here], number))
    listed = table[["image", "slide", "patient"]].drop_duplicates("image")
    listed.to_csv(folder / "set" / "images.csv", index=False)


def photographed(crops: np.ndarray, seed: int) -> np.ndarray:
    """Return an image, (SIDE, SIDE) uint16: the crops about the places of a grid, and noise."""
    rng = np.random.default_rng(seed)
    light = rng.normal(300, 10, (SIDE, SIDE))
    for number, crop in enumerate(crops):
        y, x = np.divmod(number, 10) * np.array(CELL) + rng.integers(0, CELL - CROP, 2)
        light[y : y + CROP, x : x + CROP] += crop[..., 0] * 20.0
    return np.clip(np.rint(light), 0, 65535).astype(np.uint16)


def measure(folder: Path) -> dict[str, float]:
    """Audit a study; count copies found, pairs that are none, seconds, memory."""
    params = read_section(Audit)
    nuclei = read_nuclei(folder / "nuclei")
    size, positive = len(nuclei.kept), nuclei.kept["positive"].to_numpy(dtype=bool)
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.standard_normal((size, 60))).assign(told=0.0)
    features["told"] = rng.standard_normal(size) + 3 * positive
    start, cpu = time.monotonic(), sum(os.times()[:2])
    images = audit_image_files(folder / "set", params)
    of_images = time.monotonic() - start
    accounts = pd.DataFrame(columns=list(ACCOUNT_COLUMNS))  # nothing was annotated
    found = audit(images, nuclei, accounts, nuclei.crops(), features, params)
    seconds = time.monotonic() - start
    names = nuclei.kept["nucleus"].tolist()
    copies = size // 1000
    true = set(zip(names[:copies], names[-copies:], strict=True))
    pairs = set(map(tuple, found.pairs[["first_nucleus", "second_nucleus"]].to_numpy()))
    return {
        "images": len(images.traits),
        "copies": copies,
        "found": len(true & pairs),
        "false": len(pairs - true),
        "seconds": seconds,
        "of_images": of_images,
        "cpu_seconds": sum(os.times()[:2]) - cpu,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main(sizes: tuple[int, ...]) -> None:
    """Measure every size in a process of its own and print the table."""
    print("| nuclei | images | copies | found | false pairs | s | of them images | CPU s | GiB |")
    print("| --: | --: | --: | --: | --: | --: | --: | --: | --: |")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_study(Path(folder), size)
            command = [sys.executable, __file__, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        row = json.loads(done.stdout)
        print(
            f"| {size:,} | {row['images']:.0f} | {row['copies']} | {row['found']} | "
            f"{row['false']} | {row['seconds']:.0f} | {row['of_images']:.0f} | "
            f"{row['cpu_seconds']:.0f} | {row['peak_gib']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) == 2 and Path(sys.argv[1]).is_dir():
        print(json.dumps(measure(Path(sys.argv[1]))))
    else:
        main(tuple(map(int, sys.argv[1:])) or SIZES)
