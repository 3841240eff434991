"""The default data sets: nuclei with and without a micronucleus, from the wheel of mnfinder.

The wheel holds 49 fluorescence micrographs with hand-drawn masks. The 23 fields of 2022 are the
study, the mixed ones of 2023 the new slides; one of those is left out, because it is a pixel-exact
copy of a field of the study. The publisher's division into training, validation and test is not
used: fathom makes its own splits.
"""

import csv
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import tifffile
from PIL import Image

from fathom.datasets.layout import (
    ANNOTATION_COLUMNS,
    ANNOTATIONS,
    IMAGE_COLUMNS,
    IMAGES,
    LABEL_MASKS,
    MASKS,
    labels_path,
)
from fathom.default_data.micronuclei_masks import (
    SMALLEST_PX,
    Mask,
    deepest_points,
    read_micronuclei,
    read_nuclei_masks,
)
from fathom.default_data.wheels import Wheel
from fathom.ground.errors import FathomError
from fathom.ground.images import write_labels
from fathom.ground.output import written_whole
from fathom.ground.progress import track

WHEEL = Wheel(
    "mnfinder", "1.2.3", "11b1f6aea9f40b4dd3cf6c3de30ef8d517a4833907b88b86ce2b7ab1f9dbce4a"
)
MICRONUCLEATED = "micronucleated"
INTACT = "intact"

_MIXED = "2023-05-31_misc"
_COPY = f"mnfinder/test-data/{_MIXED}/images/1.tif"
_COPIED = "mnfinder/training-data/2022-05-26_RPE1/images/1.tif"
_CELL_TYPES = "mnfinder/test-data/image-info.csv"
_FIELD = re.compile(r"mnfinder/(?P<part>\w+)-data/(?P<series>[\w-]+)/images/(?P<field>[^/]+)\.tif")

_Row = tuple[object, ...]  # of a CSV

_README = f"""\
# Nuclei with and without a micronucleus

Fluorescence micrographs of DNA from the PyPI wheel {WHEEL.name} {WHEEL.version}
(https://github.com/hatch-lab/mnfinder), laid out by fathom's stage `fetch`. Copyright 2023 Lucian
DiPeso, MIT licence (LICENSE).
SHA-256 of the wheel: {WHEEL.sha256}

- images/: the publisher's TIFF files, unchanged. (The wheel's PNG files beside them hold the same
  pictures with the contrast stretched, for drawing.)
- masks/: label images made from the publisher's nucleus masks: each connected piece of one colour
  is a nucleus; pieces under {SMALLEST_PX} px are left out as specks.
- label_masks/: the publisher's micronuclei, a number each: the pixels that the label is about.
- annotations.csv: a row a nucleus, at its pixel furthest from the edge. `{MICRONUCLEATED}`: the
  publisher drew a micronucleus and gave it this nucleus's blue value (where several nuclei have
  that value, the nearest counts). `{INTACT}`: none was drawn.
- images.csv: slide is the field. patient is the date of acquisition for the fields of 2022, and the
  cell line for those of {_MIXED}, or the field where the file does not tell.
  um_per_px is what MetaMorph or ImageJ wrote into the file, empty where they wrote nothing.

Left out: {_COPY}, a pixel-exact copy of
{_COPIED}.
"""


@dataclass(frozen=True)
class _Field:
    """One micrograph in the wheel: `entry` is its path there, `name` what it is called here."""

    entry: str
    series: str
    field: str
    name: str

    @property
    def image(self) -> str:
        return f"images/{self.name}.tif"

    def mask_entry(self, kind: str) -> str:
        return self.entry.replace("/images/", f"/{kind}/").removesuffix(".tif") + ".png"


def lay_out(wheel: Path, study: Path, new_slides: Path) -> None:
    """Write the two data sets from the wheel, each whole or not at all.

    Raises `FathomError` where one of the folders holds something already.
    """
    with (
        ZipFile(wheel) as archive,
        _whole_folder(study) as study_part,
        _whole_folder(new_slides) as new_part,
    ):
        fields = _fields(archive.namelist())
        _write_dataset(archive, [f for f in fields if f.series != _MIXED], study_part)
        _write_dataset(archive, [f for f in fields if f.series == _MIXED], new_part)


@contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path`; it becomes `path` only if nothing was raised."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FathomError(f"{path} is there already: delete or rename it to have it laid out anew")
    # One fixed name, so that the next try clears what a killed one left.
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fields(entries: Iterable[str]) -> list[_Field]:
    """Return the micrographs of both data sets, sorted; names are unique across the parts."""
    found = [m for m in map(_FIELD.fullmatch, sorted(entries)) if m and m[0] != _COPY]
    plain = {m: re.sub(r"[^A-Za-z0-9-]+", "_", f"{m['series']}_{m['field']}") for m in found}
    times = Counter(plain.values())
    fields = [
        _Field(m[0], m["series"], m["field"], name if times[name] == 1 else f"{name}_{m['part']}")
        for m, name in plain.items()
    ]
    return sorted(fields, key=lambda field: field.name)


def _write_dataset(archive: ZipFile, fields: list[_Field], folder: Path) -> None:
    cell_types = _cell_types(archive)
    images, nuclei = [], []
    for field in track(fields, "laying out micrographs", total=len(fields)):
        image, annotations = _write_field(archive, field, cell_types, folder)
        images.append(image)
        nuclei += annotations
    # No column `label`: the classes are those of single nuclei.
    columns = [column for column in IMAGE_COLUMNS if column != "label"]
    _write_csv(folder / IMAGES, columns, images)
    _write_csv(folder / ANNOTATIONS, ANNOTATION_COLUMNS, nuclei)
    (folder / "README.md").write_text(_README, encoding="utf-8")
    licence = next(entry for entry in archive.namelist() if "/licenses/LICENSE" in entry)
    (folder / "LICENSE").write_bytes(archive.read(licence))


def _write_field(
    archive: ZipFile, field: _Field, cell_types: dict[str, str], folder: Path
) -> tuple[_Row, list[_Row]]:
    """Write a field's image and masks; return its row of images.csv and its annotations."""
    content = archive.read(field.entry)
    path = folder / field.image
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)

    micronuclei = _read_mask(archive, field.mask_entry("mn_masks"))
    labels, affected = read_nuclei_masks(
        _read_mask(archive, field.mask_entry("nucleus_masks")), micronuclei
    )
    write_labels(labels_path(folder / MASKS, field.image), labels)
    write_labels(labels_path(folder / LABEL_MASKS, field.image), read_micronuclei(micronuclei))
    annotations: list[_Row] = [
        (field.image, x, y, MICRONUCLEATED if has_one else INTACT)
        for (y, x), has_one in zip(deepest_points(labels), affected, strict=True)
    ]
    with tifffile.TiffFile(BytesIO(content)) as tiff:
        if field.series == _MIXED:
            patient = cell_types.get(f"{field.field}.tif") or _cell_line(tiff) or field.name
        else:
            patient = field.series.split("_")[0]
        return (field.image, field.name, patient, _um_per_px(tiff)), annotations


def _read_mask(archive: ZipFile, entry: str) -> Mask:
    # `fathom.ground.images` refuses transparency; here it is the background.
    with Image.open(BytesIO(archive.read(entry))) as picture:
        return np.asarray(picture.convert("RGBA"))


def _cell_types(archive: ZipFile) -> dict[str, str]:
    """Return the cell line of those new slides that the publisher's table lists."""
    text = archive.read(_CELL_TYPES).decode("utf-8-sig")
    rows = csv.DictReader(StringIO(text, newline=""))
    return {row["image"]: row["cell_type"] for row in rows if row["dataset"] == _MIXED}


def _cell_line(tiff: tifffile.TiffFile) -> str | None:
    """Return the cell line from ImageJ's label of the plane: `c:2/2 z:5/9 - HeLa H2B-GFP`."""
    plane = (tiff.imagej_metadata or {}).get("Labels", "")
    match = re.fullmatch(r".* - (\w+) .*", str(plane))
    return match[1] if match else None


def _um_per_px(tiff: tifffile.TiffFile) -> str:
    """Return the scale that MetaMorph or ImageJ wrote, or "" where there is none."""
    plane = (tiff.metaseries_metadata or {}).get("PlaneInfo", {})
    if plane.get("spatial-calibration-units") == "um":
        return f"{plane['spatial-calibration-x']:.6g}"
    if (tiff.imagej_metadata or {}).get("unit") == "micron":
        pixels, microns = tiff.pages.first.tags["XResolution"].value
        return f"{microns / pixels:.6g}"
    return ""


def _write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with written_whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
