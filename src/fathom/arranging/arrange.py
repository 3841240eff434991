"""`fathom new`: a folder of images becomes a data set, shown first, written after a yes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from fathom.arranging.files import LABEL_IMAGE_ENDS, Files, find_files
from fathom.arranging.labels import (
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
    MASKS,
    labels_path,
    mask_paths,
    on_disk,
    stem,
)
from fathom.datasets.masks import read_mask
from fathom.ground.csv_file import is_formula, write_csv
from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph, write_labels
from fathom.ground.resolution import COARSEST_UM, FINEST_UM, is_plausible
from fathom.ground.temporary_folder import temporary_folder

FOLDERS, NONE = "folders", "none"  # of --labels
_SHOWN = 8  # rows
_NAMED = 5  # files that a note lists


@dataclass(frozen=True)
class Proposal:
    """What would be written, and what a person should know before."""

    folder: Path
    pattern: str
    images: pd.DataFrame  # image, slide, patient, label (where images have one), um_per_px
    points: tuple[Point, ...]
    label_images: Mapping[str, Path]  # of each image that has one
    notes: tuple[str, ...] = field(default=())
    question: str = ""  # what was guessed and only a person can know

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
            copied = len(self.to_copy())
            lines.append(
                f"{len(self.label_images)} label images, {copied} of them to be copied to {MASKS}/"
            )
        return "\n".join([*lines, *self.notes, *filter(None, [self.question])])

    def to_copy(self) -> dict[str, Path]:
        """Return the label images, by image, that do not lie in their place in masks/ yet."""
        return {
            image: path
            for image, path in self.label_images.items()
            if path not in mask_paths(self.folder, image)
        }


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
    labels : `folders`, `none`, or a CSV table; if not given, GeoJSON files named like the images,
        else folders, if some level of them has two names: a guess, for they may be patients
    classes : CSV table of the classes of numbered nuclei, where there are label images
    um_per_px : the scale of all images, if it is known
    """
    for name in (IMAGES, ANNOTATIONS):
        if (folder / name).exists():
            raise FathomError(
                f"{folder / name} is there already, and nothing is overwritten: `fathom check "
                f"{folder}` says whether it is sound; move it away to begin anew"
            )
    if um_per_px is not None and not is_plausible(um_per_px):
        raise FathomError(
            f"--um-per-px is {um_per_px:g}; the width of a pixel in um was expected, from "
            f"{FINEST_UM} to {COARSEST_UM}"
        )
    tables = [Path(one) for one in (labels, classes) if one not in (None, FOLDERS, NONE)]
    files = find_files(folder, tables)
    found = _labels(folder, files, labels, classes)
    points, notes = _sound(folder, found.points)
    notes = [*found.notes, *notes]
    stems = [stem(image) for image in files.images]
    names = [_unlabelled(image, found.level) for image in files.images]
    chosen = Pattern(pattern) if pattern else guess(names)
    origins = chosen.read(stems)
    if "{patient}" not in chosen.text:
        notes.append(
            "No patient was found in the names: each slide counts as a patient of its own. If that "
            "is not so, give --pattern."
        )
    table = pd.DataFrame(
        {
            "image": files.images,
            "slide": [origins[one].slide for one in stems],
            "patient": [origins[one].patient for one in stems],
        }
    )
    if found.of_images:
        table["label"] = [found.of_images.get(image, "") for image in files.images]
    table["um_per_px"] = "" if um_per_px is None else f"{um_per_px:g}"
    if not found.of_images and not points:
        notes.append("No labels were found: the data set can be scored, not trained on.")
    notes += _unused("They fit no image, and are not used", files.unfit)
    notes += _unused("Nothing is made of", files.others)
    question = found.question
    return Proposal(folder, chosen.text, table, points, files.label_images, tuple(notes), question)


def _unused(what: str, names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"{what}: {', '.join(names[:_NAMED])}{more}."] if names else []


def _sound(folder: Path, points: Iterable[Point]) -> tuple[tuple[Point, ...], list[str]]:
    """Return the points without those made twice, and notes.

    Raises `FathomError` where some lie outside of their images.
    """
    count = Counter(points)
    notes = []
    if twice := count.total() - len(count):
        notes.append(f"{twice} points stand there twice, and count once.")
    sizes = {
        image: read_micrograph(on_disk(folder, image)).shape[:2]
        for image in dict.fromkeys(point.image for point in count)
    }
    outside = [
        point
        for point in count
        if not (0 <= point.x < sizes[point.image][1] and 0 <= point.y < sizes[point.image][0])
    ]
    if outside:
        image, x, y, _ = outside[0]
        height, width = sizes[image]
        raise FathomError(
            f"{len(outside)} of {len(count)} points lie outside of their images, such as x {x:g}, "
            f"y {y:g} of {image!r}, which is {width} x {height} px: coordinates are pixels of the "
            "image itself, x to the right and y down"
        )
    return tuple(count), notes


