"""How the texture of nuclei is changed to see who finds it (docs/controls.md)."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from fathom.ground.section import Section, Seed

Strength = Annotated[float, Field(gt=0, le=1)]


def _descending(values: tuple[float, ...]) -> tuple[float, ...]:
    if list(values) != sorted(set(values), reverse=True):
        raise ValueError("must descend, each value once: the strongest change is looked for first")
    return values


class Texture(Section):
    """What is planted into the positive nuclei, and the networks that look for it."""

    key: ClassVar[str] = "texture"
    strengths: Annotated[
        tuple[Strength, ...], Field(min_length=1, strict=False), AfterValidator(_descending)
    ]
    wavelength_px: Annotated[float, Field(ge=2)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, strict=False)]
    seed: Seed
