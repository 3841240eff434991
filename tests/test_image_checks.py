"""Each fault planted in one of eight fields, each found there and nowhere else."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from audit_params import audit_params
from scipy import ndimage

from fathom.audit.image_checks import audit_images
from fathom.audit.image_traits import blank_rows, heap, image_traits, noise, sharpness

N, SIDE = 8, 192


def field(seed):
    """Return a (SIDE, SIDE) uint16 field of textured discs at random places."""
    rng = np.random.default_rng(seed)
    light = np.zeros((SIDE, SIDE))
    y, x = np.mgrid[:SIDE, :SIDE]
    for _ in range(25):
        row, column = rng.uniform(0, SIDE, 2)
        light += (np.hypot(y - row, x - column) < rng.uniform(5, 9)) * rng.uniform(0.6, 1.4)
    light *= np.exp(0.3 * ndimage.gaussian_filter(rng.standard_normal(light.shape), 1) * 3)
    counts = 300 + 3000 * ndimage.gaussian_filter(light, 0.8)
    return np.clip(counts + rng.normal(0, 20, light.shape), 0, 65535).astype(np.uint16)


def findings(tmp_path, change=lambda fields: None, patients=None, **params):
    """Write eight fields, changed, and return the findings as (check, where)."""
    fields = [field(seed) for seed in range(N)]
    change(fields)
    names = [f"{number}.tif" for number in range(N)]
    for name, pixels in zip(names, fields, strict=True):
        tifffile.imwrite(tmp_path / name, pixels)
    images = pd.DataFrame({"image": names, "patient": patients or names})
    traits = image_traits(tmp_path, names)
    return list(audit_images(traits, images, audit_params(**params)))


def put(number, change):
    def changed(fields):
        fields[number] = np.ascontiguousarray(change(fields[number]))

    return changed


def test_clean_fields_have_no_finding(tmp_path):
    assert findings(tmp_path) == []


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("blank_image", lambda _: np.random.default_rng(0).normal(300, 20, (SIDE, SIDE))),
        ("blank_image", lambda pixels: np.full_like(pixels, 300)),
        ("truncated_image", lambda pixels: np.where(np.arange(SIDE)[:, None] < 150, pixels, 0)),
        ("truncated_image", lambda pixels: np.where(np.arange(SIDE)[:, None] < 188, pixels, 128)),
        ("saturated_image", lambda pixels: np.minimum(pixels, np.percentile(pixels, 99))),
        ("saturated_image", lambda pixels: np.minimum(pixels.astype(float) * 20, 65535)),
        ("black_clipped_image", lambda pixels: np.maximum(pixels, np.percentile(pixels, 20))),
        ("blurred_image", lambda pixels: ndimage.gaussian_filter(pixels, 2)),
        ("grey_bright_field", lambda pixels: 4000 - np.minimum(pixels, 3500)),
        ("grey_range", lambda pixels: pixels // 16),
        ("grey_range", lambda pixels: pixels // 64 * 64),
    ],
)
def test_a_fault_is_found_where_it_is(tmp_path, check, change):
    found = findings(tmp_path, put(5, lambda pixels: change(pixels).astype(np.uint16)))
    assert (check, "5.tif") in [(one.check, one.where) for one in found]
    assert {one.where for one in found} == {"5.tif"}
    assert all(0 < one.confidence <= 1 for one in found)


def test_another_bit_depth_is_found(tmp_path):
    found = findings(tmp_path, put(2, lambda pixels: (pixels >> 8).astype(np.uint8)))
    assert ("bit_depth", "2.tif") in [(one.check, one.where) for one in found]


def test_a_file_that_is_cut_off_is_a_finding_not_an_end(tmp_path):
    for number in range(N):
        tifffile.imwrite(tmp_path / f"{number}.tif", field(number), compression="zlib")
    names = [f"{number}.tif" for number in range(N)]
    whole = (tmp_path / "3.tif").read_bytes()
    (tmp_path / "3.tif").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "4.tif").unlink()
    traits = image_traits(tmp_path, names)
    images = pd.DataFrame({"image": names, "patient": names})
    found = list(audit_images(traits, images, audit_params()))
    assert [(one.check, one.where) for one in found] == [
        ("unreadable_image", "3.tif"),
        ("unreadable_image", "4.tif"),
    ]
    assert "no such file" in found[1].what


@pytest.mark.parametrize(
    "change",
    [
        lambda pixels: pixels,
        lambda pixels: np.rot90(pixels, 3),
        lambda pixels: pixels[::-1],
        lambda pixels: np.roll(pixels, (4, -3), axis=(0, 1)),
        lambda pixels: (pixels * 1.7 + 100).astype(np.uint16),
        lambda pixels: (pixels // 40 * 40).astype(np.uint16),
    ],
)
def test_a_copy_is_found_whatever_was_done_to_it(tmp_path, change):
    def copy(fields):
        fields[6] = np.ascontiguousarray(change(fields[1]))

    found = findings(tmp_path, copy)
    copies = [one for one in found if one.check == "duplicate_images_across_patients"]
    assert [one.rows for one in copies] == [("1.tif", "6.tif")]


def test_a_copy_within_a_patient_is_another_check(tmp_path):
    def copy(fields):
        fields[6] = fields[1]

    found = findings(tmp_path, copy, patients=["p"] * N)
    assert [one.check for one in found] == ["duplicate_images"]


def test_noise_is_that_of_white_noise_on_a_ramp():
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(300.0), 2 * np.arange(300.0))
    assert noise((ramp + rng.normal(0, 7, ramp.shape)).astype(np.float32)) == pytest.approx(
        7, rel=0.02
    )


def test_sharpness_leaves_white_noise_out():
    """Noise alone has no detail; and noise does not make a blurred field sharp again."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(field(0).astype(np.float32), 2)
    noisy = (smooth + rng.normal(0, 60, smooth.shape)).astype(np.float32)
    assert sharpness(noisy, noise(noisy)) == pytest.approx(sharpness(smooth, 0.0), abs=0.03)


def test_a_heap_stands_out_of_a_histogram():
    values = np.arange(1000)
    thinning = np.linspace(1, 200, 1000).astype(int)
    assert heap(values, thinning) == 0
    heaped = thinning.copy()
    heaped[0] = 3000
    assert heap(values, heaped) == pytest.approx(3000 / heaped.sum())


def test_black_rows_beneath_few_objects_belong_to_the_picture():
    picture = np.zeros((100, 100), dtype=np.float32)
    picture[20:60, 30:50] = 9
    assert blank_rows(picture) == 0
    written = picture + np.random.default_rng(0).normal(5, 1, picture.shape)
    assert blank_rows(np.where(np.arange(100)[:, None] < 90, written, 0)) == 10


def test_of_few_images_none_is_said_to_differ(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", field(0))
    tifffile.imwrite(tmp_path / "b.tif", field(1) // 64)
    images = pd.DataFrame({"image": ["a.tif", "b.tif"], "patient": ["a", "b"]})
    traits = image_traits(tmp_path, images["image"].tolist())
    assert list(audit_images(traits, images, audit_params())) == []
