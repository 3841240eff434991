"""Stage `diagnose`: why a network fails or is worse than a shallower one."""

from pathlib import Path

import fathom.ground.stage
from fathom.audit.findings import read_findings
from fathom.diagnosis.case import Diagnosis
from fathom.diagnosis.data_faults import data_faults
from fathom.diagnosis.diagnosis import read_trained_rows
from fathom.ground.section import read_section
from fathom.networks.recipe import Recipe
from fathom.reports.diagnosis_report import write_diagnosis
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_architectures, read_runs
from fathom.study.splits import Split


def diagnose(
    nuclei: Path,
    audit: Path,
    runs: Path,
    ladders: Path,
    texture: Path,
    verdicts: Path,
    metrics: Path,
) -> None:
    """Write the verdict on each network that has a ladder, and the numbers of all."""
    found, group, lines = read_nuclei(nuclei), read_section(Split).group, read_architectures()
    rows = read_trained_rows(read_runs(), runs, lines, read_section(Recipe), found, group)
    faults = data_faults(read_findings(audit))
    limits = read_section(Diagnosis)
    write_diagnosis(rows, ladders, found, group, limits, faults, texture, verdicts, metrics)


if __name__ == "__main__":
    fathom.ground.stage.run(diagnose)
