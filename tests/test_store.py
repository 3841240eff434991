"""The store of cells: what is kept comes back equal, and what is damaged never comes back."""

import os
import time
from math import isnan, nan
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from simulated_crops import assert_same, cell_of

from fathom.ground.errors import FathomError
from fathom.study.trained import PROBE_COLUMNS
from fathom.training.cell import Epoch, Trained
from fathom.training.store import DAYS_KEPT, NAMED_BY, State, Store

KEY, OTHER = "a1" * 32, "b2" * 32
CELL = cell_of(96)
DAY = 86_400
NOBODY = 65_534


def trained(probability=0.25):
    rng = np.random.default_rng(0)
    weights = {
        "layers.0.convolution.weight": rng.standard_normal((2, 1, 3, 3)).astype(np.float32),
        "layers.0.norm.num_batches_tracked": np.array(7),
        # As a channels_last weight comes out of torch.
        "layers.1.convolution.weight": np.ones((3, 2, 2, 2), np.float32).transpose(0, 3, 1, 2),
    }
    probabilities = {"train": rng.random(5), "validation": np.full(3, probability)}
    row = (0, 1, "1 8conv3x3", *(0.1 + number for number in range(len(PROBE_COLUMNS) - 4)), nan)
    assert len(row) == len(PROBE_COLUMNS)
    history = [Epoch(1, 0.1 + 0.2, 0.5, nan, 0.75), Epoch(2, nan, 1.0, 1 / 3, 0.5)]
    return Trained(history, probabilities, weights, [row])


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "deep" / "cells")


def file_of(store, kind=".cell", key=KEY):
    return store.folder / (key[:NAMED_BY] + kind)


def aged(path, days):
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def age_days(path):
    return (time.time() - path.stat().st_mtime) / DAY


def test_what_is_finished_is_returned_equal(store, capsys):
    assert store.finished(KEY) is None
    store.finish(KEY, CELL, trained())
    found = store.finished(KEY)
    assert_same(found, trained())
    assert isnan(found.history[0].validation_loss)
    assert isinstance(found.history[0], Epoch)
    assert found.probabilities["validation"].dtype == np.float64
    assert store.finished(OTHER) is None
    assert capsys.readouterr().err == ""


def test_a_cell_is_one_whole_file_of_the_same_bytes(store, tmp_path):
    store.finish(KEY, CELL, trained())
    Store(tmp_path / "again").finish(KEY, CELL, trained())
    assert [path.name for path in store.folder.iterdir()] == [f"{KEY[:NAMED_BY]}.cell"]
    assert file_of(store).read_bytes() == file_of(Store(tmp_path / "again")).read_bytes()


def test_what_was_saved_is_loaded_and_forgotten_once_the_cell_is_finished(store):
    place = store.at(KEY, CELL)
    assert place.load() is None
    arrays = {"network/a": np.arange(3, dtype=np.float32), "optimiser/steps": np.array(5)}
    notes = {"history": [[1, 0.5, 0.5, nan, 0.5]], "streams": [{"state": 2**127}], "probes": None}
    place.save(State(arrays, notes))
    loaded = store.at(KEY, CELL).load()
    assert loaded.arrays.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], values)
    assert repr({name: loaded.notes[name] for name in notes}) == repr(notes)
    assert store.finished(KEY) is None
    store.finish(KEY, CELL, trained())
    assert place.load() is None
    assert [path.suffix for path in store.folder.iterdir()] == [".cell"]


def test_a_byte_that_is_flipped_anywhere_is_never_a_wrong_number(store, capsys):
    store.finish(KEY, CELL, trained())
    path = file_of(store)
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert store.finished(KEY) is None, place
        assert f"{path} is damaged or belongs to another training" in capsys.readouterr().err
    path.write_bytes(whole)
    assert_same(store.finished(KEY), trained())


@pytest.mark.parametrize("kept", [0, 1, 31, 32, 40, 200, -1])
def test_a_file_that_was_cut_is_refused_and_named(store, capsys, kept):
    store.finish(KEY, CELL, trained())
    store.at(OTHER, CELL).save(State({"a": np.zeros(9)}, {"history": []}))
    for path, read in (
        (file_of(store), lambda: store.finished(KEY)),
        (file_of(store, ".unfinished", OTHER), store.at(OTHER, CELL).load),
    ):
        path.write_bytes(path.read_bytes()[:kept])
        assert read() is None
        assert str(path) in capsys.readouterr().err


def test_a_file_with_more_at_its_end_is_refused(store):
    store.finish(KEY, CELL, trained())
    with file_of(store).open("ab") as file:
        file.write(b"\0")
    assert store.finished(KEY) is None


def test_the_file_of_another_key_is_refused_under_this_ones_name(store, capsys):
    store.finish(OTHER, CELL, trained())
    file_of(store, key=OTHER).rename(file_of(store))
    assert store.finished(KEY) is None
    assert "belongs to another training: starting this cell again" in capsys.readouterr().err


def test_keys_that_begin_alike_are_told_apart(store):
    """A file's name is half of the key: the whole one stands inside."""
    alike = KEY[:NAMED_BY] + "0" * (64 - NAMED_BY)
    store.finish(alike, CELL, trained())
    assert store.finished(KEY) is None
    assert store.finished(alike) is not None


