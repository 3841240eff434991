from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.draw import disk, ellipse

from fathom.baselines.features import (
    IDENTITY,
    cooccurrence,
    feature_table,
    features_of,
    quantise,
    read_features,
)
from fathom.baselines.params import Features
from fathom.ground.errors import FathomError
from fathom.ground.output import write_table
from fathom.ground.section import read_section
from fathom.study.nuclei import NUCLEUS_COLUMNS, read_nuclei, write_nuclei

PARAMS = Features(percentiles=(5, 50, 95), grey_levels=8, distances_px=(1, 2, 4))


def crop_of(grey, side=48):
    """Return a grey crop with `grey` (0 = background) in its middle."""
    crop = np.zeros((side, side, 1), dtype=np.uint8)
    top, left = (np.array(crop.shape[:2]) - np.shape(grey)) // 2
    crop[top : top + np.shape(grey)[0], left : left + np.shape(grey)[1], 0] = grey
    return crop


def lumpy(seed=0, side=48):
    """Return a crop of an irregular nucleus with a random texture."""
    rng = np.random.default_rng(seed)
    grey = np.zeros((side, side), dtype=np.uint8)
    rows, columns = ellipse(24, 23, 15, 10, rotation=0.4)
    grey[rows, columns] = rng.integers(1, 256, len(rows))
    grey[disk((15, 30), 6)] = 90
    return grey[..., None]


def only(features, start):
    return {name: value for name, value in features.items() if name.startswith(start)}


# --- shape ---


def test_a_disc_has_the_shape_of_a_disc():
    grey = np.zeros((48, 48), dtype=np.uint8)
    grey[disk((24, 24), 20)] = 100
    found = features_of(grey[..., None], PARAMS)
    assert found["area_px"] == (grey > 0).sum()
    assert found["perimeter_px"] == pytest.approx(2 * np.pi * 20, rel=0.02)
    assert found["axis_major_px"] == pytest.approx(40, rel=0.01)
    assert found["axis_minor_px"] == pytest.approx(found["axis_major_px"])
    assert found["eccentricity"] == pytest.approx(0, abs=1e-6)
    assert found["form_factor"] == pytest.approx(1, abs=0.03)
    assert found["solidity"] > 0.97


def test_an_ellipse_has_its_axes_and_eccentricity_however_it_lies():
    for rotation in (0, 0.3, np.pi / 2):
        grey = np.zeros((64, 64), dtype=np.uint8)
        grey[ellipse(32, 32, 24, 12, rotation=rotation)] = 100
        found = features_of(grey[..., None], PARAMS)
        assert found["axis_major_px"] == pytest.approx(48, rel=0.02)
        assert found["axis_minor_px"] == pytest.approx(24, rel=0.02)
        assert found["eccentricity"] == pytest.approx(np.sqrt(1 - 0.25), rel=0.01)


def test_a_rectangle_fills_its_box_and_a_notch_empties_it():
    grey = np.full((10, 20), 100, dtype=np.uint8)
    full = features_of(crop_of(grey), PARAMS)
    assert (full["area_px"], full["extent"], full["solidity"]) == (200, 1, 1)
    grey[:5, 5:15] = 0
    notched = features_of(crop_of(grey), PARAMS)
    assert (notched["area_px"], notched["extent"], notched["solidity"]) == (150, 0.75, 0.75)
    assert notched["form_factor"] < full["form_factor"]


# --- intensity ---


def test_intensity_is_that_of_the_nucleus_alone():
    grey = np.array([[10, 20, 0], [0, 30, 140]], dtype=np.uint8)
    found = features_of(crop_of(grey), PARAMS)
    assert found["grey_mean_level"] == 50
    assert found["grey_sd_level"] == pytest.approx(np.sqrt((40**2 + 30**2 + 20**2 + 90**2) / 4))
    assert found["grey_sum_level"] == 200
    assert found["grey_p50_level"] == 25
    sd = found["grey_sd_level"]
    skewness = (-(40**3) - 30**3 - 20**3 + 90**3) / 4 / sd**3
    assert found["grey_skewness"] == pytest.approx(skewness)
    kurtosis = (40**4 + 30**4 + 20**4 + 90**4) / 4 / sd**4 - 3
    assert found["grey_kurtosis"] == pytest.approx(kurtosis)


