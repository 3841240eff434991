"""A picture of what was found: the micrograph with every nucleus outlined in its class' colour."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from fathom.images import Labels, Micrograph
from fathom.scoring.geojson import Colour

NOT_SCORED: Colour = (240, 228, 66)  # grey would be lost on grey nuclei
LONGEST_PX = 1600  # of the picture's sides: fits a screen, and a page
ENLARGED_PX = 1200  # a smaller picture is enlarged by a whole factor, up to this
STRETCH = (0.5, 99.8)  # percentiles that become black and white: a few hot pixels hide nothing
LINE_PX, TEXT_PX, MARGIN_PX = 2, 18, 10

Picture = npt.NDArray[np.uint8]


def overlay(
    micrograph: Micrograph, labels: Labels, table: pd.DataFrame, colours: Mapping[str, Colour]
) -> Picture:
    """Draw the outlines of the nuclei and, below, what each colour means and how many have it.

    Parameters
    ----------
    micrograph : (H, W) or (H, W, 3), uint8 or uint16
        Shown with its grey values stretched, colour as it is.
    labels : (H, W) int32, 0 = background
    table : one row a nucleus: label_number and class (missing where not scored)
    colours : of every class, by name

    Returns
    -------
    (h, w, 3) uint8, the longest side of the picture at most `LONGEST_PX`.
    """
    size = _size(*labels.shape)
    picture = np.array(Image.fromarray(_visible(micrograph)).resize(size, Image.Resampling.BOX))
    shown = np.array(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
    # A row of colours for each label number, the background's first.
    palette = np.zeros((int(labels.max(initial=0)) + 1, 3), dtype=np.uint8)
    palette[table["label_number"]] = [
        NOT_SCORED if pd.isna(name) else colours[name] for name in table["class"]
    ] or np.empty((0, 3))
    outlines = find_boundaries(shown, mode="inner")
    for _ in range(LINE_PX - 1):
        # The next line lies inside what this one leaves of a nucleus: neighbours stay apart.
        outlines |= find_boundaries(np.where(outlines, 0, shown), mode="inner")
    picture[outlines] = palette[shown[outlines]]
    legend = _legend(table, colours)
    width = max(picture.shape[1], legend.shape[1])
    return np.vstack([_widened(picture, width), _widened(legend, width)])


def _widened(picture: Picture, width: int) -> Picture:
    """Add white on the right."""
    missing = width - picture.shape[1]
    return np.pad(picture, ((0, 0), (0, missing), (0, 0)), constant_values=255)


def _size(height: int, width: int) -> tuple[int, int]:
    """Return the picture's width and height, px."""
    longest = max(height, width)
    factor = LONGEST_PX / longest if longest > LONGEST_PX else max(1, ENLARGED_PX // longest)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _visible(micrograph: Micrograph) -> Picture:
    """Return a micrograph as (H, W, 3) uint8."""
    if micrograph.ndim == 3:
        shift = 0 if micrograph.dtype == np.uint8 else 8
        return (micrograph >> shift).astype(np.uint8)
    low, high = np.percentile(micrograph, STRETCH)
    stretched = (micrograph - low) * (255 / max(high - low, 1))
    grey = np.clip(np.rint(stretched), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=-1)


def _legend(table: pd.DataFrame, colours: Mapping[str, Colour]) -> Picture:
    """Return a strip with a square of each colour, its name and its number of nuclei."""
    names = {**colours, "not scored": NOT_SCORED}
    counts = table["class"].fillna("not scored").value_counts()
    texts = [f"{name}  {counts.get(name, 0)}" for name in names]
    font = ImageFont.load_default(TEXT_PX)
    steps = [2 * TEXT_PX + math.ceil(font.getlength(text)) + MARGIN_PX for text in texts]
    strip = Image.new("RGB", (MARGIN_PX + sum(steps), TEXT_PX + 2 * MARGIN_PX), "white")
    draw = ImageDraw.Draw(strip)
    left, top, middle = MARGIN_PX, MARGIN_PX, MARGIN_PX + TEXT_PX // 2
    for text, colour, step in zip(texts, names.values(), steps, strict=True):
        draw.rectangle((left, top, left + TEXT_PX, top + TEXT_PX), fill=colour)
        draw.text((left + 1.5 * TEXT_PX, middle), text, font=font, fill="black", anchor="lm")
        left += step
    return np.array(strip)
