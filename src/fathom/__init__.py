"""How deep should a network be for your nuclei, and if the deeper one is worse, why.

`fathom.predict(slide, model)` scores the nuclei of a slide, and raises `fathom.SlideError` where it
is the slide that cannot be scored, `fathom.ModelError` where it is the model file; both are a
`fathom.FathomError`. Everything else is in the packages.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fathom.ground.errors import FathomError as FathomError
    from fathom.ground.errors import ModelError as ModelError
    from fathom.ground.errors import SlideError as SlideError
    from fathom.scoring.predict import predict as predict

__all__ = ["FathomError", "ModelError", "SlideError", "predict"]

_HOMES = {
    "FathomError": "fathom.ground.errors",
    "ModelError": "fathom.ground.errors",
    "SlideError": "fathom.ground.errors",
    "predict": "fathom.scoring.predict",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import what is asked for, and only then: `import fathom` alone imports nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'fathom' has no attribute {name!r}")
