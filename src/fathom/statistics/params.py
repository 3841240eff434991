"""The section of the comparison."""

from typing import Annotated, ClassVar

from pydantic import Field

from fathom.ground.section import Section, Seed, Share
from fathom.study.run_names import Classifier


class Comparison(Section):
    """How runs are compared."""

    key: ClassVar[str] = "comparison"
    resamples: Annotated[int, Field(ge=100)]
    confidence: Share
    seed: Seed
    baseline: Classifier
