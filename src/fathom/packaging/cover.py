"""The cover of a model package: crops in two rows, each framed in the colour of its score."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from fathom.models.onnx_model import NEGATIVE, POSITIVE, Colour
from fathom.study.nuclei import Crops

ROWS, COLUMNS = 2, 4
FRAME_SHARE = 0.06  # of a tile's side
SIDE_PX = 160  # of a tile: the cover is 640 x 320 px, 2:1 as bioimage.io asks, far below its 500 KB


def cover(crops: Crops, positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Return a picture of the first eight crops, repeated where there are fewer: (h, w, 3) uint8.

    `positive` (n,): whether the model calls the nucleus positive, which makes its frame vermilion;
    sky blue else.
    """
    shown = np.arange(ROWS * COLUMNS) % len(crops)
    tiles = [_tile(crops[i], POSITIVE if positive[i] else NEGATIVE) for i in shown]
    rows = [np.hstack(tiles[at : at + COLUMNS]) for at in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def _tile(crop: Crops, colour: Colour) -> npt.NDArray[np.uint8]:
    frame = round(SIDE_PX * FRAME_SHARE)
    inner = SIDE_PX - 2 * frame
    rgb = np.repeat(crop, 3, axis=-1) if crop.shape[-1] == 1 else crop
    tile = np.empty((SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    tile[:] = colour
    picture = Image.fromarray(rgb).resize((inner, inner), Image.Resampling.NEAREST)
    tile[frame:-frame, frame:-frame] = np.asarray(picture)
    return tile
