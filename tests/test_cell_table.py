import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from simulated_crops import cell_of
from typer.testing import CliRunner

from fathom import cli
from fathom.training.cell import Epoch, Trained
from fathom.training.store import DAYS_KEPT, State, Store

DAY = 86_400


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells")


def history(epochs):
    return [Epoch(epoch, 0.5, 0.75, 0.5, 0.75) for epoch in range(1, epochs + 1)]


def key(letter):
    return 64 * letter


def finish(store, letter, epochs=3):
    """Keep a small finished cell; return its file."""
    weights = {"layers.0.weight": np.arange(6, dtype=np.float32)}
    trained = Trained(history(epochs), {"validation": np.full(24, 0.5)}, weights)
    store.finish(key(letter), cell_of(96), trained)
    return store.folder / f"{key(letter)[:32]}.cell"


def leave(store, letter):
    """Keep where an unfinished cell stands after two epochs; return its file."""
    checkpoint = store.at(key(letter), cell_of(96))
    checkpoint.save(State({"network/a": np.zeros(5, np.float32)}, {"history": history(2)}))
    return checkpoint.path


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def aged(path, days):
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def cells(*arguments):
    """Return what `fathom cells` prints, its lines."""
    run = CliRunner().invoke(cli.app, ["cells", *map(str, arguments)], catch_exceptions=False)
    assert run.exit_code == 0
    return run.output.splitlines()


def listed(store, *arguments):
    return cells("--store", store.folder, *arguments)


def test_every_file_has_a_line_and_there_is_a_total(store, wide):
    files = [finish(store, "a"), leave(store, "b"), aged(finish(store, "c", 1_200), 12.5)]
    files += [damage(finish(store, "d")), store.folder / f".{key('e')[:32]}.cell.999999999.part"]
    files[-1].write_bytes(bytes(100))
    (store.folder / "notes.txt").write_text("somebody else's", encoding="utf-8")
    heading, _, *rows, total = listed(store)
    assert heading.split("  ")[0] == "what"
    rows = [re.split(r" {2,}", row.strip()) for row in rows if row.strip()]
    name = "tiny, fold 0, seed 0"
    assert [row[:3] for row in rows[:2]] in (
        [["finished", name, "3"], ["unfinished", name, "2"]],
        [["unfinished", name, "2"], ["finished", name, "3"]],
    )
    assert rows[2][:3] == ["finished", name, "1,200"]
    assert rows[2][-1] == "12.5"
    assert {row[0]: row[1] for row in rows[3:]} == {
        "damaged": files[3].name,
        "left by a killed process": files[4].name,
    }
    size = sum(path.stat().st_size for path in files)
    assert total.startswith(f"5 files, {size:,} bytes (")
    assert total.endswith(f" in {store.folder}")


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("prune", [True, False])
def test_an_empty_or_absent_store_is_said(store, wide, there, prune):
    if there:
        store.folder.mkdir()
    (line,) = listed(store, "--prune") if prune else listed(store)
    assert ("nothing to delete" if prune else "no cells are kept") in line
    assert str(store.folder) in line
    assert store.folder.exists() == there


def test_the_store_is_the_projects_unless_another_is_named(tmp_path, monkeypatch, wide):
    monkeypatch.chdir(tmp_path)
    assert "no cells are kept in .cells" in cells()[0]
    finish(Store(tmp_path / ".cells"), "a")
    assert cells()[-1].startswith("1 file, ")


def test_pruning_deletes_what_is_damaged_or_old_and_says_so(store, wide):
    kept = [finish(store, "a"), aged(finish(store, "b"), DAYS_KEPT - 1), leave(store, "c")]
    gone = [damage(finish(store, "d")), aged(finish(store, "e"), DAYS_KEPT + 1)]
    gone.append(aged(leave(store, "f"), DAYS_KEPT + 1))
    freed = sum(path.stat().st_size for path in gone)
    lines = listed(store, "--prune")
    assert len([line for line in lines if line.startswith(("damaged", "finished", "unf"))]) == 3
    assert lines[-1].startswith(f"deleted 3 files of {store.folder}, which freed {freed:,} bytes")
    assert sorted(store.folder.iterdir()) == sorted(kept)
    assert "nothing to delete" in listed(store, "--prune")[0]


def test_the_days_can_be_chosen_and_with_0_all_goes(store, wide):
    young, old = finish(store, "a"), aged(finish(store, "b"), 8)
    aged(young, 6)
    assert listed(store, "--prune", "--days", 7)[-1].startswith("deleted 1 file of")
    assert young.exists()
    assert not old.exists()
    leave(store, "c")
    assert listed(store, "--prune", "--days", 0)[-1].startswith("deleted 2 files of")
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--days", "3"], "--days 3 says what --prune deletes: give both, or neither"),
        (["--store", "a-file"], "a-file: is a file; the store of cells is a folder"),
        (["--store", "a-file", "--prune"], "a-file: is a file; the store of cells is a folder"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    monkeypatch.setattr(sys, "argv", ["fathom", "cells", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"fathom: {said}\n"


def test_a_file_without_content_is_damaged(store, wide):
    finish(store, "a").write_bytes(b"")
    assert any(line.startswith("damaged") for line in listed(store))


def test_torch_is_not_loaded(store):
    finish(store, "a")
    code = (
        f"import sys; sys.argv = ['fathom', 'cells', '--store', {str(store.folder)!r}]\n"
        "from fathom.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {'torch', 'sklearn', 'onnxruntime'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 file, " in done.stdout
