import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import simulated_runs as simulated
import yaml
from audit_params import PARAMS

from fathom.ground.errors import FathomError
from fathom.reports.report import print_comparison, print_verdicts
from fathom.statistics.row_text import decimal, difference, signed

LONGEST = "vgg-13-batchnorm"
NAMES = ["shallow", LONGEST, "res-20", "baseline-logistic", "baseline-svm", "baseline-forest"]


def numbers(name):
    made = {"nuclei": 2100, "groups": 23, "cells": 3, "constant_cells": 0, "confidence": 0.95}
    made["seeds"] = 1
    for measure in ("balanced_accuracy", "auroc"):
        made |= {measure: 0.6561, f"{measure}_low": 0.601, f"{measure}_high": 0.7124}
    made |= {"sensitivity": 0.6, "specificity": 0.7, "training_accuracy": 1.0}
    for reference, own in (("first", "shallow"), ("baseline", "baseline-forest")):
        if name != own:
            key = f"difference_to_{reference}"
            made |= {key: -0.1012, f"{key}_low": -0.203, f"{key}_high": -0.0104}
            made |= {f"{key}_claim": -1, f"{key}_detectable": 0.0441 + len(name) / 1e3}
    if not name.startswith("baseline"):
        made["weight_layers"] = 13
    return made


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return the folder of a project whose runs are compared."""
    runs = {
        name: {"architecture": name, "interventions": {}}
        for name in NAMES
        if not name.startswith("baseline")
    }
    params = {"runs": runs, "comparison": simulated.PARAMS.model_dump(), "audit": PARAMS["audit"]}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (tmp_path / "metrics" / "runs").mkdir(parents=True)
    for name in NAMES:
        write(tmp_path, name, numbers(name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


def write(project, name, content):
    (project / "metrics" / "runs" / f"{name}.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("final_diverged", "‡ res-20: the final network diverged."),
        ("final_constant", "‡ res-20: the final network says the same of every nucleus."),
    ],
)
def test_a_run_whose_final_network_failed_is_marked(project, capsys, key, said):
    failed = {"diverged_cells": 1, "final_diverged": 0, "final_constant": 0, key: 1}
    write(project, "res-20", {**numbers("res-20"), **failed})
    text = " ".join(printed(capsys).split())
    assert "res-20†‡" in text
    assert said in text
    assert "† res-20: 1 of 3 networks diverged" in text


def test_what_became_of_all_nuclei_and_annotations_stands_beneath(project, capsys):
    assert "were kept" not in printed(capsys)
    reasons = ("touches_border", "larger_than_crop", "two_labels", "no_label")
    counts = {f"left_out_{key}": 0 for key in reasons} | {"found": 30, "kept": 21, "images": 3}
    counts |= {"left_out_no_label": 7, "left_out_touches_border": 2}
    counts |= {"annotations": 25, "annotations_kept": 21, "annotations_touches_border": 1}
    counts |= {"annotations_in_no_nucleus": 3, "images_listed": 4}
    (project / "metrics" / "crop.json").write_text(json.dumps(counts))
    text = " ".join(printed(capsys).split())
    assert "Of 30 nuclei 21 were kept; no label 7, touches border 2." in text
    assert "Of 25 annotations 21 lie in a kept nucleus; in no nucleus 3, touches border 1." in text
    assert "Of 4 images 3 give a nucleus." in text


def test_what_the_audit_found_and_what_was_waived_stands_beneath(project, capsys):
    assert "audit" not in printed(capsys)
    counts = {"errors": 0, "errors_waived": 1, "warnings": 2, "warnings_waived": 0}
    (project / "metrics" / "audit.json").write_text(json.dumps(counts))
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["audit"] |= {"waivers": {"one_class_patient:p3": "a control"}}
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for markdown in (False, True):
        text = " ".join(printed(capsys, markdown=markdown).split())
        assert "found 1 error and 2 warnings: data/audit/findings.md." in text
        assert "Waived: one_class_patient:p3 (a control)." in text


def test_what_validation_chose_of_each_classifier_stands_beneath(project, capsys):
    assert "chosen" not in printed(capsys)
    values = ({"C": 0.1, "gamma": 1.0}, {"C": 100.0, "gamma": 0.001})
    file = project / "data" / "baseline" / "chosen.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"svm": [{"hyperparameters": value} for value in values]}))
    text = " ".join(printed(capsys).split())
    assert "svm, chosen by validation, fold by fold: C 0.1, 100; gamma 1, 0.001." in text


def printed(capsys, *, markdown=False):
    print_comparison(Path("metrics"), markdown=markdown)
    return capsys.readouterr().out


def rows(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def test_a_log_of_80_columns_shows_every_number_whole(project, capsys):
    text = printed(capsys)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    first, second = rows(text, LONGEST)
    assert first.split() == [LONGEST, "13", "1.000", *[".656", "[.601,", ".712]"] * 2]
    assert second.split() == [LONGEST, ".600", ".700", *["-.101", "[-.203,", "-.010]*"] * 2]


def test_the_order_is_that_of_params_then_the_classifiers(project, capsys):
    shown = [line.split()[0] for line in printed(capsys).splitlines() if line]
    names = ["shallow", LONGEST, "res-20", "logistic", "svm", "forest"]
    assert [word for word in shown if word in names] == names * 2


def test_a_reference_has_no_difference_to_itself(project, capsys):
    assert rows(printed(capsys), "shallow")[1].split() == [
        "shallow",
        ".600",
        ".700",
        *["-.101", "[-.203,", "-.010]*"],
    ]


def test_a_network_that_learned_nothing_is_pointed_out(project, capsys):
    assert "†" not in printed(capsys)
    write(project, "res-20", {**numbers("res-20"), "constant_cells": 2})
    text = printed(capsys)
    assert len(rows(text, "res-20†")) == 2
    assert "† res-20: 2 of 3 networks say the same of every nucleus." in text


def test_what_the_study_could_have_found_is_said(project, capsys):
    # the largest over all runs: .0441 and the 17 letters of the longest name
    assert "A true difference of .061 to shallow would be claimed" in printed(capsys)
    for name in NAMES:
        only = {key: value for key, value in numbers(name).items() if "detectable" not in key}
        write(project, name, only)
    assert "true difference" not in printed(capsys)


def test_one_seed_is_pointed_out(project, capsys):
    assert "One seed each" in printed(capsys)
    write(project, "res-20", {**numbers("res-20"), "seeds": 3})
    assert "One seed each" not in printed(capsys)


def test_removed_runs_do_not_haunt_and_new_ones_are_named(project, capsys):
    write(project, "removed", numbers("removed"))
    (project / "metrics" / "runs" / "res-20.json").unlink()
    text = printed(capsys)
    assert "removed" not in text
    assert "Not compared yet: res-20; run 'make repro'." in text


def test_nothing_compared_yet_is_a_sentence(project):
    for name in NAMES:
        (project / "metrics" / "runs" / f"{name}.json").unlink()
    with pytest.raises(FathomError, match="metrics/runs has no results yet: run 'make repro'"):
        print_comparison(Path("metrics"), markdown=False)


def test_only_places_that_exist_are_shown(project, capsys):
    text = printed(capsys)
    assert "metrics/" in text
    assert "models/" not in text
    (project / "models").mkdir()
    assert "models/" in printed(capsys)


def test_a_long_name_folds_and_costs_no_number(project, capsys):
    long = "vgg-13-batchnorm-he-init-dropout"
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["runs"][long] = params["runs"]["res-20"]
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    write(project, long, numbers(long))
    text = printed(capsys)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count(".656 [.601, .712]") == 2 * (len(NAMES) + 1)


def test_markdown_is_one_table_with_all_columns(project, capsys):
    lines = printed(capsys, markdown=True).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(NAMES)
    assert len({line.count("|") for line in table}) == 1
    assert [cell.strip() for cell in table[0].strip("|").split("|")] == [
        "run",
        "layers",
        "training accuracy",
        "balanced accuracy",
        "AUROC",
        "sensitivity",
        "specificity",
        "minus shallow",
        "minus forest",
    ]
    assert r"-.101 [-.203, -.010]\*" in table[3]
    assert "- 2100 test nuclei in 23 groups. [low, high]: 95 % interval over groups." in lines


def test_the_report_is_light():
    heavy = ("torch", "sklearn", "matplotlib", "pandas", "numpy", "scipy")
    code = f"import sys, fathom.reports.report; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.6564, ".656"), (1, "1.000"), (-0.0341, "-.034"), (-0.0001, ".000"), (0, ".000")],
)
def test_numbers_are_printed_without_a_leading_zero(value, text):
    assert decimal(value) == text


def test_a_difference_is_marked_only_where_it_is_claimed():
    def shown(low, high, claim):
        numbers = {"d": 0.01, "d_low": low, "d_high": high, "d_claim": claim}
        return difference(numbers, "d")

    assert shown(-0.02, 0.05, 0) == "+.010 [-.020, +.050]"
    assert shown(0.0001, 0.05, 1) == "+.010 [.000, +.050]*"
    assert shown(-0.05, -0.02, -1).endswith("*")
    assert not shown(0.001, 0.05, 0).endswith("*")  # its interval excludes 0, but not after Holm
    assert signed(-1) == "-1.000"


@pytest.fixture
def verdicts(tmp_path):
    """Return a folder of verdicts on two networks."""
    for name in ("vgg-11", "vgg-13"):
        page = f"# Why is {name} worse?\n\n**Signal explodes.**\n\n- growth: 1e+05\n"
        (tmp_path / f"{name}.md").write_text(page)
    (tmp_path / "verdicts.json").write_text(json.dumps({"vgg-11": {}, "vgg-13": {}}))
    return tmp_path


def test_all_verdicts_are_printed_or_the_one_that_is_asked_for(verdicts, capsys):
    print_verdicts(verdicts, None)
    assert re.search(r"vgg-11(.|\n)*explodes(.|\n)*vgg-13", capsys.readouterr().out)
    print_verdicts(verdicts, "vgg-13")
    out = capsys.readouterr().out
    assert "growth: 1e+05" in out
    assert "vgg-11" not in out


def test_a_network_without_a_verdict_is_named_with_those_that_have_one(verdicts):
    with pytest.raises(FathomError, match=r"no verdict on 'res-20', only on: vgg-11, vgg-13"):
        print_verdicts(verdicts, "res-20")


def test_no_verdict_yet_says_what_to_run(tmp_path):
    with pytest.raises(FathomError, match=r"verdicts\.json is missing: run 'make repro'"):
        print_verdicts(tmp_path, None)


def test_no_network_that_is_worse_is_said(tmp_path, capsys):
    (tmp_path / "verdicts.json").write_text("{}")
    print_verdicts(tmp_path, None)
    assert "none is worse than a shallower one" in capsys.readouterr().out


def control(name, score):
    half = 0.03
    ends = {"": score, "_low": score - half, "_high": score + half}
    found = {f"{name}.balanced_accuracy{end}": value for end, value in ends.items()}
    return found | {f"{name}.beyond{end}": value - 0.5 for end, value in ends.items()}


@pytest.fixture
def controlled(project):
    """Return the project with controls, a batch effect and label pixels."""
    file = project / "params.yaml"
    params = yaml.safe_load(file.read_text())
    params["controls"] = {"silhouette": {"architecture": "shallow", "interventions": {}}}
    params["shortcuts"] = {"acquisition": "patient", "least_label_px": 5}
    params["shortcuts"] |= {"folds": 3, "trees": 9, "seed": 0}
    file.write_text(yaml.safe_dump(params, sort_keys=False))
    found = control("silhouette", 0.56) | control("size", 0.5)
    for name in NAMES:
        for key in ("batch.{}.default", "batch.{}.within", "label.{}.all", "label.{}.without"):
            score = control("x", 0.6)
            for end in ("", "_low", "_high"):
                found[key.format(name) + end] = score[f"x.balanced_accuracy{end}"]
    found |= {"label_pixels.nuclei": 2100, "label_pixels.positive": 0.4}
    (project / "metrics" / "controls.json").write_text(json.dumps(found, sort_keys=True))
    return project


def test_controls_stand_beside_the_networks_at_80_columns(controlled, capsys):
    text = printed(capsys)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert re.search(r"silhouette +shallow .+\.560 \[\.530, \.590\]", text)
    assert re.search(r"size +classifier .+\.500 \[\.470, \.530\]", text)
    assert "The silhouette alone tells the label, .560 [.530, .590]" in " ".join(text.split())
    for name in (LONGEST, "res-20", "forest"):
        assert len(rows(text, name)) == 4  # two tables of the comparison, batch effect, leak
    assert "no score is seen to" in text


def test_a_terminal_that_is_too_narrow_gets_whole_numbers_all_the_same(
    controlled, capsys, monkeypatch
):
    interval = r"\[\S+,\s+\S+\]"  # the notes may break between its two numbers
    whole = re.findall(interval, printed(capsys))
    monkeypatch.setenv("COLUMNS", "40")
    assert [" ".join(one.split()) for one in re.findall(interval, printed(capsys))] == whole
    assert len(whole) > 20


def test_what_failed_is_marked_in_the_tables_of_the_controls_too(controlled, capsys):
    write(controlled, "res-20", {**numbers("res-20"), "diverged_cells": 1, "final_diverged": 1})
    file = controlled / "metrics" / "controls.json"
    failed = {"silhouette.cells": 3, "silhouette.diverged_cells": 2, "size.cells": 3}
    file.write_text(json.dumps(json.loads(file.read_text()) | failed))
    text = printed(capsys)
    assert len(re.findall(r"^ ?res-20†‡ ", text, re.MULTILINE)) == 4
    assert len(re.findall(r"^ ?silhouette† ", text, re.MULTILINE)) == 1
    said = " ".join(text.split())
    assert "† silhouette: 2 of 3 networks diverged" in said
    assert "size†" not in said


def test_controls_stand_in_the_markdown_too(controlled, capsys):
    text = printed(capsys, markdown=True)
    assert "| silhouette | shallow | outline and size, a picture | .560 [.530, .590] |" in text
    assert "| run | all nuclei | without those that show it |" in text
