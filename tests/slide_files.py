"""Write one picture in every format that can be written without its vendor's program."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
import zarr
from PIL import Image

from fathom.slides.resampling import ResampledSlide
from fathom.slides.slide import ArrayReader
from fathom.slides.stated_resolution import Resolution


def picture(height=700, width=901, channels=3, dtype=np.uint8, seed=0):
    """Return a smooth picture with fine noise: (height, width) or (height, width, 3)."""
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    rows, columns = np.ogrid[:height, :width]
    waves = [np.sin(rows / (11 + 3 * n)) * np.cos(columns / (7 + 5 * n)) for n in range(channels)]
    pixels = (np.stack(waves, axis=-1) + 1) * 0.4 * top
    pixels = np.clip(pixels + rng.uniform(0, 0.2 * top, pixels.shape), 0, top).astype(dtype)
    return pixels[..., 0] if channels == 1 else pixels


def halves(pixels, levels):
    """Return `levels` pictures, each of means of 2 x 2 px of the one before."""
    found = [pixels]
    for _ in range(levels - 1):
        last = found[-1]
        height, width = last.shape[0] // 2 * 2, last.shape[1] // 2 * 2
        four = last[:height, :width].reshape(height // 2, 2, width // 2, 2, *last.shape[2:])
        found.append(np.rint(four.mean(axis=(1, 3))).astype(pixels.dtype))
    return found


def array_slide(pixels, downsample=1.0):
    """Return a slide over an array; its pixels are `downsample` times as wide."""
    return ResampledSlide(ArrayReader(pixels, Path("array")), downsample, Resolution.of())


def photometric(pixels):
    return "rgb" if pixels.ndim == 3 else "minisblack"


def write_tiled(path: Path, pixels, **options) -> None:
    options = {"tile": (128, 144), "compression": "zlib"} | options
    tifffile.imwrite(path, pixels, photometric=photometric(pixels), metadata=None, **options)


def write_striped(path: Path, pixels, **options) -> None:
    options = {"rowsperstrip": 13, "compression": "lzw", "predictor": True} | options
    tifffile.imwrite(path, pixels, photometric=photometric(pixels), metadata=None, **options)


def write_plain(path: Path, pixels, **options) -> None:
    tifffile.imwrite(path, pixels, photometric=photometric(pixels), metadata=None, **options)


def write_pyramid_ome(path: Path, levels: Sequence, um_per_px: float = 0.5, **metadata) -> None:
    """Write an OME-TIFF with its lower levels as SubIFDs, as Bio-Formats and QuPath do."""
    axes = "YXS" if levels[0].ndim == 3 else "YX"
    metadata = {"axes": axes, "PhysicalSizeX": um_per_px, "PhysicalSizeY": um_per_px} | metadata
    options = {"tile": (128, 128), "compression": "zlib", "photometric": photometric(levels[0])}
    if "Channel" in metadata:
        options["photometric"] = "minisblack"
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as tiff:
        tiff.write(levels[0], subifds=len(levels) - 1, metadata=metadata, **options)
        for level in levels[1:]:
            tiff.write(level, subfiletype=1, **options)


def write_pages_pyramid(path: Path, levels: Sequence) -> None:
    """Write a pyramid as pages in a row, as libvips and GDAL do."""
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for number, level in enumerate(levels):
            tiff.write(
                level,
                tile=(128, 128),
                compression="zlib",
                photometric=photometric(level),
                subfiletype=int(number > 0),
                metadata=None,
                resolution=(20_000 / 2**number, 20_000 / 2**number),
                resolutionunit="CENTIMETER",
            )


def write_svs(path: Path, levels: Sequence, mpp: float = 0.5, compression="jpeg") -> None:
    """Write what OpenSlide takes for a slide of an Aperio scanner; jpeg changes the pixels."""
    height, width = levels[0].shape[:2]
    text = f"Aperio Image Library v11\r\n{width}x{height} |AppMag = 20|MPP = {mpp}"
    with tifffile.TiffWriter(path) as tiff:
        for level in levels:
            tiff.write(
                level,
                tile=(256, 256),
                compression=compression,
                photometric="rgb",
                description=text,
                metadata=None,
            )


def write_ome_zarr(
    path: Path, levels: Sequence, um_per_px: float | None = 0.5, labels=None
) -> None:
    """Write OME-NGFF 0.4: axes c, y, x, colours as channels; levels (H, W) or (H, W, 3)."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    datasets = []
    for number, level in enumerate(levels):
        planes = level[np.newaxis] if level.ndim == 2 else np.moveaxis(level, -1, 0)
        group.create_array(str(number), data=planes, chunks=(1, 128, 128))
        scale = [1.0, *[um_per_px * 2**number] * 2]
        transforms = [{"type": "scale", "scale": scale}]
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    if labels is not None:
        group.attrs["omero"] = {"channels": [{"label": label} for label in labels]}


def write_png(path: Path, pixels) -> None:
    Image.fromarray(pixels).save(path)
