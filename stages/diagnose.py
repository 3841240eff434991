"""Stage `diagnose`: why a network is worse than a shallower one."""

from pathlib import Path

import fathom.ground.stage
from fathom.audit.findings import read_findings
from fathom.diagnosis.causes import Diagnosis
from fathom.diagnosis.data_faults import data_faults
from fathom.ground.section import read_section
from fathom.networks.recipe import Recipe
from fathom.reports.diagnosis_report import DiagnosedStudy
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_architectures, read_experiments, read_runs
from fathom.study.splits import Split


def diagnose(
    nuclei: Path, audit: Path, runs: Path, experiments: Path, verdicts: Path, metrics: Path
) -> None:
    """Write the verdict on each network that params name, and their numbers."""
    trained = DiagnosedStudy(
        read_nuclei(nuclei), read_architectures(), read_section(Recipe), read_section(Split).group
    )
    rows = trained.rows(read_runs(), runs) | trained.rows(read_experiments(), experiments)
    faults = data_faults(read_findings(audit))
    trained.write_diagnosis(rows, read_section(Diagnosis), faults, verdicts, metrics)


if __name__ == "__main__":
    fathom.ground.stage.run(diagnose)
