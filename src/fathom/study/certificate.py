"""The certificate of a split: what was checked, how, and the hashes of what it was checked on.

A split is three files: its table, the duplicates that bound groups together, and the certificate.
`read_certificate` refuses what has changed since in any of them, or in the table of nuclei.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fathom.ground.errors import FathomError
from fathom.ground.output import write_json
from fathom.study.nuclei import Nuclei

TABLE, DUPLICATES, CERTIFICATE = "splits.parquet", "duplicates.parquet", "certificate.json"
# What a split depends on: with another positive class, the same labels are other classes.
HASHED = ["nucleus", "image", "slide", "patient", "label", "positive", "left_out"]
SEAL = "certificate"


def write_certificate(folder: Path, nuclei: Nuclei, content: Mapping[str, object]) -> None:
    """Write the certificate beside the table of splits and the duplicates, with their hashes."""
    sha256 = {**_hashes(folder, nuclei), SEAL: _seal(content)}
    write_json(folder / CERTIFICATE, {**content, "sha256": sha256})


def read_certificate(folder: Path, nuclei: Nuclei) -> dict[str, Any]:
    """Return the certificate, if it is of these files and these nuclei.

    Raises `FathomError` that names the first thing that does not match.
    """
    for name in (CERTIFICATE, TABLE, DUPLICATES):
        if not (folder / name).is_file():
            raise FathomError(f"{folder / name} is missing: run the stage 'split' first")
    try:
        certificate: dict[str, Any] = json.loads((folder / CERTIFICATE).read_text(encoding="utf-8"))
        recorded = dict(certificate.pop("sha256"))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise FathomError(
            f"{folder / CERTIFICATE} is not a certificate of this version of fathom: run the stage "
            "'split' again"
        ) from None
    changed = {
        "nuclei": f"{folder} was made from other nuclei",
        "splits": f"{folder / TABLE} has changed since its certificate was written",
        "duplicates": f"{folder / DUPLICATES} has changed since its certificate was written",
        SEAL: f"{folder / CERTIFICATE} has changed since it was written",
    }
    found = {**_hashes(folder, nuclei), SEAL: _seal(certificate)}
    for name, fault in changed.items():
        if recorded.get(name) != found[name]:
            raise FathomError(f"{fault}: run the stage 'split' again")
    return certificate


def _hashes(folder: Path, nuclei: Nuclei) -> dict[str, str]:
    return {
        "nuclei": _sha256(nuclei.table[HASHED].to_csv(index=False).encode()),
        "splits": _sha256((folder / TABLE).read_bytes()),
        "duplicates": _sha256((folder / DUPLICATES).read_bytes()),
    }


def _seal(content: Mapping[str, object]) -> str:
    """Return the hash of the certificate without its hashes."""
    return _sha256(json.dumps(content, sort_keys=True).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
