"""Killed anywhere: the pipeline, `fathom predict --resume` and the store of cells.

    python benchmarks/kills.py pipeline [--runs 10]
    python benchmarks/kills.py predict [--runs 10]
    python benchmarks/kills.py cells [--runs 10]
    python benchmarks/cluster_kills.py [--runs 10]

Each is started in a process group of its own, and SIGKILL, SIGINT or SIGTERM is sent to the whole
group, ten times a run; after each it is started again by the same command, and nobody mends
anything. Instants are drawn (seed 0 and the run's number): one of each tenth of the time that an
undisturbed run was measured to take, so that they spread over all stages by how long these take.
When the last one ends by itself, every byte of the outputs is compared with the undisturbed run's.

pipeline: `make repro` on a study of seconds (benchmarks/tiny_project.py).
predict: twelve slides, `--resume`, a model of that study.
cells: the stage `train` alone, 60 epochs, the store of cells kept.

A run that is done is kept in benchmarks/results/kills.json, with the code it was done with; the
command goes on where it was ended. Runs of other code are done again.
"""

import json
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import yaml
from tifffile import imwrite
from tiny_project import (
    LOCKS,
    PATIENCE_S,
    WRITTEN,
    Started,
    code,
    draw_field,
    edit,
    hashes,
    run_in,
    write_project,
)

from fathom.ground.processor import processor_name
from fathom.training.store import Store

RESULTS = Path(__file__).parent / "results" / "kills.json"
WORK = Path(tempfile.gettempdir()) / "fathom-kills"
KILLS = 10
SIGNALS = ("SIGKILL", "SIGINT", "SIGTERM")
# `make` finds its environment as it is.
REPRO = ("make", "--old-file", ".venv/.installed", "repro")
OUTPUTS = ("data", "models", "registry", *(name.rstrip("/") for name in WRITTEN))
TRAIN = ("python", "stages/train.py", "small", "data/nuclei", "data/splits", ".cells", "trained")
EPOCHS = 60  # of the cells that are killed
SLIDES = 12

app = typer.Typer(add_completion=False)


def drawn(run: int, seconds: float) -> list[tuple[float, str]]:
    """Return the instants of a run, one in each tenth of `seconds`, and the signal of each."""
    rng = np.random.default_rng([0, run])
    at = (np.arange(KILLS) + rng.random(KILLS)) / KILLS * seconds
    kinds = rng.permutation([SIGNALS[number % len(SIGNALS)] for number in range(KILLS)])
    return list(zip(at.tolist(), kinds.tolist(), strict=True))


def place_of(instant: float, began: list[tuple[str, float]]) -> tuple[str, float]:
    """Return the stage that an undisturbed run was in, and the seconds since it began."""
    stage, since = "", 0.0
    for name, second in began:
        if second <= instant:
            stage, since = name, second
    return stage, instant - since


def wait_for(started: Started, stage: str, offset: float, order: list[str]) -> str | None:
    """Wait until a program is so far; return the stage it is in, None where it ended before."""
    reached: float | None = None if stage else 0.0
    while started.running:
        for name, second in started.began:
            if reached is None and order.index(name) >= order.index(stage):
                reached = second
        if reached is not None and started.seconds >= reached + offset:
            return started.began[-1][0] if started.began else ""
        time.sleep(0.005)
    return None


def killed(started: Started, kind: str) -> dict:
    """Send a signal to a group; return what came of it."""
    started.signal(getattr(signal, kind))
    ended = started.ended(PATIENCE_S)
    if ended is None:
        started.signal(signal.SIGKILL)
        started.ended()
    return {"signal": kind, "exit": ended, "orphans": started.orphans()}


def disturbed(folder: Path, command: tuple[str, ...], run: int, whole: dict) -> dict:
    """Start a command ten times and end it, then let it be; return what happened."""
    order = [name for name, _ in whole["began"]]
    kills, failed = [], []
    for instant, kind in drawn(run, whole["seconds"]):
        stage, offset = place_of(instant, whole["began"])
        started = Started(command, folder)
        place = wait_for(started, stage, offset, order)
        if place is None:  # it ended by itself: well, or with an error
            if started.ended() != 0:
                failed.append("".join(started.said)[-2000:])
            kills.append({"signal": None, "stage": None, "exit": started.ended()})
            continue
        kills.append({"stage": place, **killed(started, kind)})
    started = Started(command, folder)
    if started.ended() != 0:
        failed.append("".join(started.said)[-2000:])
    return {"kills": kills, "failed": failed, "orphans_at_the_end": started.orphans()}


def undisturbed(folder: Path, command: tuple[str, ...]) -> dict:
    """Run a command to its end; return how long it took and when its stages began."""
    started = Started(command, folder)
    if started.ended() != 0:
        raise SystemExit("".join(started.said))
    return {"seconds": started.seconds, "began": started.began}


