"""Names of rows and architectures: what DVC, a shell and a file system take as one word."""

import pytest
import yaml
from model_cards import PARAMS

from fathom.ground.errors import FathomError
from fathom.reports.run_table import listed_rows
from fathom.study.rows import read_architectures, read_row, read_runs, read_table

ROW = "{architecture: shallow, interventions: {}}"
WRONG = ["small-lr0.001", "v1.2", "deep batch norm", "13", "a/b", "-a", "é", "a$b", "'*'", "1e3"]


@pytest.fixture
def file(tmp_path):
    def write(name, table="runs", row=ROW):
        path = tmp_path / "params.yaml"
        text = f"{table}:\n  shallow: {row}\n  {name}: {row}\n"
        if table != "architectures":
            text += "architectures: {shallow: 4conv3x3 - gap - o}\n"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("table", ["runs", "controls"])
def test_a_name_that_would_fail_later_is_refused_in_one_sentence(file, table, name):
    with pytest.raises(FathomError, match=rf"'{table}' has the name .*begins with a letter"):
        read_table(table, file(name, table))
    with pytest.raises(FathomError, match="begins with a letter"):
        read_row(table, name.strip("'"), file(name, table))


@pytest.mark.parametrize("name", ["small-lr0001", "V12", "deep_batch-norm", "x"])
def test_names_that_may_be(file, name):
    assert list(read_runs(file(name))) == ["shallow", name]
    assert read_row("runs", name, file(name))[1] == "4conv3x3 - gap - o"


def test_names_of_architectures_obey_the_same_rule(file):
    path = file("v1.2", "architectures", "4conv3x3 - gap - o")
    with pytest.raises(FathomError, match=r"'architectures' has the name 'v1\.2'"):
        read_architectures(path)
    path = file("a")
    path.write_text(path.read_text().replace("shallow,", "v1.2,").replace("{shallow", "{v1.2"))
    with pytest.raises(FathomError, match=r"'architectures' has the name 'v1\.2'"):
        read_row("runs", "a", path)


def test_the_list_of_runs_says_so_too(tmp_path):
    path = tmp_path / "params.yaml"
    runs = PARAMS["runs"] | {13: PARAMS["runs"]["shallow"]}
    path.write_text(yaml.safe_dump(PARAMS | {"runs": runs}), encoding="utf-8")
    with pytest.raises(FathomError, match="'runs' has the name 13; a name consists of letters"):
        listed_rows(tmp_path, path)
