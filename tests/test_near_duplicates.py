import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fathom.audit.near_duplicate_check import SYMMETRIES, compare_all, symmetry
from fathom.audit.near_duplicates import describe_pairs, near_duplicates

CORRELATION, Z = 0.8, 7.0


def textured(n, seed=0, side=48):
    """Return n nuclei of their own outline and texture, an oracle's work, not the simulator's."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    angle, distance = np.arctan2(y, x), np.hypot(y, x)
    crops = np.zeros((n, side, side, 1), dtype=np.uint8)
    for crop in crops:
        wave = sum(rng.normal(0, 0.06) * np.cos(m * angle + rng.uniform(0, 7)) for m in (2, 3, 4))
        inside = distance < rng.uniform(11, 17) * (1 + wave)
        texture = ndimage.gaussian_filter(rng.standard_normal((side, side)), 1.5)
        grey = 120 + 40 * texture / texture.std() - 0.1 * distance**2
        crop[..., 0] = np.where(inside, np.clip(np.rint(grey), 1, 255), 0)
    return crops


def jpeg(crop, quality):
    buffer = io.BytesIO()
    Image.fromarray(crop[..., 0]).save(buffer, "JPEG", quality=quality)
    decoded = np.asarray(Image.open(buffer))[..., None]
    return np.where(crop > 0, np.maximum(decoded, 1), 0).astype(np.uint8)


def brightened(crop, gain, offset):
    pixels = np.clip(np.rint(crop * gain + offset), 1, 255)
    return np.where(crop > 0, pixels, 0).astype(np.uint8)


CHANGES = {
    "as it is": lambda crop: crop,
    "turned": lambda crop: np.rot90(crop, 1),
    "turned by half": lambda crop: np.rot90(crop, 2),
    "flipped": lambda crop: crop[:, ::-1],
    "flipped and turned": lambda crop: np.rot90(crop[:, ::-1], 3),
    "shifted": lambda crop: np.roll(crop, (2, -3), axis=(0, 1)),
    "re-encoded": lambda crop: jpeg(crop, 50),
    "brightened": lambda crop: brightened(crop, 1.2, 10),
    "dimmed": lambda crop: brightened(crop, 0.4, 0),
    "dimmed, turned, re-encoded": lambda crop: jpeg(np.rot90(brightened(crop, 0.6, 5)), 75),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_and_nothing_else_is(change):
    crops = textured(300)
    copies = np.stack([CHANGES[change](crop) for crop in crops[:10]])
    found = near_duplicates(np.concatenate([crops, copies]), CORRELATION, Z, seed=0)
    assert found[["first", "second"]].to_numpy().tolist() == [[i, 300 + i] for i in range(10)]
    assert found["exact"].tolist() == [change == "as it is"] * 10


def test_nuclei_that_are_not_copies_are_not_found():
    assert near_duplicates(textured(500, seed=1), CORRELATION, Z, seed=0).empty


@pytest.mark.parametrize(("turns", "mirrored"), SYMMETRIES)
def test_the_symmetry_that_is_named_turns_the_second_into_the_first(turns, mirrored):
    crops = textured(2)
    second = symmetry(crops[:1, ..., 0], turns, mirrored)[..., None]
    pair = np.concatenate([second, crops[:1]])
    found = compare_all(pair, np.array([[0, 1]]), CORRELATION, Z).iloc[0]
    assert (found["turned"], found["mirrored"]) == (turns, mirrored)
    assert found["correlation"] == pytest.approx(1, abs=1e-4)


def test_many_copies_of_one_nucleus_hang_together():
    crops = textured(100)
    copies = np.stack([brightened(crops[0], 0.5 + 0.02 * i, 0) for i in range(30)])
    found = near_duplicates(np.concatenate([crops, copies]), CORRELATION, Z, seed=0)
    reached, waiting = set(), [0]
    while waiting:
        row = waiting.pop()
        reached.add(row)
        beside = found.loc[found["first"] == row, "second"].tolist()
        beside += found.loc[found["second"] == row, "first"].tolist()
        waiting += [other for other in beside if other not in reached]
    assert reached == {0, *range(100, 130)}


def test_the_description_of_a_nucleus_does_not_change_when_it_is_turned():
    crops = textured(20)
    described = describe_pairs(crops)
    for turns, mirrored in SYMMETRIES:
        turned = symmetry(crops[..., 0], turns, mirrored)[..., None]
        np.testing.assert_allclose(describe_pairs(turned), described, rtol=1e-3, atol=0.1)
    assert np.abs(described[:10] - described[10:]).max() > 10


def test_a_small_nucleus_needs_a_better_match():
    """A disc of 5 px has so few independent pixels that no correlation short of 1 convinces."""
    y, x = np.mgrid[:48, :48] - 23.5
    small = np.where(np.hypot(y, x) < 6, textured(2)[..., 0], 0)[..., None]
    blurred = ndimage.gaussian_filter(small.astype(float), 1, axes=(1, 2))
    pairs = np.array([[0, 2], [1, 3]])
    stack = np.concatenate([small, np.where(small > 0, np.maximum(blurred, 1), 0).astype(np.uint8)])
    assert (compare_all(stack, pairs, 0.0, 0.0)["correlation"] > CORRELATION).all()
    assert compare_all(stack, pairs, CORRELATION, Z).empty


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_handful_of_nuclei_is_no_trouble(n):
    assert near_duplicates(textured(3)[:n], CORRELATION, Z, seed=0).empty


def test_blank_crops_are_not_copies_of_each_other():
    crops = textured(5)
    crops[1:3] = 0
    assert near_duplicates(crops, CORRELATION, Z, seed=0).empty


def test_same_crops_same_table():
    crops = np.concatenate([textured(50), textured(3)])
    one, other = (near_duplicates(crops, CORRELATION, Z, seed=3) for _ in range(2))
    assert one.equals(other)
    assert len(one) == 3
