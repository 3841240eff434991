"""What the files of a folder are: images, label images, QuPath's objects, and what is not used."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from skimage.measure import label

from fathom.datasets.layout import LABEL_MASKS, MASK_SUFFIXES, MASKS, is_litter, stem
from fathom.datasets.tables import one_form
from fathom.ground.errors import FathomError
from fathom.ground.images import SUFFIXES, read_labels
from fathom.ground.progress import track

# How Cellpose, StarDist's users and others call the label image of `a.tif`.
LABEL_IMAGE_ENDS = ("_cp_masks", "_masks", "_mask", "_labels", "_label", "_stardist")
_FLAT = 0.8  # of neighbours in nuclei, how many have one number
_PIECES = 2  # of a nucleus at most, on average: strokes that slipped


@dataclass(frozen=True)
class Files:
    """The files of a folder by what they are; names are paths in it, in one Unicode form."""

    images: tuple[str, ...]  # sorted
    label_images: Mapping[str, Path]  # by image
    drawn: Mapping[str, Path]  # GeoJSON, by image
    unfit: tuple[str, ...]  # label images and GeoJSON of no image
    others: tuple[str, ...]  # that nothing is made of


def find_files(folder: Path, tables: Collection[Path]) -> Files:
    """Look at all files of a folder, at any depth; `tables` are those given, which may be in it.

    Numbers that are flat in pieces, on a background of 0, are a label image, whatever its name. It
    belongs to the image of its name, or of its name without one of `LABEL_IMAGE_ENDS`, in its own
    folder or in one that differs at one level: `images/a.tif`, `labels/a.tif`. In masks/ it lies
    where data sets have it, or fits no image.

    Raises `FathomError` where there is no image, and where two files claim one place.
    """
    if not folder.is_dir():
        raise FathomError(f"{folder}: there is no such folder")
    found = _named(folder)
    pictures = [name for name in found if _suffix(name) in SUFFIXES]
    in_masks = [name for name in pictures if PurePosixPath(name).parts[0] == MASKS]
    rest = [name for name in pictures if name not in set(in_masks)]
    labels = set(in_masks) | _beside(rest)
    looked_at = [name for name in rest if name not in labels and _suffix(name) in MASK_SUFFIXES]
    labels |= {
        name
        for name in track(looked_at, "looking at images", total=len(looked_at))
        if _is_label_image(found[name])
    }
    images = [name for name in rest if name not in labels]
    if not images:
        raise FathomError(f"{folder}: holds no image ({', '.join(SUFFIXES)}), at any depth")
    label_images, unfit = _owned({name: found[name] for name in sorted(labels)}, images)
    geojson = [name for name in found if _suffix(name) == ".geojson"]
    drawn = _drawn_of(images, geojson)
    unfit += [name for name in geojson if name not in set(drawn.values())]
    given = {table.resolve() for table in tables}
    known = {*pictures, *geojson}
    others = [name for name in found if name not in known and found[name].resolve() not in given]
    return Files(
        tuple(images),
        {image: found[name] for image, name in label_images.items()},
        {image: found[name] for image, name in drawn.items()},
        tuple(unfit),
        tuple(others),
    )


def _named(folder: Path) -> dict[str, Path]:
    """Return every file that is somebody's data, by its path in the folder, sorted."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        plain = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in plain.parts)
        if not path.is_file() or hidden or is_litter(path) or plain.parts[0] == LABEL_MASKS:
            continue
        name = one_form(plain.as_posix())
        if name in found:
            raise FathomError(
                f"{folder}: holds two files called {name!r}, which differ in how an accent is "
                "stored; rename one"
            )
        found[name] = path
    return found


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _owners(name: str) -> set[str]:
    """Return how the image of a label image may be called, without its suffix."""
    plain = PurePosixPath(name).stem
    ends = (end for end in LABEL_IMAGE_ENDS if plain.endswith(end))
    return {plain, *(plain.removesuffix(end) for end in ends)}


def _beside(pictures: Sequence[str]) -> set[str]:
    """Return the label images that lie beside their images, by what they are called."""
    stems = {str(PurePosixPath(name).with_suffix("")) for name in pictures}
    found = set()
    for name in pictures:
        path = PurePosixPath(name)
        if any(str(path.with_name(owner)) in stems for owner in _owners(name) - {path.stem}):
            found.add(name)
    return found


