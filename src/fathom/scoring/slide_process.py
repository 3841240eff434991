"""Slides of a call scored in a process apart, so that one that ends it takes no other with it.

The decoders of slides are native code. A file may be damaged in a way that ends the process that
reads it, or ask for all memory, so that the system ends it: that slide is named, and a new process
goes on with the next one. A process serves as many slides as it survives.
"""

import signal
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.connection import Connection
from os import _exit
from pathlib import Path

from fathom.ground.errors import FathomError, SlideError
from fathom.ground.heap import share_one_heap
from fathom.results.slide_files import Formats
from fathom.results.summary import ScoredSlide
from fathom.scoring.scorer import NewSlide, Scorer
from fathom.scoring.slide_progress import Place

Outcome = ScoredSlide | FathomError


class FaultError(Exception):
    """A fault of fathom's own in the process apart; its text is the traceback there."""


def score_apart(
    scorer: Scorer,
    slides: Sequence[NewSlide],
    formats: Formats,
    *,
    done: Mapping[Path, ScoredSlide],
) -> list[Outcome]:
    """Return what `Scorer.score` does, of slides that are scored in a process apart.

    Where fewer than two are left to score there is none to save, and this process scores them.
    """
    if sum(slide.base not in done for slide in slides) < 2:
        return scorer.score(slides, formats, done=done)
    found: list[Outcome] = []
    while len(found) < len(slides):
        found += _until_it_ends(scorer, slides, formats, done, len(found))
    return found


def _until_it_ends(
    scorer: Scorer,
    slides: Sequence[NewSlide],
    formats: Formats,
    done: Mapping[Path, ScoredSlide],
    first: int,
) -> list[Outcome]:
    """Return the outcomes of the slides from `first` on that one process comes to."""
    forked = "forkserver" in get_all_start_methods()
    context = get_context("forkserver") if forked else get_context("spawn")
    # Where it can be, a process that has imported this is forked, in place of a new one each time.
    context.set_forkserver_preload([__name__])
    answers, told = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(told, scorer, slides, formats, dict(done), first), daemon=True
    )
    process.start()
    told.close()
    found: list[Outcome] = []
    try:
        while first + len(found) < len(slides):
            answer = answers.recv()
            if isinstance(answer, str):
                raise FaultError(answer)
            found.append(answer)
        process.join()
    except EOFError:
        process.join()
        slide = slides[first + len(found)]
        _forget_parts(slide, formats, process.pid)
        found.append(_ended(slide, process.exitcode))
    finally:
        process.terminate()
        process.join()
        answers.close()
    return found


def _work(
    told: Connection,
    scorer: Scorer,
    slides: Sequence[NewSlide],
    formats: Formats,
    done: Mapping[Path, ScoredSlide],
    first: int,
) -> None:
    """Score the slides from `first` on, and tell of each."""
    # A key pressed at the terminal reaches all processes; the other one decides, and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    share_one_heap()
    try:
        for number in range(first, len(slides)):
            place = Place(number + 1, len(slides))
            (outcome,) = scorer.score([slides[number]], formats, done=done, place=place)
            told.send(outcome)
    except KeyboardInterrupt:
        return
    except Exception:
        told.send(traceback.format_exc())


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        _exit(1)


def _forget_parts(slide: NewSlide, formats: Formats, pid: int | None) -> None:
    """Delete what a process that is no more had begun to write (`ground.output.written_whole`)."""
    for path in formats.paths(slide.base).values():
        with suppress(OSError):
            path.with_name(f".{path.name}.{pid}.part").unlink(missing_ok=True)


def _ended(slide: NewSlide, code: int | None) -> SlideError:
    if code is not None and code < 0:
        how = f"by {signal.Signals(-code).name}"
    else:
        how = f"with the exit code {code}"
    return SlideError(
        f"{slide.path}: the process that read it was ended {how}: the file is damaged so that its "
        "reader does not survive it, or memory ran out; the other slides are not concerned. Save "
        "the file again from its source, or leave it out"
    )
