"""Crops that stay in their shards are those of an array, by whichever rows they are asked for."""

from pathlib import Path

import numpy as np
import pytest

from fathom.study.stored_crops import AT_ONCE, StoredCrops, in_batches, narrowed, save_crops


@pytest.fixture
def both(tmp_path):
    """Return stored crops, in three shards and out of their order, and the array they stand for."""
    rng = np.random.default_rng(0)
    shards = {
        f"{name}.npy": rng.integers(0, 256, (n, 5, 5, 1))
        for name, n in zip("bac", (4, 7, 2), strict=True)
    }
    shards = {name: crops.astype(np.uint8) for name, crops in shards.items()}
    for name, crops in shards.items():
        np.save(tmp_path / name, crops)
    places = [(name, row) for name, crops in shards.items() for row in range(len(crops))]
    places = [places[at] for at in rng.permutation(len(places))]
    shard = np.array([list(shards).index(name) for name, _ in places])
    rows = np.array([row for _, row in places])
    return StoredCrops(tmp_path, list(shards), shard, rows), np.stack(
        [shards[name][row] for name, row in places]
    )


@pytest.mark.parametrize(
    "rows",
    [
        slice(None),
        slice(2, 9),
        slice(20, 30),
        np.array([12, 0, 0, 5]),
        np.array([], dtype=int),
        np.arange(13) % 3 == 0,
        3,
        -1,
    ],
)
def test_they_are_those_of_an_array(both, rows):
    stored, array = both
    assert stored.shape == array.shape
    assert len(stored) == len(array)
    found = stored[rows]
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array[rows])


def test_a_function_of_numpy_is_given_all(both):
    stored, array = both
    np.testing.assert_array_equal(np.asarray(stored), array)
    assert np.max(stored) == array.max()


def test_some_of_them_are_narrowed_without_being_read(both):
    stored, array = both
    rows = np.array([8, 1, 3, 3])
    for given in both:
        np.testing.assert_array_equal(narrowed(given, rows)[:], array[rows])
    assert isinstance(narrowed(stored, rows), StoredCrops)


def test_a_row_that_is_not_there_is_an_error(both):
    with pytest.raises(IndexError):
        both[0][13]


@pytest.mark.parametrize("n", [0, 1, AT_ONCE, AT_ONCE + 1])
def test_batches_are_all_in_order(n):
    crops = np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1)
    parts = list(in_batches(crops))
    assert max(map(len, parts)) <= AT_ONCE
    np.testing.assert_array_equal(np.concatenate(parts), crops)


def test_what_is_saved_is_what_numpy_saves(both, tmp_path):
    stored, array = both
    save_crops(tmp_path / "stored", stored)
    with (tmp_path / "whole").open("wb") as file:
        np.save(file, array)
    assert (tmp_path / "stored").read_bytes() == (tmp_path / "whole").read_bytes()


def test_what_was_read_does_not_stay_mapped(both, tmp_path):
    both[0][:]
    assert str(tmp_path) not in Path("/proc/self/maps").read_text("utf-8")