def _unlabelled(image: str, level: int | None) -> str:
    """Return the stem of an image with `*` for the folder that is its label."""
    parts = list(PurePosixPath(image).parts)
    if level is not None:
        parts[level] = "*"
    return stem("/".join(parts))


def write(proposal: Proposal) -> None:
    """Write the tables and copy the label images: all of them, or nothing.

    Raises `FathomError` where a file is there, where a label image cannot be read, and where a name
    is one that no table may have.
    """
    points = pd.DataFrame(proposal.points, columns=list(Point._fields))
    _require_no_formula(proposal.images)
    _require_no_formula(points)
    folder = proposal.folder
    copies = proposal.to_copy()
    targets = {image: labels_path(folder / MASKS, image) for image in copies}
    there = [
        path for path in (folder / IMAGES, folder / ANNOTATIONS, *targets.values()) if path.exists()
    ]
    if there:
        raise FathomError(f"{there[0]} is there already, and nothing is overwritten")
    with temporary_folder(".new-", folder) as made:
        for image, source in copies.items():
            write_labels(labels_path(made / MASKS, image), read_mask(source))
        if proposal.points:
            annotations = points[["image", "x", "y", "label"]]
            write_csv(made / ANNOTATIONS, annotations, as_it_is=True)
        write_csv(made / IMAGES, proposal.images, as_it_is=True)
        for target in targets.values():
            target.parent.mkdir(parents=True, exist_ok=True)
            (made / target.relative_to(folder)).replace(target)
        for table in (ANNOTATIONS, IMAGES):
            if (made / table).exists():
                (made / table).replace(folder / table)


def _require_no_formula(table: pd.DataFrame) -> None:
    for column in ("image", "slide", "patient", "label"):
        for cell in table.get(column, ()):
            if isinstance(cell, str) and is_formula(cell):
                raise FathomError(
                    f"the {column} {cell!r} is a formula to a spreadsheet, which would run it when "
                    "it opens the table: rename the file or the folder; nothing was written"
                )


@dataclass(frozen=True)
class _Labels:
    of_images: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()
    notes: Sequence[str] = ()
    level: int | None = None  # of the folders that are the label
    question: str = ""


def _labels(folder: Path, files: Files, labels: str | None, classes: Path | None) -> _Labels:
    if classes is not None:
        return _classified(files, classes)
    if labels == NONE:
        return _Labels()
    if labels is not None and labels != FOLDERS:
        of_images, points = table_labels(Path(labels), files.images)
        missing = len(files.images) - len(set(of_images) | {point.image for point in points})
        notes = [f"{missing} images have no label in {labels}."] if missing else []
        return _Labels(of_images, points, notes)
    if files.drawn and labels is None:
        return _drawn(files.drawn)
    level = folder_of_labels(files.images)
    if level is None:
        if labels:
            raise FathomError(
                f"{folder}: no level of its folders has exactly two names; give the labels as a "
                "table, --labels TABLE.csv"
            )
        return _Labels()
    of_images = {image: PurePosixPath(image).parts[level] for image in files.images}
    one, other = sorted(set(of_images.values()))
    question = (
        f"The folders {one!r} and {other!r} may be two classes, or two patients, slides or sites, "
        f"which nothing here can tell: --labels {FOLDERS} takes them for classes, --labels {NONE} "
        "does not."
    )
    notes = ["The label is the name of a folder."]
    return _Labels(of_images, (), notes, level, "" if labels else question)


def _drawn(files: Mapping[str, Path]) -> _Labels:
    points: list[Point] = []
    without = 0
    for image, path in files.items():
        found, unclassified = geojson_points(path, image)
        points += found
        without += unclassified
    notes = [f"Read {len(files)} GeoJSON files."]
    if without:
        notes.append(f"{without} objects in them have no class, and label nothing.")
    return _Labels({}, points, notes)


def _classified(files: Files, classes: Path) -> _Labels:
    points: list[Point] = []
    of_images = class_table(classes, files.images)
    unlabelled = 0
    for image, numbers in of_images.items():
        path = files.label_images.get(image)
        if path is None:
            ends = ", ".join(LABEL_IMAGE_ENDS)
            raise FathomError(
                f"{classes}: lists nuclei of {image!r}, of which there is no label image: it lies "
                f"in {MASKS}/ or another folder by the image's name, or beside it with one of the "
                f"ends {ends}"
            )
        labels = read_mask(path)
        points += label_image_points(labels, numbers, image, path)
        unlabelled += len(set(labels[labels > 0].tolist())) - len(numbers)
    notes = ["segmentation.method: masks uses these label images."]
    if unlabelled:
        notes.append(f"{unlabelled} nuclei of the label images have no class.")
    return _Labels({}, points, notes)
