"""The one module that reads and writes images.

A micrograph in memory is (H, W) grey or (H, W, 3) RGB, uint8 or uint16. A label image is
(H, W) int32, 0 = background, one positive number a nucleus.
"""

from io import BytesIO
from pathlib import Path
from typing import Any, cast

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, UnidentifiedImageError

from fathom.ground.errors import FathomError, SlideError
from fathom.ground.output import written_whole
from fathom.ground.pixel_format import PixelFormat, Stored, picture_format
from fathom.ground.resolution import UNKNOWN, PixelSize
from fathom.ground.tiff_resolution import tiff_pixel_size
from fathom.ground.tiff_series import read_tiff
from fathom.ground.unpacked import require_unpackable

Micrograph = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Labels = npt.NDArray[np.int32]

TIFF_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (*TIFF_SUFFIXES, ".png", ".jpg", ".jpeg")
_STRETCH = (0.5, 99.8)

_FORMATS = ("PNG", "JPEG")
_PNG_BIT_DEPTH = 24  # the byte of the header (ISO 15948, IHDR)

# A micrograph is larger than Pillow's guard against zip bombs; `require_unpackable` is fathom's.
Image.MAX_IMAGE_PIXELS = None


def read_micrograph(path: Path) -> Micrograph:
    """Read a TIFF, PNG or JPEG as (H, W) or (H, W, 3), uint8 or uint16.

    What its numbers mean is said in `fathom.ground.pixel_format`: palettes, MinIsWhite, alpha
    channels. Raises `SlideError` for a missing, unreadable or truncated file, more than one
    picture, several channels and other number types.
    """
    stored, pixel_format = _read(path)
    pixel_format.require_micrograph()
    return pixel_format.values(stored)


def stated_pixel_size(path: Path) -> PixelSize:
    """Return what a file says of its pixels: a TIFF, for no other format of a study says it.

    `UNKNOWN` too where it cannot be read: those who read it say why.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return UNKNOWN
    try:
        with tifffile.TiffFile(path) as tiff:
            return tiff_pixel_size(tiff)
    # tifffile raises whatever it meets in a damaged file.
    except Exception:
        return UNKNOWN


def stated_um_per_px(path: Path) -> float | None:
    """Return what a file says of the width of its pixels, um, where those are square.

    None where it says nothing, or nothing that can be used (`fathom.ground.resolution`).
    """
    return stated_pixel_size(path).um_per_px


def read_labels(path: Path) -> Labels:
    """Read a label image, any whole-number type, as (H, W) int32, 0 = background.

    Raises `SlideError` as `read_micrograph` does, and where its numbers are no labels, or were
    compressed in a way that may have changed them.
    """
    stored, pixel_format = _read(path)
    return _labels(stored, pixel_format)


def micrograph_of(given: object, where: Path) -> Micrograph:
    """Return an array of a user's as a micrograph, in this machine's byte order.

    Raises `SlideError` for what is no NumPy array, a masked one, another shape than (H, W) and
    (H, W, 3), no pixels, and other numbers than uint8 and uint16.
    """
    pixels = _array(given, where)
    if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or not pixels.size:
        raise SlideError(
            f"{where}: has the shape {pixels.shape}; (H, W) or (H, W, 3) was expected, with a "
            "pixel or more"
        )
    native = pixels.dtype.newbyteorder("=")
    PixelFormat(where, native, 8 * native.itemsize).require_micrograph()
    return cast(Micrograph, pixels.astype(native, copy=False))


def labels_of(given: object, where: Path) -> Labels:
    """Return an array of a user's as a label image, (H, W) int32, by the rules of `read_labels`."""
    numbers = _array(given, where)
    if not numbers.size:
        raise SlideError(f"{where}: has the shape {numbers.shape}, and holds no pixels")
    samples = numbers.shape[2] if numbers.ndim == 3 else 1
    return _labels(numbers, PixelFormat(where, numbers.dtype, 8 * numbers.itemsize, samples))


