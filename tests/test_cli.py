import subprocess
import sys

import pandas as pd
import pytest

from fathom import cli


def fathom(monkeypatch, *arguments):
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["fathom", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_a_sound_data_set_has_no_fault(monkeypatch, capsys, simulated_dataset):
    assert fathom(monkeypatch, "check", simulated_dataset) == 0
    assert "no fault found" in capsys.readouterr().out


def test_every_fault_is_printed_and_the_exit_code_is_2(monkeypatch, capsys, tmp_path):
    rows = [{"image": name, "slide": "s", "patient": "p"} for name in ("images/a.tif", "../b.tif")]
    pd.DataFrame(rows).to_csv(tmp_path / "images.csv", index=False)
    assert fathom(monkeypatch, "check", tmp_path) == 2
    printed = capsys.readouterr()
    assert "images.csv, row 2, column 'image'" in printed.out
    assert "images.csv, row 3, column 'image': '../b.tif' leaves the folder" in printed.out
    assert "faults; docs/own-data.md" in printed.err
    assert "Traceback" not in printed.err


def test_new_slides_need_no_label(monkeypatch, tmp_path):
    (tmp_path / "images.csv").write_text("image,slide,patient\n", encoding="utf-8")
    assert fathom(monkeypatch, "check", tmp_path) == 2
    assert fathom(monkeypatch, "check", tmp_path, "--new-slides") == 0


def test_lines_prints_the_reduced_networks(monkeypatch, capsys):
    assert fathom(monkeypatch, "lines", "--width", "16") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("vgg-11: 4conv3x3 - mp2x2 - 8conv3x3")
    assert second.endswith("fc256 - fc256 - o")


@pytest.mark.parametrize(
    "arguments", [("predict", "no.onnx", "a.tif", "--out", "x"), ("lines", "--width", "7")]
)
def test_a_mistake_is_one_sentence_and_the_exit_code_2(monkeypatch, capsys, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    assert fathom(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err.startswith("fathom: ")
    assert list(tmp_path.iterdir()) == []


def test_help_starts_without_numpy_scipy_or_torch():
    code = (
        "import sys; sys.argv = ['fathom', '--help']\n"
        "from fathom.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'skimage', 'torch', 'pandas', 'onnxruntime'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "predict" in done.stdout
