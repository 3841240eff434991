"""What the positive control means for a verdict, in sentences that follow by rules.

A network *finds* a change where its interval is above .5 (`fathom.texture.texture_scores`). What a
network does not find of the study's own label speaks of the texture as far as it found a planted
one, and no further. Nothing else decides which sentence is said.
"""

from collections.abc import Mapping, Sequence

from fathom.texture.texture_scores import smallest_found, sought_of


def texture_sentences(numbers: Mapping[str, float]) -> str:
    """Return what was found, and how far "nothing in the texture" holds; `numbers` of metrics."""
    sought = sought_of(numbers)
    pattern = f"a pattern of {numbers['wavelength_px']:g} px"
    strongest = in_sd(max(one.strength for one in sought))
    found: dict[float, list[str]] = {}
    blind = []
    for network in dict.fromkeys(one.network for one in sought):
        smallest = smallest_found(sought, network)
        if smallest is None:
            blind.append(network)
        else:
            found.setdefault(smallest, []).append(network)
    if not found:
        return (
            f"No network found even the strongest change of the texture, {strongest} ({pattern}): "
            "what they do not find on the study's labels says nothing about the texture."
        )
    said = [_finders(found, pattern)]
    if blind:
        names, verb = listed(blind), "does" if len(blind) == 1 else "do"
        said.append(
            f"{names} {verb} not find even {strongest}: what {names} {verb} not find on the "
            "study's labels says nothing about the texture."
        )
    said.append(
        f"So 'nothing in the texture' holds down to {in_sd(min(found))}; of smaller changes "
        "nothing is known."
    )
    return " ".join(said)


def _finders(found: Mapping[float, Sequence[str]], pattern: str) -> str:
    """Say who would have found which change, the smallest first."""
    first, *others = sorted(found)
    said = (
        f"A change of the texture by {in_sd(first)} ({pattern}) would have been found by "
        f"{listed(found[first])}"
    )
    return "; ".join([said, *(f"by {in_sd(one)}, by {listed(found[one])}" for one in others)]) + "."


def in_sd(strength: float) -> str:
    """Return a strength as texts print it: `.5 SD`."""
    return f"{strength:g} SD".removeprefix("0")


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them: `a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
