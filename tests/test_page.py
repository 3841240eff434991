"""The page as text: of the committed study, and of studies that lack or have more than it does."""

import json
import re
from html.parser import HTMLParser
from typing import get_args
from urllib.parse import unquote

import pandas as pd
import pytest
from page_studies import (
    ROOT,
    content_of,
    copied,
    edit_json,
    edit_params,
    page_of,
    rename_slide,
)
from report_size import with_runs
from typer.testing import CliRunner

from fathom import cli
from fathom.ground.errors import FathomError
from fathom.imaging.params import Crop, NetworkSegmentation, Segmentation
from fathom.networks.recipe import Recipe
from fathom.page.drawing import COLOURS, DASHES, chart, interval, run_dash, run_ink, share_bar
from fathom.page.limits import limits
from fathom.page.methods import FOUND, KEPT, SCALED
from fathom.page.page import prose
from fathom.page.references import bibtex
from fathom.page.tables import runs_table

VOID = {"meta", "link", "img", "br", "input", "path", "line", "rect", "polygon", "circle"}


class Outline(HTMLParser):
    """What a page is made of: its tags in balance, its ids, what it links to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.headings = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        own = dict(attributes)
        self.ids += [own["id"]] if "id" in own else []
        self.links += [own[name] for name in ("href", "src") if name in own]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def committed():
    """Return the page of the committed study, written in the project's own folder."""
    return page_of(ROOT)


@pytest.fixture
def study(tmp_path):
    return copied(tmp_path / "study")


def test_the_committed_study_has_its_page_in_three_megabytes(committed):
    assert len(committed.encode("utf-8")) <= 3_000_000
    tables = ROOT / "report" / "tables"
    assert sum(path.stat().st_size for path in tables.iterdir()) <= 1_000_000


def test_the_same_tables_give_the_same_bytes(committed, study):
    assert page_of(study, fresh=True) == committed


def test_it_is_sound_html_and_loads_nothing(committed):
    outline = Outline(committed)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    for link in outline.links:
        assert link.startswith(("#", "data:")), link
        assert link[0] != "#" or link[1:] in outline.ids
    for link in re.findall(r"url\(([^)]{0,40})", committed):
        assert link.startswith("data:"), link
    # No level of headings is skipped.
    assert outline.headings[0] == 1
    steps = zip(outline.headings, outline.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)


def test_nothing_of_this_machine_and_no_time_is_in_it(committed):
    assert str(ROOT) not in committed
    assert not re.search(r"\b\d\d:\d\d:\d\d\b", committed)


def test_every_run_is_followed_in_tables_charts_and_pictures(committed):
    content = content_of(ROOT)
    for name in content.runs:
        for start in ("<tr", '<figure class="panel"', "<path", "<g"):
            assert re.search(f'{start} data-run="{name}"', committed), (name, start)
        assert f'<option value="{name}">' in committed


def test_text_of_a_slide_stays_text(study):
    rename_slide(study, "<script>alert(1)</script>")
    text = page_of(study)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert Outline(text).open == []


def test_a_name_in_params_stays_text(study):
    edit_params(study, lambda params: params.update(dataset='data/<b>"x"</b>&amp;'))
    text = page_of(study)
    assert "<b>" not in text
    assert "&lt;b&gt;" in text


def test_a_study_without_gathered_tables_says_what_is_absent(study):
    for path in (study / "report" / "tables").iterdir():
        path.unlink()
    text = page_of(study)
    for what in ("micrographs", "crops", "calibration", "the signal by layer", "versions"):
        assert re.search(f"Absent: [^<]*{what}", text), what
    assert 'class="crop"' not in text
    assert "No network yet" in text


def test_a_picture_that_is_not_there_is_left_out(study):
    (study / "report" / "tables" / "micrograph-0.webp").unlink()
    assert "5 of 23 images, made small." in page_of(study)


def test_a_study_without_verdicts_says_so(study):
    for path in (study / "verdicts").iterdir():
        path.unlink()
    assert "No verdict was made yet" in page_of(study)


def test_a_study_in_which_nothing_was_diagnosed(study):
    (study / "verdicts" / "verdicts.json").write_text("{}\n")
    assert "Absent: why a network fails" not in page_of(study)
    assert "No network was diagnosed." in page_of(study)


