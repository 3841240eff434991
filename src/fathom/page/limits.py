"""What a data set can and cannot show: its power, its groups, its shortcuts, by rules."""

from collections.abc import Iterator

from fathom.page.content import Content
from fathom.reports.audit_notes import account_notes, audit_notes
from fathom.reports.control_sentences import control_sentence, leak_sentence
from fathom.reports.texture_sentences import texture_sentences
from fathom.statistics.claims import POWER
from fathom.statistics.row_text import decimal
from fathom.study.rows import short

Limit = tuple[str, str]  # a heading, and a sentence or two


def limits(content: Content) -> Iterator[Limit]:
    """Yield each limit; where it was not measured, that it was not."""
    yield "Differences", _power(content)
    yield "Groups", _groups(content)
    yield "Outline", _controls(content, ("shape", "silhouette"), "what the outline alone tells")
    yield "Background", _controls(content, ("background",), "what the background tells")
    yield "The label itself", _leak(content)
    yield "Texture", _texture(content)
    yield "Shuffled labels", _controls(content, ("shuffled-labels",), "what shuffled labels give")
    yield "Audit", _audit(content)
    if accounts := " ".join(account_notes(content.metrics_folder)):
        yield "Nuclei", accounts


def _power(content: Content) -> str:
    key = "difference_to_first_detectable"
    networks = [content.results[name] for name in content.networks]
    found = [numbers[key] for numbers in networks if key in numbers]
    if not found:
        return "No network stands beside the first run, so there is no difference to be seen."
    least, most = decimal(min(found)), decimal(max(found))
    size = least if least == most else f"{least} to {most}"
    said = (
        f"To be claimed in {100 * POWER:g} % of studies of this size, a network must truly differ "
        f"from {short(content.first)} by {size} in balanced accuracy, by how much the two vary."
    )
    seen = [
        f"between {verdict['network']} and {verdict['compared_with']}, "
        f"{decimal(verdict['smallest_visible'])}"
        for verdict in content.verdicts.values()
        if verdict["smallest_visible"] is not None
    ]
    return f"{said} As a single comparison: {'; '.join(seen)}." if seen else said


def _groups(content: Content) -> str:
    groups = int(next(iter(content.results.values()))["groups"])
    said = (
        f"{groups} {content.group}s are kept whole (split.group). The intervals are over these: "
        f"more nuclei of the same {content.group}s would hardly narrow them."
    )
    patients = content.study.get("patients")
    if patients and content.group != "patient" and patients < groups:
        said += (
            f" They come from {content.patients(patients)}, of which one can stand on both sides: "
            "split.group: patient asks more."
        )
    return said


def _controls(content: Content, names: tuple[str, ...], what: str) -> str:
    numbers = content.control_numbers
    there = [name for name in names if name in content.controls]
    if not there:
        return f"Not measured here: {what}."
    return " ".join(
        control_sentence(name, numbers, content.control_reference(name)) for name in there
    )


def _leak(content: Content) -> str:
    if not (numbers := content.control_numbers):
        return "Not measured here: whether the label's own pixels are in the crops."
    return leak_sentence(numbers, int(content.params["shortcuts"]["least_label_px"]))


def _texture(content: Content) -> str:
    if "texture.json" in content.metrics:
        return texture_sentences(content.metrics["texture.json"])
    return (
        "Not measured here: the smallest change of texture that the networks would have found "
        "(metrics/texture.json). Without it, that they find nothing does not mean that there is "
        "nothing in the texture."
    )


def _audit(content: Content) -> str:
    waivers = content.params["audit"]["waivers"]
    said = list(audit_notes(content.metrics_folder, waivers))
    if not said:
        return "Not measured here: what is wrong with the data."
    return " ".join([*said, *([] if waivers else ["Nothing was waived."])])
