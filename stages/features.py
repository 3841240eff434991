"""Stage `features`: shape, intensity and texture of every nucleus, as a table to open."""

from pathlib import Path

import fathom.ground.stage
from fathom.baselines.features import feature_table
from fathom.baselines.params import Features
from fathom.ground.output import write_table
from fathom.ground.section import read_section
from fathom.study.nuclei import read_nuclei


def features(nuclei: Path, out: Path) -> None:
    """Measure the crops in `nuclei` and write one row a nucleus to `out` (Parquet)."""
    write_table(out, feature_table(read_nuclei(nuclei), read_section(Features)))


if __name__ == "__main__":
    fathom.ground.stage.run(features)
