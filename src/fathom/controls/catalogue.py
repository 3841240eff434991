"""The controls by name, what each sees, and what its score is held against."""

from collections.abc import Mapping
from dataclasses import dataclass

from fathom.study.rows import Classifier, Run, baseline_name

SILHOUETTE, BACKGROUND, SHUFFLED = "silhouette", "background", "shuffled-labels"
SIZE, SHAPE, HISTOGRAM = "size", "shape", "histogram"
SHUFFLED_CLASSIFIER = "shuffled-classifier"
ACQUISITION, LABEL_PIXELS = "acquisition", "label-pixels"

NETWORK_CONTROLS = (SILHOUETTE, BACKGROUND, SHUFFLED)  # rows of `controls` in params.yaml
CLASSIFIER_CONTROLS = (SIZE, SHAPE, HISTOGRAM, SHUFFLED_CLASSIFIER, ACQUISITION)  # of the stage
ACROSS, RECOGNISED = "across", "recognised"  # folders beside the tables of `CLASSIFIER_CONTROLS`
ALL = (*NETWORK_CONTROLS, *CLASSIFIER_CONTROLS, LABEL_PIXELS)


@dataclass(frozen=True)
class Control:
    """How a control is printed."""

    shown: str  # in the first column
    sees: str  # what it has to go by
    subject: str  # begins its sentence


CONTROLS: dict[str, Control] = {
    SILHOUETTE: Control("silhouette", "outline and size, a picture", "The silhouette alone"),
    BACKGROUND: Control("background", "what lies around the crop", "The background alone"),
    SHUFFLED: Control("shuffled labels", "crops; shuffled labels", "The network"),
    SIZE: Control("size", "the nucleus' area", "The size alone"),
    SHAPE: Control("shape", "eight measures of the outline", "The outline alone"),
    HISTOGRAM: Control("histogram", "grey levels, not where they are", "The histogram alone"),
    SHUFFLED_CLASSIFIER: Control(
        "shuffled labels", "all features; shuffled labels", "The classifier"
    ),
    ACQUISITION: Control("acquisition", "its training share of the label", "The acquisition alone"),
    LABEL_PIXELS: Control(
        "label pixels", "how many of the label's pixels", "The number of those pixels alone"
    ),
}


def reference_of(
    control: str, controls: Mapping[str, Run], runs: Mapping[str, Run], baseline: Classifier
) -> str:
    """Return who sees all that a control lacks: the same network, or the classifier of params.

    The same network is the run of the control's architecture without interventions, or else the
    first run.
    """
    if control not in controls:
        return baseline_name(baseline)
    own = controls[control].architecture
    same = (name for name, run in runs.items() if run.architecture == own and not run.interventions)
    return next(same, next(iter(runs)))
