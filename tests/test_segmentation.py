import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from scipy import ndimage
from skimage.color import hed2rgb
from skimage.draw import disk

from fathom.datasets.dataset import DataSet, labels_path, read_dataset
from fathom.ground.errors import FathomError
from fathom.ground.images import Labels, read_labels, read_micrograph, write_labels, write_picture
from fathom.imaging.params import Segmentation
from fathom.imaging.segment_dataset import segment_dataset
from fathom.imaging.segmentation import measure_traits, reach_px, segment, segment_window
from fathom.imaging.segmentation_score import score
from fathom.imaging.window import Rectangle, Window

ROOT = Path(__file__).parents[1]
DEFAULTS = yaml.safe_load((ROOT / "params.yaml").read_text())["segmentation"]
SHARED = Path(os.environ.get("FATHOM_SHARED", ROOT.parent / "shared"))


def params(**changes: object) -> Segmentation:
    standard = {"method": "threshold", "stain": "fluorescence"}
    return Segmentation.model_validate({**DEFAULTS, **standard, **changes})


FLUORESCENCE = params()
HAEMATOXYLIN = params(stain="haematoxylin")
GRID = tuple((row, column) for row in (40, 100, 160) for column in (40, 100, 160))


def discs(*centres: tuple[float, float], radius: float = 15, side: int = 200) -> Labels:
    labels = np.zeros((side, side), dtype=np.int32)
    for number, centre in enumerate(centres, start=1):
        labels[disk(centre, radius, shape=labels.shape)] = number
    return labels


