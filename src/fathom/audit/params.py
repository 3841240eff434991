"""The section of the audit."""

from typing import Annotated, ClassVar

from pydantic import Field

from fathom.ground.section import Correlation, Count, Positive, Section, Seed, Share


class Audit(Section):
    """What the audit looks for, what of it stops the pipeline, and what is known and accepted."""

    key: ClassVar[str] = "audit"
    # Names of `fathom.audit.checks`, which sees to it that each stands in one of them.
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
