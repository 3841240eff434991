"""A slide that ends the process it is read in: it is named, the others are done."""

import os
import re
import signal
import threading
import time

import numpy as np
import pytest
import tifffile
from conftest import draw_field
from model_cards import make_card
from tiny_onnx import graph_of, write_graph

from fathom.ground.errors import FathomError
from fathom.ground.workers import ATTEMPTS
from fathom.models.onnx_model import OnnxModel
from fathom.results.slide_files import Formats
from fathom.scoring.predict import predict_slides
from fathom.scoring.scorer import NewSlide, Reading, Scorer


def write_model(path, **changes):
    return write_graph(path, graph_of(), make_card(**changes).properties())


@pytest.fixture
def model_file(tmp_path):
    return write_model(tmp_path / "tiny.onnx", um_per_px=None)


@pytest.fixture
def slides(tmp_path):
    """Two slides of a moment, and between them one of seconds."""
    names = [tmp_path / f"{name}.tif" for name in ("good1", "large", "good2")]
    field = draw_field(3)[0]
    for name in names:
        tifffile.imwrite(name, np.tile(field, (7, 7)) if name.stem == "large" else field)
    return names


def kill_the_reader(out, found):
    """End each process that writes the large slide: its number stands in its files' names."""
    deadline = time.monotonic() + 60
    while len(found) < ATTEMPTS and time.monotonic() < deadline:
        for part in out.glob(".large.*.part"):
            if (reader := int(re.search(r"\.(\d+)\.part", part.name)[1])) not in found:
                found.append(reader)
                os.kill(reader, signal.SIGKILL)
        time.sleep(0.01)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.long
def test_a_slide_that_ends_its_process_is_named_and_the_others_are_done(
    model_file, slides, tmp_path
):
    out, found = tmp_path / "out", []
    killer = threading.Thread(target=kill_the_reader, args=(out, found))
    killer.start()
    with pytest.raises(FathomError, match="1 of 3 images could not be scored") as raised:
        predict_slides(model_file, slides, out)
    killer.join()
    assert len(set(found)) == 2
    assert f"{slides[1]}: the process that read it was ended by signal 9, 2 times" in str(
        raised.value
    )
    kinds = ("geojson", "parquet", "png")
    whole = sorted([f"{name}.{kind}" for name in ("good1", "good2") for kind in kinds])
    assert sorted(contents(out)) == sorted([*whole, "summary.csv"])  # and no half file


def test_apart_or_not_the_files_have_the_same_bytes(model_file, slides, tmp_path):
    scorer = Scorer(OnnxModel(model_file), Reading())
    for name in ("apart", "here"):
        new = [NewSlide(path, path.name, tmp_path / name / path.stem) for path in slides[::2]]
        for some in [new] if name == "apart" else [[one] for one in new]:
            scorer.score(some, Formats(), done={})
    assert len(contents(tmp_path / "apart")) == 6
    assert contents(tmp_path / "apart") == contents(tmp_path / "here")
