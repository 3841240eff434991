"""`fathom report`: the page of a study from the tables that git keeps, shown in a browser.

On a clone it is the page that the pipeline wrote, byte for byte: none of the pipeline's data is
read. What is not there is said on the page and by the command.
"""

import os
import sys
import webbrowser
from pathlib import Path

from fathom.ground.errors import FathomError

# The folders as dvc.yaml has them: metrics, plots, verdicts, and what the stage `report` gathered.
FOLDERS = (Path("metrics"), Path("plots"), Path("verdicts"), Path("report/tables"))


def write_report(out: Path) -> list[str]:
    """Write the page of the study in the current folder to `out`; return what it lacks.

    Raises `FathomError` where nothing was compared yet, and where a library is missing that comes
    with the extra `train`.
    """
    try:
        from fathom.page.content import read_content  # noqa: PLC0415
        from fathom.page.page import write_page  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise FathomError(
            f"`fathom report` needs {error.name}, which comes with the extra 'train': "
            "pip install 'fathom[train]'"
        ) from None
    content = read_content(*FOLDERS)
    write_page(content, out)
    return content.absent


def shown_in_browser(page: Path) -> bool:
    """Show a page where there is a screen; return whether there is one."""
    return _has_screen() and webbrowser.open(page.resolve().as_uri())


def _has_screen() -> bool:
    """Whether a browser can be seen: without one, a text browser would take over the terminal."""
    here = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(here) or sys.platform in ("darwin", "win32")
