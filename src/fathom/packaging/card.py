"""A model file's card as a page for a person.

Its headings follow Mitchell et al. 2019, Model Cards for Model Reporting. Everything stands in the
model file: nothing here is measured or looked up.
"""

from collections.abc import Iterator

import yaml

from fathom.imaging.params import NetworkSegmentation
from fathom.models.best_run import failure
from fathom.models.onnx_model import ModelCard
from fathom.statistics.row_text import difference, with_interval

# Names of metrics and what they are called, in the order of the table.
_RESULTS = {
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "validation_balanced_accuracy": "balanced accuracy, validation part",
    "training_accuracy": "accuracy, training part",
}
_DIFFERENCES = {
    "difference_to_baseline": "than the statistical baseline",
    "difference_to_first": "than the study's first network",
}
_GROUPS = {"image": "images", "slide": "slides", "patient": "patients", None: "groups"}
_FEW_GROUPS = 10  # an interval over fewer is wide, and its own width uncertain


def model_card(card: ModelCard, model_sha256: str) -> str:
    """Return the page in Markdown; `model_sha256` is that of the model file's bytes."""
    blocks = [
        f"# {card.positive} or {card.negative}: nuclei scored by `{card.run}`",
        f"A convolutional network that gives a single nucleus the probability of being "
        f"**{card.positive}**, the other class being **{card.negative}**. At {card.threshold:.3f} "
        f"and above, a nucleus is called {card.positive}. Trained and exported by fathom "
        f"{card.fathom_version}.",
        *_data(card),
        *_protocol(card),
        *_validation(card),
        "## Limits",
        "\n".join(f"- {limit}" for limit in [*_failed(card), *_limits(card)]),
        *_hashes(card, model_sha256),
    ]
    return "\n\n".join(blocks) + "\n"


def _data(card: ModelCard) -> Iterator[str]:
    yield "## Data"
    nuclei = _count(card.metrics, "nuclei", "nuclei")
    groups = _count(card.metrics, "groups", _GROUPS[card.group])
    scale = "unknown" if card.um_per_px is None else f"{card.um_per_px:g} um"
    kind = "grey" if card.channels == 1 else "colour (RGB)"
    yield (
        f"{nuclei} in {groups}; {kind} micrographs. A pixel is {scale} wide (the median of the "
        "study's images). A nucleus is shown alone, everything around it set to 0, in a square of "
        f"{card.crop.crop_px} px."
    )


def _protocol(card: ModelCard) -> Iterator[str]:
    yield "## Protocol"
    yield (
        f"No {(card.group or 'group')} stood on both sides of a split. Outer folds tested "
        "the recipe below; in each, a validation part of the rest chose the epoch. The network in "
        "this file is trained in the same way on all of the data but the validation part of its "
        "own split, which chose epoch and threshold."
    )
    yield f"The network, layer by layer:\n\n```\n{card.architecture}\n```"
    yield "How it was trained, how nuclei are found and how they are cut:"
    sections = {
        "recipe": card.recipe,
        "segmentation": card.segmentation.model_dump(mode="json"),
        "crop": card.crop.model_dump(mode="json"),
    }
    yield f"```yaml\n{yaml.safe_dump(sections, sort_keys=False)}```"


def _validation(card: ModelCard) -> Iterator[str]:
    yield "## Validation"
    numbers = card.metrics
    measured = [name for name in _RESULTS if _has_interval(numbers, name)]
    if not measured:
        yield "The model file holds no results with intervals."
        return
    confidence = f"{100 * numbers.get('confidence', 0.95):g} %"
    rows = [f"| {_RESULTS[name]} | {with_interval(numbers, name)} |" for name in measured]
    yield "\n".join([f"| measure | value [{confidence} interval] |", "| --- | --- |", *rows])
    yield (
        f"Measured on the test folds, the intervals over {_GROUPS[card.group]}: how far the "
        f"number would move with other {_GROUPS[card.group]} of the same kind. It is the "
        "recipe that was measured, not this one network."
    )
    for name, than in _DIFFERENCES.items():
        if _has_interval(numbers, name) and f"{name}_claim" in numbers:
            yield _compared(numbers, name, than)


