"""What `features` and `audit` both measure of a nucleus, and what measuring it twice costs.

    python benchmarks/shared_measures.py [data/nuclei]

That is how many pixels a nucleus has, and their mean grey. Prints CPU seconds of one thread, five
times, for all crops of a folder of nuclei.
"""

import sys
import time
from pathlib import Path

import numpy as np

from fathom.study.nuclei import read_nuclei


def measure(crops: np.ndarray) -> np.ndarray:
    """Do what the audit does: pixels of its nuclei for debris, white and copies; mean grey."""
    for _ in range(2):
        crops.any(axis=-1).sum(axis=(1, 2))
    total = crops.sum(axis=(1, 2, 3), dtype=np.float64) / crops.shape[-1]
    return total / np.maximum(crops.any(axis=-1).sum(axis=(1, 2)), 1)


def main(folder: Path) -> None:
    """Measure five times."""
    crops = read_nuclei(folder).crops()[:]
    seconds = []
    for _ in range(5):
        start = time.process_time()
        measure(crops)
        seconds.append(time.process_time() - start)
    print(f"{len(crops):,} crops, CPU s: {', '.join(f'{one:.4f}' for one in seconds)}")


if __name__ == "__main__":
    main(Path(*sys.argv[1:]) if sys.argv[1:] else Path("data/nuclei"))
