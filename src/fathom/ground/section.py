"""What all sections of params.yaml share: how they are read, bounds in the types.

Values live in params.yaml alone: no section has a default. Units are in the names. An unknown
key, a missing one or a value out of bounds is an error that names its key.
"""

from pathlib import Path
from reprlib import Repr
from typing import Annotated, ClassVar, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fathom.ground.errors import FathomError

PARAMS_FILE = Path("params.yaml")  # DVC's own name for it, relative to the project's root

# Of a value in a message: aliases of aliases make gigabytes of a text of a few lines.
_REPR = Repr()
_REPR.maxlevel = 3
_REPR.maxdict = _REPR.maxlist = 12
_REPR.maxstring = _REPR.maxother = _LONGEST = 200

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(gt=0, lt=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Correlation = Annotated[float, Field(gt=0, le=1)]


def _ascending(values: tuple[int, ...]) -> tuple[int, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("must ascend, each value once")
    return values


Ascending = AfterValidator(_ascending)


class Section(BaseModel):
    """A section of params.yaml; `key` is its name there."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    key: ClassVar[str]


S = TypeVar("S", bound=Section)


def read_section(section: type[S], file: Path = PARAMS_FILE) -> S:
    """Read one section of params.yaml; a stage can read only the sections it names."""
    return validated(section, value_at(file, section.key), section.key)


def value_at(file: Path, *keys: str) -> object:
    """Return the value under `keys`, or say which key is missing and which there are."""
    value = _read(file)
    for depth, key in enumerate(keys):
        if not isinstance(value, dict) or key not in value:
            there = ", ".join(map(str, value)) if isinstance(value, dict) else _shown(value)
            path = ".".join(keys[: depth + 1])
            raise FathomError(f"{file}: '{path}' is missing; there is only: {there}")
        value = value[key]
    return value


def _read(file: Path) -> object:
    """Return what stands in the file, or say what YAML, or Python in its place, stumbles over.

    That may be bytes that are no UTF-8, or values that say what they are and are not: `!!int x`, a
    13th month, brackets by the thousand.
    """
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        wrong = "is missing: run this in the project's folder"
    except UnicodeDecodeError as error:
        wrong = f"is not UTF-8 text ({error.reason} at byte {error.start}); save it as such"
    except RecursionError:
        wrong = "is not valid YAML: its brackets stand too deep in each other"
    except yaml.YAMLError as error:
        wrong = f"is not valid YAML: {error}"
    except OSError:
        raise
    # What a constructor of PyYAML raises is whatever Python raised in it.
    except Exception as error:
        wrong = f"has a value that is not what it says it is ({error}); correct it"
    raise FathomError(f"{file} {wrong}")


def _shown(value: object) -> str:
    text = _REPR.repr(value)
    return text if len(text) <= _LONGEST + 2 else text[:_LONGEST] + "..."


def validated(section: type[S], value: object, where: str) -> S:
    try:
        return section.model_validate(value)
    except ValidationError as error:
        faults = "; ".join(
            f"'{'.'.join([where, *map(str, fault['loc'])])}' = "
            f"{_shown(fault['input'])}: {fault['msg']}"
            for fault in error.errors()
        )
        raise FathomError(f"params.yaml: {faults}") from None
