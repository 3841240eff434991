import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from slide_files import array_slide
from tiny_model import PARAMS, write_model

from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph
from fathom.imaging.crops import cut, describe, scale_of
from fathom.imaging.params import Crop
from fathom.imaging.segmentation import segment
from fathom.models.onnx_model import OnnxModel
from fathom.scoring import tiles
from fathom.scoring.segmenter import LARGEST_DIAMETERS
from fathom.scoring.stream import measure_slide, stream

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("FATHOM_SHARED", ROOT.parent / "shared"))
SIDE = 400


def draw_slide(seed, side=SIDE, radius=4.0):
    """Return a (side, side) uint16 field of small discs, many of them touching, on uneven light."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    field = rng.normal(300, 15, (side, side)) + 0.5 * columns
    for y, x in rng.uniform(0, side, (side * side // 500, 2)):
        box = np.s_[max(0, int(y) - 9) : int(y) + 10, max(0, int(x) - 9) : int(x) + 10]
        inside = (rows[box] - y) ** 2 + (columns[box] - x) ** 2 < rng.normal(radius, 0.7) ** 2
        field[box][inside] = 1500 + rng.normal(0, 60, inside.sum())
    return np.clip(field, 0, 65535).astype(np.uint16)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return OnnxModel(write_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture(scope="module")
def slide():
    return array_slide(draw_slide(0))


def nuclei(slide, model, tile_px):
    """Return all nuclei of a slide, in the slide's order, and their masks."""
    batches = [tile.batch for tile in stream(measure_slide(slide, model.card), model, "s", tile_px)]
    table = pd.concat([batch.table for batch in batches], ignore_index=True)
    masks = [mask for batch in batches for mask in batch.masks]
    order = table.sort_values(["top", "left", "bottom", "right"]).index
    return table.loc[order].reset_index(drop=True), [masks[row] for row in order]


def require_same(one, other):
    (first, masks), (second, other_masks) = one, other
    unnamed = ["nucleus", "label_number", "logit", "probability"]
    pd.testing.assert_frame_equal(first.drop(columns=unnamed), second.drop(columns=unnamed))
    np.testing.assert_allclose(first["probability"], second["probability"], rtol=0, atol=1e-5)
    for mask, other_mask in zip(masks, other_masks, strict=True):
        np.testing.assert_array_equal(mask, other_mask)


def drawn(table, masks, shape):
    labels = np.zeros(shape, dtype=np.int32)
    for number, (row, mask) in enumerate(zip(table.to_dict("records"), masks, strict=True), 1):
        labels[row["top"] : row["bottom"], row["left"] : row["right"]][mask] = number
    return labels


