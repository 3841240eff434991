"""What the score of a control means for the claim, in one sentence, by rules.

A control *tells* the label if its interval is above .5. Its reference has something *beyond* it
if the paired difference's interval is above 0. Nothing else decides which sentence is said.
"""

from collections.abc import Iterator, Mapping

from fathom.controls.catalogue import (
    ACQUISITION,
    BACKGROUND,
    CONTROLS,
    HISTOGRAM,
    LABEL_PIXELS,
    SHAPE,
    SHUFFLED,
    SHUFFLED_CLASSIFIER,
    SIZE,
)
from fathom.statistics.row_text import decimal, failed, signed_with_interval, with_interval
from fathom.study.rows import short

Numbers = Mapping[str, float]

SCORE, BEYOND = "balanced_accuracy", "beyond"


def control_sentence(control: str, numbers: Numbers, reference: str) -> str:
    """Return the sentence on `control`; `reference` is who sees all that it lacks."""
    score = with_interval(numbers, f"{control}.{SCORE}")
    subject = CONTROLS[control].subject
    if silent := _silent(control, numbers):
        return f"{subject} says nothing: {silent}. Its score, {score}, is none of the label."
    tells = numbers[f"{control}.{SCORE}_low"] > 0.5
    if control in (SHUFFLED, SHUFFLED_CLASSIFIER):
        return _floor(control, subject, numbers)
    if numbers[f"{control}.{SCORE}_high"] < 0.5:
        return (
            f"{subject} is below chance, {score}: what it tells in training and validation groups "
            "is turned round in the test groups, which are too few or differ from them."
        )
    if not tells:
        most = numbers[f"{control}.{SCORE}_high"] - 0.5
        return (
            f"{subject} is not seen to tell the label, {score}: of a score it explains "
            f"{decimal(most)} above chance at most."
        )
    if control == LABEL_PIXELS:
        return (
            f"{subject} decides {score}: the answer is in the crops, and a score says first "
            "how well it is read there."
        )
    consequence = {
        BACKGROUND: "; crops have it at 0, so it counts where it shapes the outline",
        ACQUISITION: "; folds that cut through acquisitions reward who recognises them",
    }.get(control, "")
    return (
        f"{subject} tells the label, {score}{consequence}; {_beyond(control, numbers, reference)}"
    )


def numbers_of(control: str, numbers: Numbers) -> dict[str, float]:
    """Return the numbers of one control by their names in the metrics of a run."""
    start = f"{control}."
    return {key.removeprefix(start): of for key, of in numbers.items() if key.startswith(start)}


def _silent(control: str, numbers: Numbers) -> str:
    """Say how all networks of a control failed, "" where one did not.

    One answer is what a network should have learned of shuffled labels.
    """
    own = numbers_of(control, numbers)
    cells = own.get("cells")
    if cells and own.get("diverged_cells") == cells:
        return f"all of its {cells} networks diverged"
    if cells and control not in (SHUFFLED, SHUFFLED_CLASSIFIER) and failed(own) == cells:
        return f"all of its {cells} networks say the same of every nucleus"
    return ""


def _floor(control: str, subject: str, numbers: Numbers) -> str:
    """Say whether who learned shuffled labels is at chance, and if not, what may have lifted it.

    Epoch, threshold and classifier are chosen on the own labels of the validation part. Where a
    simple measure tells the label, one of many chance answers that follow it is chosen there.
    """
    score = with_interval(numbers, f"{control}.{SCORE}")
    said = f"{subject} that learned shuffled labels scores {score}"
    if numbers[f"{control}.{SCORE}_low"] <= 0.5:
        return f"{said}: the floor, as it should be."
    known = {of: numbers.get(f"{of}.{SCORE}", 0.0) for of in (SIZE, SHAPE, HISTOGRAM)}
    best = max(known, key=lambda of: known[of])
    if known[best] >= numbers[f"{control}.{SCORE}"]:
        return (
            f"{said}, above chance: what the validation part's own labels chose can lift it, for "
            f"the {CONTROLS[best].shown} alone has {decimal(known[best])}; no leak is shown."
        )
    return (
        f"{said}, above chance: the protocol leaks, and no score is to be trusted before it is "
        "found where."
    )


def _beyond(control: str, numbers: Numbers, reference: str) -> str:
    found = signed_with_interval(numbers, f"{control}.{BEYOND}")
    if numbers[f"{control}.{BEYOND}_low"] > 0:
        return f"{short(reference)} has {found} beyond it."
    if numbers[f"{control}.{BEYOND}_high"] < 0:
        return f"{short(reference)}, which sees more, does worse ({found})."
    return f"nothing shows that {short(reference)} uses more ({found})."


def batch_sentences(numbers: Numbers, acquisition: str) -> Iterator[str]:
    """Yield whether acquisitions show, whether they tell the label, and what a new one costs."""
    for column in dict.fromkeys(("slide", acquisition)):
        if f"{column}.recognised" not in numbers:
            continue
        chance = decimal(numbers[f"{column}.chance"])
        shows = numbers[f"{column}.recognised_low"] > numbers[f"{column}.chance"]
        verb = "tell" if shows else "are not seen to tell"
        yield (
            f"A nucleus' features {verb} its {column}: named right in "
            f"{with_interval(numbers, f'{column}.recognised')} where chance is {chance}. The "
            f"{column} tells {numbers[f'{column}.bits']:.3f} bits of the label, of independent "
            f"nuclei by chance {numbers[f'{column}.bits_by_chance']:.3f}."
        )
    losses = _keys_by_run(numbers, "batch.", ".loss")
    worse = [name for name, key in losses.items() if numbers[f"{key}_high"] < 0]
    if worse:
        names = ", ".join(map(short, worse))
        yield f"On a {acquisition} that training never saw, worse than on the folds: {names}."
    elif losses:
        yield f"On a {acquisition} that training never saw, none is seen to be worse."


def leak_sentence(numbers: Numbers, least_px: int) -> str:
    """Return what the label's own pixels in the crops do to the scores."""
    if not numbers.get("label_pixels.nuclei"):
        return (
            "Whether the label's own pixels are in the crops is not known: the data set has no "
            "label_masks/ (docs/own-data.md)."
        )
    shares = " and ".join(
        f"{100 * numbers[f'label_pixels.{of}']:.1f} % of the {of} nuclei"
        for of in ("positive", "negative")
        if f"label_pixels.{of}" in numbers
    )
    leaks = _keys_by_run(numbers, "label.", ".leak")
    better = [name for name, key in leaks.items() if numbers[f"{key}_low"] > 0]
    use = (
        f"lower without these nuclei: the score of {', '.join(map(short, better))}"
        if better
        else "no score is seen to rest on them"
    )
    return f"{shares} show {least_px} px or more of what the label is about in their crop; {use}."


def _keys_by_run(numbers: Numbers, start: str, end: str) -> dict[str, str]:
    """Return the keys `<start><run><end>` by run."""
    keys = (key for key in numbers if key.startswith(start) and key.endswith(end))
    return {key.removeprefix(start).removesuffix(end): key for key in keys}
