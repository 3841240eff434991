"""What the numbers stored in a picture mean: the one place that knows, for every format.

A picture is grey or RGB, and its values are those that its file says: a palette's numbers stand for
their colours, where white is stored as 0 the scale is turned round, and an alpha channel says what
is seen. What says something else, or nothing certain, is refused in a sentence.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import ExifTags, Image

from fathom.ground.errors import SlideError

Stored = npt.NDArray[Any]  # (h, w) or (h, w, samples), as in the file
Values = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]  # (h, w) or (h, w, samples)
Indices = npt.NDArray[Any]  # (h, w), any whole-number type

_FULL = 255  # of a palette's opacity
_UNSIGNED = (np.dtype(np.uint8), np.dtype(np.uint16))

# TIFF 6.0 and its supplements, PhotometricInterpretation
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEG = 7  # Compression: its decoder returns RGB of YCbCr
_APERIO_JPEG2000_YCBCR = 33003  # Compression: its decoder does not
# Compression that changes numbers, or may: JPEG, JPEG 2000, JPEG XR, JPEG XL, WebP, LERC.
_LOSSY = (6, 7, 22610, 33003, 33004, 33005, 34712, 34887, 34892, 34927, 34933, 34934, 50001, 50002)
_CMYK = "is a CMYK picture, which is for printing: save it as RGB"


@dataclass(frozen=True, eq=False)
class PixelFormat:
    """How one picture's pixels are stored.

    where : the file, for messages
    dtype : of a sample as it is decoded, in this machine's byte order
    bits : of a sample in the file
    samples : of a pixel, with the alpha channel
    colour : whether the first three samples, or the palette's colours, are red, green and blue
    opacity : whether the last sample is an alpha channel
    white_is_zero : whether 0 is white and the highest number black
    palette : (n, 4) uint8, the red, green, blue and opacity that a number stands for
    lossy : whether it is compressed in a way that may change numbers
    """

    where: Path
    dtype: np.dtype[Any]
    bits: int
    samples: int = 1
    colour: bool = False
    opacity: bool = False
    white_is_zero: bool = False
    palette: npt.NDArray[np.uint8] | None = None
    lossy: bool = False

    @property
    def channels(self) -> int:
        """Return how many channels the picture has: 1 where it is grey, 3 where it is RGB."""
        return 3 if self.colour else self.samples - self.opacity

    @property
    def picture_dtype(self) -> np.dtype[Any]:
        """Return the type of the picture's values."""
        return np.dtype(np.uint8) if self.palette is not None else self.dtype

    def require_micrograph(self) -> None:
        """Raise `SlideError` for other numbers than 8- to 16-bit unsigned ones."""
        if self.palette is not None:
            return
        if self.dtype not in _UNSIGNED or self.bits < 8:
            kind = f"{self.bits}-bit" if self.bits < 8 else self.dtype
            raise SlideError(
                f"{self.where}: holds {kind} numbers; 8- or 16-bit unsigned integers were "
                "expected. Save it as such"
            )

    def values(self, stored: Stored) -> Values:
        """Return the picture of what is stored, (h, w) or (h, w, `channels`) of `picture_dtype`.

        Raises `SlideError` where a pixel is not opaque, or its number is not in the palette.
        """
        if self.palette is not None:
            stored = self._coloured(stored)
        elif self.white_is_zero:
            stored = np.asarray(2**self.bits - 1 - stored)
        if self.opacity or self.palette is not None:
            if (stored[..., -1] != np.iinfo(stored.dtype).max).any():
                raise SlideError(
                    f"{self.where}: has a transparent alpha channel; save it without one"
                )
            stored = stored[..., 0 if self.channels == 1 else slice(self.channels)]
        return cast(Values, np.ascontiguousarray(stored, dtype=self.picture_dtype))

    def _coloured(self, stored: Indices) -> npt.NDArray[np.uint8]:
        palette = cast(npt.NDArray[np.uint8], self.palette)
        highest = int(stored.max(initial=0))
        if highest >= len(palette):
            raise SlideError(
                f"{self.where}: holds the number {highest}, its palette has {len(palette)} "
                "colours: damaged"
            )
        return palette[stored]

    def numbers(self, stored: Stored) -> Indices:
        """Return the numbers of a label image, (h, w); a palette's colours are for viewers.

        Raises `SlideError` where they are no whole numbers, 0 may not be the background, or
        compression may have changed them.
        """
        if self.lossy:
            raise SlideError(
                f"{self.where}: is compressed as photographs are (JPEG and its like), which makes "
                "other numbers of some; save it again from its source, as PNG, or as TIFF without "
                "compression or with LZW or Deflate"
            )
        if stored.ndim == 3 and self.samples == 1:
            stored = stored[..., 0]
        whole = np.issubdtype(stored.dtype, np.integer) or stored.dtype == np.bool_
        if stored.ndim != 2 or not whole or (self.colour and self.palette is None):
            raise SlideError(
                f"{self.where}: a label image is grey and whole-numbered (0 = background, one "
                f"number a nucleus); this one has the shape {stored.shape} and holds {stored.dtype}"
            )
        if self.white_is_zero:
            raise SlideError(
                f"{self.where}: is stored with white as 0, so that the background may be 0 or the "
                "highest number; save it with black as 0 (MinIsBlack)"
            )
        if self.palette is not None:
            self._require_black_at_zero(self.palette, stored)
        return stored

    def _require_black_at_zero(self, palette: npt.NDArray[np.uint8], stored: Indices) -> None:
        """Refuse a palette that shows another number than 0 as black, which is background."""
        black = np.flatnonzero((palette[:, :3] == 0).all(axis=1))
        if 0 not in black and (wrong := np.intersect1d(black, stored)).size:
            raise SlideError(
                f"{self.where}: its palette shows the number {wrong[0]} as black, and 0 as a "
                "colour, so that either may be the background; save it as grey, with 0 for the "
                "background"
            )


