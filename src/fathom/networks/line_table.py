"""The table of `fathom lines`: beside each architecture line what it costs and sees."""

from collections.abc import Iterable, Sequence

from fathom.ground.errors import FathomError
from fathom.ground.section import PARAMS_FILE
from fathom.networks.architecture import check_fits, parse
from fathom.networks.architecture_cost import Cost, cost
from fathom.networks.families import families
from fathom.networks.recipe import Norm
from fathom.study.rows import read_architectures

HEADINGS = ("layers", "parameters", "multiply-adds", "field px", "small maps")

Named = tuple[str, str]  # what is printed before a line ("" or "vgg-11: "), the line


def lines_to_print(
    given: Sequence[str], width_divisor: int, depths: Sequence[int], crop_px: int
) -> list[Named]:
    """Return the lines that were given, or else those of params.yaml, if any, and the families.

    Named lines read as YAML, to be copied into params.yaml; what stands there already is not
    repeated. Raises `FathomError` for a given line that is not valid or too deep for the crops.
    """
    for line in given:
        check_fits(parse(line), crop_px)
    if given:
        return [("", line) for line in given]
    own = read_architectures() if PARAMS_FILE.exists() else {}
    both = (*own.items(), *families(width_divisor, depths).items())
    return [(f"{name}: ", line) for name, line in dict.fromkeys(both)]


def line_table(lines: Iterable[Named], channels: int, crop_px: int, norm: Norm) -> str:
    """Return the table and its notes; a line too deep for the crops has a note, not numbers."""
    rows: list[tuple[str, ...]] = [(*HEADINGS, "line")]
    faults: list[str] = []
    for name, line in lines:
        layers = parse(line)
        try:
            numbers = _numbers(cost(layers, channels, crop_px, norm))
        except FathomError as error:
            numbers = ("-",) * len(HEADINGS)
            faults.append(f"{name}{error}")
        rows.append((*numbers, f"{name}{line}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][: len(HEADINGS)]
    written = ("  ".join((*map(str.rjust, row[: len(HEADINGS)], widths), row[-1])) for row in rows)
    return "\n".join((*written, "", *faults, *_notes(channels, crop_px, norm)))


def _numbers(found: Cost) -> tuple[str, ...]:
    return (
        str(found.weight_layers),
        f"{found.parameters:,}",
        f"{found.multiply_adds:,}",
        f"{found.receptive_field_px}{'*' if found.sees_beyond_crop else ' '}",
        str(found.kernels_beyond_map),
    )


def _notes(channels: int, crop_px: int, norm: Norm) -> tuple[str, ...]:
    beside = "a bias a filter" if norm == "none" else "a scale and a shift a filter"
    return (
        f"For crops of {crop_px} px with {channels} channel{'s' * (channels > 1)}; parameters with "
        f"{beside}.",
        "layers: those with weights. multiply-adds: of one crop, forward.",
        "field: side of what the last convolution or pooling layer sees; *: larger than the crop.",
        "small maps: convolutions whose kernel is larger than the map they are given.",
    )