def test_a_study_without_new_slides_and_controls(study):
    (study / "metrics" / "new_slides.json").write_text("{}")
    (study / "metrics" / "controls.json").unlink()
    edit_json(
        study / "report" / "tables" / "pictures.json",
        lambda pictures: pictures.update(new_slides=[], audit=[], new_images=0),
    )
    text = page_of(study)
    assert "New slides, scored" not in text
    assert "Not measured here: what the outline alone tells." in text


def test_what_was_never_compared_has_no_page(study):
    for path in (study / "metrics" / "runs").iterdir():
        path.unlink()
    with pytest.raises(FathomError, match="no results yet: run 'make repro' first"):
        page_of(study)


@pytest.mark.parametrize("count", [1, 2])
def test_one_run_and_two(study, count):
    (study / "verdicts" / "verdicts.json").write_text("{}\n")
    with_runs(study, [f"run{number}" for number in range(count)])
    text = page_of(study)
    assert Outline(text).open == []
    assert ("No network deeper than run0" in text) == (count == 1)


def test_of_many_runs_the_first_screen_shows_those_that_matter(study):
    with_runs(study, [f"run{number:02d}" for number in range(20)])
    text = page_of(study)
    first = text[: text.index("Each deeper network")]
    assert 'data-follow="run00"' in first
    assert 'data-follow="run19"' not in first
    assert "All 23 rows" in first
    assert "The first 300 of 320 rows; all are in the CSV file." not in text
    assert len(text) <= 3_000_000


def test_bright_field_and_other_classes(study):
    edit_json(
        study / "report" / "tables" / "study.json",
        lambda told: told.update(classes={"negative": "normal", "positive": "mitotic"}, channels=3),
    )
    edit_params(study, lambda params: params["segmentation"].update(stain="haematoxylin"))
    text = page_of(study)
    assert "54 % mitotic, the rest normal" in text
    assert "Nuclei were found by a local threshold (haematoxylin)" in text


def test_failed_runs_are_marked_and_are_sure_of_none(study):
    edit_json(
        study / "metrics" / "runs" / "shallow.json",
        lambda numbers: numbers.update(constant_cells=3, final_constant=1),
    )
    table = study / "report" / "tables" / "surest.csv"
    surest = pd.read_csv(table)
    surest[surest["run"] != "shallow"].to_csv(table, index=False)
    text = page_of(study)
    assert "shallow†‡</button>" in text
    assert "† shallow: 3 of 3 networks say the same of every nucleus." in text
    assert "shallow: its networks say the same of every nucleus, and are sure of none." in text


def test_csv_files_hold_the_tables(committed):
    links = re.findall(r'href="data:text/csv;charset=utf-8,([^"]*)" download="([^"]*)"', committed)
    files = {name: unquote(content) for content, name in links}
    rows = files["runs.csv"].splitlines()
    content = content_of(ROOT)
    assert len(rows) == 1 + len(runs_table(content).rows)
    assert [row for row in rows if row.startswith("control silhouette,")]
    numbers = json.loads((ROOT / "metrics" / "runs" / "shallow.json").read_text())
    shallow = dict(zip(rows[0].split(","), rows[1].split(","), strict=True))
    assert float(shallow["balanced_accuracy"]) == numbers["balanced_accuracy"]
    curves = files["curves.csv"].splitlines()
    networks = files["networks.csv"].splitlines()
    assert len(curves) - 1 == 2 * (len(networks) - 1)


def test_methods_and_bibtex_are_filled_in_from_the_run(committed, study):
    assert "was 40 epochs with rmsprop (learning rate 0.001, batch size 64)" in committed
    assert "vgg-13-batchnorm (vgg-13 with batchnorm)" in committed
    assert "scaled to 0 to 255 within each slide. The study" in committed
    assert "The study holds 2,170 nuclei" in committed
    assert "title = {MNFinder 1.2.3, micrographs and masks}" in committed
    edit_params(study, lambda params: params["recipe"].update(epochs=7, weights="last"))
    assert "was 7 epochs" in page_of(study)
    assert "the last epoch was kept" in page_of(study)


