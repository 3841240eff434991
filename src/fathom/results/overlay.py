"""A picture of what was found: the slide with every nucleus outlined in its class' colour.

It is made from a small picture of the slide, and keeps the nuclei as that picture's pixels: memory
does not depend on the slide.
"""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from fathom.ground.images import Micrograph, stretched
from fathom.models.onnx_model import NOT_SCORED, Colour
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_writer import NucleiBatch, NucleiWriter

LONGEST_PX = 2000  # of the picture's sides: fits a screen, and a page
ENLARGED_PX = 1200  # a smaller slide is enlarged by a whole factor, up to this
LINE_PX, TEXT_PX, MARGIN_PX = 2, 18, 10
NOT_SCORED_NAME = "not scored"

Picture = npt.NDArray[np.uint8]


def overlay_size(height: int, width: int) -> tuple[int, int]:
    """Return the height and width of the picture of a slide, px."""
    longest = max(height, width)
    factor = LONGEST_PX / longest if longest > LONGEST_PX else max(1, ENLARGED_PX // longest)
    return max(1, round(height * factor)), max(1, round(width * factor))


class OverlayWriter(NucleiWriter):
    """A PNG: the slide, the outlines of its nuclei and, below, what each colour means.

    Parameters
    ----------
    path : to write to
    grid : the view that the nuclei were found in
    slide : (h, w) or (h, w, 3), uint8 or uint16
        The whole view at any size, best at `overlay_size`: it is resized to that. Shown with its
        grey values stretched, colour as it is.
    colours : of every class, by name

    A nucleus smaller than a pixel of the picture is one pixel; where several fall on one, the last
    is seen.
    """

    def __init__(
        self, path: Path, grid: PixelGrid, slide: Micrograph, colours: Mapping[str, Colour]
    ) -> None:
        self._path = path
        self._slide = slide
        self._legend = {**colours, NOT_SCORED_NAME: NOT_SCORED}
        self._names = tuple(self._legend)
        self._counts: Counter[str] = Counter()
        self._found = 0
        self._view = (grid.height, grid.width)
        self._assumption = grid.assumption
        self._size = overlay_size(*self._view)
        # Of each pixel of the picture: which nucleus, counted from 1, and its class.
        self._nucleus = np.zeros(self._size, dtype=np.int32)
        self._class = np.zeros(self._size, dtype=np.uint8)

    def add(self, batch: NucleiBatch) -> None:
        """Keep the pixels of the picture whose centres lie in a nucleus."""
        names = batch.table["class"].fillna(NOT_SCORED_NAME)
        boxes = batch.table[["top", "left", "bottom", "right"]].to_numpy().tolist()
        for name, (top, left, bottom, right), inside in zip(names, boxes, batch.masks, strict=True):
            self._counts[name] += 1
            self._found += 1
            rows, from_rows = self._pixels(0, top, bottom)
            columns, from_columns = self._pixels(1, left, right)
            seen = inside[np.ix_(from_rows, from_columns)]
            if not seen.any():
                rows, columns = self._nearest(0, top, bottom), self._nearest(1, left, right)
                seen = np.ones((1, 1), dtype=bool)
            self._nucleus[rows, columns][seen] = self._found
            self._class[rows, columns][seen] = self._names.index(name)

    def drawn(self) -> Picture:
        """Return the picture and its legend, (h, w, 3) uint8."""
        picture = np.array(_visible(self._slide, self._size))
        outlines = find_boundaries(self._nucleus, mode="inner")
        for _ in range(LINE_PX - 1):
            # The next line lies inside what this one leaves of a nucleus: neighbours stay apart.
            inside = np.where(outlines, 0, self._nucleus)
            outlines |= find_boundaries(inside, mode="inner")
        palette = np.array([self._legend[name] for name in self._names], dtype=np.uint8)
        picture[outlines] = palette[self._class[outlines]]
        legend = self._drawn_legend()
        width = max(picture.shape[1], legend.shape[1])
        return np.vstack([_widened(picture, width), _widened(legend, width)])

    def finish(self) -> None:
        """Draw the picture and write it."""
        Image.fromarray(self.drawn()).save(self._path, format="PNG")

    def close(self) -> None:
        """Do nothing: no file is open."""

    def _pixels(self, axis: int, first: int, end: int) -> tuple[slice, npt.NDArray[np.intp]]:
        """Return the picture's pixels with centres in first..end of the view, and where those lie.

        The centre of pixel i lies in the view's pixel (2 i + 1) * view // (2 * size), as Pillow's
        NEAREST has it; the second are those pixels, counted from `first`.
        """
        view, size = self._view[axis], self._size[axis]
        start, stop = (-((view - 2 * size * edge) // (2 * view)) for edge in (first, end))
        return slice(start, stop), (2 * np.arange(start, stop) + 1) * view // (2 * size) - first

    def _nearest(self, axis: int, first: int, end: int) -> slice:
        """Return the picture's pixel under the middle of first..end."""
        pixel = (first + end) * self._size[axis] // (2 * self._view[axis])
        return slice(pixel, pixel + 1)

    def _drawn_legend(self) -> Picture:
        """Return a strip: a square of each colour, its name and its nuclei; what was assumed."""
        texts = [f"{name}  {self._counts[name]:,}" for name in self._names]
        font = ImageFont.load_default(TEXT_PX)
        steps = [2 * TEXT_PX + math.ceil(font.getlength(text)) + MARGIN_PX for text in texts]
        note_px = math.ceil(font.getlength(self._assumption))
        size = (MARGIN_PX + sum(steps) + note_px, TEXT_PX + 2 * MARGIN_PX)
        strip = Image.new("RGB", size, "white")
        draw = ImageDraw.Draw(strip)
        left, top, middle = MARGIN_PX, MARGIN_PX, MARGIN_PX + TEXT_PX // 2
        for text, colour, step in zip(texts, self._legend.values(), steps, strict=True):
            draw.rectangle((left, top, left + TEXT_PX, top + TEXT_PX), fill=colour)
            draw.text((left + 1.5 * TEXT_PX, middle), text, font=font, fill="black", anchor="lm")
            left += step
        draw.text((left, middle), self._assumption, font=font, fill="black", anchor="lm")
        return np.array(strip)


def _widened(picture: Picture, width: int) -> Picture:
    """Add white on the right."""
    missing = width - picture.shape[1]
    return np.pad(picture, ((0, 0), (0, missing), (0, 0)), constant_values=255)


def _visible(slide: Micrograph, size: tuple[int, int]) -> Image.Image:
    """Return the slide as RGB, 8 bit, at (height, width)."""
    if slide.ndim == 3:
        shift = 0 if slide.dtype == np.uint8 else 8
        shown = (slide >> shift).astype(np.uint8)
    else:
        shown = np.repeat(stretched(slide)[..., np.newaxis], 3, axis=-1)
    height, width = size
    return Image.fromarray(shown).resize((width, height), Image.Resampling.BOX)
