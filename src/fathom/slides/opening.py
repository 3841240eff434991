"""Open a file as a slide: which reader, which resolution."""

from pathlib import Path
from typing import Literal

from fathom.ground.errors import FathomError, SlideError
from fathom.ground.images import TIFF_SUFFIXES, read_micrograph, require_content
from fathom.slides.channels import picked_channel
from fathom.slides.reader import Reader
from fathom.slides.resampling import ResampledSlide, SquareReader
from fathom.slides.slide import ArrayReader, Slide
from fathom.slides.stated_resolution import Resolution, downsample_to

PICTURES = (".png", ".jpg", ".jpeg")
TIFFS = (*TIFF_SUFFIXES, ".btf", ".tf2", ".tf8")
SCANNERS = (".svs", ".ndpi", ".mrxs", ".scn", ".dcm", ".bif", ".svslide", ".vms", ".vmu")
CZI = ".czi"
SLIDE_SUFFIXES = (*TIFFS, *SCANNERS, CZI, ".zarr", *PICTURES)


def open_slide(
    path: Path,
    *,
    um_per_px: float | None = None,
    own_um_per_px: float | None = None,
    assumed_um_per_px: float | None = None,
    channel: int | str | None = None,
    channels: Literal[1, 3] = 1,
) -> Slide:
    """Open a file as a slide, a context manager.

    Parameters
    ----------
    um_per_px : what the model needs; None reads the file at full resolution, whatever that is
    own_um_per_px : of the file's full resolution, in place of what it says
    assumed_um_per_px : of its full resolution, where neither `own_um_per_px` nor the file says it
    channel : of several, by index from 0 or by name
    channels : 1 to read one channel, 3 to read RGB

    Raises
    ------
    SlideError
        For a file that is not there, damaged or of another kind; that holds several planes in depth
        or time, other channels than asked for, or other numbers than 8- and 16-bit unsigned ones;
        and, where `um_per_px` is given, for one whose resolution is unknown or too coarse.
    """
    Resolution.of(given=own_um_per_px, assumed=assumed_um_per_px)  # refused before any file is
    reader = _reader(path, channel, channels)
    try:
        return slide_of(reader, um_per_px, given=own_um_per_px, assumed=assumed_um_per_px)
    except BaseException:
        reader.close()
        raise


def slide_of(
    reader: Reader, needed: float | None, *, given: float | None, assumed: float | None
) -> Slide:
    """Return an open reader at the resolution that a model needs; `open_slide` has the words."""
    if given is None and not reader.pixel_size.is_square:
        reader = SquareReader(reader)
    size = reader.pixel_size
    resolution = Resolution.of(given=given, file=size.um_per_px, assumed=assumed)
    return ResampledSlide(
        reader, downsample_to(needed, resolution, reader.path, size.fault), resolution
    )


def _reader(path: Path, channel: int | str | None, channels: Literal[1, 3]) -> Reader:
    """Return the reader of a file, imported only now: most runs need one of them."""
    _require_there(path)
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            from fathom.slides.zarr_reader import ZarrReader

            return ZarrReader(path, channel, channels)
        if suffix in PICTURES:
            return picture_reader(path, channel, channels)
        if suffix == CZI:
            from fathom.slides.czi_reader import CziReader

            return CziReader(path, channel, channels)
        from fathom.slides.openslide_reader import (
            OpenSlideReader,
            is_scanner_tiff,
        )

        # A piece that was cut out of an SVS and saved in strips is a TIFF, and no scanner's.
        if is_scanner_tiff(path) or (suffix in SCANNERS and suffix != ".svs"):
            return OpenSlideReader(path, channel, channels)
        from fathom.slides.tiff import TiffReader

        return TiffReader(path, channel, channels)
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
    require_content(path)


def is_zarr_group(folder: Path) -> bool:
    """Tell whether a folder is a group of Zarr: an OME-Zarr image, or what lies around some."""
    return any((folder / name).exists() for name in ("zarr.json", ".zgroup", ".zattrs"))


def picture_reader(path: Path, channel: int | str | None, channels: Literal[1, 3]) -> ArrayReader:
    """Return a decoded picture as a reader."""
    pixels = read_micrograph(path)
    colour = pixels.ndim == 3
    picked = picked_channel(
        path, ("",) * (3 if colour else 1), colour=colour, channel=channel, channels=channels
    )
    if colour and picked is not None:
        pixels = pixels[..., picked]
    return ArrayReader(pixels, path)
