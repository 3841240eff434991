"""Stage `features`: shape, intensity and texture of every nucleus, as a table to open."""

from pathlib import Path

import fathom.ground.stage
from fathom.baselines.features import feature_table
from fathom.baselines.params import Features
from fathom.ground.image_store import open_store
from fathom.ground.output import write_table
from fathom.ground.section import read_section
from fathom.study.nuclei import read_nuclei


def features(nuclei: Path, store: Path, out: Path) -> None:
    """Measure the crops in `nuclei` and write one row a nucleus to `out` (Parquet)."""
    found = read_nuclei(nuclei)
    write_table(out, feature_table(found, read_section(Features), open_store(store)))


if __name__ == "__main__":
    fathom.ground.stage.run(features)
