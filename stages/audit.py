"""Stage `audit`: what is wrong with the data, before a network learns it."""

from pathlib import Path

import fathom.ground.stage
from fathom.audit.audit import audit as audited
from fathom.audit.audit import write_audit
from fathom.audit.findings import read_findings, refuse_errors
from fathom.audit.image_audit import AuditedImages, read_traits
from fathom.audit.params import Audit
from fathom.audit.pictures import draw_nuclei
from fathom.baselines.features import read_features
from fathom.ground.image_store import open_store
from fathom.ground.output import write_metrics
from fathom.ground.section import read_section
from fathom.study.accounts import read_accounts
from fathom.study.nuclei import read_nuclei


def audit(
    dataset: Path,
    images: Path,
    nuclei: Path,
    accounts: Path,
    features: Path,
    store: Path,
    out: Path,
    metrics: Path,
) -> None:
    """Write the findings, the near-duplicates and the metrics; stop at an error not waived."""
    of_images = AuditedImages(read_findings(images), read_traits(images))
    table, params = read_nuclei(nuclei), read_section(Audit)
    crops = table.crops()
    of_features, account = read_features(features, table), read_accounts(accounts)
    found = audited(of_images, table, account, crops, of_features, params, open_store(store))
    write_audit(out, found, params)
    draw_nuclei(out, found.findings, table, crops, dataset)
    write_metrics(metrics, found.metrics)
    refuse_errors(found.findings, out)


if __name__ == "__main__":
    fathom.ground.stage.run(audit)
