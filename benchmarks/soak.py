"""A long time: many predictions, a long queue with broken files, a ladder that is killed.

    python benchmarks/soak.py process [--times 2000]
    python benchmarks/soak.py queue [--files 500]
    python benchmarks/soak.py ladder [--minutes 30]

process: `fathom.predict` in one Python process, the model opened once, a slide of 320 x 320 px;
resident memory after each, the mean of the first tenth (without the first 20 calls, which load
what is loaded once) against that of the last.
queue: one call of `fathom predict` on so many slides, one in twenty cut in half, empty or no image;
every good one done, every broken one named, and memory on the way.
ladder: the stage `ladder` on a study of seconds with 200 epochs a network, killed at random
(SIGKILL to its group, after 5 to 60 s) and started again until it ends, then another one, until the
minutes are over; each is compared with one that was left in peace, byte by byte.

Each writes its part of benchmarks/results/soak.json.
"""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from threading import Thread
from typing import Annotated

import numpy as np
import psutil
import typer
from kills import WORK, different, training, whole_pipeline
from tifffile import imwrite
from tiny_project import Started, draw_field, edit, hashes

import fathom
from fathom.ground.processor import processor_name
from fathom.models.onnx_model import OnnxModel

RESULTS = Path(__file__).parent / "results" / "soak.json"
WARM_UP = 20  # calls, in which what is loaded once is loaded
BROKEN = 20  # one in so many
LADDER = ("python", "stages/ladder.py", "data/nuclei", "data/splits", "data/runs", ".cells", "out")
MB = 1e6

app = typer.Typer(add_completion=False)


def keep(part: str, found: dict) -> None:
    """Write a part of the results, and print it."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known[part] = {"processor": processor_name(), **found}
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{part}: {json.dumps(found)}")


def grown(memory: list[float]) -> dict:
    """Return the mean of the first and of the last tenth of a course of memory, in MB."""
    tenth = max(1, len(memory) // 10)
    first, last = mean(memory[:tenth]) / MB, mean(memory[-tenth:]) / MB
    return {
        "first_tenth_mb": round(first, 1),
        "last_tenth_mb": round(last, 1),
        "grown_share": round(last / first - 1, 4),
    }


def predictions(model: Path, slide: Path, times: int) -> list[float]:
    """Return resident memory after each of so many predictions, without the first `WARM_UP`."""
    opened, process = OnnxModel(model), psutil.Process()
    memory = []
    for number in range(times):
        if len(fathom.predict(slide, opened)) == 0:
            raise SystemExit("no nucleus was found")
        if number >= WARM_UP:
            memory.append(float(process.memory_info().rss))
    return memory


def write_queue(folder: Path, files: int) -> set[str]:
    """Write slides, one in `BROKEN` of them broken; return the names of those."""
    folder.mkdir(parents=True)
    broken = set()
    for number in range(files):
        path = folder / f"s{number:04d}.tif"
        imwrite(path, draw_field(number % 50)[0])
        if number % BROKEN == BROKEN // 2:
            broken.add(path.name)
            whole = path.read_bytes()
            path.write_bytes([whole[: len(whole) // 2], b"", b"no image at all"][len(broken) % 3])
    return broken


def scored(folder: Path, model: Path) -> dict:
    """Score a queue from the command line; return what was done, named, left, and memory."""
    names = [path.name for path in sorted((folder / "slides").glob("*.tif"))]
    command = [sys.executable, "-c", "from fathom.cli import main; main()", "predict", str(model)]
    command += [f"slides/{name}" for name in names] + ["--out", "scored"]
    memory: list[float] = []
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:

        def watch() -> None:
            watched = psutil.Process(process.pid)
            while process.poll() is None:
                memory.append(float(watched.memory_info().rss))
                time.sleep(0.2)

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        said = process.communicate()[1]
    watcher.join()
    done = {path.stem for path in (folder / "scored").glob("*.parquet")}
    working = [value for value in memory if value > max(memory) / 2]  # without its start
    return {
        "files": len(names),
        "exit": process.returncode,
        "done": sorted(done),
        "named": [name for name in names if name in said],
        "left_in_part": [path.name for path in (folder / "scored").glob(".*.part")],
        **grown(working or memory),
    }


@app.command("process")
def one_process(
    times: Annotated[int, typer.Option()] = 2000,
    work: Annotated[Path, typer.Option()] = WORK / "pipeline",
) -> None:
    """Predict many times in one process."""
    whole_pipeline(work)
    with tempfile.TemporaryDirectory() as folder:
        slide = Path(folder) / "slide.tif"
        imwrite(slide, draw_field(0, 16, 320)[0])
        memory = predictions(work / "undisturbed" / "models" / "small.onnx", slide, times)
    keep("process", {"predictions": times, **grown(memory)})


@app.command()
def queue(
    files: Annotated[int, typer.Option()] = 500,
    work: Annotated[Path, typer.Option()] = WORK / "pipeline",
) -> None:
    """Score a long queue with broken files."""
    whole_pipeline(work)
    with tempfile.TemporaryDirectory() as folder:
        broken = write_queue(Path(folder) / "slides", files)
        found = scored(Path(folder), work / "undisturbed" / "models" / "small.onnx")
    stems = {Path(name).stem for name in broken}
    keep(
        "queue",
        {
            **found,
            "done": len(found["done"]),
            "broken": len(broken),
            "broken_named": len(broken & set(found["named"])),
            "broken_done": len(stems & set(found["done"])),
            "named": len(found["named"]),
        },
    )


def ended_well(started: Started) -> None:
    """Wait for a program; end this one where it failed."""
    if started.ended() != 0:
        raise SystemExit("".join(started.said))


def climbing(folder: Path) -> Started:
    """Start the stage as DVC does: without the output that an earlier start left."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    return Started(LADDER, folder)


