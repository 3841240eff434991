"""What is wrong with a params.yaml that its reader stumbles over, as a sentence."""

from pathlib import Path

import yaml

from fathom.ground.section import PARAMS_FILE


def fault_of_params(file: Path = PARAMS_FILE) -> str | None:
    """Return what is wrong with the text of params.yaml; None where that file can be read.

    YAML's own errors are sentences already (`fathom.ground.section.value_at`). Other ones come from
    bytes that are no UTF-8, and from values that say what they are and are not: `!!int x`, a 13th
    month, brackets by the thousand.
    """
    try:
        yaml.safe_load(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as wrong:
        return f"{file} is not UTF-8 text ({wrong.reason} at byte {wrong.start}); save it as such"
    except RecursionError:
        return f"{file} is not valid YAML: its brackets stand too deep in each other"
    except (OSError, yaml.YAMLError):
        return None
    # What a constructor of PyYAML raises is whatever Python raised in it.
    except Exception as wrong:
        return f"{file} has a value that is not what it says it is ({wrong}); correct it"
    return None