def write_labels(path: Path, labels: Labels) -> None:
    """Write a label image as a deflated TIFF, uint16 where the labels fit, else uint32."""
    small = labels.max(initial=0) <= np.iinfo(np.uint16).max
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        tifffile.imwrite(
            part,
            labels.astype(np.uint16 if small else np.uint32),
            compression="zlib",
            predictor=True,
            metadata=None,
        )


def write_picture(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write (H, W) or (H, W, 3) uint8 as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        Image.fromarray(pixels).save(part, format="PNG")


def stretched(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return a grey picture to look at: (H, W) of any numbers to (H, W) uint8.

    The percentiles .5 and 99.8 become black and white: a few hot pixels hide nothing.
    """
    low, high = np.percentile(grey, _STRETCH)
    levels = np.rint((grey - low) * (255 / max(high - low, 1)))
    return np.asarray(np.clip(levels, 0, 255), dtype=np.uint8)


def _array(given: object, where: Path) -> Stored:
    if not isinstance(given, np.ndarray):
        raise SlideError(
            f"{where}: is a {type(given).__name__}; a NumPy array was expected: numpy.asarray() "
            "makes one"
        )
    if isinstance(given, np.ma.MaskedArray):
        raise SlideError(
            f"{where}: is a masked array, and what its masked pixels mean is not known; give a "
            "plain one, such as its filled(0)"
        )
    return given


def _labels(stored: Stored, pixel_format: PixelFormat) -> Labels:
    numbers = pixel_format.numbers(stored)
    if numbers.size and (numbers.min() < 0 or numbers.max() > np.iinfo(np.int32).max):
        raise SlideError(f"{pixel_format.where}: labels must lie in 0..2147483647")
    return numbers.astype(np.int32)


def require_content(path: Path) -> None:
    """Raise `SlideError` where there is no such file, or nothing in it."""
    if not path.is_file():
        raise SlideError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise SlideError(f"{path}: the file is empty (0 bytes)")


def _read(path: Path) -> tuple[Stored, PixelFormat]:
    if path.suffix.lower() not in SUFFIXES:
        raise SlideError(f"{path}: '{path.suffix}' is not one of {', '.join(SUFFIXES)}")
    require_content(path)
    try:
        tiff = path.suffix.lower() in TIFF_SUFFIXES
        stored, pixel_format = read_tiff(path) if tiff else _read_picture(path)
    except FathomError:
        raise
    except UnidentifiedImageError:
        raise SlideError(f"{path}: is not a {path.suffix[1:].upper()} image") from None
    # Decoders raise whatever they meet in a damaged file; all of it means the same to a user.
    except Exception as error:
        raise SlideError(f"{path}: cannot be read, damaged or truncated ({error})") from error
    if stored.size == 0:
        raise SlideError(f"{path}: holds no pixels")
    return stored, pixel_format


def _read_picture(path: Path) -> tuple[Stored, PixelFormat]:
    """Return all pixels of a PNG or JPEG, (H, W) or (H, W, samples), and their format."""
    content = path.read_bytes()
    with Image.open(BytesIO(content), formats=_FORMATS) as picture:
        count = getattr(picture, "n_frames", 1)
        if count > 1:
            raise SlideError(f"{path}: holds {count} pictures; save one a file")
        bits = content[_PNG_BIT_DEPTH] if picture.format == "PNG" else 8
        samples = picture.width * picture.height * len(picture.getbands())
        require_unpackable(path, samples * max(1, bits // 8), len(content))
        if picture.format != "PNG" or picture.mode == "P":
            stored, bits = np.asarray(picture), 8
        else:
            # Pillow cuts colours of 16 bits to 8, and overlooks a colour that stands for nothing.
            stored = imagecodecs.png_decode(content)
            if bits < 8:  # decoders scale them up to 255
                stored = stored // (255 // (2**bits - 1))
        return stored, picture_format(picture, stored, bits, path)
