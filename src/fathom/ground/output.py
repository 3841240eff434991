"""Files that are whole or absent: nothing half-written is ever left under its final name."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; it becomes `path` only if nothing was raised."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet: the same rows give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        table.to_parquet(part, index=False, engine="pyarrow", compression="zstd")


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write JSON with sorted keys; a number that is not finite is an error, not a `NaN`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")


def write_metrics(path: Path, metrics: Mapping[str, float | int]) -> None:
    """Write flat numbers for `dvc metrics`, floats rounded to 6 decimals so diffs stay readable."""
    write_json(
        path,
        {
            name: value if isinstance(value, int) else round(float(value), 6)
            for name, value in metrics.items()
        },
    )
