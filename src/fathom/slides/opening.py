"""Open a file as a slide: which reader, which resolution."""

from pathlib import Path
from typing import Literal

from fathom.ground.errors import FathomError, SlideError
from fathom.ground.images import TIFF_SUFFIXES, Micrograph, read_micrograph
from fathom.ground.resolution import COARSEST_UM, FINEST_UM, PixelSize, is_plausible
from fathom.slides.channels import picked_channel
from fathom.slides.slide import ArraySource, Slide
from fathom.slides.source import Source
from fathom.slides.square import SquareSource
from fathom.slides.view import SlideView

PICTURES = (".png", ".jpg", ".jpeg")
TIFFS = (*TIFF_SUFFIXES, ".btf", ".tf2", ".tf8")
SCANNERS = (".svs", ".ndpi", ".mrxs", ".scn", ".dcm", ".bif", ".svslide", ".vms", ".vmu")
CZI = ".czi"
SLIDE_SUFFIXES = (*TIFFS, *SCANNERS, CZI, ".zarr", *PICTURES)

# Twice as fine shows a network trained at 40x a slide scanned at 20x; beyond it pixels are guesses.
_FINEST_ENLARGEMENT = 2.5


def open_slide(
    path: Path,
    *,
    um_per_px: float | None = None,
    own_um_per_px: float | None = None,
    channel: int | str | None = None,
    channels: Literal[1, 3] = 1,
) -> Slide:
    """Open a file as a slide, a context manager.

    Parameters
    ----------
    um_per_px : what the model needs; None reads the file at full resolution, whatever that is
    own_um_per_px : of the file's full resolution, in place of what it says
    channel : of several, by index from 0 or by name
    channels : 1 to read one channel, 3 to read RGB

    Raises
    ------
    SlideError
        For a file that is not there, damaged or of another kind; that holds several planes in depth
        or time, other channels than asked for, or other numbers than 8- and 16-bit unsigned ones;
        and, where `um_per_px` is given, for one whose resolution is unknown or too coarse.
    """
    _require_plausible(own_um_per_px)
    source = _source(path, channel, channels)
    try:
        return _view(source, um_per_px, own_um_per_px)
    except BaseException:
        source.close()
        raise


def open_array(
    pixels: Micrograph, *, um_per_px: float | None = None, own_um_per_px: float | None = None
) -> Slide:
    """Take an array, (H, W) or (H, W, 3), uint8 or uint16, in either byte order, as a slide.

    `um_per_px` is what the model needs, `own_um_per_px` the array's own; without it the array is
    taken to be at the model's. Raises `SlideError` as `open_slide` does.
    """
    _require_plausible(own_um_per_px)
    return _view(ArraySource(pixels, Path("array"), um_per_px), um_per_px, own_um_per_px)


def _require_plausible(um_per_px: float | None) -> None:
    if um_per_px is not None and not is_plausible(um_per_px):
        raise FathomError(
            f"--um-per-px is {um_per_px}; the width of a pixel in um was expected, from "
            f"{FINEST_UM} to {COARSEST_UM}"
        )


def _view(source: Source, needed: float | None, given: float | None) -> Slide:
    if given is None and not source.pixel_size.is_square:
        source = SquareSource(source)
    own = given or source.pixel_size.um_per_px
    if needed is None:
        return SlideView(source, 1.0, own)
    if own is None:
        raise SlideError(f"{source.path}: {_unusable(source.pixel_size, needed)}")
    if own / needed > _FINEST_ENLARGEMENT:
        raise SlideError(
            f"{source.path}: its pixels of {own:.4g} um are {own / needed:.1f} times as wide as "
            f"the model's, {needed:.4g} um; up to {_FINEST_ENLARGEMENT} times can be resampled. "
            "Take a model of that resolution, or give the right one as --um-per-px"
        )
    return SlideView(source, needed / own, own)


def _unusable(size: PixelSize, needed: float) -> str:
    """Say why what a file says of its pixels does not do, and what would."""
    if size.fault:
        return f"{size.fault}: give the width in um as --um-per-px"
    return (
        f"does not say how wide its pixels are, and the model needs {needed:.4g} um per px: give "
        "it as --um-per-px"
    )


def _source(path: Path, channel: int | str | None, channels: Literal[1, 3]) -> Source:
    """Return the reader of a file, imported only now: most runs need one of them."""
    _require_there(path)
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            from fathom.slides.zarr_source import ZarrSource

            return ZarrSource(path, channel, channels)
        if suffix in PICTURES:
            return picture_source(path, channel, channels)
        if suffix == CZI:
            from fathom.slides.czi_source import CziSource

            return CziSource(path, channel, channels)
        from fathom.slides.openslide_source import (
            OpenSlideSource,
            is_scanner_tiff,
        )

        # A piece that was cut out of an SVS and saved in strips is a TIFF, and no scanner's.
        if is_scanner_tiff(path) or (suffix in SCANNERS and suffix != ".svs"):
            return OpenSlideSource(path, channel, channels)
        from fathom.slides.tiff import TiffSource

        return TiffSource(path, channel, channels)
    except FathomError:
        raise
    # Readers raise whatever they meet in a damaged file; all of it means the same to a user.
    except Exception as error:
        raise SlideError(
            f"{path}: cannot be opened, damaged, truncated or of another kind ({error})"
        ) from error


def _require_there(path: Path) -> None:
    if path.is_dir():
        if is_zarr_group(path):
            return
        raise SlideError(
            f"{path}: is a folder, and not an OME-Zarr image; name the images in it, such as "
            f"{path}/*.tif"
        )
    if path.suffix.lower() not in SLIDE_SUFFIXES:
        raise SlideError(f"{path}: '{path.suffix}' is not one of {', '.join(SLIDE_SUFFIXES)}")
    if not path.is_file():
        raise SlideError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise SlideError(f"{path}: the file is empty (0 bytes)")


def is_zarr_group(folder: Path) -> bool:
    """Tell whether a folder is a group of Zarr: an OME-Zarr image, or what lies around some."""
    return any((folder / name).exists() for name in ("zarr.json", ".zgroup", ".zattrs"))


def picture_source(path: Path, channel: int | str | None, channels: Literal[1, 3]) -> ArraySource:
    """Return a decoded picture as a source."""
    pixels = read_micrograph(path)
    colour = pixels.ndim == 3
    picked = picked_channel(
        path, ("",) * (3 if colour else 1), colour=colour, channel=channel, channels=channels
    )
    if colour and picked is not None:
        pixels = pixels[..., picked]
    return ArraySource(pixels, path, None)
