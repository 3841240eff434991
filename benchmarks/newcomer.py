"""How long a newcomer's way takes: images in a folder, a fresh clone, the commands of README alone.

    python benchmarks/newcomer.py [--until add] [--out benchmarks/results/newcomer.json]

50 simulated fields (160 x 160 px, `draw_field` of tests/conftest.py) of ten patients with a table
of 600 points, half of them of each class, lie outside of the clone. Then the steps below, each
timed by the clock. `set-up` installs what `make repro` would install first, so that both are
timed apart. `repro` trains every run of params.yaml on the fields, without new slides, and ends in
the table; `predict` scores a field that no step has seen. A step that fails ends the benchmark.

`--environment` takes a virtual environment that is there in place of set-up, and `--until` stops
behind a step; both are for trying the steps, and nothing is written then.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import pandas as pd
import tifffile
import typer
import yaml
from training import machine

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))
from conftest import draw_field  # noqa: E402

PATIENTS, FIELDS = 10, 5
MODEL = "models/vgg-13-batchnorm.onnx"
# What params.yaml says of one's own data; new slides are scored by `fathom predict`.
OWN = {
    "dataset": "data/mine",
    "new_slides": {"dataset": "data/none", "assumed_um_per_px": None},
    "classes": {"positive": "ill"},
    "segmentation": {"stain": "fluorescence"},
}


class Step(NamedTuple):
    """A step, its command in the clone, and what README says of it."""

    name: str
    command: str
    in_readme: str = ""


STEPS = (
    Step("set-up", "make setup"),
    Step("report of the default study", "fathom report --no-open", "fathom report"),
    Step(
        "new",
        "fathom new data/mine --labels {given}/points.csv --yes",
        "fathom new data/mine",
    ),
    Step("check", "fathom check data/mine", "fathom check data/mine"),
    Step("add", "dvc add data/mine", "dvc add data/mine"),
    Step("repro", "make repro", "make repro"),
    Step("table", "fathom table"),
    Step("report", "fathom report --no-open", "fathom report"),
    Step(
        "predict",
        f"fathom predict {MODEL} {{given}}/slide.tif --out scored",
        f"fathom predict {MODEL}",
    ),
)


def draw(given: Path) -> None:
    """Write images/, points.csv and slide.tif, as a newcomer has them."""
    (given / "images").mkdir(parents=True)
    points = []
    for number in range(PATIENTS * FIELDS):
        name = f"p{number // FIELDS:02d}_{number % FIELDS}"
        field, annotated = draw_field(number)
        tifffile.imwrite(given / "images" / f"{name}.tif", field)
        points.append(annotated.assign(image=name))
    pd.concat(points).to_csv(given / "points.csv", index=False)
    tifffile.imwrite(given / "slide.tif", draw_field(PATIENTS * FIELDS)[0])


def run(clone: Path, command: str) -> float:
    """Run a command in the clone; return the seconds it took."""
    environment = os.environ | {
        "PATH": f"{clone / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(clone / "src"),
        "DVC_NO_ANALYTICS": "1",
    }
    began = time.perf_counter()
    done = subprocess.run(shlex.split(command), cwd=clone, env=environment, check=False)
    if done.returncode:
        sys.exit(f"`{command}` ended with {done.returncode}")
    return time.perf_counter() - began


def own(params: Path) -> None:
    """Write what params.yaml must say of the newcomer's data."""
    content = yaml.safe_load(params.read_text(encoding="utf-8"))
    for key, value in OWN.items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    params.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def main(
    until: Annotated[str, typer.Option(help="The last step; nothing is written.")] = "",
    environment: Annotated[
        Path | None, typer.Option(help="A virtual environment for set-up; nothing is written.")
    ] = None,
    out: Path = ROOT / "benchmarks/results/newcomer.json",
) -> None:
    """Run the steps in a new clone, and write the seconds of each."""
    from fathom.ground.output import write_json  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        given, clone = Path(folder) / "given", Path(folder) / "fathom"
        draw(given)
        seconds = {"clone": run_clone(clone)}
        shutil.copytree(given / "images", clone / "data/mine/images")
        for step in STEPS:
            if step.name == "set-up" and environment is not None:
                (clone / ".venv").symlink_to(environment.resolve())
            else:
                print(f"$ {step.command}", flush=True)
                seconds[step.name] = run(clone, step.command.format(given=shlex.quote(str(given))))
            if step.name == "add":
                own(clone / "params.yaml")
            if step.name == until:
                break
        rows = len(pd.read_csv(clone / "scored/summary.csv")) if not until else 0
    figures = {name: round(value, 1) for name, value in seconds.items()}
    print(json.dumps(figures, indent=2))
    if not until and environment is None:
        about = {**machine(), "images": PATIENTS * FIELDS, "slides_scored": rows}
        write_json(out, {**about, "seconds": figures})


def run_clone(clone: Path) -> float:
    """Clone what is committed; return the seconds it took."""
    began = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    typer.run(main)
