"""Did this machine compute what was committed? Each stage of the committed dvc.lock, one by one.

A stage is exact where all that it wrote has the committed bytes. Where it has not, its tables and
numbers are compared with the committed ones, from git or from DVC's cache: within the tolerance,
and how far, or different.
"""

import io
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isnan
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import yaml

from fathom.ground.errors import FathomError
from fathom.ground.processor import processor_name
from fathom.reports.revision import Revision, revision_of

LOCK = Path("dvc.lock")
FETCH_LOCK = Path("data/dvc.lock")  # of the stage that downloads the default data

Locked = Mapping[str, Any]  # a stage in a lock: cmd, deps, params, outs

Sameness = Literal["exact", "within tolerance", "different", "not run"]


class Stage(NamedTuple):
    """What a stage came to, beside what was committed."""

    name: str
    outcome: Sameness
    distance: float  # largest difference of a number; infinite where something else differs
    first: str  # the first output that differs, and what is known of it


def print_verification(stages: Sequence[Stage], revision: str) -> None:
    """Print how each stage compares with its lock in `revision`, and how many do in each way."""
    print(f"This processor: {processor_name()}.")
    width = max(len(stage.name) for stage in stages)
    for stage in stages:
        far = f", by {stage.distance:.2g}" if 0 < stage.distance < inf else ""
        first = f": {stage.first}" if stage.first else ""
        print(f"{stage.name:<{width}}  {stage.outcome}{far}{first}")
    counts = {outcome: sum(stage.outcome == outcome for stage in stages) for outcome in SAMENESSES}
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    print(f"{len(stages)} stages beside {LOCK} of {revision}: {told}.")


SAMENESSES: tuple[Sameness, ...] = ("exact", "within tolerance", "different", "not run")


def verify(revision: str, tolerance: float) -> Iterator[Stage]:
    """Yield each stage of the committed lock. Raises `FathomError` outside a repository."""
    commit = revision_of(revision)
    lock = commit.read(LOCK)
    if lock is None:
        raise FathomError(f"{LOCK} is not in {commit}: nothing was run and committed there")
    stages = _stages(lock)
    if fetched := commit.read(FETCH_LOCK):
        stages |= _stages(fetched)
    if not LOCK.is_file():
        raise FathomError(f"{LOCK} is missing: run 'dvc repro' first, in the project's folder")
    present = _stages(LOCK.read_bytes())
    if FETCH_LOCK.is_file():
        present |= _stages(FETCH_LOCK.read_bytes())
    copies = _Copies(commit)
    for name, stage in stages.items():
        outputs = _outputs(stage)
        here = _outputs(present[name]) if _ran(present.get(name, {})) else None
        yield _compared(name, outputs, here, copies, tolerance)


def _stages(lock: bytes) -> dict[str, Locked]:
    """Return what a lock holds of each stage."""
    return dict(yaml.safe_load(lock)["stages"])


def _ran(stage: Locked) -> bool:
    """Whether a stage ran here: a clone has its lock, but not what it reads and writes."""
    paths = [*stage.get("deps", []), *stage.get("outs", [])]
    return bool(paths) and all(Path(path["path"]).exists() for path in paths)


def _outputs(stage: Locked) -> dict[str, str]:
    """Return the hash of each of a stage's outputs."""
    return {out["path"]: out["md5"] for out in stage.get("outs", [])}


def _compared(
    name: str,
    committed: Mapping[str, str],
    present: Mapping[str, str] | None,
    copies: "_Copies",
    tolerance: float,
) -> Stage:
    if present is None:
        return Stage(name, "not run", 0.0, "")
    far, first = 0.0, ""
    for path, md5 in committed.items():
        if present.get(path) != md5:
            for file, distance, why in copies.distances(path, md5):
                if distance > far:
                    far, first = distance, f"{file} {why}".rstrip()
    if not first:
        return Stage(name, "exact", 0.0, "")
    return Stage(name, "within tolerance" if far <= tolerance else "different", far, first)


@dataclass
class _Copies:
    """Where the committed bytes may still be: in git, or in DVC's cache."""

    revision: Revision

    @cached_property
    def cache(self) -> Path:
        """Return DVC's own, asked for when something differs: the question takes a second."""
        command = [sys.executable, "-m", "dvc", "cache", "dir"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return Path(done.stdout.strip() or ".dvc/cache")

    def distances(self, path: str, md5: str) -> Iterator[tuple[str, float, str]]:
        """Yield file, distance and, where it is infinite, why, of each file that differs."""
        for file, content in self._files(path, md5):
            here = Path(file)
            if content is None:
                yield file, inf, "(the committed bytes are not here to compare with)"
            elif not here.is_file():
                yield file, inf, "is missing"
            elif (found := here.read_bytes()) != content:
                distance = distance_between(here.suffix, content, found)
                yield file, distance, "" if distance < inf else "has other content"

    def _files(self, path: str, md5: str) -> Iterator[tuple[str, bytes | None]]:
        tracked = self.revision.names(path)
        if tracked:
            for name in tracked:
                yield name, self.revision.read(name)
        elif md5.endswith(".dir"):
            listing = self._cached(md5)
            if listing is None:
                yield path, None
            else:
                for entry in json.loads(listing):
                    yield f"{path}/{entry['relpath']}", self._cached(entry["md5"])
        else:
            yield path, self._cached(md5)

    def _cached(self, md5: str) -> bytes | None:
        file = self.cache / "files" / "md5" / md5[:2] / md5[2:]
        return file.read_bytes() if file.is_file() else None


def distance_between(suffix: str, one: bytes, other: bytes) -> float:
    """Return the largest difference of a number between two tables or JSON files.

    Infinite where anything else than a number differs, or a number is missing in one of them.
    """
    try:
        if suffix == ".json":
            return _apart(json.loads(one), json.loads(other))
        if suffix in (".csv", ".parquet"):
            read = pd.read_csv if suffix == ".csv" else pd.read_parquet
            tables = (read(io.BytesIO(content)) for content in (one, other))
            return _apart(*(table.to_dict("list") for table in tables))
    except (ValueError, OSError):
        return inf
    return inf


def _apart(one: object, other: object) -> float:
    if isinstance(one, bool | str | None) or isinstance(other, bool | str | None):
        return 0.0 if type(one) is type(other) and one == other else inf
    if isinstance(one, int | float) and isinstance(other, int | float):
        if isnan(one) or isnan(other):
            return 0.0 if isnan(one) and isnan(other) else inf
        return float(abs(one - other)) if one != other else 0.0
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((_apart(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(map(_apart, one, other), default=0.0)
    return inf
