"""How long and how much memory the near-duplicate search takes for 10, 30 and 100 thousand nuclei.

    python benchmarks/audit_scale.py

Simulated nuclei of 48 px (`fathom.simulation.simulated_nuclei`, seed 0), of which one in a thousand
is there a second time: turned by 90 degrees, mirrored, a fifth brighter and 5 levels up. Each size
runs in a process of its own, so that its peak of resident memory is its own. The crops are made
beforehand and read from a file as the stage reads its shards.
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

from fathom.audit.near_duplicates import near_duplicates
from fathom.params.audit import Audit
from fathom.params.section import read_section
from fathom.simulation.simulated_nuclei import simulate_nuclei
from fathom.simulation.simulation import DEFAULT

SIZES = (10_000, 30_000, 100_000)


def write_crops(path: Path, size: int) -> None:
    """Write `size` crops, the last thousandth of them changed copies of the first."""
    copies = size // 1000
    study = replace(DEFAULT, patients=20, nuclei_per_patient=size // 20)
    crops = simulate_nuclei(study, seed=0).crops
    turned = np.rot90(crops[:copies, :, ::-1], axes=(1, 2))
    brighter = np.clip(np.rint(turned * 1.2 + 5), 1, 255)
    crops[-copies:] = np.where(turned > 0, brighter, 0)
    np.save(path, crops)


def measure(path: Path) -> dict[str, float]:
    """Search the crops of a file and count copies found, pairs that are none, seconds, memory."""
    params = read_section(Audit)
    crops = np.load(path)
    start = time.monotonic()
    found = near_duplicates(crops, params.nucleus_correlation, params.nucleus_z, params.seed)
    seconds = time.monotonic() - start
    copies = len(crops) // 1000
    true = {(row, len(crops) - copies + row) for row in range(copies)}
    pairs = set(zip(found["first"].tolist(), found["second"].tolist(), strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    cpu = sum(os.times()[:2])
    return {
        "copies": copies,
        "found": len(true & pairs),
        "false": len(pairs - true),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_gib": peak,
    }


def main() -> None:
    """Measure every size in a process of its own and print the table."""
    print("| nuclei | copies | found | false pairs | s | CPU s | peak memory, GiB |")
    print("| --: | --: | --: | --: | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            path = Path(folder) / "crops.npy"
            write_crops(path, size)
            command = [sys.executable, __file__, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            row = json.loads(done.stdout)
            print(
                f"| {size:,} | {row['copies']} | {row['found']} | {row['false']} | "
                f"{row['seconds']:.0f} | {row['cpu_seconds']:.0f} | {row['peak_gib']:.2f} |"
            )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(json.dumps(measure(Path(sys.argv[1]))))
    else:
        main()
