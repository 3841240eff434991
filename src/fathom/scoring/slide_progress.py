"""Progress of a slide: megapixels passed and nuclei found. On a terminal only; quiet in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fathom.imaging.window import Rectangle
from fathom.slides.slide import Slide

_MPX = 1_000_000


class Place(NamedTuple):
    """Of a slide among those of a call: the `number`-th, from 1, `of` so many."""

    number: int
    of: int


class SlideProgress:
    """One bar, on standard error, for the slides of a call; a context manager."""

    def __init__(self, slides: int) -> None:
        self._slides = slides
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} Mpx"),
            TextColumn("{task.fields[nuclei]:,} nuclei"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )

    @contextmanager
    def slide(self, slide: Slide, number: int) -> Iterator["SlideBar"]:
        """Show a slide, the call's `number`-th from 1, while it is worked on."""
        size = slide.height * slide.width
        task = self._bar.add_task(
            f"{number} of {self._slides}: {slide.path.name}", total=size / _MPX, nuclei=0
        )
        try:
            yield SlideBar(self._bar, task, slide.width)
        finally:
            self._bar.remove_task(task)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


class SlideBar:
    """What of a slide is done; skipped glass counts as soon as the next tile is."""

    def __init__(self, bar: Progress, task: TaskID, width: int) -> None:
        self._bar = bar
        self._task = task
        self._width = width
        self._nuclei = 0

    def tile(self, core: Rectangle, nuclei: int) -> None:
        """Show that a tile is done, and with it all that lie before it, row by row."""
        self._nuclei += nuclei
        pixels = core.top * self._width + core.height * core.right
        self._bar.update(self._task, completed=pixels / _MPX, nuclei=self._nuclei)