def test_an_unfinished_cell_is_not_a_finished_one_whatever_its_files_name(store):
    store.at(KEY, CELL).save(State({"network/a": np.zeros(3)}, {"history": [], "probes": []}))
    file_of(store, ".unfinished").rename(file_of(store))
    assert store.finished(KEY) is None


def test_the_entries_are_listed_by_name_and_other_files_are_left_alone(store):
    assert list(store.entries()) == []
    store.finish(OTHER, CELL, trained())
    store.at(KEY, CELL).save(State({"a": np.zeros(9)}, {"history": [[1], [2], [3]]}))
    damaged = file_of(store, key="c3" * 32)
    damaged.write_bytes(b"no safetensors")
    part = store.folder / f".{KEY[:NAMED_BY]}.cell.{NOBODY}{NOBODY}.part"
    part.write_bytes(b"half")
    for path in (store.folder / "notes.txt", store.folder / "x.part"):
        path.write_text("mine")
    aged(damaged, 3)
    told = {entry.path: entry for entry in store.entries()}
    assert list(told) == sorted(told)
    assert {path: (one.what, one.cell, one.epochs) for path, one in told.items()} == {
        part: ("left by a killed process", "", 0),
        file_of(store, ".unfinished"): ("unfinished", str(CELL), 3),
        file_of(store, key=OTHER): ("finished", str(CELL), 2),
        damaged: ("damaged", "", 0),
    }
    assert told[damaged].size == 14
    assert told[damaged].days == pytest.approx(3, abs=0.01)
    store.prune(0)
    store.forget_unfinished()
    assert {path.name for path in store.folder.iterdir()} == {"notes.txt", "x.part"}


def test_a_cell_that_another_process_finishes_while_the_entries_are_read_is_left_out(
    store, monkeypatch
):
    store.at(KEY, CELL).save(State({"a": np.zeros(3)}, {"history": []}))
    store.finish(OTHER, CELL, trained())
    real = Path.read_bytes

    def read(path):
        if path.suffix == ".unfinished":
            path.unlink(missing_ok=True)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    assert [entry.what for entry in store.entries()] == ["finished"]


def test_pruned_is_what_is_damaged_and_what_was_not_used(store):
    for key in (KEY, OTHER, "c3" * 32):
        store.finish(key, CELL, trained())
    file_of(store).write_bytes(b"damaged today")
    aged(file_of(store, key=OTHER), 9)
    assert {entry.path for entry in store.prune(10)} == {file_of(store)}
    assert [entry.path for entry in store.prune(8)] == [file_of(store, key=OTHER)]
    assert store.prune(8) == []
    assert [path.name for path in store.folder.iterdir()] == ["c3" * 16 + ".cell"]


def test_what_is_read_counts_as_used(store):
    store.finish(KEY, CELL, trained())
    aged(file_of(store), 40)
    store.finished(KEY)
    assert age_days(file_of(store)) < 0.01
    assert store.prune(1) == []


def test_what_was_left_unfinished_a_month_ago_is_forgotten(store):
    old = DAYS_KEPT + 1
    for key, age in ((KEY, old), (OTHER, DAYS_KEPT - 1)):
        store.at(key, CELL).save(State({"a": np.zeros(3)}, {"history": []}))
        aged(file_of(store, ".unfinished", key), age)
        store.finish("c3" * 32, CELL, trained())
    parts = [store.folder / f".{OTHER[:NAMED_BY]}.cell.{NOBODY}{age}.part" for age in (old, 1)]
    for part, age in zip(parts, (old, 1), strict=True):
        part.write_bytes(b"half")
        aged(part, age)
    aged(file_of(store, key="c3" * 32), 400)  # what is finished stays until it is pruned
    store.forget_unfinished()
    assert {path.name for path in store.folder.iterdir()} == {
        f"{OTHER[:NAMED_BY]}.unfinished",
        "c3" * 16 + ".cell",
        parts[1].name,
    }


def test_a_store_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "cells").write_text("a file")
    with pytest.raises(FathomError, match=r"cells: the store of cells cannot be written to \(.+\)"):
        Store(tmp_path / "cells").finish(KEY, CELL, trained())


def test_a_full_disk_is_a_sentence_and_leaves_what_was_there(store, monkeypatch):
    store.finish(KEY, CELL, trained())

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(FathomError, match=r"cannot be written to \(No space left on device\)"):
        store.finish(KEY, CELL, trained(0.5))
    monkeypatch.undo()
    assert_same(store.finished(KEY), trained())
    assert len(list(store.folder.iterdir())) == 1


@pytest.fixture
def read_only():
    """Return a store with one cell, as one sees it who may not write there: root is made nobody."""
    with TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.finish(KEY, CELL, trained())
        file_of(store).chmod(0o444)
        store.folder.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        yield store
        if is_root:
            os.seteuid(0)
        store.folder.chmod(0o755)


def test_a_read_only_store_cannot_be_written_to(read_only):
    with pytest.raises(FathomError, match=r"cannot be written to \(Permission denied\)"):
        read_only.finish(OTHER, CELL, trained())


def test_a_read_only_store_can_be_read(read_only):
    assert_same(read_only.finished(KEY), trained())
