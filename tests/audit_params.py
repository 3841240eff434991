"""The audit's settings, and a small table of nuclei to audit."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from fathom.audit.params import Audit

PARAMS = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))


def audit_params(**changes) -> Audit:
    return Audit.model_validate({**PARAMS["audit"], **changes})


def kept_of(labels, patients=None, slides=None) -> pd.DataFrame:
    """Return a table of nuclei with what the audit reads of it."""
    n = len(labels)
    patients = patients if patients is not None else ["p"] * n
    slides = slides if slides is not None else patients
    return pd.DataFrame(
        {
            "nucleus": [f"n{i}" for i in range(n)],
            "patient": patients,
            "slide": slides,
            "image": [f"{slide}.tif" for slide in slides],
            "label": labels,
            "positive": np.array(labels) == "ill",
            "focus": 1.0,
        }
    )