def test_the_gradient_of_a_ramp_is_its_slope_and_the_outline_adds_nothing():
    ramp = np.broadcast_to(50 + 3 * np.arange(20), (20, 20)).astype(np.uint8)
    found = features_of(crop_of(ramp), PARAMS)
    assert found["gradient_mean_level_per_px"] == pytest.approx(3)
    assert found["gradient_sd_level_per_px"] == pytest.approx(0, abs=1e-9)


def test_a_colour_crop_has_the_mean_of_its_channels_as_grey_and_each_colour_besides():
    rng = np.random.default_rng(0)
    crop = np.zeros((16, 16, 3), dtype=np.uint8)
    crop[4:12, 3:14] = rng.integers(1, 256, (8, 11, 3))
    found = features_of(crop, PARAMS)
    inside = crop[4:12, 3:14].reshape(-1, 3).astype(float)
    assert found["grey_mean_level"] == pytest.approx(inside.mean())
    for channel, name in enumerate(("red", "green", "blue")):
        assert found[f"{name}_mean_level"] == pytest.approx(inside[:, channel].mean())
        assert found[f"{name}_sd_level"] == pytest.approx(inside[:, channel].std())
    grey_names = set(features_of(lumpy(), PARAMS))
    assert set(found) - grey_names == {
        f"{name}_{what}_level" for name in ("red", "green", "blue") for what in ("mean", "sd")
    }


# --- texture ---


def test_pairs_of_a_3_x_3_example_counted_by_hand():
    quantised = np.array([[1, 1, 2], [1, 0, 2], [3, 3, 3]], dtype=np.uint8)
    pairs = cooccurrence(quantised, 3, (1, 2))
    assert pairs.shape == (3, 3, 2, 4)
    along_rows = [[2, 1, 0], [1, 0, 0], [0, 0, 4]]  # 1-1, 1-2, 3-3, 3-3; none over the hole
    along_columns = [[2, 0, 1], [0, 2, 1], [1, 1, 0]]  # 1-1, 1-3, 2-2, 2-3; none over the hole
    np.testing.assert_array_equal(pairs[:, :, 0, 0], along_rows)
    np.testing.assert_array_equal(pairs[:, :, 0, 1], along_columns)
    diagonals = pairs[:, :, 0, 2] + pairs[:, :, 0, 3]
    # (1,0)-(2,1) and (0,1)-(1,0) on one side, (0,1)-(1,2) and (1,2)-(2,1) on the other
    np.testing.assert_array_equal(diagonals, [[2, 1, 1], [1, 0, 1], [1, 1, 0]])
    # At distance 2 along rows: 1-2 twice, once across the hole, and 3-3.
    np.testing.assert_array_equal(pairs[:, :, 1, 0], [[0, 2, 0], [2, 0, 0], [0, 0, 2]])
    # Its diagonals are the two pairs of corners, 1-3 and 2-3.
    corners = pairs[:, :, 1, 2] + pairs[:, :, 1, 3]
    np.testing.assert_array_equal(corners, [[0, 0, 1], [0, 0, 1], [1, 1, 0]])


def test_texture_of_a_checkerboard_is_known():
    board = np.where(np.indices((12, 12)).sum(axis=0) % 2, 200, 40).astype(np.uint8)
    found = features_of(crop_of(board), PARAMS)
    # Straight neighbours differ by 7 of the 8 levels, diagonal ones and all at 2 px are equal.
    assert found["glcm_contrast_1px_mean"] == pytest.approx(49 / 2)
    assert found["glcm_contrast_1px_range"] == pytest.approx(49)
    assert found["glcm_dissimilarity_1px_mean"] == pytest.approx(7 / 2)
    assert found["glcm_homogeneity_1px_mean"] == pytest.approx((1 + 1 / 50) / 2)
    assert found["glcm_correlation_1px_range"] == pytest.approx(2)
    assert found["glcm_contrast_2px_mean"] == found["glcm_contrast_4px_mean"] == 0
    assert found["glcm_asm_2px_mean"] == pytest.approx(0.5)
    assert found["glcm_entropy_2px_mean"] == pytest.approx(np.log(2))


