"""`--resume`: what an earlier call finished is kept, and nothing else is taken for it."""

import os

import pytest
import tifffile
from conftest import draw_field
from tiny_model import write_model

from fathom.ground.errors import FathomError
from fathom.results.slide_files import Formats
from fathom.scoring.predict import predict_slides
from fathom.scoring.scorer import Reading

pytestmark = pytest.mark.usefixtures("one_reader")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx", um_per_px=None)


@pytest.fixture
def slides(tmp_path):
    paths = [tmp_path / f"{name}.tif" for name in "abc"]
    for seed, path in enumerate(paths):
        tifffile.imwrite(path, draw_field(seed)[0])
    return paths


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_call_that_was_ended_goes_on(model_file, slides, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    predict_slides(model_file, slides[:2], out)
    (out / "summary.csv").unlink()  # an ended call has not come to it
    (out / "b.png").unlink()  # and may have been ended between two files' names
    before = times(out)
    resumed = predict_slides(model_file, slides, out, resume=True)
    predict_slides(model_file, slides, whole)
    assert content(out) == content(whole)
    assert resumed["image"].tolist() == [slide.as_posix() for slide in slides]
    after = times(out)
    assert [name for name in before if after[name] == before[name]] == [
        name for name in before if name.startswith("a.")
    ]


def test_a_call_in_which_a_slide_failed_goes_on(model_file, slides, tmp_path):
    out = tmp_path / "out"
    good = slides[1].read_bytes()
    slides[1].write_bytes(good[:100])
    with pytest.raises(FathomError, match="1 of 3 images could not be scored"):
        predict_slides(model_file, slides, out)
    slides[1].write_bytes(good)
    before = times(out)
    summary = predict_slides(model_file, slides, out, resume=True)
    assert summary["remark"].tolist() == [""] * 3
    assert times(out)["a.parquet"] == before["a.parquet"]


def test_a_slide_that_changed_is_scored_again(model_file, slides, tmp_path):
    out = tmp_path / "out"
    first = predict_slides(model_file, slides, out)
    tifffile.imwrite(slides[0], draw_field(7, nuclei=5)[0])
    later = (out / "a.parquet").stat().st_mtime + 1
    os.utime(slides[0], (later, later))
    second = predict_slides(model_file, slides, out, resume=True)
    assert second["nuclei"].tolist() == [5, *first["nuclei"].tolist()[1:]]


def test_other_formats_are_made(model_file, slides, tmp_path):
    predict_slides(model_file, slides, tmp_path / "out")
    predict_slides(model_file, slides, tmp_path / "out", formats=Formats(labels=True), resume=True)
    assert len(list((tmp_path / "out").glob("*.labels.ome.tif"))) == 3


def changed_model(model_file, tmp_path):
    return {"model": write_model(tmp_path / "other.onnx", um_per_px=None, threshold=0.4)}


def another_slide_of_the_name(model_file, tmp_path):
    twin = tmp_path / "elsewhere" / "a.tif"
    twin.parent.mkdir()
    tifffile.imwrite(twin, draw_field(9)[0])
    return {"slides": [twin]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed_model, "model_sha256"),
        (another_slide_of_the_name, "image"),
        (lambda *_: {"um_per_px": 0.5}, "given_um_per_px None, and this call has"),
        (
            lambda *_: {"reading": Reading(assumed_um_per_px=0.5)},
            "assumed_um_per_px None, and this call has",
        ),
    ],
)
def test_results_of_another_call_are_not_taken_for_this_ones(
    change, told, model_file, slides, tmp_path
):
    out = tmp_path / "out"
    predict_slides(model_file, slides, out)
    before = content(out)
    arguments = {"model": model_file, "slides": slides} | change(model_file, tmp_path)
    with pytest.raises(FathomError, match=rf"a\.parquet: was made with {told}") as caught:
        predict_slides(**arguments, out=out, resume=True)
    assert "--overwrite in place of --resume" in str(caught.value)
    assert content(out) == before


def test_a_table_that_is_not_fathoms_is_a_sentence(model_file, slides, tmp_path):
    out = tmp_path / "out"
    predict_slides(model_file, slides, out)
    (out / "a.parquet").write_bytes(b"hello")
    with pytest.raises(FathomError, match=r"a\.parquet: is no table of fathom's"):
        predict_slides(model_file, slides, out, resume=True)


def test_both_options_at_once_are_refused(model_file, slides, tmp_path):
    with pytest.raises(FathomError, match="give one of both"):
        predict_slides(model_file, slides, tmp_path / "out", resume=True, overwrite=True)
