"""What slide scanners write, SVS, NDPI, MRXS, SCN, DICOM and others, with OpenSlide.

OpenSlide draws: asked for a region that does not begin at a whole pixel of the level, or that
crosses tiles that overlap, its pixels are interpolated. Blocks at fixed places always get the same.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import openslide
import tifffile
from tifffile import COMPRESSION, PHOTOMETRIC

from fathom.ground.errors import SlideError
from fathom.ground.images import Micrograph
from fathom.ground.resolution import Length, pixel_size
from fathom.ground.tiff_series import the_picture
from fathom.ground.unpacked import require_unpackable
from fathom.slides.blocks import BlockReader
from fathom.slides.channels import picked_channel
from fathom.slides.reader import Level, levels_of

_BLOCK_PX = 1024
# What Aperio's scanners write; OpenSlide turns YCbCr into RGB where it is compressed so.
_OF_YCBCR = (COMPRESSION.JPEG, COMPRESSION.APERIO_JP2000_YCBC)
_OF_APERIO = (*_OF_YCBCR, COMPRESSION.APERIO_JP2000_RGB, COMPRESSION.LZW, COMPRESSION.NONE)

_IN_SEVERAL_FILES = (".mrxs", ".dcm", ".vms", ".vmu")  # the one that is named is the least of them

_Box = tuple[int, int, int, int]  # left, top, width, height, px of level 0


class OpenSlideReader(BlockReader):
    """A scanned slide, always RGB in 8 bits.

    Where the file says which part of the glass was scanned (MRXS, SCN), that part is the image:
    coordinates count from its corner, as they do in QuPath.
    """

    def __init__(self, path: Path, channel: int | str | None, channels: Literal[1, 3]) -> None:
        self._picked = picked_channel(
            path, ("",) * 3, colour=True, channel=channel, channels=channels
        )
        if path.suffix.lower() == ".svs":
            _require_whole(path)
        self._slide = _opened(path)
        try:
            properties = self._slide.properties
            self._box = _scanned(properties, self._slide.dimensions)
            self._white = _background(properties)
            self._downsamples = self._slide.level_downsamples
            levels = _levels(self._slide, self._box)
            if path.suffix.lower() not in _IN_SEVERAL_FILES:
                unpacked = 3 * levels[0].height * levels[0].width
                require_unpackable(path, unpacked, path.stat().st_size)
            super().__init__(
                path,
                levels,
                channels,
                np.dtype(np.uint8),
                pixel_size(
                    _side(properties, openslide.PROPERTY_NAME_MPP_Y),
                    _side(properties, openslide.PROPERTY_NAME_MPP_X),
                ),
                blocks=((_BLOCK_PX, _BLOCK_PX),) * len(levels),
            )
        except BaseException:
            self._slide.close()
            raise

    def read_block(self, level: int, row: int, column: int) -> Micrograph:
        """Return a block as OpenSlide draws it, on the colour of empty glass."""
        top, left = row * _BLOCK_PX, column * _BLOCK_PX
        size = self.levels[level]
        shape = min(_BLOCK_PX, size.width - left), min(_BLOCK_PX, size.height - top)
        # OpenSlide takes the corner in px of level 0 and divides it by its own downsample.
        place = (
            self._box[0] + round(left * self._downsamples[level]),
            self._box[1] + round(top * self._downsamples[level]),
        )
        drawn = np.asarray(self._slide.read_region(place, level, shape))
        colours = _on(drawn, self._white)
        return colours if self._picked is None else np.ascontiguousarray(colours[..., self._picked])

    def close(self) -> None:
        """Release the file."""
        self._slide.close()


def is_scanner_tiff(path: Path) -> bool:
    """Tell whether a TIFF is a scanner's own dialect, which OpenSlide reads better.

    OpenSlide draws whatever it meets as RGB in 8 bits. Pictures of other kinds that carry Aperio's
    description, such as 16-bit ones that were made of a slide, are not for it.
    """
    dialect = openslide.OpenSlide.detect_format(path)
    if dialect != "aperio":
        return dialect not in (None, "generic-tiff")
    with tifffile.TiffFile(path) as tiff:
        page = the_picture(tiff, path).keyframe
        return (
            page.dtype == np.uint8
            and page.bitspersample == 8
            and page.samplesperpixel == 3
            and page.compression in _OF_APERIO
            and (page.photometric == PHOTOMETRIC.RGB or page.compression in _OF_YCBCR)
            and page.tags.valueof("Orientation", 1) == 1
        )


def _opened(path: Path) -> openslide.OpenSlide:
    try:
        return openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError) as error:
        raise SlideError(
            f"{path}: cannot be opened as a scanner's slide, damaged or of another kind ({error})"
        ) from None


def _require_whole(path: Path) -> None:
    """Refuse an SVS that ends before its tiles do: OpenSlide would say so halfway, or never."""
    try:
        with tifffile.TiffFile(path) as tiff:
            ends = [
                offset + count
                for page in tiff.pages
                for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
            ]
    # tifffile raises whatever it meets in a damaged file.
    except Exception as error:
        raise SlideError(
            f"{path}: cannot be read, damaged or truncated ({error}); copy it again"
        ) from None
    size = path.stat().st_size
    if max(ends, default=0) > size:
        raise SlideError(
            f"{path}: is truncated: its pixels end at byte {max(ends):,}, the file at byte "
            f"{size:,}; copy it again"
        )


def _scanned(properties: Mapping[str, str], dimensions: tuple[int, int]) -> _Box:
    names = (
        openslide.PROPERTY_NAME_BOUNDS_X,
        openslide.PROPERTY_NAME_BOUNDS_Y,
        openslide.PROPERTY_NAME_BOUNDS_WIDTH,
        openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
    )
    if not all(name in properties for name in names):
        return 0, 0, *dimensions
    left, top, width, height = (int(properties[name]) for name in names)
    return left, top, width, height


def _levels(slide: openslide.OpenSlide, box: _Box) -> tuple[Level, ...]:
    """Return the levels, each cut to the part that was scanned."""
    whole = levels_of([(height, width) for width, height in slide.level_dimensions])
    if box == (0, 0, *slide.dimensions):
        return whole
    return tuple(
        Level(
            max(1, int(box[3] / level.downsample)),
            max(1, int(box[2] / level.downsample)),
            level.downsample,
        )
        for level in whole
    )


def _background(properties: Mapping[str, str]) -> npt.NDArray[np.float32]:
    """Return the RGB of glass that was not scanned: the file's, else white."""
    text = properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "FFFFFF")
    return np.array(list(bytes.fromhex(text)), dtype=np.float32)


def _on(drawn: npt.NDArray[np.uint8], background: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return RGB of RGBA laid on a background."""
    if (drawn[..., 3] == 255).all():
        return np.ascontiguousarray(drawn[..., :3])
    opacity = drawn[..., 3:].astype(np.float32) / 255
    mixed: npt.NDArray[np.uint8] = np.rint(
        drawn[..., :3] * opacity + background * (1 - opacity)
    ).astype(np.uint8)
    return mixed


def _side(properties: Mapping[str, str], name: str) -> Length | None:
    """Return a side as the file writes it: OpenSlide takes Aperio's comma for a point."""
    text = properties.get("aperio.MPP", properties.get(name))
    return None if text is None else (text, "um")
