"""Stage `audit`: what is wrong with the data, before a network learns it."""

from pathlib import Path

from fathom.audit.audit import audit as audited
from fathom.audit.audit import write_audit
from fathom.audit.findings import refuse_errors
from fathom.baselines.features import read_features
from fathom.datasets.dataset import read_dataset
from fathom.imaging.nuclei import read_nuclei
from fathom.output import write_metrics
from fathom.params.audit import Audit
from fathom.params.section import read_section
from fathom.stage import run_stage


def audit(dataset: Path, nuclei: Path, features: Path, out: Path, metrics: Path) -> None:
    """Write the findings, the near-duplicates and the metrics; stop at an error not waived."""
    table = read_nuclei(nuclei)
    found = audited(
        dataset,
        read_dataset(dataset).images,
        table,
        read_features(features, table),
        read_section(Audit),
    )
    write_audit(out, found)
    write_metrics(metrics, found.metrics)
    refuse_errors(found.findings, out)


if __name__ == "__main__":
    run_stage(audit)
