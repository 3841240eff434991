"""Pixels that are not square: resampled so that they are, and led back to the file's own."""

import json

import numpy as np
import pytest
import tifffile
from conftest import draw_field
from slide_files import halves, picture, write_pyramid_ome
from tiny_model import PARAMS, write_model

import fathom
from fathom.datasets.dataset import read_dataset
from fathom.ground.errors import SlideError
from fathom.imaging.params import Segmentation
from fathom.imaging.segmentation import segment
from fathom.models.onnx_model import OnnxModel
from fathom.scoring.external_validation import score_dataset
from fathom.scoring.predict import predict_slides
from fathom.slides.opening import open_slide


def write(path, pixels, width=0.5, height=1.0, levels=1):
    sizes = {"PhysicalSizeX": width, "PhysicalSizeY": height}
    write_pyramid_ome(path, halves(pixels, levels), **sizes)


def test_the_longer_side_is_interpolated_and_the_other_left(tmp_path):
    pixels = picture(50, 60, 1)
    write(tmp_path / "a.ome.tif", pixels)
    with open_slide(tmp_path / "a.ome.tif") as slide:
        assert (slide.height, slide.width, slide.um_per_px) == (100, 60, 0.5)
        assert (slide.downsample, slide.stretch) == (1.0, (0.5, 1.0))
        read = slide.read(0, 0, 100, 60).astype(float)
    # Row 2n lies a quarter of a row above the middle of row n: 3/4 of it and 1/4 of the one above.
    expected = 0.75 * pixels[1:] + 0.25 * pixels[:-1]
    assert np.abs(read[2::2] - expected).max() <= 0.5


@pytest.mark.parametrize("um_per_px", [None, 0.5, 0.83, 1.0, 2.0])
@pytest.mark.parametrize("sides", [(0.5, 0.6), (0.6, 0.5)])
def test_a_region_is_cut_from_the_whole_to_the_bit(tmp_path, sides, um_per_px):
    write(tmp_path / "a.ome.tif", picture(211, 301, 3), *sides, levels=3)
    with open_slide(tmp_path / "a.ome.tif", um_per_px=um_per_px, channels=3) as slide:
        whole = slide.read(0, 0, slide.height, slide.width)
        for top, left in ((0, 0), (13, 40), (slide.height - 31, slide.width - 29)):
            region = slide.read(top, left, 31, 29)
            np.testing.assert_array_equal(region, whole[top : top + 31, left : left + 29])
        pixel_um2 = slide.um_per_px**2
    assert whole.shape[0] * whole.shape[1] * pixel_um2 == pytest.approx(211 * 301 * 0.3, rel=0.03)


def test_what_the_user_says_is_the_width_of_a_square_pixel(tmp_path):
    write(tmp_path / "a.ome.tif", picture(50, 60, 1))
    with open_slide(tmp_path / "a.ome.tif", own_um_per_px=0.5) as slide:
        assert (slide.height, slide.width, slide.stretch) == (50, 60, (1.0, 1.0))


def in_order(table, y):
    """Return nuclei row by row of the grid that `draw_field` puts them on."""
    return table.assign(row=(y / 40).astype(int)).sort_values(["row", "x_full"])


def write_flat(path, field):
    """Write a field in rows twice as high: every two of its rows as their mean."""
    rows = field.reshape(80, 2, 160).mean(axis=1).astype(np.uint16)
    metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 1.0}
    tifffile.imwrite(path, rows, ome=True, metadata=metadata)


def test_nuclei_lie_where_the_file_has_them(tmp_path):
    field, _ = draw_field(3, 12)
    write_flat(tmp_path / "flat.ome.tif", field)
    model = write_model(tmp_path / "tiny.onnx", um_per_px=0.5)
    square = fathom.predict(field, model, um_per_px=0.5)
    flat = fathom.predict(tmp_path / "flat.ome.tif", model)
    assert len(flat) == len(square) == 12
    one, other = in_order(flat, flat["y_full"] * 2), in_order(square, square["y_full"])
    np.testing.assert_allclose(one["x_full"], other["x_full"], atol=0.5)
    np.testing.assert_allclose((one["y_full"] + 0.5) * 2, other["y_full"] + 0.5, atol=0.5)
    np.testing.assert_allclose(one["area_um2"], other["area_um2"], rtol=0.06)

    predict_slides(model, [tmp_path / "flat.ome.tif"], tmp_path / "out")
    features = json.loads((tmp_path / "out" / "flat.geojson").read_text())["features"]
    for row, feature in zip(flat.to_dict("records"), features, strict=True):
        outline = np.array(feature["geometry"]["coordinates"][0])
        x, y = (outline.min(axis=0) + outline.max(axis=0)) / 2 - 0.5
        assert (x, y) == pytest.approx((row["x_full"], row["y_full"]), abs=1)
        area = feature["properties"]["measurements"]["Area px^2"]
        assert area == pytest.approx(row["area_px"] / 2)


def test_a_label_image_is_of_the_files_own_pixels(tmp_path):
    field, _ = draw_field(3, 12)
    write_flat(tmp_path / "flat.ome.tif", field)
    threshold = Segmentation.model_validate(PARAMS["segmentation"])
    labels = segment(field, threshold)
    masks = threshold.model_copy(update={"method": "masks"})
    model = write_model(tmp_path / "masks.onnx", um_per_px=0.5, segmentation=masks)
    square = fathom.predict(field, model, um_per_px=0.5, masks=labels)
    flat = fathom.predict(tmp_path / "flat.ome.tif", model, masks=labels[::2])
    assert len(flat) == len(square) == 12
    one, other = in_order(flat, flat["y_full"] * 2), in_order(square, square["y_full"])
    np.testing.assert_allclose(one["area_um2"], other["area_um2"], rtol=0.06)
    np.testing.assert_allclose(one["x_full"], other["x_full"], atol=0.5)
    np.testing.assert_allclose((one["y_full"] + 0.5) * 2, other["y_full"] + 0.5, atol=1)
    with pytest.raises(SlideError, match="is 160 x 80 px, and its label image 160 x 160 px"):
        fathom.predict(tmp_path / "flat.ome.tif", model, masks=labels)


def test_an_annotation_is_in_the_files_own_pixels(tmp_path):
    field, points = draw_field(3, 12)
    (tmp_path / "set" / "images").mkdir(parents=True)
    write_flat(tmp_path / "set" / "images" / "flat.tif", field)
    rows = ["image,slide,patient,label,um_per_px", "images/flat.tif,s,p,,"]
    (tmp_path / "set" / "images.csv").write_text("\n".join(rows) + "\n")
    flat = points.assign(image="images/flat.tif", y=points["y"] / 2)
    flat[["image", "x", "y", "label"]].to_csv(tmp_path / "set" / "annotations.csv", index=False)
    model = OnnxModel(write_model(tmp_path / "tiny.onnx", um_per_px=0.5))
    dataset = read_dataset(tmp_path / "set", require_labels=False)
    found = score_dataset(model, dataset, None, tmp_path / "out").nuclei
    assert len(found) == 12
    for row in found.to_dict("records"):
        distance = np.hypot(points["y"] - row["y"], points["x"] - row["x"])
        assert row["label"] == points["label"][distance.idxmin()]
