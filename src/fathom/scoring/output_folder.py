"""Where the results of a call go, and that nothing is lost there."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pyarrow.parquet as pq

from fathom.ground.errors import FathomError
from fathom.results.slide_files import Formats
from fathom.results.summary import PATIENTS, SUMMARY, Counts, ScoredSlide
from fathom.scoring.scorer import NewSlide, Scorer
from fathom.slides.opening import is_zarr_group
from fathom.slides.stated_resolution import Resolution


def result_base(image: Path, out: Path) -> Path:
    """Return the path of an image's files without their endings: `a.ome.tif` gives `<out>/a`.

    An image inside an OME-Zarr carries the folder's name too: `a.zarr/0` gives `<out>/a_0`.
    """
    parts = [image.absolute()]
    while is_zarr_group(parts[0].parent) and parts[0].parent.name:
        parts.insert(0, parts[0].parent)
    return out / "_".join(part.stem.removesuffix(".ome") for part in parts)


def require_writable(out: Path) -> None:
    """Make the folder, and raise `FathomError` where nothing can be written to it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise FathomError(
            f"{out}: cannot be written to ({error.strerror}); take another folder as --out"
        ) from None


def require_free(
    slides: Sequence[NewSlide], out: Path, formats: Formats, *, overwrite: bool, resume: bool
) -> None:
    """Raise `FathomError` where files would be written twice, over an image, or over results.

    `overwrite` replaces results, `resume` keeps those that are whole.
    """
    if overwrite and resume:
        raise FathomError(
            "--overwrite replaces the results that are there, --resume keeps them: give one of both"
        )
    there = {slide.path.resolve() for slide in slides}
    first: dict[Path, Path] = {}
    for slide in slides:
        image, base = slide.path, slide.base
        if base in first:
            raise FathomError(
                f"{first[base]} and {image} would both write '{base.name}.geojson': score them in "
                "separate calls, each with its own --out, or rename one"
            )
        first[base] = image
        for path in formats.paths(base).values():
            if path.resolve() in there:
                raise FathomError(f"{path}: is one of the images; take another folder as --out")
            _require_new(path, allowed=overwrite or resume)
    for name in (SUMMARY, PATIENTS):
        _require_new(out / name, allowed=overwrite or resume)


def _require_new(path: Path, *, allowed: bool) -> None:
    if path.exists() and not allowed:
        raise FathomError(
            f"{path}: is there already; take another folder as --out, or give --overwrite to "
            "replace what is of the same name, or --resume to go on with what an earlier call began"
        )


# What the counts are made of: `Counts.of`.
_COUNTED = ["left_out", "class", "probability"]


def slides_done(
    slides: Sequence[NewSlide], formats: Formats, scorer: Scorer
) -> dict[Path, ScoredSlide]:
    """Return, by `base`, the slides whose files are all there, made as they would be now.

    A slide that was changed after its files were made, or its label image, is not done.

    Raises `FathomError`, before any work, where files were made with another model or other
    options, of another slide, or cannot be read.
    """
    done = {}
    for slide in slides:
        paths = formats.paths(slide.base)
        if not slide.path.exists() or not all(path.is_file() for path in paths.values()):
            continue
        table = paths["parquet"]
        expected = {"fathom_version": version("fathom"), "image": slide.image}
        told = _metadata_of(table, expected | scorer.origin(slide))
        made_of = [path for path in (slide.path, slide.masks) if path is not None]
        if max(path.stat().st_mtime for path in made_of) <= table.stat().st_mtime:
            nuclei = pq.read_table(table, columns=_COUNTED).to_pandas()
            resolution = Resolution(told.get("full_um_per_px"), told.get("um_per_px_stated_by"))
            done[slide.base] = ScoredSlide(Counts.of(nuclei, scorer.model.card), resolution)
    return done


def _metadata_of(table: Path, origin: Mapping[str, str | float | None]) -> dict[str, Any]:
    """Return what a table says of how it was made; raise where it does not say `origin`."""
    try:
        metadata = pq.read_schema(table).metadata or {}
        told: dict[str, Any] = json.loads(metadata.get(b"fathom", b"{}"))
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
    return told
