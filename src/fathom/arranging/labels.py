"""Labels as labs have them: folders, tables, QuPath's points and outlines, label images."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage
from skimage.draw import polygon

from fathom.datasets.layout import stem
from fathom.datasets.masks import largest_pieces
from fathom.datasets.tables import CsvRow, one_form, read_number, read_sound_rows
from fathom.ground.arrays import Bools, Floats
from fathom.ground.errors import FathomError
from fathom.ground.images import Labels

_ODD = (OverflowError, RecursionError)
_LARGEST_PX = 4096  # side of the box around an outline: more is no nucleus
_FARTHEST_PX = 2**31  # from the corner of the image: no image is so wide


class Point(NamedTuple):
    """One annotated nucleus; x to the right, y down, px."""

    image: str
    x: float
    y: float
    label: str


def folder_of_labels(images: Sequence[str]) -> int | None:
    """Return the level of folders, from 0, that has exactly two names, the labels.

    Of several such levels the deepest counts: `site1/mitotic/a.tif`. None where there is none.
    """
    levels = [PurePosixPath(image).parts[:-1] for image in images]
    depth = min(map(len, levels), default=0)
    two = [level for level in range(depth) if len({parts[level] for parts in levels}) == 2]
    return two[-1] if two else None


def table_labels(path: Path, images: Sequence[str]) -> tuple[dict[str, str], list[Point]]:
    """Return the labels of images, and the annotated points, of a CSV table.

    Its columns are image and label, and x and y where single nuclei are meant; others are not
    looked at. An image stands there by its path, its file name or its name without suffix.
    """
    first_line = (
        path.read_text("utf-8-sig", errors="replace").partition("\n")[0] if path.is_file() else ""
    )
    points_meant = {"x", "y"} <= {cell.strip() for cell in first_line.split(",")}
    columns = ("image", "label", "x", "y") if points_meant else ("image", "label")
    rows = read_sound_rows(path, columns, "table")
    known = _by_name(images)
    of_images: dict[str, str] = {}
    points = []
    for row in rows:
        image = _image_of(row, known, path)
        if points_meant:
            x, y = read_number(row.get("x")), read_number(row.get("y"))
            if x is None or y is None:
                raise FathomError(f"{path}, row {row.number}: x and y must be numbers")
            points.append(Point(image, x, y, row.get("label")))
        elif of_images.setdefault(image, row.get("label")) != row.get("label"):
            raise FathomError(f"{path}, row {row.number}: {image!r} has another label above")
    return of_images, points


def geojson_points(path: Path, image: str) -> tuple[list[Point], int]:
    """Return the annotations of one GeoJSON file, as QuPath writes it, and how many lack a class.

    A point is taken as it is, of an outline the pixel farthest from its edge.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        features = content["features"] if isinstance(content, dict) else content
        found, without = [], 0
        for feature in features:
            label = _class_of(feature.get("properties") or {})
            places = list(_places(feature["geometry"]))
            if label is None:
                without += len(places)
                continue
            found += [Point(image, x, y, label) for x, y in places]
    except OSError as error:
        raise FathomError(f"{path}: cannot be read ({error.strerror})") from None
    # What a document of another shape makes of the lines above; numbers may be too large for a
    # float, brackets too deep in each other.
    except (*_ODD, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise FathomError(
            f"{path}: is not GeoJSON as QuPath writes it ({type(error).__name__}: {error}); export "
            "annotations or detections as a feature collection"
        ) from None
    return found, without


def class_table(path: Path, images: Sequence[str]) -> dict[str, dict[int, str]]:
    """Return the class of each numbered nucleus, by image, of a CSV: image, number, label."""
    known = _by_name(images)
    found: dict[str, dict[int, str]] = {}
    for row in read_sound_rows(path, ("image", "number", "label"), "table"):
        text = row.get("number")
        if not text.isdecimal() or int(text) == 0:
            raise FathomError(
                f"{path}, row {row.number}, column 'number': {text!r} is not the number of a "
                "nucleus in a label image, 1, 2, 3 ..."
            )
        of_image = found.setdefault(_image_of(row, known, path), {})
        if of_image.setdefault(int(text), row.get("label")) != row.get("label"):
            raise FathomError(f"{path}, row {row.number}: nucleus {text} has another class above")
    return found


def label_image_points(
    labels: Labels, classes: Mapping[int, str], image: str, path: Path
) -> list[Point]:
    """Return a point in each classified nucleus: the pixel farthest from its edge.

    Raises `FathomError` where a classified number is not in the label image.
    """
    whole = largest_pieces(labels)[0]
    boxes = ndimage.find_objects(whole)
    points = []
    for number, label in sorted(classes.items()):
        box = boxes[number - 1] if number <= len(boxes) else None
        if box is None:
            raise FathomError(
                f"{path}: has no nucleus {number}, which the table of classes lists for {image!r}"
            )
        y, x = _deepest(whole[box] == number)
        points.append(Point(image, box[1].start + x, box[0].start + y, label))
    return points


def _by_name(images: Sequence[str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for image in images:
        path = PurePosixPath(image)
        for name in {image, path.name, path.stem, stem(image)}:
            names.setdefault(one_form(name), []).append(image)
    return names


def _image_of(row: CsvRow, known: Mapping[str, list[str]], path: Path) -> str:
    found = known.get(row.get("image"), [])
    if len(found) != 1:
        what = f"may be {' or '.join(found[:3])}" if found else "is none of the images"
        raise FathomError(f"{path}, row {row.number}, column 'image': {row.get('image')!r} {what}")
    return found[0]


def _class_of(properties: Mapping[str, Any]) -> str | None:
    """Return the class that QuPath wrote: an object with a name since 0.4, a name before."""
    named = properties.get("classification")
    if isinstance(named, dict):
        named = named.get("name") or ": ".join(named.get("names") or ())
    return one_form(str(named)) if named else None


def _places(geometry: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    kind, coordinates = geometry["type"], geometry["coordinates"]
    if kind == "Point":
        yield _point(coordinates)
    elif kind == "MultiPoint":
        yield from map(_point, coordinates)
    elif kind == "Polygon":
        yield _inside(_rings(coordinates))
    elif kind == "MultiPolygon":
        yield _inside(max(map(_rings, coordinates), key=lambda rings: _area(rings[0])))
    else:
        raise ValueError(f"a {kind} is no point and no outline")


def _point(coordinates: Sequence[Any]) -> tuple[float, float]:
    x, y = float(coordinates[0]), float(coordinates[1])
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"a point lies at {x}, {y}")
    return x, y


def _rings(coordinates: Sequence[Any]) -> list[Floats]:
    """Return the outline of a polygon, and those of its holes, as (n, 2) x and y."""
    rings = [np.asarray(ring, dtype=np.float64)[:, :2] for ring in coordinates]
    if not all(np.isfinite(ring).all() for ring in rings):
        raise ValueError("an outline has a corner that is no number")
    return rings


def _area(ring: Floats) -> float:
    x, y = ring.T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def _inside(rings: Sequence[Floats]) -> tuple[float, float]:
    """Return the pixel's centre that lies deepest in an outline and in none of its holes.

    Where the outline has no pixel of its own, its mean.
    """
    outer, *holes = rings
    sides = np.ptp(outer, axis=0)
    if sides.max() > _LARGEST_PX:
        raise ValueError(f"an outline is {sides[0]:.6g} x {sides[1]:.6g} px, which no nucleus is")
    if np.abs(outer).max() > _FARTHEST_PX:
        raise ValueError(f"an outline lies {np.abs(outer).max():.6g} px from the image's corner")
    corner = np.floor(outer.min(axis=0)).astype(int)
    size = np.ceil(outer.max(axis=0)).astype(int) - corner + 1
    mask = np.zeros((size[1], size[0]), dtype=bool)
    for ring in (outer, *holes):
        # Pixel i reaches from i to i + 1; skimage's point i is its centre.
        x, y = (ring - corner - 0.5).T
        mask[polygon(y, x, mask.shape)] = ring is outer
    if not mask.any():
        middle = outer.mean(axis=0)
        return float(middle[0]), float(middle[1])
    down, right = _deepest(mask)
    return float(corner[0] + right), float(corner[1] + down)


def _deepest(mask: Bools) -> tuple[float, float]:
    """Return y and x of the centre of the pixel farthest from the background."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(np.argmax(depth), depth.shape)
    return float(y) + 0.5, float(x) + 0.5
