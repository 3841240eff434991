"""Every benchmark of speed, one after the other, and docs/performance.md from what they measured.

    python benchmarks/bench.py            # `make bench`: half an hour on two idle cores
    python benchmarks/bench.py --tables   # the page's tables alone, from benchmarks/results

Each writes a file of benchmarks/results: both sides, their ratio, how often it was measured (n),
the machine. A table of the page stands between `<!-- NAME.json -->` and `<!-- end -->`; the prose
around it is the page's own. `benchmarks/segmentation.py` needs a data set that is not the
project's, and is run by hand; so is whatever takes longer (`prediction.py --side 15000 --out
benchmarks/results/prediction_large.json`, `million_nuclei.py` beyond 10,000).
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import million_nuclei
import network_options
import one_more_image
import prediction_profile
import segmentation
from page_tables import with_table
from rounds import in_words

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "performance.md"
TRAINED = "data/runs/shallow/final.safetensors"
# What `make bench` runs, FOLDER being an empty one, and about how long it takes on two idle cores.
COMMANDS = {
    "prediction.py models/shallow.onnx data/micronuclei/images --trained " + TRAINED: "3 min",
    "prediction_profile.py models/shallow.onnx data/micronuclei/images": "1 min",
    "network_options.py models/shallow.onnx models/vgg-13-batchnorm.onnx": "2 min",
    "training.py --seconds 3": "10 min",
    "one_more_image.py": "8 min",
    "million_nuclei.py FOLDER --sizes 1000 10000": "3 min",
}


def training_table(results: dict) -> str:
    """Return a row a network and side."""
    lines = [
        "| network | side | nuclei/s | times the ordinary way, median (least to most) | GFLOP/s "
        "| of the peak | taken elsewhere |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for network, sides in results["networks"].items():
        for side, one in sorted(sides.items()):
            lines.append(
                f"| {network} | {side} | {one['nuclei_per_s']:,.0f} | {in_words(one['ratio'])} "
                f"| {one['gflops']:.0f} | {100 * one['share_of_peak']:.0f} % "
                f"| {100 * one['taken_elsewhere']:.0f} % |"
            )
    return "\n".join(lines)


def prediction_table(results: dict) -> str:
    """Return a row a side."""
    lines = [
        "| way | nuclei | nuclei/s | nuclei a CPU second | peak, MiB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for way in ("fathom", "plain"):
        one = results[way]
        lines.append(
            f"| {way} | {one['nuclei']:,} | {one['nuclei_per_s']:,.0f} "
            f"| {one['nuclei_per_cpu_s']:,.0f} | {one['peak_mib']:,} |"
        )
    lines.append(
        f"\n{results['side_px']:,} px, n = {results['n']}. Times the plain way, median (least to "
        f"most): {in_words(results['ratio_seconds'], 1)} by the clock, "
        f"{in_words(results['ratio_cpu'], 1)} by the processor's time."
    )
    return "\n".join(lines)


TABLES: dict[str, Callable[[dict], str]] = {
    "training": training_table,
    "training_other": training_table,
    "segmentation": segmentation.speed_table,
    "prediction": prediction_table,
    "prediction_large": prediction_table,
    "prediction_profile": prediction_profile.table,
    "network_options": network_options.table,
    "one_more_image": lambda results: one_more_image.table(results["simulated"]),
    "million_nuclei": lambda results: million_nuclei.table(results["sizes"]).rstrip(),
}


def with_tables(page: str) -> str:
    """Return the page with each table made anew from its file of results."""
    for name, table in TABLES.items():
        file = RESULTS / f"{name}.json"
        made = table(json.loads(file.read_text("utf-8"))) if file.exists() else "Not measured yet."
        page = with_table(page, name, made)
    return page


def main() -> None:
    """Run all, and write the page."""
    if "--tables" not in sys.argv[1:]:
        for words, about in COMMANDS.items():
            print(f"{words}: about {about}", flush=True)
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                script, *options = words.replace("FOLDER", folder).split()
                command = [sys.executable, str(Path(__file__).with_name(script)), *options]
                subprocess.run(command, cwd=ROOT, check=True)
            print(f"{words}: {(time.monotonic() - start) / 60:.1f} min", flush=True)
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
