"""The four lines of docs/remote.md on a small project: what one clone pushes another one pulls."""

import re

import pytest
from test_pipeline import ROOT, committed, run

LINES = re.findall(
    r"^dvc (?:remote (?:add|modify)|push|pull).*$", (ROOT / "docs" / "remote.md").read_text(), re.M
)


@pytest.mark.slow
def test_what_is_pushed_is_pulled_elsewhere(tmp_path):
    add, modify, push, pull = (line.partition(" #")[0].split() for line in LINES)
    one, other = tmp_path / "one", tmp_path / "other"
    (one / "data").mkdir(parents=True)
    run(one, "git", "init", "--quiet")
    run(one, "dvc", "init", "--quiet")
    (one / "data" / "crops.npy").write_bytes(b"crops")
    run(one, "dvc", "add", "--quiet", "data/crops.npy")
    run(one, *add)
    run(one, *modify)
    committed(one, "Data and a remote")
    run(one, *push)
    assert (tmp_path / "fathom-storage").is_dir()
    run(tmp_path, "git", "clone", "--quiet", str(one), str(other))
    run(other, *pull)
    assert (other / "data" / "crops.npy").read_bytes() == b"crops"
