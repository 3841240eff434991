"""Which instructions compute the numbers: the same bits on every x86-64, or this machine's fastest.

Rounding differs by kernel, libraries choose kernels by processor, and training amplifies a last bit
from the second epoch on. So fathom chooses for them, by the variables that they read when they are
loaded. Whatever the user's environment says of the same things is replaced. docs/reproducibility.md
says what that promises, what it costs and how it was tested.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from fathom.ground.errors import FathomError
from fathom.ground.section import PARAMS_FILE, value_at

Numerics = Literal["portable", "native"]
KEY = "numerics"

# What decides which kernels these libraries take, and what would change how they add up.
_DECIDED_HERE = (
    *("ONEDNN_", "DNNL_", "ATEN_", "MKL_", "OPENBLAS_", "GOTO_", "NPY_", "KMP_", "OMP_", "BLIS_"),
    *("VECLIB_", "TORCH_ALLOW_TF32", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE"),
)
_ALWAYS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # what torch's deterministic algorithms ask for on a GPU
    # NumPy's own loops, and the BLAS and LAPACK of NumPy and SciPy: cheap beside the training, so
    # that they never depend on the processor. AVX2 is what every processor since 2015 has.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
}
# MKL on AMD takes other kernels under its own AVX2 setting: only COMPATIBLE is the same on both.
_PORTABLE = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
}


def read_numerics(file: Path = PARAMS_FILE) -> Numerics:
    """Read the param `numerics`."""
    match value_at(file, KEY):
        case "portable":
            return "portable"
        case "native":
            return "native"
        case other:
            raise FathomError(
                f"{file}: '{KEY}' = {other!r} must be 'portable' (the same bits on every x86-64 "
                "processor with AVX2) or 'native' (faster, this machine's own)"
            )


def environment(numerics: Numerics, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables `given` as a process must have them that computes with `numerics`."""
    others = {name: text for name, text in given.items() if not name.startswith(_DECIDED_HERE)}
    return others | _ALWAYS | (_PORTABLE if numerics == "portable" else {})


def pin(numerics: Numerics) -> None:
    """Set this process' variables, and so those of the processes it starts.

    A library that was loaded before keeps what it read then: call this before numpy and torch are
    imported.
    """
    wanted = environment(numerics, os.environ)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)
