"""What a kill leaves of DVC's own files, and that DVC reads them again."""

import json
import os
import subprocess
import sys
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from dvc.repo import Repo

from fathom.commands.recovery import recover, whole_entries

# As DVC writes it: two stages, one with a file that git keeps.
ENTRY = """  {name}:
    cmd: python {name}.py
    deps:
    - path: {name}.py
      hash: md5
      md5: 3218a840f61c76a55da5f43b217ec891
      size: 1566
    params:
      params.yaml:
        audit:
          errors:
          - blank_image
          waivers: {{}}
    outs:
    - path: {name}
      hash: md5
      md5: ed9b3dab4b29a68e5160107e71c8cf1d.dir
      size: 29916
      nfiles: 7
"""
HEAD = "schema: '2.0'\nstages:\n"
LOCK = HEAD + ENTRY.format(name="one") + ENTRY.format(name="two")
STAGES = "".join(f"  {n}:\n    cmd: python {n}.py\n    outs: [{n}]\n" for n in ("one", "two"))


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Repo.init(no_scm=True).close()
    Path("dvc.yaml").write_text(f"stages:\n{STAGES}")
    return tmp_path


def read_by_dvc():
    """Return the stages that DVC finds in dvc.lock, or what it says."""
    try:
        with Repo() as repo:
            return {stage.name for stage in repo.index.stages if stage.outs[0].hash_info}
    except DvcException as error:
        return str(error)


def test_wherever_a_lock_was_cut_dvc_reads_it_again(project, capsys):
    lock = project / "dvc.lock"
    refused = 0
    for kept in range(0, len(LOCK), 61):
        lock.write_text(LOCK[:kept])
        if is_refused := isinstance(read_by_dvc(), str):
            refused += 1
        recover()
        assert not is_refused or "was cut when its writer was killed" in capsys.readouterr().err
        assert read_by_dvc() == ({"one"} if kept > len(HEAD + ENTRY) else set()), kept
    assert refused > 2  # or there were nothing to mend


def test_a_whole_lock_is_left_alone(project, capsys):
    (project / "dvc.lock").write_text(LOCK)
    before = (project / "dvc.lock").stat().st_ino
    recover()
    assert (project / "dvc.lock").read_text() == LOCK
    assert (project / "dvc.lock").stat().st_ino == before
    assert read_by_dvc() == {"one", "two"}
    assert capsys.readouterr().err == ""


def test_the_projects_own_lock_is_whole():
    text = (Path(__file__).parents[1] / "dvc.lock").read_text(encoding="utf-8")
    assert whole_entries(text) == text


def busy(pid):
    one = {"pid": pid, "cmd": "dvc repro"}
    return json.dumps({"write": {"/data/nuclei": one}, "read": {"/stages/crop.py": [one]}})


# Half a file; a process that is there and none of DVC's: this one.
@pytest.mark.parametrize("left", ["", busy(7)[:40], busy(os.getpid())], ids=["none", "half", "pid"])
def test_the_list_of_busy_files_of_a_killed_process_is_deleted(project, capsys, left, monkeypatch):
    monkeypatch.setattr("fathom.commands.recovery._is_dvc", lambda pid: False)
    (project / ".dvc" / "tmp" / "rwlock").write_text(left)
    recover()
    assert not (project / ".dvc" / "tmp" / "rwlock").exists()
    assert ".dvc/tmp/rwlock: was left by a process that was killed" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # of DVC about pygtrie
def test_a_damaged_file_of_the_cache_is_never_taken_for_the_whole_one(project, capsys):
    """DVC alone restores it and says that nothing changed."""
    make = "from pathlib import Path; Path('two').mkdir(); Path('two/a').write_bytes(b'a' * 5000)"
    Path("two.py").write_text(f"{make}; Path('one').write_bytes(b'b' * 5000)")
    entry = "  two:\n    cmd: python two.py\n    outs: [one, two]\n"
    Path("dvc.yaml").write_text(f"stages:\n{entry}")
    with Repo() as repo:
        repo.reproduce()
    whole = {name: Path(name).read_bytes() for name in ("one", "two/a")}
    capsys.readouterr()
    recover(cache=True)
    assert capsys.readouterr().out == "every file in DVC's cache and of its outputs is whole\n"
    for path in Path(".dvc/cache/files").rglob("*"):
        if path.is_file() and path.suffix != ".dir":
            path.chmod(0o644)
            path.write_bytes(b"c" + path.read_bytes()[1:])
            path.chmod(0o444)
    Path("one").unlink()
    Path("two/a").unlink()
    with Repo() as repo:
        repo.checkout()
        assert repo.status() == {}
    recover(cache=True)
    assert capsys.readouterr().err.count("is damaged; deleted") == 2
    with Repo() as repo:
        repo.reproduce()
    assert {name: Path(name).read_bytes() for name in whole} == whole


def test_while_dvc_is_at_work_nothing_is_touched(project, capsys):
    """Neither where it holds its lock, nor where it runs a stage and a file is busy."""
    lock, rwlock = project / "dvc.lock", project / ".dvc" / "tmp" / "rwlock"
    lock.write_text(LOCK[:200])
    with (project / ".dvc" / "tmp" / "lock").open("a") as file:
        flock(file, LOCK_EX)
        recover()
    wait = "import sys; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", wait, "dvc", "repro"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        rwlock.write_text(busy(process.pid))
        recover()
        assert rwlock.read_text() == busy(process.pid)
        process.stdin.close()
    assert lock.read_text() == LOCK[:200]
    assert capsys.readouterr().err == ""
    recover()
    assert not rwlock.exists()
    assert not lock.exists()


def test_where_dvc_never_was_there_is_nothing_to_mend(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    recover()
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""
