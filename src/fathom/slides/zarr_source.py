"""OME-Zarr (OME-NGFF 0.1 to 0.5), with zarr."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import zarr

from fathom.ground.errors import SlideError
from fathom.ground.images import Micrograph
from fathom.slides.blocks import BlockSource
from fathom.slides.channels import picked_channel
from fathom.slides.resolution import in_um, square
from fathom.slides.source import levels_of

_AXES_BEFORE_0_3 = ("t", "c", "z", "y", "x")  # OME-NGFF 0.1 and 0.2 knew no others
_PLANES = {"z": "Z planes", "t": "time points"}
_LEAST_BLOCK_PX = 512  # small chunks are read several at once


class ZarrSource(BlockSource):
    """One plane of an OME-Zarr image, a folder."""

    def __init__(self, path: Path, channel: int | str | None, channels: Literal[1, 3]) -> None:
        group = _group(path)
        image = _multiscale(path, group)
        names = [axis["name"] for axis in _axes(image)]
        self._arrays = [_array(path, group, level["path"]) for level in image["datasets"]]
        first = self._arrays[0]
        if len(first.shape) != len(names) or not {"y", "x"} <= set(names):
            raise SlideError(
                f"{path}: its axes are {', '.join(names)}, its array has the shape {first.shape}; "
                "an image with y and x was expected"
            )
        sizes = dict(zip(names, first.shape, strict=True))
        for name, length in sizes.items():
            if name not in "yxc" and length > 1:
                raise SlideError(
                    f"{path}: holds {length} {_PLANES.get(name, f'planes of {name!r}')}; one was "
                    "expected. Save one an image, such as the sharpest or the maximum projection"
                )
        if first.dtype not in (np.uint8, np.uint16):
            raise SlideError(
                f"{path}: holds {first.dtype}; 8- or 16-bit unsigned integers were expected"
            )
        labels = _channel_names(group, sizes.get("c", 1))
        self._names = names
        self._picked = picked_channel(
            path, labels, colour=False, channel=channel, channels=channels
        )
        row, column = names.index("y"), names.index("x")
        super().__init__(
            path,
            levels_of([(array.shape[row], array.shape[column]) for array in self._arrays]),
            channels,
            first.dtype.newbyteorder("="),
            square(path, *_sides(image)),
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


def _metadata(group: zarr.Group) -> Mapping[str, Any]:
    """Return the OME metadata, which OME-NGFF 0.5 moved below `ome`."""
    attributes: Mapping[str, Any] = group.attrs.asdict()
    return cast(Mapping[str, Any], attributes.get("ome", attributes))


def _multiscale(path: Path, group: zarr.Group) -> Mapping[str, Any]:
    metadata = _metadata(group)
    if metadata.get("multiscales"):
        return cast(Mapping[str, Any], metadata["multiscales"][0])
    if "plate" in metadata or "well" in metadata or "bioformats2raw.layout" in metadata:
        inside = sorted(name for name, _ in group.members())
        raise SlideError(
            f"{path}: holds several images, not one; name an image in it, such as "
            f"{path / inside[0] if inside else path}"
        )
    raise SlideError(f"{path}: is a Zarr folder without 'multiscales': not an OME-Zarr image")


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


def _channel_names(group: zarr.Group, count: int) -> tuple[str, ...]:
    channels = _metadata(group).get("omero", {}).get("channels", [])
    names = tuple(str(channel.get("label", "")) for channel in channels)
    return names if len(names) == count else ("",) * count


def _sides(image: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the height and width of a pixel of level 0 in um, None where not written."""
    axes = _axes(image)
    scale = [1.0] * len(axes)
    transforms = (
        *image["datasets"][0].get("coordinateTransformations", ()),
        *image.get("coordinateTransformations", ()),
    )
    for transform in transforms:
        if transform.get("type") == "scale":
            scale = [a * b for a, b in zip(scale, transform["scale"], strict=True)]
    sides = {
        axis["name"]: in_um(size, axis["unit"])
        for axis, size in zip(axes, scale, strict=True)
        if axis.get("unit")
    }
    return sides.get("y"), sides.get("x")


def _block(chunk: int) -> int:
    return chunk * max(1, _LEAST_BLOCK_PX // chunk)
