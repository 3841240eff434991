"""The section of the abstention."""

from typing import ClassVar

from fathom.ground.section import Section, Share


class AbstentionLevel(Section):
    """How sure the verdict on a new slide must be."""

    key: ClassVar[str] = "abstention"
    confidence: Share
