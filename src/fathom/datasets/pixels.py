"""What only the pixels of a data set show: damaged images, points outside, wrong masks."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fathom.datasets.layout import (
    ANNOTATIONS,
    IMAGES,
    LABEL_MASKS,
    MASK_SUFFIXES,
    MASKS,
    is_litter,
    mask_paths,
    on_disk,
    stem,
    without_ending,
)
from fathom.datasets.masks import read_mask, several_masks
from fathom.datasets.tables import CsvRow, Fault, one_form, read_number
from fathom.ground.errors import FathomError
from fathom.ground.fingerprint import file_fingerprint
from fathom.ground.image_store import NOWHERE, ImageStore, Made, key_of
from fathom.ground.images import Labels, read_labels, read_micrograph, stated_pixel_size
from fathom.ground.processor import cores
from fathom.ground.progress import track

_FEW = 3  # points outside; of fewer nothing follows


def pixel_faults(
    folder: Path,
    images: list[CsvRow],
    annotations: list[CsvRow],
    store: ImageStore = NOWHERE,
    *,
    square: bool,
) -> Iterator[Fault]:
    """Decode every image and every mask, on all cores, and yield what is wrong with them.

    Those that were found sound before, by `store`, are not decoded. `square`: pixels must be, as in
    a study; those of new slides are made so.
    """
    # An image that is listed twice was reported; its first row counts.
    rows = {row.get("image"): row for row in reversed(images)}
    pool = ThreadPoolExecutor(cores())  # decoders release the interpreter's lock
    try:
        work = pool.map(lambda row: _decode(folder, row, store, square=square), rows.values())
        decoded = list(track(work, "checking images", total=len(rows)))
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the rest
    for image in decoded:
        yield from image.faults
    yield from _points_outside(annotations, dict(zip(rows, decoded, strict=True)))
    if rows:  # else all would be, of images that were reported
        for masks in (MASKS, LABEL_MASKS):
            yield from _stray_masks(folder, masks, {stem(image) for image in rows})


class _Decoded(NamedTuple):
    size: tuple[int, ...] | None  # height, width; None where the image cannot be read
    faults: list[Fault]


def _decode(folder: Path, row: CsvRow, store: ImageStore, *, square: bool) -> _Decoded:
    if store.folder is None:
        return _decoded(folder, row, square=square)
    image = row.get("image")
    masks = [
        f"{kind} {file_fingerprint(mask)}"
        for kind in (MASKS, LABEL_MASKS)
        for mask in mask_paths(folder, image, kind)
    ]
    asked = "square" if square else "any"
    key = key_of(__name__, asked, file_fingerprint(on_disk(folder, image)), *masks)
    sound = store.kept(key)
    if sound is not None:
        height, width = sound.arrays["size"].tolist()
        return _Decoded((height, width), [])
    decoded = _decoded(folder, row, square=square)
    if not decoded.faults:
        store.keep(key, Made({"size": np.array(decoded.size)}, {}))
    return decoded


def _decoded(folder: Path, row: CsvRow, *, square: bool) -> _Decoded:
    image = row.get("image")
    size: tuple[int, ...] | None = None
    faults = []
    try:
        size = read_micrograph(on_disk(folder, image)).shape[:2]
    except FathomError as error:
        faults.append(Fault(IMAGES, row.number, "image", _without(folder, error)))
    else:
        if square and (what := _not_square(on_disk(folder, image))):
            faults.append(Fault(IMAGES, row.number, "image", f"{image}: {what}"))
    for kind in (MASKS, LABEL_MASKS):
        faults += _mask_faults(folder, kind, image, size)
    return _Decoded(size, faults)


def _not_square(path: Path) -> str | None:
    """Say that a file's pixels are not square: to a study a disc in them would be an ellipse."""
    size = stated_pixel_size(path)
    if size.is_square:
        return None
    return (
        f"its pixels are {size.width_um:.4g} um wide and {size.height_um:.4g} um high; a study "
        "takes square ones. Resample it, its label image and its points so that they are; where "
        "the file is wrong, save it without a resolution, and give um_per_px"
    )


def _mask_faults(
    folder: Path, kind: str, image: str, size: tuple[int, ...] | None
) -> Iterator[Fault]:
    masks = mask_paths(folder, image, kind)
    for mask in masks:
        try:
            labels = read_mask(mask) if kind == MASKS else read_labels(mask)
        except FathomError as error:
            what: str | None = _without(mask, error)
        else:
            what = _size_fault(labels, size, image)
        if what:
            yield Fault(mask.relative_to(folder).as_posix(), None, None, what)
    if len(masks) > 1:
        yield Fault(kind, None, None, several_masks(masks, image))


def _without(path: Path, error: FathomError) -> str:
    """Return the message of `fathom.ground.images` without what the fault's place says already."""
    return str(error).removeprefix(f"{path}/").removeprefix(f"{path}: ")


def _size_fault(labels: Labels, size: tuple[int, ...] | None, image: str) -> str | None:
    if size is None or labels.shape == size:
        return None
    height, width = labels.shape
    return f"is {width} x {height} px, its image '{image}' {size[1]} x {size[0]} px"


def _points_outside(annotations: list[CsvRow], decoded: dict[str, _Decoded]) -> Iterator[Fault]:
    sizes = {name: one.size for name, one in decoded.items() if one.size is not None}
    found = []
    for row in annotations:
        size = sizes.get(row.get("image"))
        for column, pixels in zip(("y", "x"), size or (), strict=False):
            value = read_number(row.get(column))
            if value is not None and not 0 <= value < pixels:
                what = f"{row.get(column)} lies outside of '{row.get('image')}', 0 to {pixels - 1}"
                found.append(Fault(ANNOTATIONS, row.number, column, what))
    hint = ""
    if len(found) >= _FEW and _all_inside_exchanged(annotations, sizes):
        hint = "; with x and y exchanged every point lies inside its image"
    for fault in found:
        yield replace(fault, what=fault.what + hint)


def _all_inside_exchanged(annotations: list[CsvRow], sizes: Mapping[str, tuple[int, ...]]) -> bool:
    for row in annotations:
        size = sizes.get(row.get("image"))
        x, y = read_number(row.get("x")), read_number(row.get("y"))
        if size is None or x is None or y is None:
            continue
        if not (0 <= x < size[0] and 0 <= y < size[1]):
            return False
    return True


def _stray_masks(folder: Path, kind: str, stems: set[str]) -> Iterator[Fault]:
    masks = folder / kind
    for path in sorted(masks.rglob("*")):
        name = path.relative_to(masks)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_dir() or hidden or is_litter(path):
            continue
        if path.suffix.lower() not in MASK_SUFFIXES:
            what = f"'{path.suffix}' is not one of {', '.join(MASK_SUFFIXES)}"
        elif one_form(without_ending(name.as_posix())) not in stems:
            what = f"is the mask of no image: {IMAGES} has none called '{name.with_suffix('')}'"
        else:
            continue
        yield Fault(f"{kind}/{name.as_posix()}", None, None, what)
