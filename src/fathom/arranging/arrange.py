"""`fathom new`: a folder of images becomes a data set, shown first, written after a yes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from fathom.arranging.labels import (
    LABEL_IMAGE_ENDS,
    Point,
    class_table,
    folder_of_labels,
    geojson_points,
    label_image_points,
    table_labels,
)
from fathom.arranging.pattern import Pattern, guess
from fathom.datasets.layout import (
    ANNOTATIONS,
    IMAGES,
    LABEL_MASKS,
    MASKS,
    is_litter,
    labels_path,
    stem,
)
from fathom.datasets.tables import one_form
from fathom.ground.csv_file import write_csv
from fathom.ground.errors import FathomError
from fathom.ground.images import SUFFIXES, read_labels, write_labels

FOLDERS = "folders"  # of --labels
_SHOWN = 8  # rows


@dataclass(frozen=True)
class Proposal:
    """What would be written, and what a person should know before."""

    folder: Path
    pattern: str
    images: pd.DataFrame  # image, slide, patient, label (where images have one), um_per_px
    points: tuple[Point, ...]
    label_images: Mapping[str, Path]  # of each image that has one
    notes: tuple[str, ...] = field(default=())

    def text(self) -> str:
        """Return it as a person reads it: the first rows, the counts, the notes."""
        points = pd.DataFrame(self.points, columns=list(Point._fields))
        shown = [self.images.head(_SHOWN).to_string(index=False)]
        if len(self.images) > _SHOWN:
            shown.append(f"... and {len(self.images) - _SHOWN} more")
        counts = [f"{self.images[one].nunique()} {one}s" for one in ("image", "slide", "patient")]
        lines = [f"pattern: {self.pattern}", "", *shown, "", ", ".join(counts)]
        if self.points:
            classes = points["label"].value_counts().sort_index()
            by_class = ", ".join(f"{name} {count}" for name, count in classes.items())
            lines.append(f"{len(points)} annotated nuclei: {by_class}")
        if "label" in self.images:
            of_images = self.images["label"].value_counts().sort_index()
            by_class = ", ".join(f"{name or 'none'} {count}" for name, count in of_images.items())
            lines.append(f"labels of images: {by_class}")
        if self.label_images:
            lines.append(f"{len(self.label_images)} label images, copied to {MASKS}/")
        return "\n".join([*lines, *self.notes])


def propose(
    folder: Path,
    *,
    pattern: str | None = None,
    labels: str | None = None,
    classes: Path | None = None,
    um_per_px: float | None = None,
) -> Proposal:
    """Look at a folder and say what data set it would become; nothing is written.

    Parameters
    ----------
    folder : with images in it, at any depth
    pattern : of slide and patient in their paths (`fathom.arranging.pattern`); guessed if not given
    labels : `folders`, or a CSV table; if not given, GeoJSON files named like the images, else
        folders, if some level of them has two names
    classes : CSV table of the classes of numbered nuclei, where there are label images
    um_per_px : the scale of all images, if it is known
    """
    for name in (IMAGES, ANNOTATIONS):
        if (folder / name).exists():
            raise FathomError(
                f"{folder / name} is there already, and nothing is overwritten: `fathom check "
                f"{folder}` says whether it is sound; move it away to begin anew"
            )
    images, label_images = _files(folder)
    of_images, points, notes, level = _labels(folder, images, labels, label_images, classes)
    stems = [stem(image) for image in images]
    chosen = Pattern(pattern) if pattern else guess([_unlabelled(image, level) for image in images])
    origins = chosen.read(stems)
    if "{patient}" not in chosen.text:
        notes.append(
            "No patient was found in the names: each slide counts as a patient of its own. If that "
            "is not so, give --pattern."
        )
    table = pd.DataFrame(
        {
            "image": images,
            "slide": [origins[one].slide for one in stems],
            "patient": [origins[one].patient for one in stems],
        }
    )
    if of_images:
        table["label"] = [of_images.get(image, "") for image in images]
    table["um_per_px"] = "" if um_per_px is None else f"{um_per_px:g}"
    if not of_images and not points:
        notes.append("No labels were found: the data set can be scored, not trained on.")
    return Proposal(folder, chosen.text, table, tuple(points), label_images, tuple(notes))


def _unlabelled(image: str, level: int | None) -> str:
    """Return the stem of an image with `*` for the folder that is its label."""
    parts = list(PurePosixPath(image).parts)
    if level is not None:
        parts[level] = "*"
    return stem("/".join(parts))


def write(proposal: Proposal) -> None:
    """Write the tables and copy the label images; raise `FathomError` where a file is there."""
    folder = proposal.folder
    targets = {image: labels_path(folder / MASKS, image) for image in proposal.label_images}
    there = [
        path for path in (folder / IMAGES, folder / ANNOTATIONS, *targets.values()) if path.exists()
    ]
    if there:
        raise FathomError(f"{there[0]} is there already, and nothing is overwritten")
    for image, target in targets.items():
        write_labels(target, read_labels(proposal.label_images[image]))
    if proposal.points:
        points = pd.DataFrame(proposal.points, columns=list(Point._fields))
        write_csv(folder / ANNOTATIONS, points[["image", "x", "y", "label"]])
    write_csv(folder / IMAGES, proposal.images)


def _files(folder: Path) -> tuple[list[str], dict[str, Path]]:
    """Return the images of a folder, sorted, and the label images that lie beside them."""
    if not folder.is_dir():
        raise FathomError(f"{folder}: there is no such folder")
    found = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix.lower() in SUFFIXES and not is_litter(path)
    }
    pictures = [
        name
        for name in found
        if PurePosixPath(name).parts[0] not in (MASKS, LABEL_MASKS)
        and not any(part.startswith(".") for part in PurePosixPath(name).parts)
    ]
    stems = {str(PurePosixPath(name).with_suffix("")) for name in pictures}
    label_images: dict[str, Path] = {}
    images = []
    for picture in pictures:
        path = PurePosixPath(picture)
        names = [path.stem.removesuffix(end) for end in LABEL_IMAGE_ENDS if path.stem.endswith(end)]
        owner = next((one for name in names if (one := str(path.with_name(name))) in stems), None)
        if owner is None:
            images.append(picture)
        else:
            label_images[owner] = found[picture]
    if not images:
        raise FathomError(f"{folder}: holds no image ({', '.join(SUFFIXES)}), at any depth")
    owners = {str(PurePosixPath(image).with_suffix("")): one_form(image) for image in images}
    return [one_form(image) for image in images], {
        owners[owner]: path for owner, path in label_images.items()
    }


Found = tuple[dict[str, str], list[Point], list[str], int | None]


def _labels(
    folder: Path,
    images: Sequence[str],
    labels: str | None,
    label_images: Mapping[str, Path],
    classes: Path | None,
) -> Found:
    """Return labels of images, points, notes, and the level of folders that is the label."""
    if classes is not None:
        return {}, *_classified(images, label_images, classes), None
    if labels is not None and labels != FOLDERS:
        of_images, points = table_labels(Path(labels), images)
        missing = len(images) - len(set(of_images) | {point.image for point in points})
        notes = [f"{missing} images have no label in {labels}."] if missing else []
        return of_images, points, notes, None
    drawn = {} if labels else _geojson_files(folder, images)
    if drawn:
        return {}, *_drawn(drawn), None
    level = folder_of_labels(images)
    if level is None:
        if labels:
            raise FathomError(
                f"{folder}: no level of its folders has exactly two names; give the labels as a "
                "table, --labels TABLE.csv"
            )
        return {}, [], [], None
    of_images = {image: PurePosixPath(image).parts[level] for image in images}
    return of_images, [], ["The label is the name of a folder."], level


def _geojson_files(folder: Path, images: Sequence[str]) -> dict[str, Path]:
    files = {
        one_form(path.relative_to(folder).with_suffix("").as_posix()): path
        for path in sorted(folder.rglob("*.geojson"))
        if not is_litter(path)
    }
    by_name: dict[str, list[Path]] = {}
    for path in files.values():
        by_name.setdefault(one_form(path.stem), []).append(path)
    found = {}
    for image in images:
        plain = PurePosixPath(image)
        beside = files.get(str(plain.with_suffix(""))) or files.get(image)
        same = by_name.get(plain.stem, []) or by_name.get(plain.name, [])
        if beside is None and len(same) > 1:
            raise FathomError(f"{same[0]} and {same[1]} may both belong to {image!r}; keep one")
        if beside or same:
            found[image] = beside or same[0]
    return found


def _drawn(files: Mapping[str, Path]) -> tuple[list[Point], list[str]]:
    points: list[Point] = []
    without = 0
    for image, path in files.items():
        found, unclassified = geojson_points(path, image)
        points += found
        without += unclassified
    notes = [f"Read {len(files)} GeoJSON files."]
    if without:
        notes.append(f"{without} objects in them have no class, and label nothing.")
    return list(dict.fromkeys(points)), notes


def _classified(
    images: Sequence[str], label_images: Mapping[str, Path], classes: Path
) -> tuple[list[Point], list[str]]:
    points: list[Point] = []
    of_images = class_table(classes, images)
    unlabelled = 0
    for image, numbers in of_images.items():
        path = label_images.get(image)
        if path is None:
            ends = ", ".join(LABEL_IMAGE_ENDS)
            raise FathomError(
                f"{classes}: lists nuclei of {image!r}, beside which there is no label image: it "
                f"has the image's name and one of the ends {ends}"
            )
        labels = read_labels(path)
        points += label_image_points(labels, numbers, image, path)
        unlabelled += len(set(labels[labels > 0].tolist())) - len(numbers)
    notes = ["segmentation.method: masks uses these label images."]
    if unlabelled:
        notes.append(f"{unlabelled} nuclei of the label images have no class.")
    return points, notes