def has_colours(palette: npt.NDArray[np.uint8]) -> bool:
    """Tell whether a palette, (n, 3 or 4), has colours and not only greys."""
    return bool((palette[:, :3] != palette[:, :1]).any())


def tiff_format(page: tifffile.TiffPage, where: Path) -> PixelFormat:
    """Return how the pixels of a TIFF's page are stored.

    Raises `SlideError` for colours that are neither grey, RGB nor a palette, for pixels that a
    viewer would turn, and for the look-up tables that ImageJ lays over grey numbers.
    """
    _require_known_colours(page, where)
    _require_upright(page.tags.valueof("Orientation", 1), where)
    if page.dtype is None:
        raise SlideError(f"{where}: holds numbers of an unknown type")
    palette = _tiff_palette(page, where) if page.photometric == _PALETTE else None
    rgb = page.photometric in (_RGB, _YCBCR) and page.samplesperpixel in (3, 4)
    # An extra sample that no tag explains is opacity where it comes after RGB, and must be full.
    extra = page.samplesperpixel - (3 if rgb else 1)
    explained = any(int(sample) in (1, 2) for sample in page.extrasamples)
    return PixelFormat(
        where,
        np.dtype(page.dtype).newbyteorder("="),
        page.bitspersample,
        page.samplesperpixel,
        colour=rgb or (palette is not None and has_colours(palette)),
        opacity=extra == 1 and (rgb or explained),
        white_is_zero=page.photometric == _MIN_IS_WHITE,
        palette=palette,
        lossy=page.compression in _LOSSY,
    )


def _require_known_colours(page: tifffile.TiffPage, where: Path) -> None:
    kind, compression = page.photometric, page.compression
    if kind == _SEPARATED:
        raise SlideError(f"{where}: {_CMYK}")
    if kind not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _YCBCR) or (
        (kind == _YCBCR and compression != _JPEG) or compression == _APERIO_JPEG2000_YCBCR
    ):
        name = getattr(kind, "name", None) or kind
        raise SlideError(
            f"{where}: its colours are stored as {name} (compression "
            f"{getattr(compression, 'name', None) or compression}), which is not read; save it as "
            "grey or RGB"
        )


def _tiff_palette(page: tifffile.TiffPage, where: Path) -> npt.NDArray[np.uint8]:
    """Return (n, 4) uint8 of a colour map, which is (3, n) uint16; opaque."""
    colours = page.colormap
    if colours is None or page.samplesperpixel != 1 or page.dtype not in _UNSIGNED:
        raise SlideError(f"{where}: is stored by a palette that is not there: damaged")
    # Full scale is 65535 by TIFF 6.0, page 23; some programs write 8-bit colours, as libtiff knows.
    eight_bits = (colours >> 8 if colours.max() > _FULL else colours).astype(np.uint8)
    palette = np.vstack([eight_bits, np.full((1, colours.shape[1]), _FULL, np.uint8)]).T
    if page.parent.is_imagej and has_colours(palette):
        raise SlideError(
            f"{where}: its colours are a look-up table that ImageJ lays over grey numbers; set it "
            "to Grays (Image > Lookup Tables) and save it again, or save it as RGB"
        )
    return palette


def picture_format(picture: Image.Image, stored: Stored, bits: int, where: Path) -> PixelFormat:
    """Return how the pixels of a PNG or JPEG are stored, `stored` being all of them.

    Raises `SlideError` for CMYK, which has no RGB without its printer's profile, and for pixels
    that a viewer would turn.
    """
    if picture.mode == "CMYK":
        raise SlideError(f"{where}: {_CMYK}")
    _require_upright(picture.getexif().get(ExifTags.Base.Orientation, 1), where)
    palette = None
    if picture.mode == "P":
        picture.apply_transparency()
        palette = np.array(picture.getpalette("RGBA"), dtype=np.uint8).reshape(-1, 4)
    samples = 1 if stored.ndim == 2 else stored.shape[2]
    return PixelFormat(
        where,
        stored.dtype,
        bits,
        samples,
        colour=samples > 2 if palette is None else has_colours(palette),
        opacity=samples in (2, 4),
        palette=palette,
        lossy=picture.format != "PNG",
    )


def _require_upright(orientation: int, where: Path) -> None:
    if orientation != 1:
        raise SlideError(
            f"{where}: is to be turned or mirrored when it is shown (Orientation {orientation}); "
            "save it as it is shown"
        )
