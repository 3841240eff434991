import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from model_cards import make_card
from nuclei_batches import grid_batches, make_batch

from fathom.ground.errors import FathomError
from fathom.results.coordinates import PixelGrid
from fathom.results.slide_files import Formats, slide_files

ALL = Formats(gzip=True, labels=True, anndata=True)
ENDINGS = {".geojson.gz", ".parquet", ".png", ".labels.ome.tif", ".h5ad"}
PICTURE = np.zeros((100, 100), np.uint8)


def write(base, formats=ALL, side=300):
    batches, labels = grid_batches(side)
    grid = PixelGrid(side, side, um_per_px=0.5)
    with slide_files(base, grid, PICTURE, make_card(), "a.tif", formats) as files:
        for batch in batches:
            files.add(batch)
    return files, labels


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_all_files_appear_at_once_under_the_slides_name(tmp_path):
    base = tmp_path / "out" / "day.2"
    files, labels = write(base)
    assert names(base.parent) == sorted(f"day.2{ending}" for ending in ENDINGS)
    assert set(ALL.paths(base).values()) == set(base.parent.iterdir())
    table = pd.read_parquet(f"{base}.parquet")
    assert len(table) == labels.max() == files.tally.nuclei
    assert files.tally.positive == (table["class"] == "ill").sum() > 0
    assert files.tally.probabilities == pytest.approx(table["probability"].sum())
    np.testing.assert_array_equal(tifffile.imread(f"{base}.labels.ome.tif"), labels)


def test_the_usual_ones(tmp_path):
    write(tmp_path / "a", None)
    assert names(tmp_path) == ["a.geojson", "a.parquet", "a.png"]
    assert len(json.loads((tmp_path / "a.geojson").read_text())["features"]) == 49


def test_a_slide_without_nuclei_has_all_files(tmp_path):
    with slide_files(tmp_path / "a", PixelGrid(9, 9), PICTURE, make_card(), "a.tif", ALL):
        pass
    assert names(tmp_path) == sorted(f"a{ending}" for ending in ENDINGS)


def test_the_same_slide_gives_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        write(tmp_path / folder / "a")
    for ending in ENDINGS:
        one, two = (tmp_path / folder / f"a{ending}" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), ending


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, FathomError])
def test_after_an_error_there_is_nothing_and_what_was_there_stays(tmp_path, error):
    (tmp_path / "a.parquet").write_text("older")
    (batch, *_), _ = grid_batches(100)

    def write_and_fail():
        grid, card = PixelGrid(100, 100), make_card()
        with slide_files(tmp_path / "a", grid, PICTURE, card, "a.tif", ALL) as files:
            files.add(batch)
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert names(tmp_path) == ["a.parquet"]
    assert (tmp_path / "a.parquet").read_text() == "older"


def test_an_error_of_reading_the_slide_is_not_called_one_of_writing(tmp_path):
    grid, card = PixelGrid(100, 100), make_card()
    with (
        pytest.raises(OSError, match="slide is gone"),
        slide_files(tmp_path / "a", grid, PICTURE, card, "a", ALL),
    ):
        raise OSError("slide is gone")
    assert names(tmp_path) == []


def test_a_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(FathomError, match=r"a\.png: is a folder"):
        write(tmp_path / "a")
    assert names(tmp_path) == ["a.png"]


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(FathomError, match=r"out/a\.\*: cannot be written"):
        write(tmp_path / "out" / "a")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FathomError, match="Permission denied"):
        write(tmp_path / "a")


# The limit of a file's size stands for a full disk: the system refuses the write in the same way.
# Of the usual files GeoJSON is the largest, and fails as it grows; with labels, tiles on disk are
# larger; gzip keeps GeoJSON small, so that AnnData meets the end first, or the tiles do.
FULL_DISK = """
import resource, sys
from pathlib import Path
from test_slide_files import ALL, write
from fathom.ground.errors import FathomError
from fathom.results.slide_files import Formats
cases = [(Formats(), 20_000), (Formats(labels=True), 200_000), (ALL, 5_000), (ALL, 200_000)]
for formats, room in [*cases, (Formats(anndata=True), 900_000)]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        write(Path(sys.argv[1]) / "a", formats, side=600)
    except FathomError as error:
        print(error)
"""


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.stderr == ""
    sentence = f"{tmp_path}/a.*: cannot be written (File too large); nothing was."
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert all(line.startswith(sentence) for line in lines), lines
    assert names(tmp_path) == []


def test_nuclei_of_which_none_is_scored(tmp_path):
    batch = make_batch([np.ones((3, 3), bool)], [(0, 0)], left_out=[0])
    with slide_files(tmp_path / "a", PixelGrid(9, 9), PICTURE, make_card(), "a.tif", ALL) as files:
        files.add(batch)
    assert (files.tally.nuclei, files.tally.scored, files.tally.positive) == (1, 0, 0)
    assert files.tally.probabilities == 0
