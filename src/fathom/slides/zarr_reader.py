"""OME-Zarr (OME-NGFF 0.1 to 0.5), with zarr."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import zarr

from fathom.ground.errors import SlideError
from fathom.ground.images import Micrograph
from fathom.ground.pixel_format import PixelFormat
from fathom.ground.resolution import PixelSize, pixel_size
from fathom.ground.unpacked import ALWAYS_BYTES, require_unpackable
from fathom.slides.blocks import BlockReader
from fathom.slides.channels import picked_channel
from fathom.slides.reader import levels_of

_AXES_BEFORE_0_3 = ("t", "c", "z", "y", "x")  # OME-NGFF 0.1 and 0.2 knew no others
_PLANES = {"z": "Z planes", "t": "time points"}
_LEAST_BLOCK_PX = 512  # small chunks are read several at once


class ZarrReader(BlockReader):
    """One plane of an OME-Zarr image, a folder."""

    def __init__(self, path: Path, channel: int | str | None, channels: Literal[1, 3]) -> None:
        group = _image_group(path)
        image = _multiscale(path, group)
        names = [axis["name"] for axis in _axes(image)]
        self._arrays = [_array(path, group, level["path"]) for level in image["datasets"]]
        first = self._arrays[0]
        if len(first.shape) != len(names) or not {"y", "x"} <= set(names):
            raise SlideError(
                f"{path}: its axes are {', '.join(names)}, its array has the shape {first.shape}; "
                "an image with y and x was expected"
            )
        if not all(array.size for array in self._arrays):
            raise SlideError(f"{path}: holds no pixels")
        sizes = dict(zip(names, first.shape, strict=True))
        for name, length in sizes.items():
            if name not in "yxc" and length > 1:
                raise SlideError(
                    f"{path}: holds {length} {_PLANES.get(name, f'planes of {name!r}')}; one was "
                    "expected. Save one an image, such as the sharpest or the maximum projection"
                )
        _require_size(path, self._arrays)
        native = np.dtype(first.dtype).newbyteorder("=")
        PixelFormat(path, native, 8 * native.itemsize).require_micrograph()
        labels = _channel_names(group, sizes.get("c", 1))
        self._names = names
        self._picked = picked_channel(path, labels, colour=None, channel=channel, channels=channels)
        row, column = names.index("y"), names.index("x")
        super().__init__(
            path,
            levels_of([(array.shape[row], array.shape[column]) for array in self._arrays]),
            channels,
            native,
            _pixel_size(image),
            blocks=tuple(
                (_block(array.chunks[row]), _block(array.chunks[column])) for array in self._arrays
            ),
        )
        self.read(0, 0, 0, 1, 1)

    def read_block(self, level: int, row: int, column: int) -> Micrograph:
        """Return the chunks of a block; one that is not there holds the array's fill value."""
        height, width = self._blocks[level]
        places: dict[str, slice | int] = {
            "y": slice(row * height, (row + 1) * height),
            "x": slice(column * width, (column + 1) * width),
        }
        if "c" in self._names:
            places["c"] = slice(None) if self._picked is None else self._picked
        block = np.asarray(self._arrays[level][tuple(places.get(name, 0) for name in self._names)])
        kept = [name for name in self._names if isinstance(places.get(name), slice)]
        block = block.transpose([kept.index(name) for name in ("y", "x", "c") if name in kept])
        return cast(Micrograph, np.ascontiguousarray(block.astype(self.dtype, copy=False)))

    def close(self) -> None:
        """Do nothing: chunks are files of their own, open while they are read."""


def _group(path: Path) -> zarr.Group:
    try:
        return zarr.open_group(path, mode="r")
    # Zarr raises whatever it meets where the metadata are not those of a group.
    except Exception as error:
        raise SlideError(f"{path}: is not an OME-Zarr image ({error})") from None


def _image_group(path: Path) -> zarr.Group:
    """Return the group of an image: what bioformats2raw writes lies around one, or around many."""
    group = _group(path)
    metadata = _metadata(group)
    if metadata.get("multiscales"):
        return group
    inside = sorted(name for name, one in group.groups() if _metadata(one).get("multiscales"))
    if "bioformats2raw.layout" in metadata and len(inside) == 1:
        return cast(zarr.Group, group[inside[0]])
    if "plate" in metadata or "well" in metadata or inside:
        inside = inside or sorted(name for name, _ in group.groups())
        count = f"the images {', '.join(inside)}" if inside else "several images"
        raise SlideError(
            f"{path}: holds {count}, not one; name an image in it, such as "
            f"{path / inside[0] if inside else path}"
        )
    raise SlideError(f"{path}: is a Zarr folder without 'multiscales': not an OME-Zarr image")


def _metadata(group: zarr.Group) -> Mapping[str, Any]:
    """Return the OME metadata, which OME-NGFF 0.5 moved below `ome`."""
    attributes: Mapping[str, Any] = group.attrs.asdict()
    return cast(Mapping[str, Any], attributes.get("ome", attributes))


def _multiscale(path: Path, group: zarr.Group) -> Mapping[str, Any]:
    pyramids: Sequence[Mapping[str, Any]] = _metadata(group)["multiscales"]
    if len(pyramids) > 1:
        raise SlideError(f"{path}: holds {len(pyramids)} pyramids; save one an image")
    return pyramids[0]


def _axes(image: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    """Return the axes as OME-NGFF 0.4 writes them; 0.3 had names alone."""
    axes = image.get("axes", _AXES_BEFORE_0_3)
    return [{"name": axis} if isinstance(axis, str) else axis for axis in axes]


def _array(path: Path, group: zarr.Group, name: str) -> "zarr.Array[Any]":
    try:
        array = group[name]
    except Exception as error:
        raise SlideError(f"{path}: its level '{name}' cannot be read ({error})") from None
    if not isinstance(array, zarr.Array):
        raise SlideError(f"{path}: its level '{name}' is not an array")
    return array


def _require_size(path: Path, arrays: Sequence["zarr.Array[Any]"]) -> None:
    unpacked = max(
        array.dtype.itemsize * max(math.prod(array.shape), math.prod(array.chunks))
        for array in arrays
    )
    if unpacked > ALWAYS_BYTES:  # a folder of a million chunks takes its time
        stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        require_unpackable(path, unpacked, stored)


def _channel_names(group: zarr.Group, count: int) -> tuple[str, ...]:
    channels = _metadata(group).get("omero", {}).get("channels", [])
    names = tuple(str(channel.get("label", "")) for channel in channels)
    return names if len(names) == count else ("",) * count


def _pixel_size(image: Mapping[str, Any]) -> PixelSize:
    """Return the size of a pixel of level 0: the product of all scales."""
    units = {axis["name"]: axis.get("unit") for axis in _axes(image)}
    sides = dict.fromkeys(units, 1.0)
    transforms = (
        *image["datasets"][0].get("coordinateTransformations", ()),
        *image.get("coordinateTransformations", ()),
    )
    for scale in (one.get("scale", ()) for one in transforms if one.get("type") == "scale"):
        if len(scale) != len(units):
            axes = ", ".join(units)
            return PixelSize(fault=f"has a scale of {len(scale)} numbers for the axes {axes}")
        for axis, factor in zip(units, scale, strict=True):
            try:
                sides[axis] *= float(factor)
            except (TypeError, ValueError):
                return PixelSize(fault=f"has the scale {factor!r}, which is no number")
    return pixel_size((sides["y"], units["y"]), (sides["x"], units["x"]))


def _block(chunk: int) -> int:
    return chunk * max(1, _LEAST_BLOCK_PX // chunk)
