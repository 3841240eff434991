import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import typer
from tiny_model import write_model

from fathom import cli
from fathom.commands.examples import EXAMPLES
from fathom.commands.words import Exit, print_json
from fathom.networks.families import reduced_vgg

LONG = "9" * 300  # a name that no system has
COMMANDS = typer.main.get_command(cli.app).commands


def fathom(monkeypatch, *arguments):
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["fathom", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_a_sound_data_set_has_no_fault(monkeypatch, capsys, simulated_dataset):
    assert fathom(monkeypatch, "check", simulated_dataset) == 0
    assert "no fault found" in capsys.readouterr().out


def test_every_fault_is_printed_and_the_exit_code_is_1(monkeypatch, capsys, tmp_path):
    rows = [{"image": name, "slide": "s", "patient": "p"} for name in ("images/a.tif", "../b.tif")]
    pd.DataFrame(rows).to_csv(tmp_path / "images.csv", index=False)
    assert fathom(monkeypatch, "check", tmp_path) == 1
    printed = capsys.readouterr()
    assert "images.csv, row 2, column 'image'" in printed.out
    assert "images.csv, row 3, column 'image': '../b.tif' leaves the folder" in printed.out
    assert "faults; docs/own-data.md" in printed.out
    assert printed.err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", LONG),
        ("new", LONG, "--yes"),
        ("predict", "a.onnx", LONG, "--out", "out"),
        ("predict", LONG, "a.tif", "--out", "out"),
    ],
)
def test_a_name_that_no_system_has_is_a_sentence(monkeypatch, capsys, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "a.onnx")
    tifffile.imwrite(tmp_path / "a.tif", np.ones((8, 8), np.uint8))
    assert fathom(monkeypatch, *arguments) in {1, 2}
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert LONG in "".join((printed.out + printed.err).split("\n"))


def test_new_slides_need_no_label(monkeypatch, tmp_path):
    (tmp_path / "images.csv").write_text("image,slide,patient\n", encoding="utf-8")
    assert fathom(monkeypatch, "check", tmp_path) == 1
    assert fathom(monkeypatch, "check", tmp_path, "--new-slides") == 0


