"""What `fathom lines --json` says of a line: its cost as numbers, or what is wrong with it."""

from dataclasses import asdict
from typing import Any

from fathom.ground.errors import FathomError
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import cost
from fathom.networks.recipe import Norm


def line_numbers(name: str, line: str, channels: int, crop_px: int, norm: Norm) -> dict[str, Any]:
    """Return name, line and cost of a line; the `fault` of one that is too deep for the crops.

    `name` is as `lines_to_print` has it: "" or "vgg-11: ". The keys of the cost are the fields of
    `fathom.networks.architecture_cost.Cost`.
    """
    told = {"name": name.removesuffix(": ") or None, "line": line}
    try:
        return told | asdict(cost(parse(line), channels, crop_px, norm))
    except FathomError as error:
        return told | {"fault": str(error)}