def test_methods_have_ladder_controls_and_texture(committed, study):
    assert (
        "Why vgg-13 fails was asked by changing one thing at a time: batchnorm, residual, he-init, "
        "no-dropout, rate-tenth-long, warm-up, clipped and batchnorm-shuffled-labels. This took "
        "45 more networks, of a budget of 45"
    ) in committed
    assert "at 6, 9 and 12 networks each" in committed
    assert "shallow was trained on silhouette, background and shuffled labels" in committed
    assert "a pattern of 6 px was planted" in committed
    assert "Beside them stood logistic, svm and forest on measured features" in committed
    edit_params(study, lambda params: params["texture"].update(strengths=[0.75], wavelength_px=9.0))
    edit_params(study, lambda params: params["diagnosis"].update(budget=60, confidence=0.9))
    text = page_of(study)
    assert "a pattern of 9 px was planted into the texture" in text
    assert "by .75 SD of a nucleus" in text
    assert "of a budget of 60" in text
    assert "exact 90 % intervals" in text
    (study / "metrics" / "texture.json").unlink()
    (study / "verdicts" / "verdicts.json").write_text("{}\n")
    text = page_of(study)
    assert "positive control, a pattern" not in text
    assert "changing one thing at a time" not in text


def test_papers_are_those_of_what_was_run(study):
    own = bibtex(content_of(study))
    assert {"he2015delving", "ioffe2015batch", "glorot2010difficulty"} <= cited(own)
    assert not {"kingma2015adam", "wu2018group", "mishkin2016all"} & cited(own)
    assert "Simonyan \\& Zisserman" in own

    def change(params):
        params["recipe"] |= {"optimiser": "adam", "initialisation": "lsuv", "dropout": 0.0}
        params["runs"] = {"shallow": params["runs"]["shallow"]}

    edit_params(study, change)
    (study / "verdicts" / "verdicts.json").write_text("{}\n")
    other = cited(bibtex(content_of(study)))
    assert {"kingma2015adam", "mishkin2016all"} <= other
    assert not {"glorot2010difficulty", "srivastava2014dropout", "he2015delving"} & other


def cited(text):
    return set(re.findall(r"@misc{(\w+),", text))


def test_percent_and_patients_are_the_params_and_the_datas_own(study):
    assert "6 patients or acquisitions." in page_of(study)

    def change(params):
        params["comparison"]["confidence"] = 0.9
        params["shortcuts"]["acquisition"] = "slide"

    edit_params(study, change)
    text = page_of(study)
    assert "6 patients." in text
    assert "patients or acquisitions" not in text
    assert "<span>90 % interval</span>" in text
    assert "in 90 of 100 such studies" in text


def test_what_is_code_in_a_terminal_is_code_on_the_page(committed):
    assert "<code>fathom predict</code> refuses it" in committed
    body = committed[committed.index("<body") : committed.index("<script>")]
    assert "`" not in re.sub(r"<[^>]*>", "", body)
    assert prose("`<b>` & c") == "<code>&lt;b&gt;</code> &amp; c"


def test_the_answer_names_the_arms_above_guessing_and_which_networks_a_number_is_of(committed):
    assert (
        "Of the networks, only vgg-13-he-init (.521 [.506, .535], 6 networks) and "
        "vgg-13-rate-tenth-long (.536 [.514, .558], 3 networks) are shown to be better than "
        "guessing, by less than .05 (diagnosis.least_gain), below logistic, svm and forest."
    ) in committed
    assert "-.009 [-.032, +.015] with 6 networks, -.016 [-.044, +.012] with the 3" in committed
    assert "of its own 3 networks; &#39;left the plateau&#39; also counts those" in committed


def test_an_audit_sheet_says_what_was_found(committed):
    assert "conflicting annotations: 7 nuclei hold annotations of both classes" in committed


def test_the_chart_by_depth_is_said_in_numbers(committed):
    assert "vgg-13, 13 layers, training .500, test .505; vgg-13-batchnorm" in committed


