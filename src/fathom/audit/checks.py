"""The names of what the audit looks for, and that the parameters grade each of them."""

from typing import Literal, get_args

from fathom.audit.params import Audit
from fathom.ground.errors import FathomError

Check = Literal[
    "unreadable_image",
    "truncated_image",
    "blank_image",
    "bit_depth",
    "grey_range",
    "grey_bright_field",
    "saturated_image",
    "black_clipped_image",
    "blurred_image",
    "mixed_scales",
    "contradicting_scales",
    "unknown_scales",
    "labels_in_pieces",
    "duplicate_images_across_patients",
    "duplicate_images",
    "debris",
    "blank_nuclei",
    "saturated_nuclei",
    "blurred_nuclei",
    "duplicate_nuclei_across_patients",
    "duplicate_nuclei",
    "one_nucleus_two_labels",
    "conflicting_annotations",
    "annotations_misread",
    "annotations_without_nucleus",
    "nothing_kept",
    "label_errors",
    "class_told_by_brightness",
    "class_told_by_mark",
    "class_told_by_acquisition",
    "one_class_patient",
    "patient_spellings",
    "slide_spellings",
    "waiver_without_finding",
]
CHECKS: tuple[Check, ...] = get_args(Check)

# What a network can learn instead of the label, or that the label is wrong: a verdict on networks
# says it, for they may be worse or better by just that.
ON_LABELS: tuple[Check, ...] = (
    "duplicate_nuclei_across_patients",
    "duplicate_nuclei",
    "one_nucleus_two_labels",
    "conflicting_annotations",
    "annotations_misread",
    "annotations_without_nucleus",
    "label_errors",
    "class_told_by_brightness",
    "class_told_by_mark",
    "class_told_by_acquisition",
    "one_class_patient",
)


def check_grades(params: Audit) -> None:
    """Raise `FathomError` unless every check is an error or a warning, and waivers name checks."""
    graded = [*params.errors, *params.warnings]
    twice = sorted({name for name in graded if graded.count(name) > 1})
    unknown = [name for name in graded if name not in CHECKS]
    missing = [name for name in CHECKS if name not in graded]
    waived = [name for name in params.waivers if name.partition(":")[0] not in CHECKS]
    for names, what in (
        (unknown, "in audit.errors or audit.warnings is not a check"),
        (waived, "under audit.waivers does not begin with a check's name and a colon"),
        (twice, "stands more than once in audit.errors and audit.warnings"),
        (missing, "is missing from both audit.errors and audit.warnings"),
    ):
        if names:
            raise FathomError(
                f"params.yaml: {', '.join(names)} {what}; the checks are {', '.join(CHECKS)}"
            )
