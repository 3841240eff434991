"""Hostile input: what fathom makes of 100,000 odd texts and 5,000 damaged files.

python benchmarks/hostile_input.py text 100000 --out benchmarks/results/hostile_input.json
python benchmarks/hostile_input.py files 5000 --out benchmarks/results/hostile_input.json

Texts are drawn by hypothesis, 500 a block, the block's number being the seed; files are good ones
with changed bytes, case n of a kind being the seed n. Each case comes to one outcome: read, refused
in a sentence, a traceback, more than 10 s of processor time, more memory than 2 GiB, or the end of
the interpreter. Blocks that are done stand in the result file, and the same call goes on from
there. Exit code 1 where a case was neither read nor refused.
"""

import argparse
import hashlib
import json
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from fathom.ground.output import written_whole

BLOCK = 500  # cases
LIMIT_S = 10.0
READ, REFUSED, TRACEBACK, SLOW, MEMORY, CRASHED = OUTCOMES = (
    "read",
    "refused in a sentence",
    "traceback",
    "too slow",
    "too much memory",
    "crashed interpreter",
)
TOLD = 20  # faults of a kind of which the result file keeps the error
LIBRARIES = ("hypothesis", "imagecodecs", "numpy", "onnxruntime", "openslide-bin", "pillow")
LIBRARIES += ("pylibCZIrw", "PyYAML", "tifffile", "zarr")

Tried = tuple[str, str]  # the outcome, and the error of what is none


class TooSlowError(BaseException):
    """Raised by the alarm; a BaseException, so that no reader takes it for a damaged file."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `TooSlowError` after so much processor time."""

    def stop(*_: object) -> None:
        raise TooSlowError

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def tried(read: Callable[[Path], bool], path: Path) -> Tried:
    """Return what comes of one file in this process."""
    try:
        with limited(LIMIT_S):
            return (READ if read(path) else REFUSED), ""
    except TooSlowError:
        return SLOW, f"{LIMIT_S:g} s of processor time"
    except MemoryError as error:
        return MEMORY, repr(error)
    except Exception as error:
        return TRACEBACK, where_of(error)


def where_of(error: BaseException) -> str:
    """Return an error and the last lines of fathom that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames][-3:]
    return f"{type(error).__name__}: {str(error)[:200]} ({' > '.join(own)})"


class Results:
    """The result file: of each kind, how many cases came to what, and the errors of the faults."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = {"libraries": {name: version(name) for name in LIBRARIES}, "kinds": {}}
        if path.is_file():
            self.content["kinds"] = json.loads(path.read_text(encoding="utf-8"))["kinds"]

    def of(self, kind: str) -> dict:
        empty = {"cases": 0, "outcomes": dict.fromkeys(OUTCOMES, 0), "faults": {}, "digest": ""}
        return self.content["kinds"].setdefault(kind, empty)

    def add(self, kind: str, block: list[tuple[str, Tried]]) -> None:
        """Count a block of (what names the case, what came of it), and write the file."""
        told = self.of(kind)
        told["cases"] += len(block)
        for outcome, count in Counter(outcome for _, (outcome, _) in block).items():
            told["outcomes"][outcome] += count
        for case, (outcome, error) in block:
            if outcome not in (READ, REFUSED) and len(told["faults"]) < TOLD:
                told["faults"][case] = f"{outcome}: {error}"
        # That two runs drew the same cases and came to the same outcomes.
        line = told["digest"] + json.dumps([(case, outcome) for case, (outcome, _) in block])
        told["digest"] = hashlib.sha256(line.encode()).hexdigest()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(self.path) as part:
            part.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")

    def faults(self) -> int:
        kinds = self.content["kinds"].values()
        return sum(told["outcomes"][one] for told in kinds for one in OUTCOMES[2:])


def text_block(kind, number: int, folder: Path) -> list[tuple[str, Tried]]:
    """Try a block of texts; a case is named by its SHA-256."""
    found: list[tuple[str, Tried]] = []
    path = folder / kind.file

    def one(content: bytes) -> None:
        path.write_bytes(content)
        outcome = tried(kind.read, path)
        case = hashlib.sha256(content).hexdigest()[:12]
        if outcome[0] not in (READ, REFUSED):
            (folder / "faults").mkdir(exist_ok=True)
            (folder / "faults" / f"{kind.name.replace(' ', '-')}-{case}").write_bytes(content)
        found.append((case, outcome))

    chosen = settings(
        max_examples=BLOCK,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seed(number)(chosen(given(kind.content)(one)))()
    return found[:BLOCK]


def run_texts(cases: int, results: Results, kept: Path | None, stop: float) -> None:
    """Try so many texts, as many of each kind."""
    import hostile_text  # noqa: PLC0415 - what the other half does not need

    each = -(-cases // len(hostile_text.KINDS))
    with tempfile.TemporaryDirectory(dir=kept) as made:
        for kind in hostile_text.KINDS:
            folder = (kept or Path(made)) / kind.name.replace(" ", "-")
            hostile_text.prepare(folder)
            while results.of(kind.name)["cases"] < each and time.monotonic() < stop:
                number = results.of(kind.name)["cases"] // BLOCK
                results.add(kind.name, text_block(kind, number, folder))
                print(kind.name, results.of(kind.name)["outcomes"], flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["text", "files"])
    parser.add_argument("cases", type=int, help="of all kinds together")
    parser.add_argument("--out", type=Path, required=True, help="the result file, JSON")
    parser.add_argument("--keep", type=Path, help="a folder for the cases that are faults")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many")
    given_ = parser.parse_args()
    results = Results(given_.out)
    stop = time.monotonic() + 60 * given_.minutes
    if given_.what == "text":
        run_texts(given_.cases, results, given_.keep, stop)
    else:
        import hostile_files  # noqa: PLC0415

        hostile_files.run_files(given_.cases, results, given_.keep, stop)
    print(json.dumps({name: told["outcomes"] for name, told in results.content["kinds"].items()}))
    return int(results.faults() > 0)


if __name__ == "__main__":
    sys.exit(main())
