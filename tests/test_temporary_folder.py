"""Temporary folders of killed processes go with the next one; those of living ones stay."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fathom.ground.temporary_folder import OWNER, temporary_folder

HOLDS = """
import sys; sys.path.insert(0, sys.argv.pop(1))
from pathlib import Path
from fathom.ground.temporary_folder import temporary_folder
with temporary_folder("cells-", Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """Return a process that holds a folder, and the folder."""
    source = Path(__file__).parents[1] / "src"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, source, tmp_path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        folder = Path(process.stdout.readline().strip())
        (folder / "crops").write_text("many")
        yield process, folder
        process.kill()


def test_a_folder_lasts_as_long_as_its_context(tmp_path):
    with temporary_folder("cells-", tmp_path / "new") as folder:
        assert folder.parent == tmp_path / "new"
        assert [path.name for path in folder.iterdir()] == [OWNER]
    assert list((tmp_path / "new").iterdir()) == []


def test_a_living_process_keeps_its_folder_and_a_killed_one_does_not(held, tmp_path):
    process, theirs = held
    with temporary_folder("cells-", tmp_path):
        assert (theirs / "crops").exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert theirs.exists()
    with temporary_folder("other-", tmp_path):
        assert theirs.exists()
    with temporary_folder("cells-", tmp_path):
        assert not theirs.exists()


@pytest.mark.parametrize("machine", ["another", ""])
def test_a_folder_of_another_machine_or_of_nobody_yet_stays(tmp_path, machine):
    (tmp_path / "cells-1").mkdir()
    (tmp_path / "cells-1" / OWNER).write_text(machine)
    with temporary_folder("cells-", tmp_path):
        assert (tmp_path / "cells-1").exists()


def test_where_storage_has_no_locks_the_folder_is_nobodys_to_take_away(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    with temporary_folder("cells-", tmp_path) as first, temporary_folder("cells-", tmp_path):
        assert first.exists()
        assert (first / OWNER).read_text() == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_an_owner_stays(tmp_path):
    (tmp_path / "cells-mine").mkdir()
    with temporary_folder("cells-", tmp_path):
        assert (tmp_path / "cells-mine").exists()