def locked(folder: Path) -> dict:
    """Return what dvc.lock says of every stage, in no order."""
    text = (folder / "dvc.lock").read_text(encoding="utf-8")
    stages: dict = yaml.load(text, Loader=yaml.CSafeLoader)["stages"]
    return stages


def litter(folder: Path) -> list[str]:
    """Return files that are neither in git nor an output: what a kill left behind."""
    listed = run_in(folder, "git", "status", "--porcelain", "--untracked-files=all")
    named = {line[3:].strip('"') for line in listed.splitlines() if line.startswith("??")}
    parts = {str(path.relative_to(folder)) for path in folder.rglob(".*.part")}
    wanted = {name for name in named if name.startswith(WRITTEN) or name in LOCKS}
    return sorted((named - wanted) | parts)


def damaged_in_cache(folder: Path) -> list[str]:
    """Return files of DVC's cache whose content is not what their name says."""
    from hashlib import md5  # noqa: PLC0415

    return [
        str(path.relative_to(folder))
        for path in sorted((folder / ".dvc" / "cache" / "files" / "md5").rglob("*"))
        if path.is_file()
        and md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        != (path.parent.name + path.name).removesuffix(".dir")
    ]


def different(found: dict, expected: dict) -> list[str]:
    return sorted(
        name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)
    )


def whole_pipeline(work: Path) -> tuple[Path, dict]:
    """Return the fresh project and what an undisturbed run of it was, made once for the code."""
    fresh, there = work / "fresh", work / "undisturbed"
    told = work / "undisturbed.json"
    if told.exists() and (known := json.loads(told.read_text()))["code"] == code():
        return fresh, known
    shutil.rmtree(work, ignore_errors=True)
    fresh.mkdir(parents=True)
    copied = code()
    write_project(fresh)
    shutil.copytree(fresh, there, symlinks=True)
    whole = undisturbed(there, REPRO) | {"code": copied}
    told.write_text(json.dumps(whole | {"hashes": hashes(there, OUTPUTS), "locked": locked(there)}))
    return fresh, json.loads(told.read_text())


def kept(part: str, whole: dict) -> list[dict]:
    """Return the runs of a part that are done with this code."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    there = known.get(part, {})
    return there.get("runs", []) if there.get("code") == whole["code"] else []


def keep(part: str, runs: list[dict], whole: dict) -> None:
    """Write the runs of a part that are done, and print what they come to."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known[part] = {
        "code": whole["code"],
        "processor": processor_name(),
        "undisturbed_seconds": round(whole["seconds"], 1),
        "runs": runs,
        "tally": tally(runs),
    }
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{part}: {json.dumps(known[part]['tally'])}", flush=True)


def tally(runs: list[dict]) -> dict:
    """Return the sums over all runs."""
    kills = [kill for run in runs for kill in run["kills"] if kill["signal"]]
    return {
        "runs": len(runs),
        "kills": len(kills),
        "by_signal": dict(Counter(kill["signal"] for kill in kills)),
        "by_stage": dict(Counter(kill["stage"] or "before the first" for kill in kills)),
        "survived": sum(run["same_bytes"] and not run["failed"] for run in runs),
        "started_again_in_vain": sum(len(run["failed"]) for run in runs),
        "orphans": sum(len(kill["orphans"]) for kill in kills),
        "did_not_end": sum(kill["exit"] is None for kill in kills),
        "damaged_in_cache": sum(len(run.get("damaged", [])) for run in runs),
        "litter": sum(len(run.get("litter", [])) for run in runs),
    }


@app.command()
def pipeline(runs: int = 10, work: Annotated[Path, typer.Option()] = WORK / "pipeline") -> None:
    """Kill `make repro`."""
    fresh, whole = whole_pipeline(work)
    done = kept("pipeline", whole)
    for number in range(len(done), runs):
        folder = work / f"run-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(fresh, folder, symlinks=True)
        begun = time.monotonic()
        run = disturbed(folder, REPRO, number, whole)
        run["other_bytes"] = different(hashes(folder, OUTPUTS), whole["hashes"])
        run["other_locks"] = different(locked(folder), whole["locked"])
        run["same_bytes"] = not run["other_bytes"] and not run["other_locks"]
        run["damaged"], run["litter"] = damaged_in_cache(folder), litter(folder)
        run["temporary_folders_left"] = len(list((folder / "tmp").glob("fathom-*")))
        run["seconds"] = round(time.monotonic() - begun, 1)
        done.append(run)
        keep("pipeline", done, whole)
        if run["same_bytes"] and not run["failed"]:
            shutil.rmtree(folder)


