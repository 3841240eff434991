import os
import time

import numpy as np
import pytest
import torch
from test_training import cell, task

from fathom.training.cells import checkpoints_of
from fathom.training.checkpoint import DAYS_KEPT, Checkpoint, fingerprint, forget_old


def test_what_was_saved_is_loaded(tmp_path):
    checkpoint = Checkpoint(tmp_path / "deep" / "a.checkpoint", "key")
    assert checkpoint.load() is None
    checkpoint.save({"weights": torch.arange(3.0), "history": [(1, 0.5)], "name": "a"})
    loaded = checkpoint.load()
    assert torch.equal(loaded["weights"], torch.arange(3.0))
    assert (loaded["history"], loaded["name"]) == ([(1, 0.5)], "a")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.checkpoint"]
    checkpoint.remove()
    assert checkpoint.load() is None


@pytest.mark.parametrize("damage", ["another key", "cut", "a flipped bit", "empty"])
def test_a_checkpoint_that_does_not_fit_is_refused_and_named(tmp_path, capsys, damage):
    path = tmp_path / "a.checkpoint"
    Checkpoint(path, "key").save({"weights": torch.arange(3.0)})
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-9])
    elif damage == "a flipped bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    key = "another" if damage == "another key" else "key"
    assert Checkpoint(path, key).load() is None
    assert "a.checkpoint is damaged or belongs to another training" in capsys.readouterr().err


def test_the_name_follows_all_that_decides_the_numbers(tmp_path):
    crops, targets = task()
    other_rows = {"train": np.arange(60), "validation": np.arange(64, 80)}

    def key(one, crops=crops, targets=targets):
        return checkpoints_of([one], crops, targets, tmp_path)[0].key

    keys = [
        key(cell()),
        key(cell(learning_rate=0.5)),
        key(cell(line="4conv3x3 - gap - o")),
        key(cell(fold=1)),
        key(cell(seed=1)),
        key(cell(rows=other_rows)),
        key(cell(), crops=crops[::-1]),
        key(cell(), targets=~targets),
    ]
    assert len(set(keys)) == len(keys)
    assert key(cell()) == keys[0]


def test_a_fingerprint_tells_arrays_of_equal_bytes_apart():
    zeros = np.zeros(4, np.uint8)
    assert fingerprint(zeros) != fingerprint(zeros.reshape(2, 2)) != fingerprint(zeros.view("u4"))
    assert fingerprint("ab", "c") != fingerprint("a", "bc")


def test_what_nobody_touched_for_a_month_is_forgotten(tmp_path):
    old, new = tmp_path / "old.checkpoint", tmp_path / "new.checkpoint"
    for path in (old, new):
        path.write_bytes(b"")
    month_ago = time.time() - (DAYS_KEPT + 1) * 86_400
    os.utime(old, (month_ago, month_ago))
    forget_old(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)
