"""CZI, what ZEISS microscopes write, with ZEISS' own pylibCZIrw.

Always read at full resolution: the library does not tell whether a file has a pyramid, and without
one takes every n-th pixel for a smaller picture, which turns fine texture into false texture.
"""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from pylibCZIrw import czi

from fathom.ground.errors import SlideError
from fathom.ground.images import Micrograph
from fathom.ground.resolution import Length, pixel_size
from fathom.ground.unpacked import require_unpackable
from fathom.slides.blocks import BlockReader
from fathom.slides.channels import picked_channel
from fathom.slides.reader import Level

_BLOCK_PX = 1024

_PIXEL_TYPES = {
    "Gray8": (np.uint8, 1),
    "Gray16": (np.uint16, 1),
    "Bgr24": (np.uint8, 3),
    "Bgr48": (np.uint16, 3),
}

# Dimensions of libCZI that hold further planes of the same place.
_PLANES = {
    "Z": "Z planes",
    "T": "time points",
    "H": "phases",
    "I": "illuminations",
    "R": "rotations",
    "V": "views",
    "B": "blocks",
}


class CziReader(BlockReader):
    """One plane of a CZI: the rectangle around all its tiles and scenes, what none covers being 0.

    In a colour picture what none covers is white, as glass is.
    """

    def __init__(self, path: Path, channel: int | str | None, channels: Literal[1, 3]) -> None:
        self._document = czi.CziReader(str(path))
        self._reading = threading.Lock()
        try:
            bounds = self._document.total_bounding_box
            _require_one_plane(path, bounds)
            metadata = self._document.metadata["ImageDocument"]["Metadata"]
            first, last = bounds.get("C", (0, 1))
            names = _channel_names(metadata, last - first)
            dtype, samples = self._pixel_type(path, first)
            picked = picked_channel(
                path, names, colour=samples == 3, channel=channel, channels=channels
            )
            self._sample = picked if samples == 3 else None
            self._channel = first + (picked or 0) if samples == 1 else first
            dtype, samples = self._pixel_type(path, self._channel)
            area = self._document.total_bounding_rectangle
            unpacked = area.h * area.w * samples * dtype.itemsize
            require_unpackable(path, unpacked, path.stat().st_size)
            self._left, self._top = area.x, area.y
            super().__init__(
                path,
                (Level(area.h, area.w, 1.0),),
                channels,
                dtype,
                pixel_size(_side(metadata, "Y"), _side(metadata, "X")),
                blocks=((_BLOCK_PX, _BLOCK_PX),),
            )
        except BaseException:
            self.close()
            raise

    def _pixel_type(self, path: Path, channel: int) -> tuple[np.dtype[Any], int]:
        name = self._document.get_channel_pixel_type(channel)
        if name not in _PIXEL_TYPES:
            raise SlideError(
                f"{path}: holds pixels of the type {name}; {', '.join(_PIXEL_TYPES)} can be read"
            )
        dtype, samples = _PIXEL_TYPES[name]
        return np.dtype(dtype), samples

    def read_block(self, level: int, row: int, column: int) -> Micrograph:
        """Return a block at full resolution; `level` is 0."""
        size = self.levels[level]
        top, left = row * _BLOCK_PX, column * _BLOCK_PX
        area = (
            self._left + left,
            self._top + top,
            min(_BLOCK_PX, size.width - left),
            min(_BLOCK_PX, size.height - top),
        )
        empty = 1.0 if self.channels == 3 or self._sample is not None else 0.0
        with self._reading:
            block = self._document.read(
                roi=area, plane={"C": self._channel}, background_pixel=(empty, empty, empty)
            )
        colours = block[..., ::-1]  # CZI keeps blue first
        if self.channels == 1:
            colours = colours[..., self._sample or 0]
        return cast(Micrograph, np.ascontiguousarray(colours))

    def close(self) -> None:
        """Release the file."""
        self._document.close()


def _require_one_plane(path: Path, bounds: Mapping[str, tuple[int, int]]) -> None:
    for name, (first, last) in bounds.items():
        if name in _PLANES and last - first > 1:
            raise SlideError(
                f"{path}: holds {last - first} {_PLANES[name]}; one was expected. Save one a file, "
                "such as the sharpest or the maximum projection"
            )


def _channel_names(metadata: Mapping[str, Any], count: int) -> tuple[str, ...]:
    dimensions = metadata["Information"]["Image"].get("Dimensions") or {}
    channels = (dimensions.get("Channels") or {}).get("Channel", [])
    channels = channels if isinstance(channels, list) else [channels]
    names = tuple(str(channel.get("@Name", "")) for channel in channels)
    return names if len(names) == count else ("",) * count


def _side(metadata: Mapping[str, Any], axis: str) -> Length | None:
    """Return the side of a pixel along X or Y; CZI writes metres."""
    items = (metadata.get("Scaling") or {}).get("Items") or {}
    distances = items.get("Distance", [])
    distances = distances if isinstance(distances, list) else [distances]
    for distance in distances:
        if distance.get("@Id") == axis and distance.get("Value"):
            return distance["Value"], "m"
    return None
