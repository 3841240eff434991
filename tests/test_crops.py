import numpy as np
import pytest
from scipy import ndimage

from fathom.imaging.crops import Scale, cut, describe, scale_of
from fathom.imaging.params import Crop
from fathom.study.nuclei import TOO_LARGE, TOUCHES_BORDER


def params(normalisation="slide", crop_px=16):
    return Crop(
        crop_px=crop_px, normalisation=normalisation, low_percentile=0.0, high_percentile=100.0
    )


def square(value=1000, top=10, left=12, side=6, shape=(40, 40), dtype=np.uint16):
    micrograph = np.full(shape, 100, dtype=dtype)
    labels = np.zeros(shape, dtype=np.int32)
    inside = np.s_[top : top + side, left : left + side]
    micrograph[inside] = value
    labels[inside] = 1
    return micrograph, labels


def kept_crops(micrograph, labels, crop, scale="of slide"):
    table = describe(micrograph, labels, crop)
    table = table[table["left_out"] == ""]
    scale = scale_of([(micrograph, labels)], crop) if scale == "of slide" else scale
    return cut(micrograph, labels, table, scale, crop)


def test_geometry_of_a_nucleus():
    row = describe(*square(), params()).iloc[0]
    assert (row["top"], row["left"], row["bottom"], row["right"]) == (10, 12, 16, 18)
    assert (row["y"], row["x"], row["area_px"]) == (12.5, 14.5, 36)
    assert not row["touches_border"]
    assert row["left_out"] == ""


@pytest.mark.parametrize(("top", "left"), [(0, 9), (9, 0), (34, 9), (9, 34)])
def test_a_nucleus_on_the_border_is_left_out(top, left):
    row = describe(*square(top=top, left=left), params()).iloc[0]
    assert row["left_out"] == TOUCHES_BORDER


def test_a_nucleus_larger_than_the_crop_is_left_out_and_one_that_just_fits_is_kept():
    assert describe(*square(side=17), params()).iloc[0]["left_out"] == TOO_LARGE
    assert describe(*square(side=16), params()).iloc[0]["left_out"] == ""


def test_the_crop_is_centred_and_its_background_is_zero():
    crop = kept_crops(*square(), params())[0, :, :, 0]
    assert (crop[5:11, 5:11] > 0).all()
    crop[5:11, 5:11] = 0
    assert not crop.any()


def test_another_nucleus_in_the_square_is_background():
    micrograph, labels = square()
    labels[10:16, 19:21] = 2
    micrograph[10:16, 19:21] = 1000
    crops = kept_crops(micrograph, labels, params())
    assert (crops[0] > 0).sum() == 36


def test_a_dark_nuclear_pixel_stays_apart_from_the_background():
    micrograph, labels = square()
    micrograph[12, 14] = 0
    crop = kept_crops(micrograph, labels, params())[0]
    assert crop.min(initial=255, where=crop > 0) == 1
    assert (crop > 0).sum() == 36


def test_none_scales_by_the_bit_depth():
    deep = kept_crops(*square(value=257 * 100), params("none"))
    shallow = kept_crops(*square(value=100, dtype=np.uint8), params("none"))
    np.testing.assert_array_equal(deep, shallow)
    assert deep.max() == 100


def test_slide_keeps_the_ratio_of_stain_between_nuclei_and_nucleus_destroys_it():
    micrograph, labels = square(value=1000)
    micrograph[10, 12] = 0
    micrograph[25:31, 25:31], labels[25:31, 25:31] = 500, 2
    micrograph[25, 25] = 0
    bright, dim = kept_crops(micrograph, labels, params("slide")).max(axis=(1, 2, 3))
    assert (bright, dim) == (255, 128)
    bright, dim = kept_crops(micrograph, labels, params("nucleus")).max(axis=(1, 2, 3))
    assert (bright, dim) == (255, 255)


def test_the_scale_of_a_slide_comes_from_the_nuclei_of_all_its_images():
    pairs = [square(value=1000), square(value=3000)]
    assert scale_of(pairs, params()) == Scale(1000.0, 3000.0)


def test_colours_keep_their_hue():
    micrograph, labels = square(dtype=np.uint8, value=10)
    colour = np.stack([micrograph, micrograph * 2, micrograph * 4], axis=-1)
    crop = kept_crops(colour, labels, params("none"))[0]
    assert crop.shape == (16, 16, 3)
    assert crop[8, 8].tolist() == [10, 20, 40]


def test_a_blurred_nucleus_has_a_lower_focus_whatever_the_exposure():
    rng = np.random.default_rng(0)
    micrograph, labels = square(side=14)
    sharp = micrograph + rng.integers(0, 500, micrograph.shape).astype(np.uint16)
    blurred = ndimage.gaussian_filter(sharp, 2)
    focus = {
        name: describe(image, labels, params())["focus"].iloc[0]
        for name, image in {"sharp": sharp, "blurred": blurred, "exposed": sharp * 2}.items()
    }
    assert focus["sharp"] > 10 * focus["blurred"]
    assert focus["exposed"] == pytest.approx(focus["sharp"])


def test_an_image_without_nuclei_gives_no_rows_and_no_crops():
    micrograph, labels = square()
    empty = np.zeros_like(labels)
    assert describe(micrograph, empty, params()).empty
    assert kept_crops(micrograph, empty, params()).shape == (0, 16, 16, 1)
