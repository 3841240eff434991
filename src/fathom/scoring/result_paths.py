"""Where the results of a call go, and that nothing is lost there."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from fathom.ground.errors import FathomError
from fathom.scoring.slide_files import Formats
from fathom.scoring.slide_summary import PATIENTS, SUMMARY


def result_base(image: Path, out: Path) -> Path:
    """Return the path of an image's files without their endings: `a.ome.tif` gives `<out>/a`."""
    return out / image.stem.removesuffix(".ome")


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
    images: Sequence[Path], out: Path, formats: Formats, *, overwrite: bool, resume: bool
) -> None:
    """Raise `FathomError` where files would be written twice, over an image, or over results.

    `overwrite` replaces results, `resume` keeps those that are whole.
    """
    if overwrite and resume:
        raise FathomError(
            "--overwrite replaces the results that are there, --resume keeps them: give one of both"
        )
    there = {image.resolve() for image in images}
    first: dict[Path, Path] = {}
    for image in images:
        base = result_base(image, out)
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
