"""The columns of `dvc exp show`: few, and the best network is chosen as everywhere."""

import configparser
import re
from pathlib import Path

import yaml

from fathom.reports.headline import headline

ROOT = Path(__file__).parents[1]


def result(test, validation, **others):
    return {
        "balanced_accuracy": test,
        "balanced_accuracy_low": test - 0.02,
        "balanced_accuracy_high": test + 0.02,
        "validation_balanced_accuracy": validation,
        "constant_cells": 0,
        "diverged_cells": 0,
        "nuclei": 90,
        "weight_layers": 6,
    } | others


RESULTS = {
    "shallow": result(0.7, 0.6),
    "deep": result(0.6, 0.8, weight_layers=13, constant_cells=2),
    "deeper": result(0.9, 0.9, final_constant=1),
    "baseline-forest": result(0.65, 0.99),
}
RUNS = ("shallow", "deep", "deeper")


def test_the_best_network_is_the_one_that_validation_prefers_and_that_can_be_used():
    assert headline(RESULTS, dict.fromkeys(RUNS), "baseline-forest") == {
        "best_network": 0.6,
        "best_network_low": 0.58,
        "best_network_high": 0.62,
        "best_network_layers": 13,
        "first_network": 0.7,
        "classifier": 0.65,
        "failed_networks": 3,
        "test_nuclei": 90,
    }


def test_where_all_final_networks_failed_there_is_no_best_one():
    failed = {name: numbers | {"final_diverged": 1} for name, numbers in RESULTS.items()}
    found = headline(failed, dict.fromkeys(RUNS), "baseline-forest")
    assert not any(key.startswith("best") for key in found)
    assert found["failed_networks"] == 5


def test_dvc_shows_the_headline_alone_and_make_keeps_its_columns():
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert pipeline["metrics"] == ["metrics/headline.json"]
    kept = re.search(r"^HEADLINE := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    found = headline(RESULTS, dict.fromkeys(RUNS), "baseline-forest")
    assert len(found) <= 8
    assert all(re.match(kept, key) for key in found)


def test_every_plot_has_a_title_and_a_template_of_the_project():
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    for plot in pipeline["plots"]:
        [written] = plot.values()
        assert written["title"]
        assert (ROOT / ".dvc" / "plots" / f"{written['template']}.json").is_file()


def test_the_page_of_plots_looks_for_vega_beside_it_first():
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc" / "config")
    page = (ROOT / ".dvc" / config["plots"]["html_template"]).read_text(encoding="utf-8")
    assert page.index("vega.js") < page.index("{scripts}") < page.index("{plot_divs}")
    assert "http" not in page