def _compared(numbers: dict[str, float], name: str, than: str) -> str:
    claim = numbers[f"{name}_claim"]
    verdict = {1: "better", -1: "worse"}.get(int(claim), "neither better nor worse")
    shown = difference(numbers, name).removesuffix("*")
    after = "after Holm's correction" if claim else "as far as this study can tell"
    return f"Balanced accuracy is {verdict} {than}, {after}: {shown}."


def _failed(card: ModelCard) -> Iterator[str]:
    if why := failure(card.metrics):
        yield f"**Not to be used**: the network in this file {why}."


def _limits(card: ModelCard) -> Iterator[str]:
    yield from _of_its_accuracy(card)
    yield from _of_its_study(card)
    yield from _of_whole_slides(card)
    yield from _of_its_nuclei(card)
    yield "Research only. It is no medical device and must not inform a diagnosis."


def _of_its_accuracy(card: ModelCard) -> Iterator[str]:
    numbers = card.metrics
    if numbers.get("balanced_accuracy_low", 1.0) <= 0.5:
        yield (
            "**Not shown to be better than chance**: the interval of the balanced accuracy "
            "reaches 0.5."
        )
    elif "sensitivity" in numbers and "specificity" in numbers:
        missed, false = 1 - numbers["sensitivity"], 1 - numbers["specificity"]
        yield (
            f"Of 100 {card.positive} nuclei it misses about {100 * missed:.0f}, and it calls about "
            f"{100 * false:.0f} of 100 {card.negative} ones {card.positive}: single nuclei are "
            "not to be trusted further than that."
        )


def _of_its_study(card: ModelCard) -> Iterator[str]:
    numbers = card.metrics
    if numbers.get("groups", _FEW_GROUPS) < _FEW_GROUPS:
        yield f"Few {_GROUPS[card.group]}: other ones may differ from all of these."
    if _has_interval(numbers, "difference_to_baseline") and (
        numbers.get("difference_to_baseline_claim", 0) < 1
    ):
        yield "It was not shown to be better than measured features with a classical classifier."
    if card.group is None:
        yield "The file does not say whether splits kept patients whole."
    elif card.group != "patient":
        yield "Splits did not keep patients whole: new patients may be harder."
    yield (
        "Another microscope, stain, cell line or magnification is another task: score labelled "
        "images of yours first."
    )


def _of_whole_slides(card: ModelCard) -> Iterator[str]:
    if card.abstention is None:
        yield "The file holds no calibrated abstention: it gives no verdict on a whole slide."
    elif card.abstention.band is None:
        yield (
            f"{card.abstention.groups} {_GROUPS[card.group]} are too few to calibrate a verdict "
            "on a whole slide: every slide is undecided."
        )
    else:
        yield (
            f"The share of {card.positive} nuclei of a whole slide is off by up to "
            f"{card.abstention.band:.2f} for {100 * card.abstention.confidence:g} % of "
            f"{_GROUPS[card.group]} like the study's ({card.abstention.groups} measured); a "
            "slide whose share lies nearer to one half is undecided."
        )


def _of_its_nuclei(card: ModelCard) -> Iterator[str]:
    if card.crop.normalisation == "slide":
        yield (
            "Grey values are scaled by the nuclei of the slide at hand: few or unusual nuclei "
            "give an unusual scale."
        )
    if card.segmentation.method == "masks":
        yield "Its nuclei came as label images made elsewhere: a new slide needs such, too."
    if isinstance(card.segmentation, NetworkSegmentation):
        yield (
            f"Its nuclei were found by another network, which is not in this file: "
            f"`{card.segmentation.network}`, SHA-256 `{card.segmentation.network_sha256}`."
        )


def _hashes(card: ModelCard, model_sha256: str) -> Iterator[str]:
    yield "## Hashes"
    yield (
        "| SHA-256 of | |\n| --- | --- |\n"
        f"| the model file | `{model_sha256}` |\n"
        f"| the study's nuclei | `{card.data_sha256}` |"
    )


def _has_interval(numbers: dict[str, float], name: str) -> bool:
    return {name, f"{name}_low", f"{name}_high"} <= numbers.keys()


def _count(numbers: dict[str, float], name: str, what: str) -> str:
    return f"{numbers[name]:,.0f} {what}" if name in numbers else f"An unknown number of {what}"
