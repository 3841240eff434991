"""Tables as CSV, whole or absent: the same rows give the same bytes on every system."""

from pathlib import Path

import pandas as pd

from fathom.ground.output import written_whole


def write_csv(path: Path, table: pd.DataFrame, *, float_format: str | None = None) -> None:
    """Write a table, without its index, in UTF-8 with line feeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        table.to_csv(part, index=False, lineterminator="\n", float_format=float_format)
