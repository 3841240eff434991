"""The section of the comparison."""

from typing import ClassVar

from fathom.ground.section import Section, Share
from fathom.study.rows import Classifier


class Comparison(Section):
    """How runs are compared."""

    key: ClassVar[str] = "comparison"
    confidence: Share
    baseline: Classifier
