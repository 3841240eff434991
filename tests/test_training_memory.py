"""What is evaluated is read a chunk at a time, and what was computed for a chunk is given back."""

import subprocess
import sys
from pathlib import Path

import pytest

LINE = "32conv5x5 - mp2x2 - 32conv5x5 - mp2x2 - gap - fc8 - o"
MORE_MIB = 150  # the crops of `MANY` nuclei take 18 MiB more than those of `FEW`
FEW, MANY = 2_000, 10_000

EVALUATED = f"""
import re, sys
from pathlib import Path
import fathom.ground.stage
import numpy as np
from fathom.ground.section import read_section
from fathom.networks.recipe import Probes
from fathom.training.cell import Shown
from fathom.training.determinism import reproducible
from fathom.training.training import _Training
from simulated_crops import crops_of
from test_training import CPU, cell

n = int(sys.argv[1])
probes = read_section(Probes, Path("../params.yaml"))
one = cell({LINE!r}, rows={{"train": np.arange(64), "validation": np.arange(n)}}, probes=probes)
targets = np.arange(n) % 2 == 0
shown = Shown(np.resize(crops_of(targets[:64], 48), (n, 48, 48, 1)), targets)
with reproducible("portable"):
    training = _Training(shown, one, CPU)
    training.result()
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def peak_mib(n):
    run = subprocess.run(
        [sys.executable, "-c", EVALUATED, str(n)],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return int(run.stdout)


@pytest.mark.long
def test_five_times_as_many_nuclei_are_evaluated_in_the_same_memory():
    assert peak_mib(MANY) - peak_mib(FEW) < MORE_MIB
