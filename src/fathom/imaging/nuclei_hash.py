"""One number for the nuclei of a study, so that a model file can say what it was made from."""

import hashlib

from fathom.imaging.nuclei import TABLE, Nuclei


def data_sha256(nuclei: Nuclei) -> str:
    """Return the SHA-256 of a study's nuclei: of the table, then of the shards by name."""
    digest = hashlib.sha256()
    for path in (nuclei.folder / TABLE, *sorted(nuclei.folder.glob("*.npy"))):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
