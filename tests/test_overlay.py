from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nuclei_batches import ended, grid_batches
from PIL import Image

from fathom.models.onnx_model import NOT_SCORED
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_writer import NucleiBatch
from fathom.results.overlay import (
    ENLARGED_PX,
    LONGEST_PX,
    OverlayWriter,
    overlay_size,
)

COLOURS = {"ill": (213, 94, 0), "well": (86, 180, 233)}


def overlay(micrograph, labels, table, colours):
    """Return the picture of a whole image."""
    writer = OverlayWriter(Path("-"), PixelGrid(*labels.shape), micrograph, colours)
    writer.add(NucleiBatch.of_labels(table, labels))
    return writer.drawn()


def scene(side=600, dtype=np.uint16):
    micrograph = np.full((side, side), 100, dtype=dtype)
    labels = np.zeros((side, side), dtype=np.int32)
    for number, top in enumerate((50, 110, 400), start=1):
        labels[top : top + 60, 50:110] = number  # the first two touch
        micrograph[top : top + 60, 50:110] = 200
    classes = pd.Series(["ill", "well", None], dtype="str")
    tops = np.array([50, 110, 400])
    boxes = {"top": tops, "left": 50, "bottom": tops + 60, "right": 110}
    return micrograph, labels, pd.DataFrame({"label_number": [1, 2, 3], **boxes, "class": classes})


def shows(picture, colour):
    return (picture == colour).all(axis=-1)


def test_each_nucleus_is_outlined_in_its_colour_and_only_on_its_own_pixels():
    micrograph, labels, table = scene()
    picture = overlay(micrograph, labels, table, COLOURS)[:1200]
    assert picture.shape == (1200, 1200, 3)  # twice as large
    own = np.kron(labels, np.ones((2, 2), dtype=int))
    for number, colour in enumerate((*COLOURS.values(), NOT_SCORED), start=1):
        drawn = shows(picture, colour)
        assert (own[drawn] == number).all()
        # Two pixels of line along each of four sides of 120.
        assert drawn.sum() == 120**2 - 116**2


def test_the_picture_is_stretched_between_its_darkest_and_its_brightest():
    picture = overlay(*scene(), COLOURS)
    assert tuple(picture[0, 0]) == (0, 0, 0)
    assert tuple(picture[160, 160]) == (255, 255, 255)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3000, 1500), (LONGEST_PX, LONGEST_PX // 2)),
        ((700, 869), (700, 869)),
        ((128, 128), (1152, 1152)),
        ((1, 1), (ENLARGED_PX, ENLARGED_PX)),
    ],
)
def test_the_picture_fits_a_screen(shape, expected):
    micrograph, labels = np.zeros(shape, np.uint8), np.zeros(shape, np.int32)
    none = scene()[2][:0]
    picture = overlay(micrograph, labels, none, COLOURS)
    legend = overlay(micrograph[:1, :1], labels[:1, :1], none, COLOURS).shape[0] - ENLARGED_PX
    assert picture.shape == (expected[0] + legend, expected[1], 3)


def test_a_narrow_picture_is_as_wide_as_its_legend():
    micrograph, labels = np.zeros((1000, 5), np.uint8), np.zeros((1000, 5), np.int32)
    picture = overlay(micrograph, labels, scene()[2][:0], COLOURS)
    assert picture.shape[1] > 200
    for colour in (*COLOURS.values(), NOT_SCORED):
        assert shows(picture[1000:], colour).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_are_shown_as_they_are(dtype):
    full = np.iinfo(dtype).max
    micrograph = np.full((700, 700, 3), (full, full // 2, 0), dtype=dtype)
    labels = np.zeros((700, 700), dtype=np.int32)
    picture = overlay(micrograph, labels, scene()[2][:0], COLOURS)
    assert tuple(picture[350, 350]) == (255, 127, 0)


def test_batches_and_a_small_picture_of_the_slide_are_enough(tmp_path):
    side = 4200
    batches, labels = grid_batches(side, step=150)
    grid, small = PixelGrid(side, side), np.full((300, 300), 100, np.uint8)
    with ended(OverlayWriter(tmp_path / "a.png", grid, small, COLOURS)) as writer:
        for batch in batches:
            writer.add(batch)
    picture = np.asarray(Image.open(tmp_path / "a.png"))
    table = pd.concat([batch.table for batch in batches], ignore_index=True)
    whole = overlay(np.full((side, side), 100, np.uint8), labels, table, COLOURS)
    np.testing.assert_array_equal(picture, whole)
    # What Pillow's nearest pixel of the label image shows, is what is coloured: small nuclei whole.
    height, width = overlay_size(side, side)
    nearest = np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))
    drawn = (picture[:height] != picture[0, -1]).any(axis=-1)
    assert drawn.any()
    assert not drawn[nearest == 0].any()


def test_a_nucleus_smaller_than_a_pixel_is_a_pixel(tmp_path):
    boxes = {"top": [70_001], "left": [12], "bottom": [70_004], "right": [15]}
    table = pd.DataFrame({"class": pd.Series(["ill"], dtype="str"), **boxes})
    grid = PixelGrid(100_000, 50_000)
    writer = OverlayWriter(tmp_path / "a.png", grid, np.zeros((4, 2), np.uint8), COLOURS)
    writer.add(NucleiBatch(table, [np.ones((3, 3), bool)]))
    drawn = shows(writer.drawn()[:LONGEST_PX], COLOURS["ill"])
    assert np.argwhere(drawn).tolist() == [[1400, 0]]
