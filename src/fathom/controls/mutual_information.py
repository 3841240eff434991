"""How many bits an acquisition tells of the label."""

import numpy as np
from sklearn.metrics import mutual_info_score

from fathom.imaging.nuclei import Nuclei


def mutual_information(nuclei: Nuclei, column: str) -> tuple[float, float]:
    """Return how many bits `column` tells of the label, and how many it would by chance.

    Chance is the plug-in estimate's bias for independent nuclei, (k - 1) / 2n ln 2 of k values
    and n nuclei with two classes (Miller 1955).
    """
    kept = nuclei.kept
    bits = float(mutual_info_score(kept[column], kept["positive"]) / np.log(2))
    return bits, (kept[column].nunique() - 1) / (2 * len(kept) * np.log(2))