def write_study(folder: Path, whole: Path, epochs: int) -> None:
    """Write what the ladder begins with: a pipeline's nuclei, longer params, trained rows."""
    training(folder, whole)

    def longer(params: dict) -> None:
        params["recipe"]["epochs"] = epochs
        params["diagnosis"]["budget"] = 60

    edit(folder, longer)
    for row in ("small", "deep-batchnorm"):
        train = ("python", "stages/train.py", row, "data/nuclei", "data/splits", ".cells")
        ended_well(Started((*train, f"data/runs/{row}"), folder))


def killed_until_done(folder: Path, rng: np.random.Generator, until: float) -> int:
    """Kill a ladder after 5 to 60 s and start it again, until it ends; return how often."""
    kills = 0
    while time.monotonic() < until:
        started = climbing(folder)
        if started.ended(float(rng.uniform(5, 60))) is not None:
            ended_well(started)
            return kills
        started.signal(signal.SIGKILL)
        started.ended()
        kills += 1
        if started.orphans():
            raise SystemExit("a process outlived its group")
    ended_well(climbing(folder))
    return kills


@app.command()
def ladder(
    minutes: Annotated[float, typer.Option()] = 30,
    epochs: Annotated[int, typer.Option()] = 200,
    work: Annotated[Path, typer.Option()] = WORK / "pipeline",
) -> None:
    """Kill a ladder again and again, and another one, until the minutes are over."""
    whole_pipeline(work)
    base = work.parent / "ladder"
    shutil.rmtree(base, ignore_errors=True)
    write_study(base / "fresh", work / "undisturbed", epochs)
    shutil.copytree(base / "fresh", base / "peace", symlinks=True)
    ended_well(climbing(base / "peace"))
    peace, wrong = hashes(base / "peace", ["out", ".cells"]), set()
    rng, until = np.random.default_rng(0), time.monotonic() + minutes * 60
    kills = []
    while time.monotonic() < until:
        war = shutil.copytree(base / "fresh", base / f"war-{len(kills)}", symlinks=True)
        kills.append(killed_until_done(war, rng, until))
        wrong |= set(different(hashes(war, ["out", ".cells"]), peace))
    told = {"ladders": len(kills), "kills": kills, "minutes": minutes, "epochs": epochs}
    keep("ladder", told | {"files": len(peace), "other_bytes": sorted(wrong)})


if __name__ == "__main__":
    app()