@app.command()
def predict(runs: int = 10, work: Annotated[Path, typer.Option()] = WORK / "pipeline") -> None:
    """Kill `fathom predict --resume`; the pipeline's undisturbed run has its model."""
    _, known = whole_pipeline(work)
    base = emptied(work.parent / "predict")
    slides = write_slides(base / "fresh", SLIDES)
    for name in ("src", "models"):
        (base / "fresh" / name).symlink_to(work / "undisturbed" / name)
    going_on(base, "predict", scoring(slides), ["scored"], known, runs, lambda _: {})


def write_slides(folder: Path, number: int) -> list[str]:
    """Write simulated slides, and return their paths in the folder."""
    slides = [f"slides/s{seed:02d}.tif" for seed in range(number)]
    (folder / "slides").mkdir(parents=True)
    for seed, name in enumerate(slides):
        imwrite(folder / name, draw_field(seed, 16, 320)[0])
    return slides


def scoring(slides: list[str]) -> tuple[str, ...]:
    """Return the command that scores slides, or goes on with it."""
    return ("fathom", "predict", "models/small.onnx", *slides, "--out", "scored", "--resume")


@app.command()
def cells(runs: int = 10, work: Annotated[Path, typer.Option()] = WORK / "pipeline") -> None:
    """Kill the training of three cells, whose store is kept."""
    _, known = whole_pipeline(work)
    base = emptied(work.parent / "cells")
    training(base / "fresh", work / "undisturbed")
    going_on(base, "cells", TRAIN, ["trained", ".cells"], known, runs, in_store)


def training(folder: Path, pipeline: Path) -> None:
    """Write a folder in which `TRAIN` trains on the nuclei of a pipeline that has run."""
    (folder / "data").mkdir(parents=True)
    for name in ("src", "stages", "data/nuclei", "data/splits"):
        (folder / name).symlink_to(pipeline / name)
    shutil.copy2(pipeline / "params.yaml", folder)
    edit(folder, lambda params: params["recipe"].update(epochs=EPOCHS))


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def in_store(folder: Path) -> dict:
    """Say what the store holds after a kill: every file that has a final name is whole."""
    return {"store": dict(Counter(one.what for one in Store(folder / ".cells").entries()))}


def going_on(
    base: Path,
    part: str,
    command: tuple[str, ...],
    outputs: list[str],
    known: dict,
    runs: int,
    look: Callable[[Path], dict],
) -> None:
    """Run a command that goes on where it was ended, undisturbed and then disturbed."""
    whole, first = base / "undisturbed", None
    shutil.copytree(base / "fresh", whole, symlinks=True)
    started = Started(command, whole)
    while started.running:
        if first is None and any((whole / name).is_dir() for name in outputs):
            first = started.seconds
        time.sleep(0.01)
    seconds = started.seconds
    if started.ended() != 0 or first is None:
        raise SystemExit("".join(started.said))
    told = {"seconds": seconds, "first": first, "code": known["code"]}
    expected = hashes(whole, outputs)
    done = kept(part, told)
    for number in range(len(done), runs):
        folder = base / f"run-{number}"
        shutil.copytree(base / "fresh", folder, symlinks=True)
        run: dict = {"kills": [], "failed": []}
        for instant, kind in drawn_while_it_works(number, told):
            started = Started(command, folder)
            if wait_for(started, "", instant, []) is None:
                run["kills"].append({"signal": None, "stage": None, "exit": started.ended()})
            else:
                stage = "starting" if instant < first else "at work"
                run["kills"].append({"stage": stage, **killed(started, kind), **look(folder)})
        started = Started(command, folder)
        if started.ended() != 0:
            run["failed"].append("".join(started.said)[-2000:])
        run |= compared(hashes(folder, outputs), expected, run["kills"])
        done.append(run)
        keep(part, done, told)


def compared(found: dict, expected: dict, kills: list[dict]) -> dict:
    """Say what is other than in the undisturbed run, and what a kill left behind or damaged."""
    parts = [name for name in found if name.endswith(".part")]
    other = different({name: found[name] for name in found if name not in parts}, expected)
    return {
        "litter": parts,
        "other_bytes": other,
        "same_bytes": not other,
        "damaged": [one for one in kills if one.get("store", {}).get("damaged")],
    }


def drawn_while_it_works(run: int, told: dict) -> list[tuple[float, str]]:
    """Return when a command is killed, so that ten kills find it at work.

    It gets a tenth of its work done at most between two kills; a quarter fall before the work.
    """
    rng = np.random.default_rng([1, run])
    work = (told["seconds"] - told["first"]) / KILLS
    early = rng.random(KILLS) < 0.25
    at = np.where(early, rng.uniform(0, told["first"], KILLS), told["first"])
    at += np.where(early, 0, rng.uniform(0, work, KILLS))
    kinds = rng.permutation([SIGNALS[number % len(SIGNALS)] for number in range(KILLS)])
    return list(zip(at.tolist(), kinds.tolist(), strict=True))


if __name__ == "__main__":
    app()
