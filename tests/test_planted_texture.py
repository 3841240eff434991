"""The texture alone tells a planted label: all else of a nucleus is as it was."""

import numpy as np
import pandas as pd
import pytest
from simulated_textures import SIDE, SPLIT, texture, write_study

from fathom.ground.errors import FathomError
from fathom.study.nuclei import read_nuclei
from fathom.study.splits import part_rows, read_splits
from fathom.texture.planted_texture import (
    pattern,
    planted,
    planted_splits,
    random_labels,
    rearranged,
    write_planted,
)

HALF = texture(0.5)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a folder with nuclei, splits and what was planted; the nuclei."""
    folder = tmp_path_factory.mktemp("study")
    nuclei = write_study(folder)
    write_planted(nuclei, "slide", HALF, 0.5, folder / "planted")
    return folder, nuclei


def test_labels_have_the_share_of_the_data_in_every_group(study):
    folder, nuclei = study
    found = read_nuclei(folder / "planted").kept
    assert found["positive"].sum() == nuclei.kept["positive"].sum()
    share = nuclei.kept["positive"].mean()
    for _, rows in found.groupby("slide"):
        assert abs(rows["positive"].sum() - share * len(rows)) < 1
    agree = (found["positive"].to_numpy() == nuclei.kept["positive"].to_numpy()).mean()
    assert abs(agree - (share**2 + (1 - share) ** 2)) < 0.1  # as often as chance would have it


@pytest.mark.parametrize("positives", [0, 1, 7, 30])
def test_so_many_labels_as_are_asked_for_whatever_the_groups(positives):
    groups = np.array([f"g{number}" for number in (0, 1, 1, 2, 2, 2) for _ in range(5)])
    labels = random_labels(groups, positives, seed=3)
    assert labels.sum() == positives
    assert np.array_equal(labels, random_labels(groups, positives, seed=3))
    for group in set(groups):
        here = groups == group
        assert abs(labels[here].sum() - positives * here.mean()) < 1


def test_within_a_group_every_nucleus_is_as_likely_to_be_positive():
    groups = np.repeat(["a", "b"], 4)
    drawn = np.mean([random_labels(groups, 2, seed) for seed in range(800)], axis=0)
    assert np.abs(drawn - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 800)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_outline_and_every_grey_level_of_a_nucleus_are_what_they_were(tmp_path, channels, strength):
    nuclei = write_study(tmp_path, channels)
    write_planted(nuclei, "slide", texture(strength), strength, tmp_path / "planted")
    changed = read_nuclei(tmp_path / "planted")
    positive = changed.kept["positive"].to_numpy()
    before, after = nuclei.crops()[:], changed.crops()[:]
    assert np.array_equal(before[~positive], after[~positive])
    assert np.array_equal(before > 0, after > 0)
    levels = [np.sort(crops.reshape(len(crops), -1, channels), axis=1) for crops in (before, after)]
    assert np.array_equal(*levels)  # so are mean, SD and histogram
    same = (before[positive] == after[positive]).all(axis=(1, 2, 3))
    assert not same.any()


def test_a_strength_is_the_share_that_it_says(study):
    crops = study[1].crops()[:]
    names = study[1].kept["nucleus"]
    for strength in (0.25, 0.5, 1.0):
        kept = []
        for crop, name in zip(crops, names, strict=True):
            changed, inside = planted(crop, name, HALF, strength), crop > 0
            kept.append(np.corrcoef(crop[inside], changed[inside])[0, 1])
        assert np.mean(kept) == pytest.approx(np.sqrt(1 - strength**2), abs=0.02)


def test_nothing_is_planted_at_strength_0_and_into_a_nucleus_of_one_grey_level():
    crop = np.zeros((SIDE, SIDE, 1), np.uint8)
    crop[5:15, 4:12] = 77
    assert np.array_equal(planted(crop, "n", HALF, 1.0), crop)
    crop[5:15, 4:12] = np.arange(1, 81).reshape(10, 8, 1) // 3 + 1
    assert np.array_equal(planted(crop, "n", HALF, 0.0), crop)


def test_a_channel_is_rearranged_as_its_own_grey_levels_say():
    field = np.arange(9.0).reshape(3, 3)
    crop = np.array([[9, 8, 7], [6, 5, 4], [3, 2, 1]], np.uint8)[..., None]
    assert rearranged(crop, field, 1.0)[..., 0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert np.array_equal(rearranged(crop, field, 0.6), crop)  # .8 of the own against .6


def test_the_pattern_has_its_wavelength():
    fields = [pattern(48, 6.0, np.random.default_rng(seed)) for seed in range(40)]
    power = np.mean([np.abs(np.fft.fft2(field)) ** 2 for field in fields], axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(48), np.fft.fftfreq(48)))
    near = np.abs(frequency * 6 - 1) < 0.5
    assert power[near].sum() / power.sum() > 0.95


def test_a_nucleus_has_a_pattern_of_its_own_that_no_other_changes(study, tmp_path):
    folder, nuclei = study
    crop = nuclei.crops()[0]
    one, other = (planted(crop, name, HALF, 1.0) for name in ("a", "b"))
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, planted(crop, "a", HALF.model_copy(update={"seed": 1}), 1.0))
    write_planted(nuclei, "slide", HALF, 0.5, tmp_path)
    for file in sorted((folder / "planted").iterdir()):
        assert file.read_bytes() == (tmp_path / file.name).read_bytes()


def test_folds_and_parts_are_the_studys_and_balanced_for_the_drawn_labels(study):
    folder, nuclei = study
    own = read_splits(folder / "splits", nuclei)
    changed = read_nuclei(folder / "planted")
    splits = planted_splits(own, folder / "splits", changed, SPLIT)
    columns = ["fold", "nucleus", "part"]
    order = {"by": columns[:2], "ignore_index": True}
    assert own[columns].sort_values(**order).equals(splits[columns].sort_values(**order))
    for fold in (-1, 0, 1):
        for part in ("train", "validation"):
            rows = part_rows(changed, splits, fold, part)
            assert changed.kept["positive"].to_numpy()[rows].mean() == 0.5


def test_a_part_without_one_of_the_drawn_classes_is_refused(study):
    folder, nuclei = study
    own = read_splits(folder / "splits", nuclei)
    changed = read_nuclei(folder / "planted")
    table = changed.kept.assign(positive=False)
    table.loc[0, "positive"] = True
    broken = type(changed)(changed.folder, table, pd.DataFrame(table))
    with pytest.raises(FathomError, match="holds one class at most"):
        planted_splits(own, folder / "splits", broken, SPLIT)