def test_every_way_to_find_scale_and_keep_has_words():
    methods = [
        value
        for one in (Segmentation, NetworkSegmentation)
        for value in get_args(one.model_fields["method"].annotation)
    ]
    assert set(FOUND) == set(methods)
    assert set(SCALED) == set(get_args(Crop.model_fields["normalisation"].annotation))
    assert set(KEPT) == set(get_args(Recipe.model_fields["weights"].annotation))


def test_the_limits_are_measured_or_said_not_to_be(study):
    told = dict(limits(content_of(ROOT)))
    assert "To be claimed in 80 % of studies of this size" in told["Differences"]
    assert told["Groups"].startswith("23 slides are kept whole (split.group).")
    assert "The outline alone tells the label" in told["Outline"]
    assert "Nothing was waived." in told["Audit"]
    waived = {"blurred_image:a.tif": "the only one of this day"}
    edit_params(study, lambda params: params["audit"].update(waivers=waived))
    assert "blurred_image:a.tif (the only one of this day)" in page_of(study)


def test_fathom_report_writes_it_and_says_what_is_absent(study, monkeypatch):
    (study / "plots" / "roc.csv").unlink()
    monkeypatch.chdir(study)
    shown = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    monkeypatch.setenv("DISPLAY", ":0")
    said = CliRunner().invoke(cli.app, ["report", "--out", "report/page.html"])
    assert said.stdout == "report/page.html\n"
    assert "absent: ROC curves (plots/roc.csv)\n" in said.stderr
    assert shown == [(study / "report" / "page.html").as_uri()]
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    CliRunner().invoke(cli.app, ["report", "--out", "report/page.html"])
    assert len(shown) == 1


def test_fathom_report_as_json_says_where_it_is_and_shows_nothing(study, monkeypatch):
    monkeypatch.chdir(study)
    shown = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    monkeypatch.setenv("DISPLAY", ":0")
    (study / "plots" / "roc.csv").unlink()
    told = json.loads(CliRunner().invoke(cli.app, ["report", "--json"]).stdout)
    size = (study / "report" / "index.html").stat().st_size
    absent = ["ROC curves (plots/roc.csv)"]
    assert told == {"page": "report/index.html", "bytes": size, "absent": absent}
    assert shown == []


def test_colour_and_dashes_tell_49_runs_apart():
    looks = {(run_ink(place), run_dash(place)) for place in range(COLOURS * len(DASHES))}
    assert len(looks) == 49


def test_a_chart_has_words_a_colour_of_the_page_and_whom_to_follow():
    drawn = chart(
        {
            "data": {"values": [{"x": 0, "y": 0.123456}, {"x": 1, "y": 1}]},
            "mark": "line",
            "encoding": {
                "x": {"field": "x", "type": "quantitative"},
                "y": {"field": "y", "type": "quantitative"},
                "color": {"value": run_ink(3)},
                "description": {"value": "run:a"},
            },
        },
        'said <of> "it"',
    )
    assert 'aria-label="said &lt;of&gt; &#34;it&#34;"' in drawn
    assert re.search(r'<path data-run="a" d="M0,[\d.]+L300,0" stroke="var\(--run-3\)"', drawn)
    assert not re.search(r"\d\.\d\d", drawn)
    assert "<g></g>" not in drawn


def test_an_interval_stays_within_its_picture():
    drawn = interval("a", 1, 0.1, 0.5, 0.9, (0.4, 0.8))
    assert 'x1="0.0" x2="100.0"' in drawn
    assert 'stroke="var(--run-1)"' in drawn
    assert 'stroke="var(--grey)"' in interval("a", None, 0.1, 0.5, 0.9, (0.4, 0.8))


def test_an_interval_and_a_share_have_their_runs_colour_and_dashes():
    place = COLOURS + 2
    dashed = interval("a", place, 0.1, 0.5, 0.9, (0.4, 0.8))
    assert f'stroke-dasharray="{run_dash(place)}"' in dashed
    assert 'stroke="var(--run-2)"' in dashed
    assert "dasharray" not in interval("a", 2, 0.1, 0.5, 0.9, (0.4, 0.8))
    assert 'fill="var(--run-2)"' in share_bar("a", place, 1, 3, (0.0, 0.9))
    # Who is no run has no run's colour.
    assert 'fill="var(--grey)"' in share_bar("a", None, 1, 3, (0.0, 0.9))
