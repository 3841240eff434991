"""The one module that reads and writes images.

A micrograph in memory is (H, W) grey or (H, W, 3) RGB, uint8 or uint16. A label image is
(H, W) int32, 0 = background, one positive number a nucleus.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, UnidentifiedImageError

from fathom.ground.errors import SlideError
from fathom.ground.output import written_whole

Micrograph = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Labels = npt.NDArray[np.int32]

TIFF_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (*TIFF_SUFFIXES, ".png", ".jpg", ".jpeg")
_STRETCH = (0.5, 99.8)

Image.MAX_IMAGE_PIXELS = None  # a micrograph is larger than Pillow's guard against zip bombs


def read_micrograph(path: Path) -> Micrograph:
    """Read a TIFF, PNG or JPEG as (H, W) or (H, W, 3), uint8 or uint16.

    An alpha channel is dropped where it is opaque throughout. Raises `SlideError` for a missing,
    unreadable or truncated file, several pages, other channels and other number types.
    """
    pixels = _read(path)
    if pixels.ndim == 3 and pixels.shape[-1] == 4:
        if (pixels[..., 3] != np.iinfo(pixels.dtype).max).any():
            raise SlideError(f"{path}: has a transparent alpha channel; save it without one")
        pixels = pixels[..., :3]
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2 and not (pixels.ndim == 3 and pixels.shape[-1] == 3):
        raise SlideError(
            f"{path}: has the shape {pixels.shape}; one grey or one RGB picture was expected. "
            "Save one plane or channel a file"
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise SlideError(
            f"{path}: holds {pixels.dtype} numbers; 8- or 16-bit unsigned integers were expected"
        )
    return cast(Micrograph, np.ascontiguousarray(pixels))


def read_labels(path: Path) -> Labels:
    """Read a label image, any whole-number type, as (H, W) int32, 0 = background."""
    pixels = _read(path)
    if pixels.ndim != 2 or not np.issubdtype(pixels.dtype, np.integer):
        raise SlideError(
            f"{path}: a label image is grey and whole-numbered (0 = background, one number a "
            f"nucleus); this one has the shape {pixels.shape} and holds {pixels.dtype}"
        )
    if pixels.size and (pixels.min() < 0 or pixels.max() > np.iinfo(np.int32).max):
        raise SlideError(f"{path}: labels must lie in 0..2147483647")
    return pixels.astype(np.int32)


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


def _read(path: Path) -> npt.NDArray[Any]:
    if path.suffix.lower() not in SUFFIXES:
        raise SlideError(f"{path}: '{path.suffix}' is not one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise SlideError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise SlideError(f"{path}: the file is empty (0 bytes)")
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            pixels = np.asarray(tifffile.imread(path))
        else:
            with Image.open(path) as picture:
                # A palette's numbers are not intensities.
                pixels = np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)
    except UnidentifiedImageError:
        raise SlideError(f"{path}: is not a {path.suffix[1:].upper()} image") from None
    # Decoders raise whatever they meet in a damaged file; all of it means the same to a user.
    except Exception as error:
        raise SlideError(f"{path}: cannot be read, damaged or truncated ({error})") from error
    if pixels.size == 0:
        raise SlideError(f"{path}: holds no pixels")
    return pixels
