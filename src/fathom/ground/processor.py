"""The processor of this machine, as Linux tells it."""

import os
from pathlib import Path


def cores() -> int:
    """Return how many cores this process may use; `LOKY_MAX_CPU_COUNT`, as joblib, at most."""
    allowed = len(os.sched_getaffinity(0))
    limit = os.environ.get("LOKY_MAX_CPU_COUNT", "")
    return max(1, min(allowed, int(limit))) if limit.isdecimal() else allowed


def processor_name() -> str:
    """Return maker, name, family and model."""
    told = _cpuinfo()
    if not told:
        return "unknown"
    maker, name, family, model = (
        told.get(key, "?") for key in ("vendor_id", "model name", "cpu family", "model")
    )
    return f"{maker}, {name}, family {family}, model {model}"


def processor() -> str:
    """Return its name and its instruction sets: a virtual machine can hide some of a model's."""
    return f"{processor_name()}; {_cpuinfo().get('flags', '')}"


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