def require_same_labels(found, expected):
    """Pixel for pixel the same nuclei; numbers are given as tiles come, so they may differ."""
    pairs = np.unique(np.stack([found.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == 1 + found.max() == 1 + expected.max()


@pytest.fixture(scope="module")
def in_one(slide, model):
    return nuclei(slide, model, 2048)


@pytest.mark.parametrize("tile_px", [200, 111, 64])
def test_the_size_of_tiles_changes_nothing(slide, model, in_one, tile_px):
    assert len(in_one[0]) > 150
    require_same(nuclei(slide, model, tile_px), in_one)


@pytest.mark.parametrize("tile_px", [200, 111])
def test_a_measured_sample_does_not_depend_on_tiles_either(slide, model, tile_px, monkeypatch):
    monkeypatch.setattr(tiles, "SAMPLES", 4)
    monkeypatch.setattr(tiles, "SAMPLE_PX", 130)
    require_same(nuclei(slide, model, tile_px), nuclei(slide, model, 2048))


@pytest.mark.parametrize("batch", [1, 7])
def test_the_size_of_batches_changes_no_probability(slide, model, in_one, batch, monkeypatch):
    monkeypatch.setattr("fathom.models.onnx_model.BATCH", batch)
    require_same(nuclei(slide, model, 150), in_one)


@pytest.mark.parametrize("cores", [1, 5])
def test_the_number_of_cores_changes_no_byte(slide, model, cores, monkeypatch):
    expected = nuclei(slide, model, 150)
    monkeypatch.setattr("fathom.scoring.stream.tiles_in_parallel", lambda *_: cores)
    found = nuclei(slide, model, 150)
    pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True)


def test_tiles_give_the_labels_of_the_whole_image(slide, model):
    field = slide.read(0, 0, SIDE, SIDE)
    labels = segment(field, model.card.segmentation)
    table, masks = nuclei(slide, model, 111)
    require_same_labels(drawn(table, masks, labels.shape), labels)


@pytest.mark.parametrize("normalisation", ["none", "slide", "nucleus"])
def test_crops_are_those_of_the_whole_image(slide, model, normalisation):
    crop = Crop.model_validate({**PARAMS["crop"], "crop_px": 32, "normalisation": normalisation})
    model = OnnxModel(model.path)
    model.card = model.card.model_copy(update={"crop": crop})
    field = slide.read(0, 0, SIDE, SIDE)
    labels = segment(field, model.card.segmentation)
    expected = describe(field, labels, crop)
    expected = expected[expected["left_out"] == ""]
    crops = cut(field, labels, expected, scale_of([(field, labels)], crop), crop)
    table, _ = nuclei(slide, model, 150)
    found = table.loc[table["left_out"] == "", ["y", "x", "focus", "probability"]]
    _, probability = model.score(crops)
    whole = expected.assign(probability=probability.astype(float))[found.columns]
    pd.testing.assert_frame_equal(
        found.sort_values(["y", "x"], ignore_index=True),
        whole.sort_values(["y", "x"], ignore_index=True),
        check_exact=False,
        atol=1e-5,
        rtol=1e-9,
    )


def test_nuclei_are_numbered_as_they_come(slide, model):
    batches = [tile.batch for tile in stream(measure_slide(slide, model.card), model, "s.tif", 150)]
    together = pd.concat([batch.table for batch in batches], ignore_index=True)
    assert together["label_number"].tolist() == list(range(1, len(together) + 1))
    assert together["nucleus"].tolist() == [f"s.tif#{n}" for n in together["label_number"]]


def test_what_is_wider_than_a_nucleus_can_be_is_in_no_tile(model):
    field = draw_slide(1, side=300)
    field[100:180, 150:240] = 1500
    slide = array_slide(field)
    measured = measure_slide(slide, model.card)
    widest = LARGEST_DIAMETERS * measured.segmenter.traits.foreground.diameter_px
    assert segment(field, model.card.segmentation)[140, 200] > 0
    for tile_px in (2048, 120):
        table, _ = nuclei(slide, model, tile_px)
        assert (table[["bottom", "right"]].to_numpy() - table[["top", "left"]]).max(
            axis=None
        ) < widest


def test_a_slide_without_nuclei_has_no_tiles(model):
    dark = array_slide(np.full((300, 200), 7, dtype=np.uint8))
    assert list(stream(measure_slide(dark, model.card), model, "dark")) == []


def test_glass_is_skipped_whatever_the_tiles(slide, model, in_one, monkeypatch):
    class LeftHalf:
        def touches(self, top, left, height, width):
            return left < SIDE // 2

    monkeypatch.setattr("fathom.scoring.stream.Everywhere", LeftHalf)
    table, masks = in_one
    on_tissue = (table["left"] < SIDE // 2).to_numpy()
    expected = (
        table[on_tissue].reset_index(drop=True),
        [mask for mask, kept in zip(masks, on_tissue, strict=True) if kept],
    )
    for tile_px in (150, 100):
        require_same(nuclei(slide, model, tile_px), expected)


def test_a_tile_of_a_few_pixels_is_refused(slide, model):
    with pytest.raises(FathomError, match="--tile-px is 10; at least 64 px were expected"):
        next(stream(measure_slide(slide, model.card), model, "s", 10))


def test_as_many_tiles_at_once_as_cores_and_memory_allow(monkeypatch):
    monkeypatch.setattr("fathom.scoring.tiles.cores", lambda: 64)
    several = tiles.tiles_in_parallel(2048, 350)
    assert 1 < several < 64
    assert tiles.tiles_in_parallel(512, 100) == 49
    assert tiles.tiles_in_parallel(2048, 3000) == 1
    monkeypatch.setattr("fathom.scoring.tiles.cores", lambda: 2)
    assert tiles.tiles_in_parallel(2048, 350) == 2


def test_a_sample_is_spread_and_always_the_same():
    slide = array_slide(np.zeros((9_000, 9_000), dtype=np.uint8))
    everywhere = tiles.Everywhere()
    parts = tiles.sample(slide, everywhere)
    assert parts == tiles.sample(slide, everywhere)
    assert len(set(parts)) == tiles.SAMPLES
    assert (
        {part.top > 4_500 for part in parts}
        == {part.left > 4_500 for part in parts}
        == {True, False}
    )


def test_a_sample_has_no_slivers():
    for shape in ((2_309, 7_000), (800, 20_000), (500, 40_000)):
        slide = array_slide(np.zeros(shape, dtype=np.uint8))
        for part in tiles.sample(slide, tiles.Everywhere()):
            assert part.height == min(tiles.SAMPLE_PX, slide.height)
            assert part.width == tiles.SAMPLE_PX
            assert part.bottom <= slide.height
            assert part.right <= slide.width


def test_real_fields_are_the_same_in_tiles_and_whole(model):
    folder = SHARED / "data" / "dsb2018"
    if not (folder / "index.csv").is_file():
        pytest.skip(f"no real micrographs in {folder}; set FATHOM_SHARED")
    rows = [line.split(",") for line in (folder / "index.csv").read_text().splitlines()]
    names = sorted(row[0] for row in rows if "fluorescence" in row and row[-2:] == ["520", "696"])
    whole = 0
    for name in names[::30]:
        field = read_micrograph(folder / "images" / name)
        labels = segment(field, model.card.segmentation)
        table, masks = nuclei(array_slide(field), model, 150)
        whole += labels.max()
        require_same_labels(drawn(table, masks, labels.shape), labels)
    assert whole > 100
