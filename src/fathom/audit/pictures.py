"""Pictures of findings: contact sheets, one a check, of the images or nuclei that it concerns."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from fathom.audit.image_traits import grey_of
from fathom.datasets.layout import on_disk
from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph, stretched, write_picture
from fathom.study.nuclei import Nuclei
from fathom.study.stored_crops import CropRows

Picture = npt.NDArray[np.uint8]  # (h, w), grey

FOLDER = "pictures"
NUCLEUS_PX, IMAGE_PX = 96, 240  # side of a tile
_TEXT_PX, _GAP_PX = 12, 6
_SHEET_PX = 1000  # width
_MOST = 24  # tiles a check


def draw_images(out: Path, findings: pd.DataFrame, dataset: Path) -> None:
    """Draw the images that findings are about into `out`/pictures, a sheet a check.

    Grey values are stretched from image to image; an image that cannot be read is a black tile.
    """

    def tile(image: str) -> Picture:
        try:
            return _resized(stretched(grey_of(read_micrograph(on_disk(dataset, image)))), IMAGE_PX)
        except FathomError:
            return np.zeros((IMAGE_PX, IMAGE_PX), dtype=np.uint8)

    _draw_checks(out, findings, tile, IMAGE_PX)


def draw_nuclei(
    out: Path, findings: pd.DataFrame, nuclei: Nuclei, crops: CropRows, dataset: Path
) -> None:
    """Draw the nuclei that findings are about, a sheet a check; other findings are not drawn.

    A nucleus is drawn as its crop is; one that was left out, as its bounding box in the micrograph.
    """
    kept = dict(zip(nuclei.kept["nucleus"], range(len(nuclei.kept)), strict=True))
    known = set(nuclei.table["nucleus"])
    drawn = findings.assign(rows=findings["rows"].map(lambda rows: [r for r in rows if r in known]))

    def tile(nucleus: str) -> Picture:
        if nucleus in kept:
            return _resized(crops[kept[nucleus]].mean(axis=-1).astype(np.uint8), NUCLEUS_PX)
        row = nuclei.table[nuclei.table["nucleus"] == nucleus].iloc[0]
        box = np.s_[row["top"] : row["bottom"], row["left"] : row["right"]]
        return _resized(
            stretched(grey_of(read_micrograph(on_disk(dataset, row["image"]))[box])), NUCLEUS_PX
        )

    _draw_checks(out, drawn, tile, NUCLEUS_PX)


def _draw_checks(
    out: Path, findings: pd.DataFrame, tile: Callable[[str], Picture], side: int
) -> None:
    for check, here in findings.groupby("check", sort=True):
        names = _most(here["rows"].tolist())
        if names:
            (out / FOLDER).mkdir(parents=True, exist_ok=True)
            tiles = [(name, tile(name)) for name in names]
            write_picture(out / FOLDER / f"{check}.png", contact_sheet(tiles, side))


def _most(rows: list[list[str]]) -> list[str]:
    """Return at most `_MOST` rows: some of each finding, as many of one as of another."""
    names: list[str] = []
    share = max(_MOST // max(len(rows), 1), 2)
    for one in rows:
        names += list(one)[:share]
    return names[:_MOST]


def contact_sheet(tiles: list[tuple[str, Picture]], side: int) -> Picture:
    """Return the tiles, (h, w) uint8, in rows, each with the end of its name beneath."""
    across = max(min(_SHEET_PX // (side + _GAP_PX), len(tiles)), 1)
    down = -(-len(tiles) // across)
    step_y = side + _TEXT_PX + 2 * _GAP_PX
    sheet = Image.new("L", (across * (side + _GAP_PX), down * step_y), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT_PX)
    for number, (name, pixels) in enumerate(tiles):
        x, y = number % across * (side + _GAP_PX), number // across * step_y
        sheet.paste(Image.fromarray(pixels), (x, y))
        pen.text((x, y + side + 2), _fitting(name, side, font.getlength), fill=0, font=font)
    return np.asarray(sheet)


def _fitting(name: str, side: int, length: Callable[[str], float]) -> str:
    """Return the name, or as much of its end as is not wider than a tile."""
    shortened: Iterator[str] = ("…" * (start > 0) + name[start:] for start in range(len(name)))
    return next((text for text in shortened if length(text) <= side), "")


def _resized(pixels: Picture, side: int) -> Picture:
    """Return the picture with its longer side at `side`, the rest black."""
    scale = side / max(pixels.shape)
    height, width = (max(round(length * scale), 1) for length in pixels.shape)
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    tile = Image.new("L", (side, side), 0)
    tile.paste(Image.fromarray(pixels).resize((width, height), method), (0, 0))
    return np.asarray(tile)
