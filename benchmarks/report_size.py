"""How large the report becomes, and how long its stage takes, at 5, 20 and 60 runs.

The finished study in the current folder is taken again and again: its runs under other names, their
probabilities moved a little, so that each is sure of nuclei of its own. The stage's own script runs
on it in a folder of its own, in one process. Where Chromium and Playwright are there, the page is
opened five times without a network, and the median is told.

    python benchmarks/report_size.py
    python benchmarks/report_size.py --runs 5 --runs 100
"""

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import yaml

ROOT = Path.cwd()
SMALL = ("metrics", "plots", "verdicts")
WHOLE = ("labels", "nuclei", "splits", "audit", "baseline", "ladder", "new_slides")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPENINGS = 5


def main(runs: Annotated[list[int] | None, typer.Option(help="How many runs.")] = None) -> None:
    """Print a table: runs, seconds of the stage, megabytes of tables and page, seconds to open."""
    print("| runs | stage, s | tables that git keeps, MB | page, MB | opens in, s |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for count in runs or (5, 20, 60):
        with tempfile.TemporaryDirectory() as folder:
            study = Path(folder)
            seconds = run_stage(study, count)
            tables = sum(path.stat().st_size for path in (study / "report/tables").iterdir())
            page = study / "report" / "index.html"
            size = page.stat().st_size
            print(
                f"| {count} | {seconds:.1f} | {tables / 1e6:.2f} | {size / 1e6:.2f} | "
                f"{opening(page)} |",
                flush=True,
            )


def run_stage(study: Path, count: int) -> float:
    """Make a study of `count` runs in `study`, run the stage, return its processor time, s."""
    shutil.copy2(ROOT / "params.yaml", study / "params.yaml")
    for name in SMALL:
        shutil.copytree(ROOT / name, study / name)
    own = list(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["runs"])
    names = own + [f"{own[place % len(own)]}-{place}" for place in range(len(own), count)]
    of = with_runs(study, names[:count])
    data = study / "data"
    data.mkdir()
    for name in WHOLE:
        (data / name).symlink_to(ROOT / "data" / name)
    for number, (name, source) in enumerate(of.items()):
        moved(ROOT / "data" / "runs" / source, data / "runs" / name, number)
    dataset = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["dataset"]
    folders = ("labels", "nuclei", "splits", "audit", "baseline", "runs", "ladder", "new_slides")
    command = [sys.executable, ROOT / "stages" / "report.py", ROOT / dataset]
    command += [f"data/{name}" for name in folders]
    command += [*SMALL, "report/tables", "report/index.html"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=study, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def with_runs(study: Path, names: Sequence[str]) -> Mapping[str, str]:
    """Make a study's small tables those of `names`; return which run stands behind each name.

    The study's own runs are taken in turn, so that there can be more or fewer of them. Classifiers
    stay as they are; what only the ladders trained goes.
    """
    file = study / "params.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    rows = params["runs"]
    of = {name: list(rows)[place % len(rows)] for place, name in enumerate(names)}
    params["runs"] = {name: rows[source] for name, source in of.items()}
    named = params["diagnosis"]["networks"]
    if named != "worse":
        params["diagnosis"]["networks"] = [name for name in named if name in of]
    file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    folder = study / "metrics" / "runs"
    numbers = {name: (folder / f"{source}.json").read_bytes() for name, source in of.items()}
    for name in rows:
        (folder / f"{name}.json").unlink()
    for name, content in numbers.items():
        (folder / f"{name}.json").write_bytes(content)
    classifiers = {f"baseline-{name}": f"baseline-{name}" for name in ("logistic", "svm", "forest")}
    for path in (*study.glob("plots/*.csv"), *study.glob("report/tables/*.csv")):
        table = pd.read_csv(path)
        if "run" in table:
            parts = [
                table[table["run"] == source].assign(run=name)
                for name, source in (of | classifiers).items()
            ]
            pd.concat(parts).to_csv(path, index=False)
    return of


def moved(source: Path, folder: Path, seed: int) -> None:
    """Copy what training left of a run, its probabilities moved a little (SD .02 of the logit)."""
    folder.mkdir(parents=True)
    for name in ("history.parquet", "probes.parquet"):
        (folder / name).symlink_to(source / name)
    table = pd.read_parquet(source / "predictions.parquet")
    probability = np.clip(table["probability"].to_numpy(dtype=np.float64), 1e-6, 1 - 1e-6)
    logit = np.log(probability / (1 - probability))
    logit += np.random.default_rng(seed).normal(0, 0.02, len(logit))
    table["probability"] = 1 / (1 + np.exp(-logit))
    table.to_parquet(folder / "predictions.parquet")


def opening(page: Path) -> str:
    """Return the median time until the page is loaded, in s; "" without a browser."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415
    except ModuleNotFoundError:
        found = None
    if found is None:
        return ""
    times = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for _ in range(OPENINGS):
            one = browser.new_page()
            one.goto(page.as_uri())
            told = one.evaluate("JSON.stringify(performance.getEntriesByType('navigation')[0])")
            times.append(json.loads(told)["duration"] / 1000)
            one.close()
        browser.close()
    return f"{statistics.median(times):.1f}"


if __name__ == "__main__":
    typer.run(main)
