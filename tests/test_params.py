from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
import yaml

import fathom
from fathom.ground.errors import FathomError
from fathom.ground.section import Section, read_section
from fathom.imaging.params import Classes, Crop, NetworkSegmentation
from fathom.models.abstention import AbstentionLevel
from fathom.networks.interventions import Plan, planned
from fathom.networks.recipe import Recipe
from fathom.study.rows import read_row, read_runs
from fathom.study.splits import Split

FILE = Path(__file__).parents[1] / "params.yaml"
CONTENT = yaml.safe_load(FILE.read_text(encoding="utf-8"))


@pytest.fixture
def edited(tmp_path):
    def edit(**sections):
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(CONTENT | sections), encoding="utf-8")
        return path

    return edit


# A section is known once its module is loaded, whichever tests ran before.
for module in walk_packages(fathom.__path__, "fathom."):
    import_module(module.name)
# Of the two sections `segmentation`, the file has the one for `method: threshold`.
IN_FILE = [s for s in Section.__subclasses__() if s.key != "runs" and s is not NetworkSegmentation]


@pytest.mark.parametrize("section", IN_FILE)
def test_every_section_of_the_file_is_valid_and_no_class_has_a_default(section):
    read_section(section, FILE)
    assert all(field.is_required() for field in section.model_fields.values())


@pytest.mark.parametrize("table", ["runs", "controls"])
def test_every_row_names_an_architecture_and_sound_interventions(table):
    recipe = read_section(Recipe, FILE)
    for name in CONTENT[table]:
        row, line = read_row(table, name, FILE)
        plan = planned(row, name, line, recipe, CONTENT["crop"]["crop_px"])
        assert bool(row.interventions) == (plan != Plan(line, recipe))


def test_no_name_stands_in_two_tables():
    names = [name for table in ("runs", "controls") for name in CONTENT[table]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["b c", "it's", "a.b", "$HOME", "13", "-x", "a/b", ""])
def test_a_row_whose_name_a_shell_or_dvc_would_not_take_is_refused(edited, name):
    row = CONTENT["runs"]["shallow"]
    file = edited(runs={"shallow": row, name: row})
    for read in (read_runs, lambda file: read_row("runs", name, file)):
        with pytest.raises(FathomError, match="a name consists of letters"):
            read(file)


def test_every_top_level_key_is_known():
    known = {section.key for section in Section.__subclasses__()}
    others = {"dataset", "numerics", "architectures", "interventions", "controls"}
    assert set(CONTENT) == known | others


@pytest.mark.parametrize("confidence", [0.0, 1.0, 90.0])
def test_a_confidence_is_a_share(edited, confidence):
    with pytest.raises(FathomError, match=r"'abstention\.confidence'"):
        read_section(AbstentionLevel, edited(abstention={"confidence": confidence}))


def test_an_unknown_key_is_named(edited):
    file = edited(crop=CONTENT["crop"] | {"crop_size": 48})
    with pytest.raises(FathomError, match=r"'crop\.crop_size' = 48: Extra inputs"):
        read_section(Crop, file)


def test_a_missing_key_and_a_value_out_of_bounds_are_named_in_one_go(edited):
    file = edited(split={"group": "slide", "folds": 1, "validation_share": 0.2})
    with pytest.raises(FathomError, match=r"'split\.folds' = 1: .*'split\.seed'.*required"):
        read_section(Split, file)


def test_a_number_in_quotes_is_not_a_number(edited):
    file = edited(split=CONTENT["split"] | {"folds": "3"})
    with pytest.raises(FathomError, match=r"'split\.folds' = '3': .*valid integer"):
        read_section(Split, file)


def test_percentiles_in_the_wrong_order_are_refused(edited):
    file = edited(crop=CONTENT["crop"] | {"low_percentile": 99.95})
    with pytest.raises(FathomError, match="low_percentile must be below"):
        read_section(Crop, file)


def test_a_missing_section_lists_what_there_is(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("crop: {}\n", encoding="utf-8")
    with pytest.raises(FathomError, match="'split' is missing; there is only: crop"):
        read_section(Split, file)


def test_a_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(FathomError, match="run this in the project's folder"):
        read_section(Split, tmp_path / "params.yaml")


def test_broken_yaml_is_a_sentence(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("crop: [", encoding="utf-8")
    with pytest.raises(FathomError, match="not valid YAML"):
        read_section(Split, file)


def test_an_unknown_architecture_is_named(edited):
    file = edited(runs={"deep": {"architecture": "vgg-99", "interventions": {}}})
    with pytest.raises(
        FathomError, match=r"'architectures\.vgg-99' is missing; there is only: .*shallow"
    ):
        read_row("runs", "deep", file)


@pytest.mark.parametrize("written", ["0", "1", "yes", "no", "true", "false", "on", "1.5"])
def test_a_class_that_yaml_does_not_read_as_text_must_be_quoted(tmp_path, written):
    file = tmp_path / "params.yaml"
    file.write_text(f"classes: {{positive: {written}}}", encoding="utf-8")
    with pytest.raises(FathomError, match=r"classes\.positive.*put the class' name in quotes"):
        read_section(Classes, file)
    file.write_text(f"classes: {{positive: '{written}'}}", encoding="utf-8")
    assert read_section(Classes, file).positive == written
