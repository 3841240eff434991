"""How the controls look for shortcuts (docs/controls.md)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fathom.ground.section import Count, Section, Seed


class Shortcuts(Section):
    """What an acquisition is, and from how many pixels on a crop shows what its label is about."""

    key: ClassVar[str] = "shortcuts"
    acquisition: Literal["slide", "patient"]
    least_label_px: Count
    folds: Annotated[int, Field(ge=2)]
    trees: Count
    seed: Seed
