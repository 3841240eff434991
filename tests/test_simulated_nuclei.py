from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simulated_crops import PARAMS
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fathom.baselines.features import features_of
from fathom.baselines.params import Features
from fathom.imaging.crops import Scale, cut, describe
from fathom.imaging.params import Crop
from fathom.simulation.simulated_chromatin import draw_chromatin, emit, random_field, spots
from fathom.simulation.simulated_nuclei import (
    READ_NOISE,
    expose,
    simulate_nuclei,
    write_simulated_nuclei,
)
from fathom.simulation.simulation import CUES, DEFAULT, LATENTS
from fathom.study.nuclei import NUCLEUS_COLUMNS, read_nuclei

SMALL = replace(DEFAULT, patients=4, nuclei_per_patient=40, slides_per_patient=2)
CROP = Crop.model_validate(PARAMS["crop"])
FEATURES = Features.model_validate(PARAMS["features"])


@pytest.fixture(scope="module")
def small():
    return simulate_nuclei(SMALL, 0)


def test_the_seed_decides_all_of_it(small):
    again = simulate_nuclei(SMALL, 0)
    assert again.crops.tobytes() == small.crops.tobytes()
    pd.testing.assert_frame_equal(again.table, small.table, check_exact=True)
    assert (simulate_nuclei(SMALL, 1).crops != small.crops).any(axis=(1, 2, 3)).all()


def test_more_nuclei_and_patients_change_none_that_are_there(small):
    # Not a multiple of the batches either way.
    more = simulate_nuclei(replace(SMALL, patients=5, nuclei_per_patient=61), 0)
    both = more.table.reset_index().merge(small.table.reset_index(), on="nucleus")
    assert len(both) == len(small.table)
    ours, theirs = both["index_y"].to_numpy(), both["index_x"].to_numpy()
    assert (small.crops[ours] == more.crops[theirs]).all()
    assert (small.table["label"].to_numpy()[ours] == more.table["label"].to_numpy()[theirs]).all()


@pytest.mark.parametrize("crop_px", [32, 48, 65])
def test_crops_are_what_the_stage_crop_makes(crop_px):
    simulated = simulate_nuclei(replace(SMALL, patients=1, crop_px=crop_px), 0)
    assert simulated.crops.shape == (40, crop_px, crop_px, 1)
    assert simulated.crops.dtype == np.uint8
    params = CROP.model_copy(update={"crop_px": crop_px})
    for crop, area in zip(simulated.crops, simulated.table["area_px"], strict=True):
        inside = (crop[..., 0] > 0).astype(np.int32)
        assert inside.sum() == area
        nucleus = describe(crop[..., 0], inside, params)
        again = cut(crop[..., 0], inside, nucleus, Scale(0, 255), params)
        assert (again[0] == crop).all()


def test_nuclei_clear_the_border_even_where_they_are_all_large():
    large = replace(SMALL, cue="size", separation=12.0, positive_share=1.0)
    inside = simulate_nuclei(large, 0).crops[..., 0] > 0
    assert not np.concatenate([inside[:, [0, -1]].ravel(), inside[:, :, [0, -1]].ravel()]).any()
    assert inside.mean() > 0.3


def test_the_table_serves_the_stages_and_holds_the_latents(small, tmp_path):
    assert set(NUCLEUS_COLUMNS) <= set(small.table)
    assert {f"latent_{name}" for name in LATENTS} <= set(small.table)
    write_simulated_nuclei(tmp_path, small)
    nuclei = read_nuclei(tmp_path)
    assert (nuclei.crops()[:] == small.crops).all()
    truth = pd.read_parquet(tmp_path / "truth.parquet")
    assert truth["nucleus"].tolist() == nuclei.kept["nucleus"].tolist()
    assert (truth["bottom"] - truth["top"] <= SMALL.crop_px).all()


def test_area_follows_the_latent_of_size(small):
    table = small.table
    expected = np.pi * (13 * np.exp(0.1 * table["latent_size"])) ** 2
    assert (table["area_px"] / expected).mean() == pytest.approx(1.01, abs=0.02)
    assert stats.pearsonr(table["area_px"], expected).statistic > 0.9


def test_outlines_do_not_depend_on_what_is_inside(small):
    other = simulate_nuclei(replace(SMALL, cue="chromocentres"), 0)
    without = simulate_nuclei(replace(SMALL, cue="chromocentres", separation=0.0), 0)
    assert ((other.crops > 0) == (without.crops > 0)).all()
    assert (other.table["chromocentres"] != without.table["chromocentres"]).any()


