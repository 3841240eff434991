import re
from pathlib import Path

import pytest
import yaml

from fathom.ground.section import read_section
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import cost
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Recipe
from fathom.reports.run_table import listed_rows, price_of, print_rows

FILE = Path(__file__).parents[1] / "params.yaml"
PARAMS = yaml.safe_load(FILE.read_text(encoding="utf-8"))
RECIPE = read_section(Recipe, FILE)
LINE = PARAMS["architectures"]["vgg-13"]


def test_every_row_is_listed_with_its_changes_cost_and_whether_it_is_done(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "200")
    done = tmp_path / "runs" / "vgg-13-batchnorm"
    done.mkdir(parents=True)
    (done / "predictions.parquet").touch()
    print_rows(listed_rows(tmp_path, FILE))
    out = capsys.readouterr().out
    for table in ("runs", "controls"):
        for name in PARAMS[table]:
            assert re.search(rf"^{name} ", out, re.MULTILINE), name
    epochs = RECIPE.epochs
    assert re.search(rf"shallow +6 +{epochs} x 4 +1\.0\s", out)
    assert re.search(rf"vgg-13-batchnorm +13 +batchnorm +{epochs} x 4 +[\d.]+ +yes", out)
    assert len(re.findall(r" yes\b", out)) == 1


def test_the_price_is_in_multiply_adds():
    adds = cost(parse(LINE), 1, 48).multiply_adds
    assert price_of(Plan(LINE, RECIPE), 4, 48) == 3 * adds * RECIPE.epochs * 4


@pytest.mark.parametrize(
    ("change", "factor"),
    [({"epochs": 2 * RECIPE.epochs}, 2), ({"training_nuclei": 0.5}, 0.5), ({"dropout": 0.0}, 1)],
)
def test_what_trains_longer_or_on_less_costs_so(change, factor):
    plan = Plan(LINE, RECIPE.model_copy(update=change))
    assert price_of(plan, 4, 48) == factor * price_of(Plan(LINE, RECIPE), 4, 48)
