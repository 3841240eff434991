"""Where the time of `fathom predict` goes: processor time a nucleus of each step, on one thread.

    python benchmarks/prediction_profile.py models/shallow.onnx data/micronuclei/images --side 5000

The slide is that of `prediction.py`. Its tiles are worked on one after the other, and the processor
time of each step is summed; medians of `--rounds`. A step that another one calls counts as its own.
What starts the interpreter is in none.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from slide_memory import write_mosaic

import fathom.ground.stage  # noqa: F401  the instruction sets, before NumPy
from fathom.ground.heap import share_one_heap
from fathom.ground.images import read_micrograph
from fathom.ground.output import write_json
from fathom.ground.processor import processor_name
from fathom.models.onnx_model import OnnxModel
from fathom.results.geojson import GeoJsonWriter
from fathom.results.nuclei_table import ParquetWriter
from fathom.results.nuclei_writer import NucleiBatch
from fathom.results.overlay import OverlayWriter
from fathom.results.slide_files import Formats
from fathom.scoring import scorer, stream
from fathom.scoring.scorer import NewSlide, Reading, Scorer
from fathom.scoring.segmenter import ThresholdSegmenter
from fathom.scoring.slide_progress import SlideProgress

RESULTS = Path(__file__).parent / "results" / "prediction_profile.json"
STEPS: dict[str, tuple[Any, str]] = {
    "measuring the sample, once a slide": (scorer, "measure_slide"),
    "small picture of the slide, once": (scorer, "overview"),
    "reading": (stream, "_read"),
    "segmentation": (ThresholdSegmenter, "nuclei"),
    "which nuclei are the tile's own": (stream, "_own_nuclei"),
    "measuring nuclei (`describe`)": (stream, "describe"),
    "cutting": (stream, "cut"),
    "network": (OnnxModel, "score"),
    "masks of the nuclei": (NucleiBatch, "of_labels"),
    "names": (stream, "with_names"),
    "GeoJSON": (GeoJsonWriter, "add"),
    "Parquet": (ParquetWriter, "write_rows"),
    "overlay, as nuclei come": (OverlayWriter, "add"),
    "drawing the overlay, once a slide": (OverlayWriter, "finish"),
}
REST = "all else"


class Clock:
    """Processor seconds by step; a step stands still while one that it calls runs."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._at = REST
        self._since = time.process_time()

    def _turn(self, to: str) -> str:
        now = time.process_time()
        self.seconds[self._at] += now - self._since
        before, self._at, self._since = self._at, to, now
        return before

    def timed(self, step: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return `work`, whose time is counted."""

        def run(*given: Any, **named: Any) -> Any:
            before = self._turn(step)
            try:
                return work(*given, **named)
            finally:
                self._turn(before)

        return run

    @contextmanager
    def on(self) -> Iterator[None]:
        """Count the time of all steps while the context lasts."""
        with ExitStack() as stack:
            for step, (where, name) in STEPS.items():
                counted = self.timed(step, getattr(where, name))
                # A class method is bound already: it takes no class any more.
                bound = hasattr(getattr(where, name), "__self__")
                stack.enter_context(
                    patch.object(where, name, staticmethod(counted) if bound else counted)
                )
            self._since = time.process_time()
            yield
            self._turn(REST)


def one_after_the_other(items, read, work, at_once):
    """Stand for `fathom.scoring.stream.read_and_work`, in one thread."""
    del at_once
    for item in items:
        yield work(item, read(item))


def profiled(model: Path, slide: Path, folder: Path) -> tuple[dict[str, float], int]:
    """Score the slide; return the seconds of each step, and the number of nuclei."""
    scores, clock = Scorer(OnnxModel(model), Reading()), Clock()
    new = NewSlide(slide, "slide", folder / "slide")
    with (
        patch.object(stream, "read_and_work", one_after_the_other),
        clock.on(),
        SlideProgress(1) as progress,
    ):
        found = scores.write(new, Formats(), 1, progress, None)
    return dict(clock.seconds), found.tally.nuclei


def table(results: dict) -> str:
    """Return a row a step, the longest first."""
    lines = ["| step | us a nucleus | share |", "| --- | ---: | ---: |"]
    whole = sum(results["us_a_nucleus"].values())
    for step, us in sorted(results["us_a_nucleus"].items(), key=lambda one: -one[1]):
        lines.append(f"| {step} | {us:,.0f} | {us / whole:.0%} |")
    lines.append(f"| **all** | {whole:,.0f} | |")
    return "\n".join(lines)


def main() -> None:
    """Profile, print the table and write benchmarks/results/prediction_profile.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("fields", type=Path)
    parser.add_argument("--side", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    share_one_heap()
    fields = [read_micrograph(path) for path in sorted(given.fields.rglob("*.tif"))]
    with tempfile.TemporaryDirectory() as folder:
        slide = Path(folder) / "mosaic.tif"
        write_mosaic(slide, given.side, fields, OnnxModel(given.model).card.um_per_px or 1.0)
        rounds = [profiled(given.model, slide, Path(folder)) for _ in range(given.rounds)]
    nuclei = rounds[0][1]
    by_step = {
        step: round(median(seconds[step] for seconds, _ in rounds) / nuclei * 1e6, 1)
        for step in (*STEPS, REST)
    }
    about = {"processor": processor_name(), "n": given.rounds, "side_px": given.side}
    results = {**about, "model": given.model.stem, "nuclei": nuclei, "us_a_nucleus": by_step}
    write_json(RESULTS, results)
    print(table(json.loads(RESULTS.read_text("utf-8"))))


if __name__ == "__main__":
    main()
