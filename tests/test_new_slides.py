"""What the stage `check` refuses before any work: params and tables that would fail hours later."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import write_simulated_dataset
from model_cards import PARAMS

from fathom.datasets.check import check_dataset
from fathom.datasets.new_slides import NONE, NewSlides, listed_classes, require_known
from fathom.ground.errors import FathomError
from fathom.ground.section import validated

ROOT = Path(__file__).parents[1]


def new_slides(um_per_px):
    value = {"dataset": "new", "assumed_um_per_px": um_per_px}
    return validated(NewSlides, value, "new_slides")


@pytest.mark.parametrize("um_per_px", [0.01, 0.358, 20, None])
def test_widths_that_a_microscope_has_may_be_assumed(um_per_px):
    assert new_slides(um_per_px).assumed_um_per_px == um_per_px


@pytest.mark.parametrize("um_per_px", [353, 0, -0.5, 0.009, float("nan"), float("inf")])
def test_others_may_not(um_per_px):
    named = r"'new_slides\.assumed_um_per_px' = .*give 0\.01 to 20\.0 um, or null"
    with pytest.raises(FathomError, match=named):
        new_slides(um_per_px)


def test_the_tables_alone_say_which_classes_there_are(tmp_path):
    assert listed_classes(tmp_path) == ()
    (tmp_path / "images.csv").write_text(
        "image,slide,patient,label\na.tif,s,p,ill\nb.tif,s,p,\n", encoding="utf-8"
    )
    (tmp_path / "annotations.csv").write_text("image,x,y,label\nb.tif,1,2,well\n", encoding="utf-8")
    assert listed_classes(tmp_path) == ("ill", "well")


def test_the_folder_that_comes_with_the_project_is_sound_and_empty():
    assert check_dataset(ROOT / NONE, require_labels=False) == []
    assert listed_classes(ROOT / NONE) == ()


def test_fewer_classes_are_no_other_classes():
    require_known(NONE, ["ill"], ["ill", "well"], "the study")
    require_known(NONE, [], ["ill", "well"], "the study")
    with pytest.raises(FathomError, match="the study does not know the class 'sick'"):
        require_known(NONE, ["ill", "sick"], ["ill", "well"], "the study")


@pytest.fixture
def stage(tmp_path):
    """Return what runs the stage's script on a study and new slides, after a change of params."""
    write_simulated_dataset(tmp_path / "study", slides=2)
    write_simulated_dataset(tmp_path / "new", slides=1)

    def run(change):
        params = yaml.safe_load(yaml.safe_dump(PARAMS))
        params["dataset"], params["classes"]["positive"] = "study", "ill"
        params["new_slides"] = {"dataset": "new", "assumed_um_per_px": None}
        change(params)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        words = ("params:dataset", "params:new_slides.dataset", "checked.txt")
        done = subprocess.run(
            [sys.executable, ROOT / "stages" / "check.py", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, tmp_path / "checked.txt"

    return run


def test_the_stage_writes_the_same_line_whatever_the_params_are(stage):
    _, written = stage(lambda params: None)
    before = written.read_bytes()
    _, written = stage(lambda params: params["recipe"].update(learning_rate=0.5))
    assert written.read_bytes() == before


ROW = {"architecture": "shallow", "interventions": {}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda params: params["runs"].update({"small-lr0.001": ROW}), "'runs' has the name"),
        (lambda params: params["controls"].update({"deep batch": ROW}), "'controls' has the name"),
        (
            lambda params: params["runs"].update(deep=ROW | {"architecture": "vgg"}),
            "'runs.deep' has the architecture 'vgg'; 'architectures' has only: ",
        ),
        (
            lambda params: params["runs"].update(deep=ROW | {"interventions": {"a": {"b": 1}}}),
            "runs.deep.interventions.a",
        ),
        (
            lambda params: params["new_slides"].update(assumed_um_per_px=353.0),
            "'new_slides.assumed_um_per_px' = 353.0",
        ),
        (lambda params: params["classes"].update(positive="sick"), "classes.positive = 'sick'"),
    ],
)
def test_what_would_fail_hours_later_is_said_first(stage, change, said):
    done, written = stage(change)
    assert (done.returncode, written.exists()) == (2, False)
    assert done.stderr.startswith("check: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_new_slides_of_other_classes_are_refused_before_any_work(stage, tmp_path):
    table = tmp_path / "new" / "annotations.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace(",ill", ",micronucleated"), encoding="utf-8")
    done, written = stage(lambda params: None)
    assert (done.returncode, written.exists()) == (2, False)
    assert "does not know the class 'micronucleated', only 'ill' and 'well'" in done.stderr
    assert "or to data/none, where nothing is to be scored" in done.stderr
