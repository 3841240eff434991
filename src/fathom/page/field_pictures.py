"""Micrographs with the outlines of their nuclei, new slides as scored, and the audit's sheets.

A study's outlines are kept as points, not as pixels: the page colours them by label, or hides it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import find_objects

from fathom.audit.findings import read_findings
from fathom.audit.pictures import FOLDER
from fathom.datasets.layout import labels_path, on_disk, stem
from fathom.ground.images import Labels, read_labels, read_micrograph, stretched
from fathom.ground.output import write_json, written_whole
from fathom.page.crop_pictures import webp
from fathom.page.files import PICTURES
from fathom.study.nuclei import Nuclei

MOST = 6  # of micrographs, of new slides, of the audit's sheets
MOST_SAID = 3  # findings of a check beneath its sheet
LONGEST_PX = 640
SMOOTHED_PX = 0.6  # how far an outline may lie from the pixels' edge, px of the picture

Entry = dict[str, Any]


def write_pictures(
    folder: Path, dataset: Path, labels: Path, nuclei: Nuclei, audit: Path, new_slides: Path
) -> None:
    """Write pictures as WebP into `folder`, and what they show as JSON."""
    content = {
        "micrographs": _micrographs(folder, dataset, labels, nuclei),
        "new_slides": _new_slides(folder, new_slides),
        "audit": _sheets(folder, audit),
        "images": int(nuclei.table["image"].nunique()),
        "new_images": len(_summary(new_slides)),
    }
    write_json(folder / PICTURES, content)


def _micrographs(folder: Path, dataset: Path, labels: Path, nuclei: Nuclei) -> list[Entry]:
    images = sorted(nuclei.table["image"].unique())
    return [
        _micrograph(folder, number, dataset, labels, nuclei.table[nuclei.table["image"] == image])
        for number, image in enumerate(_spaced(images))
    ]


def _micrograph(
    folder: Path, number: int, dataset: Path, labels: Path, table: pd.DataFrame
) -> Entry:
    """Write one micrograph, made small, and return the outlines and labels of its nuclei."""
    first = table.iloc[0]
    pixels = read_micrograph(on_disk(dataset, first["image"]))
    found = read_labels(labels_path(labels, first["image"]))
    if pixels.ndim == 2:
        shown = stretched(pixels)
    else:
        shown = (pixels >> (0 if pixels.dtype == np.uint8 else 8)).astype(np.uint8)
    picture = _small(Image.fromarray(shown))
    outlines = _outlines(found, picture.width / found.shape[1])
    rows = table.assign(number=table["nucleus"].str.rpartition("#")[2].astype(int))
    return {
        **_written(folder, f"micrograph-{number}", picture),
        "image": first["image"],
        "slide": first["slide"],
        "nuclei": [
            {
                "points": outlines[row["number"]],
                "label": row["label"] if isinstance(row["label"], str) else "",
                "positive": bool(row["positive"]),
                "left_out": row["left_out"],
            }
            for row in rows.to_dict("records")
            if row["number"] in outlines
        ],
    }


def _outlines(labels: Labels, scale: float) -> dict[int, str]:
    """Return the outline of each label as points of an SVG polygon, px of the small picture."""
    outlines = {}
    for number, box in enumerate(find_objects(labels), start=1):
        if box is None:
            continue
        inside, offset = labels[box] == number, (box[1].start, box[0].start)
        found, _ = cv2.findContours(
            inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=offset
        )
        longest = max(found, key=len)
        smooth = cv2.approxPolyDP(longest, SMOOTHED_PX / scale, closed=True)[:, 0]
        points = np.rint((smooth + 0.5) * scale).astype(int)
        outlines[number] = " ".join(f"{x},{y}" for x, y in points.tolist())
    return outlines


def _new_slides(folder: Path, scored: Path) -> list[Entry]:
    """Write the overlays of some new slides, and return what summary.csv says of them."""
    rows = _summary(scored).to_dict("records")
    paths = {row["image"]: scored / f"{stem(row['image'])}.png" for row in rows}
    drawn = [row for row in rows if paths[row["image"]].is_file()]
    return [
        {
            **_written(folder, f"new-slide-{number}", _opened(paths[row["image"]])),
            **{key: row[key] for key in ("image", "scored", "positive", "verdict")},
        }
        for number, row in enumerate(_spaced(drawn))
    ]


def _summary(scored: Path) -> pd.DataFrame:
    path = scored / "summary.csv"
    return pd.read_csv(path, keep_default_na=False) if path.is_file() else pd.DataFrame()


def _sheets(folder: Path, audit: Path) -> list[Entry]:
    """Write the audit's contact sheets, one a check, with what it found there in words."""
    sheets = sorted((audit / FOLDER).glob("*.png"))[:MOST]
    findings = read_findings(audit) if sheets else pd.DataFrame(columns=["check", "what"])
    return [
        {
            **_written(folder, f"audit-{number}", _opened(path)),
            "check": path.stem,
            "said": findings.loc[findings["check"] == path.stem, "what"].tolist()[:MOST_SAID],
        }
        for number, path in enumerate(sheets)
    ]


def _spaced(things: Sequence[Any]) -> list[Any]:
    """Return at most `MOST` of them, evenly spaced."""
    places = np.linspace(0, len(things) - 1, min(MOST, len(things))).astype(int)
    return [things[place] for place in places]


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return _small(picture.convert("RGB"))


def _small(picture: Image.Image) -> Image.Image:
    scale = min(1.0, LONGEST_PX / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def _written(folder: Path, name: str, picture: Image.Image) -> Entry:
    with written_whole(folder / f"{name}.webp") as part:
        part.write_bytes(webp(picture))
    return {"file": f"{name}.webp", "width": picture.width, "height": picture.height}
