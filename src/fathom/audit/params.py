"""What the audit looks for, by name, and how params.yaml grades each and sets its limits."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from fathom.ground.errors import FathomError
from fathom.ground.section import Correlation, Count, Positive, Section, Seed, Share

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


class Audit(Section):
    """What the audit looks for, what of it stops the pipeline, and what is known and accepted."""

    key: ClassVar[str] = "audit"
    # Names of `CHECKS`: `check_grades` sees to it that each stands in one of them.
    errors: Annotated[tuple[str, ...], Field(strict=False)]
    warnings: Annotated[tuple[str, ...], Field(strict=False)]
    # `check:where` as the table of findings names it, and the reason.
    waivers: dict[str, Annotated[str, Field(min_length=1)]]
    seed: Seed
    image_correlation: Correlation
    nucleus_correlation: Correlation
    nucleus_z: Positive
    least_contrast: Positive
    white_share: Share
    black_share: Share
    range_bits: Positive
    blur_z: Positive
    blur_ratio: Share
    smallest_px: Count
    saturated_share: Share
    saturated_nuclei: Share
    blurred_share: Share
    missed_share: Share
    told_margin: Annotated[float, Field(gt=0, lt=0.5)]
    told_correlation: Correlation
    chance: Share


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