def _is_label_image(path: Path) -> bool:
    """Return whether numbers are flat in pieces on 0; of a micrograph they differ at each px.

    One number in many pieces, a black and white picture, is no micrograph either.
    """
    try:
        numbers = read_labels(path)
    except FathomError:
        return False  # RGB; what cannot be read is said by `fathom check`
    left, right = numbers[:, :-1], numbers[:, 1:]
    inside = (left > 0) & (right > 0)
    if not inside.any() or numbers.all() or (left == right)[inside].mean() < _FLAT:
        return False
    highest = int(numbers.max())
    if (numbers[numbers > 0] == highest).all():
        return True
    different = len(set(numbers[numbers > 0].tolist()))
    return int(label(numbers, background=0, connectivity=2).max()) <= _PIECES * different


def _owned(labels: Mapping[str, Path], images: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the label image of each image that has one, and those that fit no image.

    Of two that hold the same numbers the one in masks/ is taken: it was copied there.
    """
    by_stem: dict[str, list[str]] = {}
    for image in images:
        by_stem.setdefault(PurePosixPath(image).stem, []).append(image)
    owned: dict[str, str] = {}
    unfit = []
    for name in sorted(labels, key=lambda name: (not name.startswith(f"{MASKS}/"), name)):
        if PurePosixPath(name).parts[0] == MASKS:
            place = str(PurePosixPath(name).relative_to(MASKS).with_suffix(""))
            near = [image for image in images if stem(image) == place]
        else:
            near = _nearest(name, [one for own in _owners(name) for one in by_stem.get(own, ())])
        if len(near) != 1 or _suffix(name) not in MASK_SUFFIXES:
            unfit.append(name)
        elif (other := owned.setdefault(near[0], name)) != name:
            if other.startswith(f"{MASKS}/") and _same_numbers(labels[other], labels[name]):
                continue
            raise FathomError(
                f"{other} and {name} may both be the label image of {near[0]!r}; keep one"
            )
    return owned, unfit


def _same_numbers(one: Path, other: Path) -> bool:
    try:
        return np.array_equal(read_labels(one), read_labels(other))
    except FathomError:
        return False


def _nearest(name: str, images: Sequence[str]) -> list[str]:
    """Return the images in the folder of `name`, or else in those that differ at one level."""
    apart = {image: _levels_apart(name, image) for image in images}
    return [image for image, levels in apart.items() if levels == min(apart.values()) <= 1]


def _levels_apart(one: str, other: str) -> int:
    """Return how many levels of folders stand between what two paths begin and end with alike."""
    ours, theirs = list(PurePosixPath(one).parts[:-1]), list(PurePosixPath(other).parts[:-1])
    for end in (0, -1):
        while ours and theirs and ours[end] == theirs[end]:
            ours.pop(end)
            theirs.pop(end)
    return max(len(ours), len(theirs))


def _drawn_of(images: Sequence[str], geojson: Sequence[str]) -> dict[str, str]:
    """Return the GeoJSON file of each image that has one: beside it, or alone of its name."""
    beside = {str(PurePosixPath(name).with_suffix("")): name for name in geojson}
    by_name: dict[str, list[str]] = {}
    for name in geojson:
        by_name.setdefault(PurePosixPath(name).stem, []).append(name)
    found: dict[str, str] = {}
    for image in images:
        for name in (str(PurePosixPath(image).with_suffix("")), image):
            if name in beside:
                found.setdefault(image, beside[name])
    taken = set(found.values())
    for image in images:
        plain = PurePosixPath(image)
        same = by_name.get(plain.stem, []) or by_name.get(plain.name, [])
        same = [name for name in same if name not in taken]
        if image in found or not same:
            continue
        if len(same) > 1:
            raise FathomError(f"{same[0]} and {same[1]} may both belong to {image!r}; keep one")
        other = next((one for one, own in found.items() if own == same[0]), None)
        if other is not None:
            raise FathomError(f"{same[0]} may belong to {other!r} and to {image!r}; put it beside")
        found[image] = same[0]
    return found
