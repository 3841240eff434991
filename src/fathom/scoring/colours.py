"""The colours of classes, the same in every file that shows nuclei."""

from collections.abc import Mapping

from fathom.scoring.onnx_model import ModelCard

Colour = tuple[int, int, int]  # red, green, blue, 0..255

# Vermilion, sky blue and yellow of Okabe & Ito 2008: told apart by colour-blind readers, and seen
# on grey, where a grey for what was not scored would be lost.
POSITIVE: Colour = (213, 94, 0)
NEGATIVE: Colour = (86, 180, 233)
NOT_SCORED: Colour = (240, 228, 66)


def class_colours(card: ModelCard) -> Mapping[str, Colour]:
    """Return the colour of each class by its name, the positive one first."""
    return {card.positive: POSITIVE, card.negative: NEGATIVE}
