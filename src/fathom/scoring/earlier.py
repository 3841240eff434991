"""What an earlier call left in the output folder: which slides are done and need no second time."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq

from fathom.ground.errors import FathomError
from fathom.scoring.onnx_model import ModelCard
from fathom.scoring.result_paths import result_base
from fathom.scoring.slide_files import Formats
from fathom.scoring.slide_summary import Tally

# What the counts are made of: `Tally.of`.
_COUNTED = ["left_out", "class", "probability"]


def tallies_of_done(
    slides: Sequence[Path],
    out: Path,
    formats: Formats,
    origin: Mapping[str, str | float | None],
    card: ModelCard,
) -> dict[Path, Tally]:
    """Return the counts of the slides whose files are all in `out`, made as they would be now.

    `origin` is what the tables must say of how they were made, besides their slide and fathom.
    A slide that was changed after its files were made is not done.

    Raises `FathomError`, before any work, where files were made with another model or other
    options, of another slide, or cannot be read.
    """
    done, expected = {}, {"fathom_version": version("fathom"), **origin}
    for slide in slides:
        paths = formats.paths(result_base(slide, out))
        if not slide.exists() or not all(path.is_file() for path in paths.values()):
            continue
        table = paths["parquet"]
        _require_origin(table, {"image": slide.as_posix(), **expected})
        if slide.stat().st_mtime <= table.stat().st_mtime:
            done[slide] = Tally.of(pq.read_table(table, columns=_COUNTED).to_pandas(), card)
    return done


def _require_origin(table: Path, origin: Mapping[str, str | float | None]) -> None:
    try:
        metadata = pq.read_schema(table).metadata or {}
        told = json.loads(metadata.get(b"fathom", b"{}"))
    except (OSError, ValueError) as error:
        raise FathomError(
            f"{table}: is no table of fathom's, or a damaged one ({error}); delete it, or give "
            "--overwrite in place of --resume"
        ) from None
    for key, value in origin.items():
        if told.get(key) != value:
            raise FathomError(
                f"{table}: was made with {key} {told.get(key)}, and this call has {value}: results "
                "of both in one folder would not compare. Take another folder as --out, or give "
                "--overwrite in place of --resume"
            )