def picture(intensity: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return an intensity in 0..1 as a microscope sees it: blurred, noisy, 8 bits."""
    noise = np.random.default_rng(seed).normal(0, 0.01, intensity.shape)
    seen = ndimage.gaussian_filter(intensity.astype(float), 1) + noise
    return np.clip(seen * 255, 0, 255).round().astype(np.uint8)


TRUTH = discs(*GRID)
MICROGRAPH = picture(0.1 + 0.6 * (TRUTH > 0))


def test_separate_nuclei_are_found_with_their_outlines() -> None:
    found = segment(MICROGRAPH, FLUORESCENCE)
    assert found.dtype == np.int32
    assert np.unique(found).tolist() == list(range(10))
    assert score(found, TRUTH).matched[8] == 9  # IoU above 0.9


@pytest.mark.parametrize("radius", [5, 8, 15, 40])
def test_lengths_follow_the_nuclei(radius: int) -> None:
    side = 13 * radius
    centres = [(row * radius, column * radius) for row in (3, 9) for column in (2.5, 6.5, 10.5)]
    truth = discs(*centres, radius=radius, side=side)
    found = segment(picture(0.1 + 0.6 * (truth > 0)), FLUORESCENCE)
    one = score(found, truth)
    assert (one.found, one.matched[6]) == (6, 6)  # IoU above 0.8


@pytest.mark.parametrize("distance", [22, 25, 28])
def test_touching_nuclei_are_split(distance: int) -> None:
    centres = [
        (y, x + shift) for y, x in GRID for shift in (-distance / 2, distance / 2) if x != 100
    ]
    truth = discs(*centres, side=200)
    assert ndimage.label(truth > 0)[1] == 6
    one = score(segment(picture(0.1 + 0.6 * (truth > 0)), FLUORESCENCE), truth)
    assert (one.found, one.matched[4]) == (12, 12)  # IoU above 0.7


def test_a_long_nucleus_is_not_split() -> None:
    y, x = np.indices((200, 200))
    truth = np.zeros((200, 200), dtype=np.int32)
    for number, (row, column) in enumerate(((50, 60), (50, 140), (150, 60), (150, 140)), start=1):
        truth[((y - row) / 10) ** 2 + ((x - column) / 25) ** 2 < 1] = number
    assert score(segment(picture(0.1 + 0.6 * (truth > 0)), FLUORESCENCE), truth).found == 4


def test_holes_are_filled() -> None:
    nucleoli = discs(*GRID, radius=4) > 0
    found = segment(picture(0.1 + 0.6 * ((TRUTH > 0) & ~nucleoli)), FLUORESCENCE)
    assert (found[nucleoli] > 0).all()
    assert score(found, TRUTH).matched[6] == 9


def test_what_is_too_small_or_too_large_for_a_nucleus_is_none() -> None:
    assert segment(MICROGRAPH, FLUORESCENCE, 0.3).max() == 9  # 64 um2 each
    assert not segment(MICROGRAPH, FLUORESCENCE, 0.1).any()
    assert not segment(MICROGRAPH, FLUORESCENCE, 1.5).any()
    np.testing.assert_array_equal(
        segment(MICROGRAPH, FLUORESCENCE, float("nan")), segment(MICROGRAPH, FLUORESCENCE)
    )


def test_specks_are_removed() -> None:
    specks = discs((10, 10), (70, 70), (130, 130), (70, 130), radius=4)  # 7 % of a nucleus
    found = segment(picture(0.1 + 0.6 * ((TRUTH > 0) | (specks > 0))), FLUORESCENCE)
    assert not found[specks > 0].any()
    assert found.max() == 9


def test_a_faint_ghost_is_removed() -> None:
    ghost = discs((70, 70), radius=12) > 0
    intensity = 0.02 + 0.9 * (TRUTH > 0) + 0.03 * ghost
    assert segment(picture(intensity), FLUORESCENCE).max() == 9


def test_a_dim_nucleus_beside_bright_ones_is_found_as_large_as_it_is() -> None:
    intensity = 0.05 + np.where(TRUTH == 5, 0.3, 0.8) * (TRUTH > 0)
    one = score(segment(picture(intensity), FLUORESCENCE), TRUTH)
    assert (one.found, one.matched[7]) == (9, 9)  # IoU above 0.85


@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (-1, 0), (0, -1)])
def test_a_background_that_rises_five_times_changes_nothing(direction: tuple[int, int]) -> None:
    rows, columns = np.indices(TRUTH.shape) / 200 - 0.5
    slope = 0.2 * (direction[0] * rows + direction[1] * columns + 0.5)
    one = score(segment(picture(0.05 + slope + 0.3 * (TRUTH > 0)), FLUORESCENCE), TRUTH)
    assert (one.found, one.matched[6]) == (9, 9)


def test_a_wide_picture_of_patchy_haze_has_the_nuclei_of_its_parts() -> None:
    rng = np.random.default_rng(0)
    field = 0.1 + 0.3 * (discs((60, 60), (60, 140), (140, 60), (150, 150), radius=8) > 0)
    haze = np.kron(rng.uniform(0, 0.6, (3, 3)), np.ones((800, 800)))
    wide = measure_traits([picture(np.tile(field, (12, 12)) + haze)], params())
    alone = measure_traits([picture(field)], params())
    assert wide is not None
    assert alone is not None
    wide_px, alone_px = (one[0].foreground.diameter_px for one in (wide, alone))
    assert wide_px == pytest.approx(alone_px, rel=0.15)


def test_light_that_falls_to_a_third_in_the_corners_changes_nothing() -> None:
    rows, columns = np.indices(TRUTH.shape) / 100 - 1
    light = np.exp(-(rows**2 + columns**2) / 2 * np.log(3))
    one = score(segment(picture(light * (0.2 + 0.6 * (TRUTH > 0))), FLUORESCENCE), TRUTH)
    assert (one.found, one.matched[6]) == (9, 9)


def test_8_and_16_bits_give_the_same_nuclei() -> None:
    found = segment(MICROGRAPH, FLUORESCENCE)
    wide = MICROGRAPH.astype(np.uint16) * 257
    np.testing.assert_array_equal(segment(wide, FLUORESCENCE), found)


def test_a_low_contrast_16_bit_picture_gives_the_same_nuclei() -> None:
    offset = 900 + MICROGRAPH.astype(np.uint16) * 4
    one = score(segment(offset, FLUORESCENCE), segment(MICROGRAPH, FLUORESCENCE))
    assert (one.found, one.matched[-1]) == (9, 9)


def test_grey_stored_as_rgb_and_a_coloured_dye_are_grey() -> None:
    found = segment(MICROGRAPH, FLUORESCENCE)
    grey = np.stack([MICROGRAPH] * 3, axis=-1)
    np.testing.assert_array_equal(segment(grey, FLUORESCENCE), found)
    blue = grey * np.array([0, 0, 1], dtype=np.uint8)
    np.testing.assert_array_equal(segment(blue, FLUORESCENCE), found)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_haematoxylin_is_told_from_eosin(dtype: type) -> None:
    eosin_only = discs((70, 70), (130, 130), (70, 130), radius=14)
    stains = np.zeros((200, 200, 3))
    stains[..., 0] = 0.02 + 0.12 * ndimage.gaussian_filter((TRUTH > 0).astype(float), 1)
    stains[..., 1] = 0.02 + 0.12 * (eosin_only > 0)
    noise = np.random.default_rng(0).normal(0, 0.005, stains.shape)
    rgb = np.clip(hed2rgb(stains) + noise, 0, 1) * np.iinfo(dtype).max
    one = score(segment(rgb.round().astype(dtype), HAEMATOXYLIN), TRUTH)
    assert (one.found, one.matched[6]) == (9, 9)


def test_dark_nuclei_of_a_grey_bright_field_are_found() -> None:
    bright_field = picture(0.9 - 0.6 * (TRUTH > 0))
    one = score(segment(bright_field, HAEMATOXYLIN), TRUTH)
    assert (one.found, one.matched[6]) == (9, 9)


@pytest.mark.parametrize("stain", ["fluorescence", "haematoxylin"])
@pytest.mark.parametrize("channels", [(), (3,)], ids=["grey", "rgb"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (2, 3), (7, 7), (64, 48)])
def test_an_even_picture_has_no_nuclei(shape, dtype, channels, stain) -> None:
    top = np.iinfo(dtype).max
    for level in (0, 1, top // 2, top):
        found = segment(np.full((*shape, *channels), level, dtype=dtype), params(stain=stain))
        assert (found.shape, found.dtype) == (shape, np.int32)
        assert not found.any()


def test_the_depth_that_parts_two_nuclei_counts_in_steps() -> None:
    labels = [segment(MICROGRAPH, params(split_depth=depth)) for depth in (0.0391, 0.047, 0.0546)]
    assert all(np.array_equal(other, labels[0]) for other in labels[1:])


@pytest.mark.parametrize("shape", [(1, 2), (3, 3), (5, 90), (11, 11)])
def test_a_tiny_picture_is_no_crash(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert segment(pixels, FLUORESCENCE).shape == shape


@pytest.mark.parametrize("seed", range(4))
def test_noise_has_no_nuclei(seed: int) -> None:
    assert not segment(picture(np.full((200, 200), 0.1), seed), FLUORESCENCE).any()


@pytest.mark.parametrize("radius", [9, 20])
def test_a_window_has_the_nuclei_of_the_whole_to_the_pixel(radius: int) -> None:
    rng = np.random.default_rng(radius)
    side = 1300
    truth = np.zeros((side, side), dtype=np.int32)
    for number, centre in enumerate(rng.integers(0, side, (900, 2)), start=1):
        truth[disk(centre, radius * rng.uniform(0.7, 1.3), shape=truth.shape)] = number
    haze = ndimage.zoom(rng.uniform(0, 0.2, (6, 6)), side / 6, order=1)[:side, :side]
    micrograph = picture(haze + rng.uniform(0.3, 0.7, 901)[truth] * (truth > 0))
    measured = measure_traits([micrograph], FLUORESCENCE)
    assert measured is not None
    traits, (whole,) = measured
    everything = Rectangle(0, 0, side, side)
    for top, left in ((500, 613), (0, 700), (1100, 300), (777, 0)):
        core = Rectangle(top, left, top + 200, left + 200)
        frame = core.grown(reach_px(traits, FLUORESCENCE), everything)
        pixels = micrograph[frame.slices(everything)]
        labels, seen = segment_window(pixels, Window(frame, core), traits, FLUORESCENCE)
        here, there = labels[core.slices(seen.frame)], whole[core.slices(everything)]
        pairs = np.unique(np.stack([here.ravel(), there.ravel()]), axis=1)
        assert [len(np.unique(side)) for side in pairs] == [pairs.shape[1]] * 2


def test_a_micronucleus_on_a_neck_is_no_part_of_its_nucleus() -> None:
    lobes = discs(*((y, x + 24) for y, x in GRID), radius=4) > 0
    necks = np.zeros_like(lobes)
    for y, x in GRID:
        necks[y - 1 : y + 2, x : x + 24] = True
    found = segment(picture(0.1 + 0.6 * ((TRUTH > 0) | lobes | necks)), FLUORESCENCE)
    assert score(found, TRUTH).matched[7] == 9  # IoU above 0.85
    assert not found[lobes & (ndimage.distance_transform_edt(lobes) > 2)].any()


def test_the_same_picture_gives_the_same_bytes() -> None:
    assert (
        segment(MICROGRAPH, FLUORESCENCE).tobytes() == segment(MICROGRAPH, FLUORESCENCE).tobytes()
    )


def test_a_thread_of_its_own_gives_the_same_bytes() -> None:
    rng = np.random.default_rng(5)
    crowd = ndimage.gaussian_filter(rng.normal(size=(500, 500)), 4) > 0
    micrograph = picture(0.1 + 0.6 * crowd)
    cv2.ipp.setUseIPP(False)  # of this thread; a new one has it on
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(segment, micrograph, FLUORESCENCE).result()
    np.testing.assert_array_equal(there, segment(micrograph, FLUORESCENCE))


def test_masks_cannot_be_found_in_a_picture() -> None:
    with pytest.raises(FathomError, match=r"segmentation\.method is 'masks'"):
        segment(MICROGRAPH, params(method="masks"))


def dataset_of(folder: Path, pictures: dict[str, np.ndarray]) -> DataSet:
    rows = "".join(f"images/{name}.png,s,p\n" for name in pictures)
    folder.mkdir()
    (folder / "images.csv").write_text(f"image,slide,patient\n{rows}")
    for name, pixels in pictures.items():
        write_picture(folder / f"images/{name}.png", pixels)
    return read_dataset(folder, require_labels=False)


def test_a_data_set_gets_one_label_image_a_micrograph(tmp_path: Path) -> None:
    blank = np.full((30, 20), 7, dtype=np.uint8)
    pictures = {"a/1": MICROGRAPH, "b/1": picture(0.1 + 0.6 * (discs((50, 50)) > 0)), "c": blank}
    segment_dataset(dataset_of(tmp_path / "data", pictures), FLUORESCENCE, tmp_path / "labels")
    written = sorted(p for p in (tmp_path / "labels").rglob("*") if p.is_file())
    assert written == [labels_path(tmp_path / "labels", f"images/{name}.png") for name in pictures]
    for path, pixels in zip(written, pictures.values(), strict=True):
        np.testing.assert_array_equal(read_labels(path), segment(pixels, FLUORESCENCE))
    assert not read_labels(written[-1]).any()


def test_masks_are_taken_and_numbered_anew(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dataset_of(folder, {"a": MICROGRAPH})
    write_labels(folder / "masks/a.tif", TRUTH * 1000)
    dataset = read_dataset(folder, require_labels=False)
    segment_dataset(dataset, params(method="masks"), tmp_path / "labels")
    np.testing.assert_array_equal(read_labels(tmp_path / "labels/a.tif"), TRUTH)


def test_an_image_without_a_mask_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dataset_of(folder, {"a": MICROGRAPH, "b": MICROGRAPH})
    write_labels(folder / "masks/a.tif", TRUTH)
    dataset = read_dataset(folder, require_labels=False)
    with pytest.raises(FathomError, match=r"1 of 2 images have no label image.*images/b\.png"):
        segment_dataset(dataset, params(method="masks"), tmp_path / "labels")
    assert not (tmp_path / "labels").exists()


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data", {"a": MICROGRAPH})
    (tmp_path / "data/images/a.png").write_bytes(b"no picture")
    with pytest.raises(FathomError, match=r"images/a\.png"):
        segment_dataset(dataset, FLUORESCENCE, tmp_path / "labels")
    assert not list(tmp_path.glob("labels/*"))


def test_real_fluorescence_micrographs() -> None:
    folder = SHARED / "data" / "dsb2018"
    if not (folder / "index.csv").is_file():
        pytest.skip(f"no real micrographs in {folder}; set FATHOM_SHARED")
    names = [
        line.split(",")[0]
        for line in (folder / "index.csv").read_text().splitlines()
        if ",fluorescence," in line and line.endswith(",256,256")
    ]
    chosen = sorted(names)[::18]
    scores = [
        score(
            segment(read_micrograph(folder / "images" / name), FLUORESCENCE),
            read_labels(folder / "masks" / name),
        )
        for name in chosen
    ]
    assert len(scores) == 10
    assert np.mean([one.f1_iou50 for one in scores]) > 0.85