def test_lines_prints_the_families_where_there_is_no_params_file(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    options = ("--width", "16", "--depth", "8", "--depth", "14", "--crop-px", "48")
    assert fathom(monkeypatch, "lines", *options) == 0
    table, _ = capsys.readouterr().out.split("\n\n")
    heading, *rows = table.splitlines()
    assert heading.split(maxsplit=3)[:3] == ["layers", "parameters", "multiply-adds"]
    names = " ".join(row.split(":")[0].split()[-1] for row in rows)
    assert names == "vgg-11 vgg-13 vgg-16 plain-8 res-8 plain-14 res-14"
    assert rows[0].endswith("fc256 - fc256 - o")
    assert "vgg-11: 4conv3x3 - mp2x2 - 8conv3x3" in rows[0]
    assert "plain-8: 4conv3x3 - " in rows[3]


def test_lines_prints_those_of_params_once_and_for_their_crops(monkeypatch, capsys, tmp_path):
    own = reduced_vgg("A", 8)
    crop = "crop: {crop_px: 32, normalisation: none, low_percentile: 0.1, high_percentile: 99.9}"
    text = f"{crop}\narchitectures: {{mine: fc7 - o, vgg-11: {own}, vgg-13: fc1 - o}}\n"
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert fathom(monkeypatch, "lines") == 0
    printed = capsys.readouterr().out
    assert printed.count(own) == 1
    assert printed.count("vgg-13: ") == 2  # the family's is another line than params.yaml's
    # 32 x 32 grey pixels to 7 units to the output
    mine = printed.splitlines()[1]
    assert mine.split()[:5] == [
        "2",
        f"{32 * 32 * 7 + 7 + 7 + 1:,}",
        f"{32 * 32 * 7 + 7:,}",
        "1",
        "0",
    ]
    assert mine.endswith("  mine: fc7 - o")


def test_lines_measures_the_lines_that_are_given(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    line = "2conv5x5 - mp4x4 - 3conv3x3 - gap - o"
    options = ("--crop-px", "8", "--channels", "3", "--with-norm")
    assert fathom(monkeypatch, "lines", line, "fc1 - o", *options) == 0
    first, second = capsys.readouterr().out.splitlines()[1:3]
    parameters = (2 * 3 * 25 + 2 * 2) + (3 * 2 * 9 + 2 * 3) + (3 + 1)
    multiply_adds = 64 * 2 * 3 * 25 + 4 * 3 * 2 * 9 + 3
    assert first.split() == ["3", str(parameters), f"{multiply_adds:,}", "16*", "1", *line.split()]
    assert second.endswith("  fc1 - o")


def test_a_family_too_deep_for_the_crops_has_a_note_and_the_others_their_numbers(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert fathom(monkeypatch, "lines", "--crop-px", "24", "--depth", "8") == 0
    printed = capsys.readouterr().out
    assert "vgg-11: layer 13 of 16, 'mp2x2', would pool a map of 1 x 1" in printed
    row = next(row for row in printed.splitlines() if "plain-8: " in row)
    assert row.split()[0] == "8"


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "no.onnx", "a.tif", "--out", "x"),
        ("lines",),
        ("lines", "--crop-px", "48", "--width", "7"),
        ("lines", "--crop-px", "48", "--depth", "21"),
        ("lines", "--crop-px", "48", "8conv3x3 - mp2x3 - o"),
        ("lines", "mp9x9 - o", "--crop-px", "8"),
    ],
)
def test_a_mistake_is_one_sentence_and_the_exit_code_2(monkeypatch, capsys, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    assert fathom(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err.startswith("fathom: ")
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_the_packages(monkeypatch, capsys):
    assert fathom(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"fathom {version('fathom')}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_has_its_examples_a_paragraph_each(monkeypatch, capsys, command):
    monkeypatch.setenv("COLUMNS", "200")
    assert fathom(monkeypatch, command, "--help") == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "Examples:" in lines
    assert set(EXAMPLES[command]) <= set(lines)


def test_words_that_commands_share_mean_the_same():
    """An option of one name has one help, but where it names another thing by design."""
    told = {}
    for name, command in COMMANDS.items():
        for param in command.params:
            if param.param_type_name == "option":
                told.setdefault(param.opts[-1], {}).setdefault(param.help, []).append(name)
    by_design = {"--out", "--um-per-px"}  # a folder or a zip; of a set or of a slide
    assert {option for option, helps in told.items() if len(helps) > 1} <= by_design


@pytest.mark.parametrize(
    "arguments", [("lines", "fc1 - o", "--crop-px", "8"), ("cells",), ("cells", "--prune")]
)
def test_json_is_all_that_is_printed(monkeypatch, capsys, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    assert fathom(monkeypatch, *arguments, "--json") == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)


def test_faults_as_json_have_file_row_and_column_and_the_exit_code_1(monkeypatch, capsys, tmp_path):
    (tmp_path / "images.csv").write_text("image,slide,patient\n../b.tif,s,p\n", encoding="utf-8")
    assert fathom(monkeypatch, "check", tmp_path, "--new-slides", "--json") == 1
    faults = json.loads(capsys.readouterr().out)["faults"]
    assert {"file", "row", "column", "what"} == set(faults[0])
    assert (faults[0]["file"], faults[0]["row"], faults[0]["column"]) == ("images.csv", 2, "image")


def test_numbers_that_json_has_no_word_for_are_null(capsys):
    print_json({"far": float("inf"), "none": [float("nan"), 1.5], "where": Path("a")})
    assert json.loads(capsys.readouterr().out) == {"far": None, "none": [None, 1.5], "where": "a"}


def test_a_fault_of_fathom_itself_has_its_traceback_and_a_code_of_its_own(monkeypatch, capsys):
    monkeypatch.setattr("fathom.reports.cell_table.kept_cells", lambda store: 1 / 0)
    assert fathom(monkeypatch, "cells") == Exit.FAULT
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_word_that_no_command_has_is_a_mistake(monkeypatch):
    assert fathom(monkeypatch, "cells", "--nonsense") == Exit.MISTAKE
    assert fathom(monkeypatch, "nonsense") == Exit.MISTAKE


@pytest.mark.parametrize(
    ("argument", "expected"), [("--help", "predict"), ("lines --crop-px 48", "vgg-16: 8conv3x3")]
)
def test_it_starts_without_numpy_scipy_or_torch(argument, expected):
    code = (
        f"import sys; sys.argv = ['fathom', *'{argument}'.split()]\n"
        "from fathom.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'skimage', 'cv2', 'torch', 'pandas', 'onnxruntime'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
