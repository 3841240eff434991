"""What one more image costs: the stages from micrographs to the audit, with what a store holds.

    python benchmarks/one_more_image.py [--dataset data/micronuclei]

Without `--dataset`: 101 simulated fields of 800 px with 100 nuclei each, one a patient
(`fathom.simulation`, seed 0). The last image of the data set is the one more. In turn, in each
round: with an empty store ("from nothing"), with the store of all images but the last ("one more"),
and with the store of all ("the same again"). What the stages write is
compared: every byte is the same. Writes benchmarks/results/one_more_image.json, a part a data set.
"""

import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
import yaml

from fathom.ground.processor import processor_name
from fathom.simulation.simulated_slides import DEFAULT_FIELD, write_dataset
from fathom.simulation.simulation import DEFAULT

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "one_more_image.json"
STAGES = {
    "audit_images": "set STORE audit_images",
    "segment": "set STORE labels",
    "crop": "set labels STORE nuclei accounts.parquet crop.json",
    "features": "nuclei STORE features.parquet",
    "audit": ("set audit_images nuclei accounts.parquet features.parquet STORE audit audit.json"),
}
STORE = "images"
WAYS = ("from nothing", "one more", "the same again")


def write_simulated(folder: Path) -> str:
    """Write the simulated data set; return its positive class."""
    simulation = replace(DEFAULT, patients=101, slides_per_patient=1, nuclei_per_patient=100)
    write_dataset(folder, simulation, replace(DEFAULT_FIELD, field_px=800), seed=0)
    return "positive"


def without_last(folder: Path, out: Path) -> None:
    """Copy a data set without its last image."""
    shutil.copytree(folder, out)
    with (out / "images.csv").open(encoding="utf-8", newline="") as file:
        last = max(row["image"] for row in csv.DictReader(file))
    for name in ("images.csv", "annotations.csv"):
        with (out / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        with (out / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(row for row in rows if row["image"] != last)
    stem = Path(last.removeprefix("images/")).with_suffix("")
    for path in [out / last, *out.glob(f"*masks/{stem}.*")]:
        path.unlink()


def run(work: Path, dataset: Path, store: Path) -> dict[str, dict]:
    """Run the stages in an empty folder; return CPU and clock seconds of each."""
    for path in work.iterdir():
        if path.name != "params.yaml":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (work / "set").symlink_to(dataset)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    seconds = {}
    for stage, words in STAGES.items():
        paths = [str(store) if word == "STORE" else word for word in words.split()]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        command = [sys.executable, ROOT / "stages" / f"{stage}.py", *paths]
        subprocess.run(command, cwd=work, env=environment, check=True)
        clock, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds[stage] = {"cpu": round(cpu, 3), "clock": round(clock, 3)}
    return seconds


def written(work: Path) -> dict[str, bytes]:
    """Return what the stages wrote, by path."""
    files = (path for path in work.rglob("*") if path.is_file() and path.name != "params.yaml")
    return {str(path.relative_to(work)): path.read_bytes() for path in files}


def measure(dataset: Path, positive: str | None, folder: Path, rounds: int) -> dict:
    """Return the seconds of each way, stage and round, and the size of the store."""
    work, kept = folder / "work", folder / STORE
    work.mkdir()
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    if positive:
        params["classes"]["positive"] = positive
    (work / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    without_last(dataset, folder / "fewer")
    run(work, folder / "fewer", kept)
    stores = {way: folder / way.replace(" ", "-") for way in WAYS}
    found: dict[str, list] = {way: [] for way in WAYS}
    expected = None
    for number in range(rounds):
        for way, store in stores.items():
            if way != "the same again":
                shutil.rmtree(store, ignore_errors=True)
            if way == "one more":
                shutil.copytree(kept, store)
            if way == "the same again" and number == 0:
                shutil.copytree(stores["one more"], store)
            found[way].append(run(work, dataset, store))
            expected = expected or written(work)
            if written(work) != expected:
                raise SystemExit(f"{way}: the stages wrote other bytes")
            total = sum(one["cpu"] for one in found[way][-1].values())
            print(f"round {number + 1}, {way}: {total:.1f} CPU s", flush=True)
    size = sum(path.stat().st_size for path in stores["from nothing"].iterdir())
    return {"rounds": found, "store_bytes": size}


def table(results: dict) -> str:
    """Return medians of CPU seconds, a row a stage, and of the seconds on the clock."""
    lines = [f"| stage | {' | '.join(WAYS)} |", "| --- |" + " ---: |" * len(WAYS)]
    rounds = results["rounds"]
    for stage in STAGES:
        cells = (median(one[stage]["cpu"] for one in rounds[way]) for way in WAYS)
        lines.append(f"| `{stage}` | {' | '.join(f'{cell:.1f}' for cell in cells)} |")
    for what, name in (("cpu", "all"), ("clock", "all, on the clock")):
        sums = {way: [sum(s[what] for s in one.values()) for one in rounds[way]] for way in WAYS}
        cells = (f"{median(sums[way]):.1f}" for way in WAYS)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(
    dataset: Annotated[Path | None, typer.Option(help="In place of the simulated one.")] = None,
    rounds: Annotated[int, typer.Option()] = 5,
) -> None:
    """Measure, print the table and write the results."""
    name = dataset.name if dataset else "simulated"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        positive = None if dataset else write_simulated(folder / "simulated")
        source = dataset.resolve() if dataset else folder / "simulated"
        results = measure(source, positive, folder, rounds)
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known[name] = {"processor": processor_name(), "n": rounds, **results}
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(table(results))
    print(f"the store: {results['store_bytes'] / 1e6:.1f} MB")


if __name__ == "__main__":
    typer.run(main)
