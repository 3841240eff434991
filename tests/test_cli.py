import subprocess
import sys

import pandas as pd
import pytest

from fathom import cli
from fathom.networks.families import reduced_vgg


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
