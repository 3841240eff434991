"""Killed anywhere on a Dask cluster: the caller, a worker, the scheduler.

    python benchmarks/cluster_kills.py [--runs 10]

Scheduler and two workers are processes of this machine, on loopback; the caller is the stage
`train` of `kills.py cells`, three networks of 60 epochs. Ten times a run one of the three is sent
SIGKILL, at a drawn instant (seed 2 and the run's number), with its whole group; the caller also
SIGINT and SIGTERM. What was killed is started again by the same command, as systemd or SLURM would
have it, and nobody mends anything. At the end every byte of the outputs and of the store of cells
is compared with what one machine alone makes without Dask.

A run that is done is kept in benchmarks/results/kills.json, beside the others.
"""

import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from kills import (
    KILLS,
    SIGNALS,
    TRAIN,
    WORK,
    compared,
    emptied,
    in_store,
    keep,
    kept,
    killed,
    training,
    undisturbed,
    whole_pipeline,
)
from tiny_project import PATIENCE_S, Started, environment, hashes

OUTPUTS = ["trained", ".cells"]
WORKERS = 2
TARGETS = ("caller", "worker", "scheduler")
BEGINS_S = 60.0  # by when a scheduler listens
ENDS_S = 600.0  # by when the caller is done, after the last kill
STARTS_S = 5.0  # about, of the caller, until its first network is at work

app = typer.Typer(add_completion=False)


class Cluster:
    """A scheduler and its workers, each in a process group of its own, started again when ended."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self._port = one.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"
        self._folder = folder
        self._processes: dict[str, Started] = {}

    def keep_up(self) -> None:
        """Start what is not there, as whoever looks after a cluster does."""
        options = ("--host", "127.0.0.1", "--port", str(self._port), "--no-jupyter")
        self._start("scheduler", "scheduler", *options)
        self._wait_until_it_listens()
        for number in range(WORKERS):
            self._start(f"worker {number}", "worker", self.address, "--nthreads", "1", "--no-nanny")

    def kill(self, name: str) -> dict:
        """Send SIGKILL to the group of a scheduler or worker; return what came of it."""
        if not self._processes[name].running:
            return {"signal": None}
        return killed(self._processes[name], "SIGKILL")

    def end(self) -> None:
        """Kill all of it."""
        for name in self._processes:
            self.kill(name)

    def _start(self, name: str, kind: str, *options: str) -> None:
        if name in self._processes and self._processes[name].running:
            return
        command = (sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *options)
        self._processes[name] = Started(command, self._folder)

    def _wait_until_it_listens(self) -> None:
        until = time.monotonic() + BEGINS_S
        while time.monotonic() < until:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit(f"no scheduler listens on port {self._port}")


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Keep a cluster for the time of a run."""
    cluster = Cluster(folder)
    try:
        cluster.keep_up()
        yield cluster
    finally:
        cluster.end()


def drawn(run: int, seconds: float) -> list[tuple[float, str, str]]:
    """Return the waits before each kill, who is killed, and by what.

    Between two kills a tenth of the work is done at most; the caller's start comes on top.
    """
    rng = np.random.default_rng([2, run])
    waits = rng.uniform(0, STARTS_S + seconds / KILLS, KILLS)
    targets = rng.permutation([TARGETS[number % len(TARGETS)] for number in range(KILLS)])
    kinds = rng.permutation([SIGNALS[number % len(SIGNALS)] for number in range(KILLS)])
    return [
        (float(wait), str(target), str(kind) if target == "caller" else "SIGKILL")
        for wait, target, kind in zip(waits, targets, kinds, strict=True)
    ]


def disturbed(folder: Path, run: int, seconds: float) -> dict:
    """Train on a cluster of which ten times something is killed; return what happened."""
    kills, failed = [], []
    with running(folder) as cluster:
        variables = {"FATHOM_SCHEDULER": cluster.address}
        caller = Started(TRAIN, folder, variables)
        for number, (wait, target, kind) in enumerate(drawn(run, seconds)):
            if not caller.running:
                failed += _failure(caller)
                caller = Started(TRAIN, folder, variables)
            time.sleep(wait)
            if target == "caller":
                told = killed(caller, kind) if caller.running else {"signal": None}
            else:
                name = target if target == "scheduler" else f"worker {number % WORKERS}"
                told = cluster.kill(name)
            kills.append({"stage": target, **told, **in_store(folder)})
            cluster.keep_up()
        if not caller.running:
            failed += _failure(caller)
            caller = Started(TRAIN, folder, variables)
        # A worker that lost its scheduler ends by itself, when its task is done.
        until = time.monotonic() + ENDS_S
        while caller.ended(1.0) is None and time.monotonic() < until:
            cluster.keep_up()
        if caller.ended(0) != 0:
            failed.append("".join(caller.said)[-2000:])
            killed(caller, "SIGKILL")
    return {"kills": kills, "failed": failed, "orphans_at_the_end": caller.orphans()}


def _failure(caller: Started) -> list[str]:
    """Return what a caller said that ended with an error of its own, not by a signal of ours."""
    asked_to_end = (0, 130, *(-getattr(signal, name) for name in SIGNALS))
    return [] if caller.ended(PATIENCE_S) in asked_to_end else ["".join(caller.said)[-2000:]]


@app.command()
def main(runs: int = 10, work: Annotated[Path, typer.Option()] = WORK / "pipeline") -> None:
    """Kill the caller, workers and the scheduler of a cluster."""
    _, known = whole_pipeline(work)
    base = emptied(work.parent / "cluster")
    training(base / "fresh", work / "undisturbed")
    alone = shutil.copytree(base / "fresh", base / "alone", symlinks=True)
    told = undisturbed(alone, TRAIN) | {"code": known["code"]}
    expected = hashes(alone, OUTPUTS)
    done = kept("cluster", told)
    for number in range(len(done), runs):
        folder = shutil.copytree(base / "fresh", base / f"run-{number}", symlinks=True)
        environment(folder)  # its folder of temporary files
        run = disturbed(folder, number, told["seconds"])
        run |= compared(hashes(folder, OUTPUTS), expected, run["kills"])
        done.append(run)
        keep("cluster", done, told)


if __name__ == "__main__":
    app()
