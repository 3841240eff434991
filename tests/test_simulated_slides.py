from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from simulated_crops import PARAMS

from fathom.datasets.dataset import read_dataset
from fathom.ground.errors import FathomError
from fathom.ground.images import read_labels, read_micrograph
from fathom.imaging.crop_dataset import crop_dataset
from fathom.imaging.crops import describe
from fathom.imaging.params import Classes, Crop, Segmentation
from fathom.imaging.segmentation import segment
from fathom.imaging.segmentation_score import score
from fathom.simulation.simulated_nuclei import simulate_nuclei
from fathom.simulation.simulated_slides import (
    DEFAULT_FIELD,
    GAP_PX,
    simulate_slide,
    simulate_slides,
    write_dataset,
)
from fathom.simulation.simulation import DEFAULT, draw_patients
from fathom.study.nuclei import read_nuclei

SMALL = replace(DEFAULT, patients=2, slides_per_patient=2, nuclei_per_patient=50)
FIELD = replace(DEFAULT_FIELD, field_px=400)
CROP = Crop.model_validate(PARAMS["crop"])
SEGMENTATION = Segmentation.model_validate(PARAMS["segmentation"])


@pytest.fixture(scope="module")
def slide():
    return simulate_slide(SMALL, FIELD, 0, 1, 0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "dataset"
    write_dataset(folder, SMALL, FIELD, 0)
    return folder


def test_the_data_set_passes_the_check(dataset):
    read = read_dataset(dataset)
    assert read.classes == ("negative", "positive")
    assert len(read.images) == 4
    assert len(read.annotations) == 100
    assert all(read.mask_path(image) for image in read.images["image"])


def test_files_hold_what_was_simulated(dataset):
    truth = pd.read_parquet(dataset / "truth.parquet")
    for one in simulate_slides(SMALL, FIELD, 0):
        assert (read_micrograph(dataset / one.image) == one.micrograph).all()
        assert (read_labels(dataset / "masks" / f"{one.slide}.tif") == one.labels).all()
        here = truth[truth["slide"] == one.slide].reset_index(drop=True)
        pd.testing.assert_frame_equal(here, one.nuclei)


def test_the_same_seed_gives_the_same_bytes(dataset, tmp_path):
    write_dataset(tmp_path, SMALL, FIELD, 0)
    files = [path.relative_to(dataset) for path in dataset.rglob("*") if path.is_file()]
    assert len(files) == 11
    for file in files:
        assert (tmp_path / file).read_bytes() == (dataset / file).read_bytes(), file


def test_the_stage_crop_gives_every_nucleus_its_label(dataset, tmp_path):
    classes = Classes(positive="positive")
    accounts = crop_dataset(read_dataset(dataset), dataset / "masks", classes, CROP, tmp_path)
    assert accounts["kept"].sum() == accounts["nuclei"].sum() == 100
    kept = read_nuclei(tmp_path).kept
    truth = pd.read_parquet(dataset / "truth.parquet")
    both = kept.merge(truth, on="nucleus", suffixes=("", "_true"), validate="one_to_one")
    assert len(both) == 100
    for column in ("label", "patient", "top", "right", "area_px"):
        assert (both[column] == both[f"{column}_true"]).all(), column


def test_the_nuclei_are_those_of_the_crops(dataset):
    truth = pd.read_parquet(dataset / "truth.parquet")
    crops = simulate_nuclei(SMALL, 0).table
    both = truth.merge(crops, on="nucleus", suffixes=("", "_crop"), validate="one_to_one")
    assert len(both) == 100
    for column in ("label", "latent_texture", "chromocentres", "area_px"):
        assert (both[column] == both[f"{column}_crop"]).all(), column


def test_places_are_those_of_the_label_image(slide):
    measured = describe(slide.micrograph, slide.labels, CROP)
    for column in ("label_number", "top", "left", "bottom", "right", "area_px"):
        assert measured[column].tolist() == slide.nuclei[column].tolist(), column
    np.testing.assert_allclose(measured[["y", "x"]], slide.nuclei[["y", "x"]])
    points = slide.nuclei[["annotation_y", "annotation_x"]].to_numpy().T
    assert slide.labels[tuple(points)].tolist() == slide.nuclei["label_number"].tolist()


def test_nuclei_touch_only_where_they_may():
    for share in (0.0, 0.6):
        one = simulate_slide(SMALL, replace(FIELD, touching_share=share), 0, 0, 0)
        gaps = []
        for number in one.nuclei["label_number"]:
            others = (one.labels != number) & (one.labels > 0)
            gap = ndimage.distance_transform_cdt(~others, "chessboard")[one.labels == number].min()
            gaps.append(int(gap))
        assert one.nuclei["touching"].tolist() == [gap == 1 for gap in gaps]
        if share:
            assert one.nuclei["touching"].mean() > 0.5
        else:
            assert min(gaps) > GAP_PX


@pytest.mark.parametrize("touching", [0.0, 0.5])
def test_the_segmentation_finds_the_nuclei(touching):
    field = replace(DEFAULT_FIELD, touching_share=touching)
    one = simulate_slide(DEFAULT, field, 0, 0, 0)
    assert score(segment(one.micrograph, SEGMENTATION), one.labels).f1_iou50 > 0.9


def test_light_falls_across_the_field_as_asked():
    even = replace(SMALL, noise=0.0, illumination=0.0)
    field = replace(FIELD, counts=20_000, offset=100)
    flat, uneven = (
        simulate_slide(one, field, 0, 0, 1).micrograph.astype(float) - field.offset
        for one in (even, replace(even, illumination=0.5))
    )
    y, x = draw_patients(even, 0)[0].light[1]
    across = (np.arange(400) + 0.5) / 400 - 0.5
    expected = 1 + 0.5 * (y * across[:, None] + x * across)
    bright = (flat > 1000) & (flat < 50_000)  # not clipped
    np.testing.assert_allclose((uneven / flat)[bright], expected[bright], atol=2e-3)


def test_the_stain_varies_by_patient():
    plain = replace(SMALL, noise=0.0, stain_variation=0.0)
    field = replace(FIELD, counts=8_000, offset=0)
    ratios = []
    for patient in (0, 1):
        even, stained = (
            simulate_slide(one, field, 0, patient, 0).micrograph.astype(float)
            for one in (plain, replace(plain, stain_variation=0.3))
        )
        ratio = (stained / np.maximum(even, 1))[even > 4000]
        assert np.ptp(ratio) < 1e-3
        ratios.append(ratio.mean())
    assert abs(np.log(ratios[0] / ratios[1])) > 0.01


def test_debris_lies_off_the_nuclei_and_is_no_nucleus():
    clean = replace(SMALL, noise=0.0)
    without, with_debris = (
        simulate_slide(clean, replace(FIELD, debris=count), 0, 0, 0) for count in (0, 20)
    )
    assert (without.labels == with_debris.labels).all()
    more = with_debris.micrograph.astype(int) - without.micrograph
    _, count = ndimage.label(more > 200)
    assert 10 <= count <= 20  # some lie on one another
    assert (with_debris.labels[more == more.max()] == 0).all()
    assert more.min() >= -1  # rounding


def test_haze_is_the_background():
    dark, hazy = (
        simulate_slide(replace(SMALL, noise=0.0), replace(FIELD, haze=haze, debris=0), 0, 0, 0)
        for haze in (0.0, 0.2)
    )
    far = ndimage.distance_transform_edt(dark.labels == 0) > 6
    gain = draw_patients(SMALL, 0)[0].gain
    assert (dark.micrograph[far] == FIELD.offset).all()
    mean = (hazy.micrograph[far] - float(FIELD.offset)).mean() / FIELD.counts / gain
    assert mean == pytest.approx(0.2, rel=0.3)


def test_a_fault_is_planted_by_altering_slides(tmp_path):
    def blurred(one):
        if one.slide != "p0001-s0":
            return one
        return simulate_slide(replace(SMALL, blur_px=4.0), FIELD, 0, 1, 0)

    write_dataset(tmp_path, SMALL, FIELD, 0, blurred)
    focus = {}
    for one in simulate_slides(SMALL, FIELD, 0):
        written = read_micrograph(tmp_path / one.image)
        focus[one.slide] = describe(written, one.labels, CROP)["focus"].median()
    assert focus.pop("p0001-s0") < 0.5 * min(focus.values())
    read_dataset(tmp_path)


def test_a_camera_too_sensitive_clips(slide):
    bright = simulate_slide(SMALL, replace(FIELD, counts=60_000), 0, 1, 0)
    assert (bright.micrograph == 65535).mean() > 0.01
    assert (slide.micrograph < 65535).all()


def test_too_many_nuclei_for_a_field_are_an_error():
    with pytest.raises(FathomError, match=r"field_px = 100; make it larger"):
        simulate_slide(SMALL, replace(FIELD, field_px=100), 0, 0, 0)
    with pytest.raises(FathomError, match="less than crop_px"):
        simulate_slide(SMALL, replace(FIELD, field_px=40), 0, 0, 0)


def test_a_slide_without_nuclei_is_an_error():
    sparse = replace(SMALL, slides_per_patient=3, nuclei_per_patient=2)
    with pytest.raises(FathomError, match="leave slide 3 of 3 empty"):
        simulate_slide(sparse, FIELD, 0, 0, 2)


@pytest.mark.parametrize(
    ("name", "value"), [("touching_share", 1.5), ("haze", -0.1), ("counts", 0), ("debris", -1)]
)
def test_a_field_without_meaning_is_refused_by_name(name, value):
    with pytest.raises(FathomError, match=rf"field: {name} = "):
        replace(FIELD, **{name: value})