def test_stripes_have_the_scale_they_have():
    stripes = np.broadcast_to((np.arange(16) // 2 % 2) * 150 + 50, (16, 16)).astype(np.uint8)
    found = features_of(crop_of(stripes), PARAMS)
    by_distance = [found[f"glcm_contrast_{distance}px_mean"] for distance in (1, 2, 4)]
    assert by_distance[1] > by_distance[0] > by_distance[2] == 0


def test_the_silhouette_does_not_leak_into_texture():
    noise = np.random.default_rng(0).integers(1, 3, (40, 40)).astype(np.uint8) * 80
    square, comb = crop_of(noise), crop_of(noise)
    comb[6::3] = 0  # two rows of three: an outline many times longer
    expected, found = features_of(square, PARAMS), features_of(comb, PARAMS)
    assert found["perimeter_px"] > 5 * expected["perimeter_px"]
    for name in ("glcm_contrast_1px_mean", "glcm_homogeneity_1px_mean", "glcm_asm_1px_mean"):
        assert found[name] == pytest.approx(expected[name], rel=0.05)
    even = np.where(comb > 0, np.uint8(80), np.uint8(0))
    assert features_of(even, PARAMS)["glcm_contrast_1px_mean"] == 0


@pytest.mark.parametrize("move", [np.rot90, lambda a: np.rot90(a, 2), np.flipud, np.fliplr])
def test_a_quarter_turn_or_a_flip_changes_no_feature(move):
    expected, found = (
        features_of(lumpy(), PARAMS),
        features_of(np.ascontiguousarray(move(lumpy())), PARAMS),
    )
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


def test_more_background_changes_no_feature():
    padded = np.pad(lumpy(), ((3, 9), (12, 0), (0, 0)))
    assert features_of(padded, PARAMS) == features_of(lumpy(), PARAMS)


def test_texture_does_not_depend_on_brightness_and_contrast():
    grey = np.random.default_rng(0).integers(0, 64, (15, 15))
    grey[0, :2] = 0, 63
    dim, bright = (features_of(crop_of(grey * gain + 10), PARAMS) for gain in (1, 3))
    assert only(dim, "glcm_") == only(bright, "glcm_")
    assert dim["grey_sd_level"] < bright["grey_sd_level"]


def test_quantised_levels_run_from_the_darkest_to_the_brightest_pixel():
    grey = np.array([[0.0, 10.0, 19.9], [20.0, 49.9, 50.0]])
    mask = grey > 0
    np.testing.assert_array_equal(quantise(grey, mask, 4), [[0, 1, 1], [2, 4, 4]])
    np.testing.assert_array_equal(quantise(np.full((2, 3), 7.3), mask, 4), mask)


# --- small and blank ---


@pytest.mark.parametrize(
    "nucleus", [[[90]], [[90, 90]], [[90, 200, 90]], [[90, 0], [90, 90]], [[9, 0], [0, 9]]]
)
def test_a_nucleus_of_a_few_pixels_has_features_that_are_defined(nucleus):
    found = features_of(crop_of(np.array(nucleus, dtype=np.uint8)), PARAMS)
    assert np.isfinite(list(found.values())).all()
    assert found["area_px"] == np.count_nonzero(nucleus)
    assert found["perimeter_px"] > 0
    assert found["gradient_mean_level_per_px"] == 0
    # No two pixels are 4 px apart: an even surface.
    assert found["glcm_contrast_4px_mean"] == found["glcm_entropy_4px_mean"] == 0
    assert found["glcm_homogeneity_4px_mean"] == found["glcm_asm_4px_mean"] == 1
    assert found["glcm_correlation_4px_mean"] == 1


def test_an_even_nucleus_has_no_spread_of_any_kind():
    crop = np.zeros((20, 20, 3), dtype=np.uint8)
    crop[3:15, 5:12] = 100, 100, 101  # the rounded mean of 84 such greys is not their value
    found = features_of(crop, PARAMS)
    for name in ("grey_sd_level", "red_sd_level", "grey_skewness", "grey_kurtosis"):
        assert found[name] == pytest.approx(0, abs=1e-12)
    assert found["glcm_contrast_1px_mean"] == 0


@settings(max_examples=60)
@given(hnp.arrays(np.uint8, (9, 9, 1), elements=st.integers(0, 255), fill=st.just(0)))
def test_every_number_is_finite_whatever_the_crop(crop):
    crop[4, 4] = 1
    assert np.isfinite(list(features_of(crop, PARAMS).values())).all()


# --- the table ---


@pytest.fixture
def nuclei(tmp_path):
    crops = np.stack([lumpy(seed) for seed in range(7)])
    table = pd.DataFrame(
        {
            "nucleus": [f"images/a.tif#{i}" for i in range(8)],
            "image": "images/a.tif",
            "slide": "s",
            "patient": "p",
            "label": ["ill", "well"] * 4,
            "positive": [True, False] * 4,
            "left_out": [""] * 3 + ["touches the border"] + [""] * 4,
            "shard": ["0.npy"] * 3 + [""] + ["0.npy"] * 4,
            "row": [0, 1, 2, -1, 6, 5, 4, 3],
        }
    ).reindex(columns=list(NUCLEUS_COLUMNS))
    write_nuclei(tmp_path / "nuclei", table, {"0.npy": crops})
    return read_nuclei(tmp_path / "nuclei")


def test_the_table_has_a_row_a_kept_nucleus_in_order(nuclei):
    table = feature_table(nuclei, PARAMS)
    assert tuple(table.columns[:5]) == IDENTITY
    assert table["nucleus"].tolist() == nuclei.kept["nucleus"].tolist()
    features = table.drop(columns=list(IDENTITY))
    assert (features.dtypes == np.float64).all()
    expected = [features_of(crop, PARAMS) for crop in nuclei.crops()]
    pd.testing.assert_frame_equal(features, pd.DataFrame(expected))


def test_the_table_is_the_same_bytes_on_one_core_and_on_many(nuclei, tmp_path, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    write_table(tmp_path / "many.parquet", feature_table(nuclei, PARAMS))
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    write_table(tmp_path / "one.parquet", feature_table(nuclei, PARAMS))
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "many.parquet").read_bytes()


def test_reading_gives_the_features_alone_and_refuses_those_of_other_nuclei(nuclei, tmp_path):
    table = feature_table(nuclei, PARAMS)
    path = tmp_path / "features.parquet"
    with pytest.raises(FathomError, match="is missing: run the stage 'features' first"):
        read_features(path, nuclei)
    write_table(path, table)
    pd.testing.assert_frame_equal(read_features(path, nuclei), table.drop(columns=list(IDENTITY)))
    write_table(path, table.iloc[::-1])
    with pytest.raises(FathomError, match="made from other nuclei"):
        read_features(path, nuclei)


def test_a_blank_crop_is_named(nuclei):
    shard = nuclei.folder / "0.npy"
    crops = np.load(shard)
    crops[6] = 0
    np.save(shard, crops)
    with pytest.raises(FathomError, match=r"1 of 7 crops are blank.*'images/a\.tif#4'"):
        feature_table(nuclei, PARAMS)


# --- params ---


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("distances_px: [1, 1]", r"features\.distances_px.*must ascend"),
        ("distances_px: []", r"features\.distances_px.*at least 1 item"),
        ("distances_px: [0]", r"features\.distances_px\.0' = 0"),
        ("percentiles: [50, 5]", r"features\.percentiles.*must ascend"),
        ("grey_levels: 256", r"features\.grey_levels' = 256"),
    ],
)
def test_params_that_name_a_feature_twice_or_none_are_refused(tmp_path, line, fault):
    lines = {"percentiles": "[5]", "grey_levels": "8", "distances_px": "[1]"}
    key, value = line.split(": ")
    path = Path(tmp_path / "params.yaml")
    section = "\n".join(f"  {name}: {text}" for name, text in (lines | {key: value}).items())
    path.write_text(f"features:\n{section}\n", encoding="utf-8")
    with pytest.raises(FathomError, match=fault):
        read_section(Features, path)