@pytest.mark.parametrize("correlation", [1.0, 2.0, 3.0])
def test_texture_has_its_variance_and_correlation(correlation):
    white = np.random.default_rng(0).standard_normal((400, 48, 48), dtype=np.float32)
    field = random_field(white, np.full(400, correlation)).astype(float)
    assert field.var() == pytest.approx(1, rel=0.02)
    for distance in (1, 2, 4):
        measured = (field[:, :, distance:] * field[:, :, :-distance]).mean()
        assert measured == pytest.approx(np.exp(-(distance**2) / (4 * correlation**2)), abs=0.03)


def test_spots_are_gaussian_and_add_up():
    y, x = np.mgrid[:9, :9] - 4.0
    first = 2.0 * np.exp(-((y - 1) ** 2 + (x + 2) ** 2) / (2 * 1.5**2))
    second = 0.5 * np.exp(-((y + 1.5) ** 2 + x**2) / (2 * 0.8**2))
    arguments = [[[1, -1.5]], [[-2, 0]], [[1.5, 0.8]], [[2.0, 0.5]]]
    drawn = spots(*(np.array(argument, dtype=float) for argument in arguments), 9)
    np.testing.assert_allclose(drawn[0], first + second, rtol=1e-5)


def test_chromocentres_lie_as_far_out_as_the_table_says():
    """With one chromocentre in an even nucleus, the brightest pixel is the chromocentre."""
    streams = [np.random.default_rng(n) for n in range(60)]
    scores = np.zeros((60, len(LATENTS)))
    scores[:, LATENTS.index("texture")] = -9  # even
    scores[:, LATENTS.index("chromocentres")] = -2  # 6 - 2.5 * 2 = 1
    nuclei = emit(DEFAULT, scores, draw_chromatin(streams, DEFAULT.crop_px))
    assert (nuclei.measures["chromocentres"] == 1).all()
    depth = []
    for emission, mask in zip(nuclei.emission, nuclei.mask, strict=True):
        y, x = np.unravel_index(emission.argmax(), emission.shape)
        centre = (DEFAULT.crop_px - 1) / 2
        angle = np.arctan2(y - centre, x - centre)
        along = centre + np.outer([np.sin(angle), np.cos(angle)], np.arange(0, 24, 0.1))
        reach = 0.1 * mask[tuple(np.rint(along).astype(int))].sum()
        depth.append(np.hypot(y - centre, x - centre) / reach)
    np.testing.assert_allclose(depth, nuclei.measures["chromocentre_distance"], atol=0.12)


@pytest.mark.parametrize("noise", [0.02, 0.1])
@pytest.mark.parametrize("light", [0.2, 1.0])
def test_noise_is_that_of_photons_and_of_the_camera(light, noise):
    even = np.full((400, 400), light, dtype=np.float32)
    seen = expose(even, noise, np.random.default_rng(0))
    assert seen.mean() == pytest.approx(light, rel=0.01)
    assert seen.var() == pytest.approx(noise**2 * (light + READ_NOISE**2), rel=0.02)


def test_no_noise_is_none():
    even = np.ones((3, 3), dtype=np.float32)
    assert (expose(even, 0, np.random.default_rng(0)) == even).all()


def test_blur_lowers_the_focus(small):
    blurred = simulate_nuclei(replace(SMALL, blur_px=3.0), 0)
    assert blurred.table["focus"].median() < 0.5 * small.table["focus"].median()


def balanced_accuracy(cue, separation):
    """Return that of logistic regression on the features, across patients: 6 of 40 nuclei."""
    simulation = replace(DEFAULT, cue=cue, separation=separation, patients=6, nuclei_per_patient=40)
    simulated = simulate_nuclei(simulation, 0)
    features = pd.DataFrame([features_of(crop, FEATURES) for crop in simulated.crops])
    positive = simulated.table["positive"].to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    groups = simulated.table["patient"]
    seen = cross_val_predict(model, features, positive, groups=groups, cv=GroupKFold(6))
    return balanced_accuracy_score(positive, seen)


@pytest.mark.parametrize("cue", CUES)
def test_the_label_is_in_the_pixels(cue):
    assert balanced_accuracy(cue, 3.0) > 0.75


@pytest.mark.parametrize("cue", CUES)
def test_without_separation_the_label_is_nowhere(cue):
    assert abs(balanced_accuracy(cue, 0.0) - 0.5) < 0.13  # 4 SD of 240 coin tosses
