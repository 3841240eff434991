"""How well and how fast nuclei are found: a textbook's way, fathom before, and fathom now.

    git worktree add ../before COMMIT
    python benchmarks/segmentation.py ../shared/data/dsb2018 data/micronuclei --before ../before

scores the 319 micrographs of the Data Science Bowl 2018 by modality and the fields of the default
study, and times fields and mosaics of several sizes, the three in turn. Writes
benchmarks/results/segmentation.json, and the tables of docs/segmentation.md and docs/performance.md
from it; `--tables` writes those alone.

The settings are those of params.yaml, but for `stain`, which follows the modality. They were chosen
by hand on the first half of the fluorescence micrographs (even positions in the sorted list of
files) and on three fields of the default data set; no image of the other half had a say.
Bright-field had one in `least_contrast` alone, which was set between simulated noise and a sample
of all modalities. The textbook's way is what a first notebook does: Gaussian, Otsu, distance
transform, watershed, all numbers untuned.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer
from page_tables import with_table
from tiled_segmentation import mosaic

from fathom.ground.processor import processor_name
from fathom.ground.progress import track

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "segmentation.json"
WORKER = Path(__file__).with_name("segmentation_worker.py")
WAYS = ("textbook", "before", "after")
STAINS = {
    "fluorescence": "fluorescence",
    "brightfield_colour": "haematoxylin",
    "brightfield_grey": "haematoxylin",
}
HALVES = "chosen on", "other half"
SIDES = (1024, 2048, 4096)  # px, of mosaics
SCORES = {"f1_iou50": "F1@0.5", "mean_f1_iou50_95": "mean F1", "count_error": "count error"}


class Worker:
    """A process that segments with the code of a checkout."""

    def __init__(self, checkout: Path, method: str) -> None:
        environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
        self.method = method
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,
            env=environment,
        )

    def ask(self, stain: str, images: Sequence[Path], masks: Sequence[Path] = ()) -> dict:
        """Return what the worker answers."""
        job = {"method": self.method, "stain": stain, "images": [*map(str, images)]}
        if masks:
            job["masks"] = [*map(str, masks)]
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def micrographs(dsb2018: Path, study: Path) -> Iterator[tuple[str, str, Path, Path]]:
    """Yield group, stain, image and mask of all micrographs that are scored."""
    with (study / "images.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            image = study / row["image"]
            yield "default fields", "fluorescence", image, study / "masks" / image.name
    with (dsb2018 / "index.csv").open(encoding="utf-8", newline="") as file:
        modality = {row["image"]: row["modality"] for row in csv.DictReader(file)}
    for name, stain in STAINS.items():
        images = sorted(image for image in modality if modality[image] == name)
        for number, image in enumerate(images):
            group = f"{name}, {HALVES[number % 2]}" if name == "fluorescence" else name
            yield group, stain, dsb2018 / "images" / image, dsb2018 / "masks" / image


def quality(workers: dict[str, Worker], dsb2018: Path, study: Path) -> dict:
    """Return the mean scores of each group and way."""
    found: dict[str, dict[str, list]] = {}
    jobs = list(micrographs(dsb2018, study))
    for group, stain, image, mask in track(jobs, "scoring", len(jobs)):
        ways = found.setdefault(group, {way: [] for way in workers})
        for way, worker in workers.items():
            ways[way] += worker.ask(stain, [image], [mask])["scores"]
    chosen_on, other = (found[f"fluorescence, {half}"] for half in HALVES)
    found["fluorescence"] = {way: chosen_on[way] + other[way] for way in workers}
    return {
        group: {way: means(scores) for way, scores in ways.items()} for group, ways in found.items()
    }


def means(scores: list[dict]) -> dict[str, float]:
    """Return the number of images, of nuclei, and the means over images."""
    names = (*SCORES, "precision_iou50", "recall_iou50")
    return {"images": len(scores), "nuclei": sum(one["true"] for one in scores)} | {
        name: round(float(np.mean([one[name] for one in scores])), 4) for name in names
    }


def pictures(dsb2018: Path, study: Path, folder: Path) -> dict[str, list[Path]]:
    """Return what is timed, by name: fields as they are, mosaics written to `folder`."""
    with (dsb2018 / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["modality"] == "fluorescence"]
    small = sorted(row["image"] for row in rows if row["height"] == row["width"] == "256")
    found = {
        "256 x 256": [dsb2018 / "images" / name for name in small[::6]],
        "768 x 869": sorted((study / "images").iterdir())[::5],
    }
    for name, source in (("dense", dsb2018), ("sparse", study)):
        for side in SIDES:
            path = folder / f"{name}-{side}.npy"
            np.save(path, mosaic(source / "images", side))
            found[f"{side:,} x {side:,}, {name}"] = [path]
    return found


def speed(workers: dict[str, Worker], sets: dict[str, list[Path]], rounds: int) -> dict:
    """Return Mpx a CPU second by picture and way: the medians of all rounds, and each."""
    for worker in workers.values():
        worker.ask("fluorescence", sets["256 x 256"][:2])  # what is imported and cached once
    found = {}
    for name, images in sets.items():
        each: dict[str, list[float]] = {way: [] for way in workers}
        for _ in range(rounds):
            for way, worker in workers.items():
                told = worker.ask("fluorescence", images)
                each[way].append(told["pixels"] / told["seconds"] / 1e6)
        found[name] = {
            way: {"median": round(median(rates), 3), "rounds": [round(rate, 3) for rate in rates]}
            for way, rates in each.items()
        }
        print(name, {way: rates["median"] for way, rates in found[name].items()}, flush=True)
    return found


def quality_table(results: dict) -> str:
    """Return the scores as a Markdown table: before and after, and the textbook's F1."""
    lines = [
        "| micrographs | images | nuclei | F1 at IoU 0.5 | before | textbook "
        "| mean F1, 0.5 to 0.95 | before | precision | recall | count error | before |",
        "| --- " + "| ---: " * 11 + "|",
    ]
    for group in sorted(results["quality"]):
        ways = results["quality"][group]
        after, before, textbook = (ways[way] for way in ("after", "before", "textbook"))
        numbers = [
            *(after["f1_iou50"], before["f1_iou50"], textbook["f1_iou50"]),
            *(after["mean_f1_iou50_95"], before["mean_f1_iou50_95"]),
            *(after["precision_iou50"], after["recall_iou50"]),
            *(after["count_error"], before["count_error"]),
        ]
        cells = [group.replace("_", ", "), str(after["images"]), f"{after['nuclei']:,}"]
        cells += [f"{number:.3f}".replace("0.", ".") for number in numbers]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def speed_table(results: dict) -> str:
    """Return the speeds as a Markdown table."""
    lines = [
        "| pictures, px | textbook | before | after | times textbook | times before |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, ways in results["speed"].items():
        textbook, before, after = (ways[way]["median"] for way in WAYS)
        lines.append(
            f"| {name} | {textbook:.2f} | {before:.2f} | {after:.2f} "
            f"| {after / textbook:.1f} | {after / before:.1f} |"
        )
    return "\n".join(lines)


TABLES = {"segmentation.md": quality_table, "performance.md": speed_table}


def main(
    dsb2018: Annotated[Path, typer.Argument()] = Path("../shared/data/dsb2018"),
    study: Annotated[Path, typer.Argument()] = Path("data/micronuclei"),
    before: Annotated[Path, typer.Option(help="A checkout of the code before.")] = Path(
        "../before"
    ),
    rounds: Annotated[int, typer.Option()] = 5,
    tables: Annotated[bool, typer.Option(help="Write the tables of the docs alone.")] = False,
) -> None:
    """Measure, and write the results and the tables made of them."""
    if not tables:
        dsb2018, study = dsb2018.resolve(), study.resolve()
        checkouts = {"textbook": ROOT, "before": before.resolve(), "after": ROOT}
        workers = {
            way: Worker(checkouts[way], "textbook" if way == "textbook" else "fathom")
            for way in WAYS
        }
        results = {"processor": processor_name(), "unit": "Mpx a CPU second", "rounds": rounds}
        results["quality"] = quality(workers, dsb2018, study)
        with tempfile.TemporaryDirectory() as folder:
            results["speed"] = speed(workers, pictures(dsb2018, study, Path(folder)), rounds)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        for worker in workers.values():
            worker.process.stdin.close()
            worker.process.wait()
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for name, table in TABLES.items():
        page = ROOT / "docs" / name
        text = with_table(page.read_text(encoding="utf-8"), "segmentation", table(results))
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
