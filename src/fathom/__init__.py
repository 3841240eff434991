"""How deep should a network be for your nuclei, and if the deeper one is worse, why.

`fathom.predict(slide, model)` scores the nuclei of a slide; everything else is in the packages.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fathom.scoring.predict import predict as predict

__all__ = ["predict"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import what scoring needs when it is asked for: `import fathom` alone imports nothing."""
    if name == "predict":
        from fathom.scoring.predict import predict  # noqa: PLC0415

        return predict
    raise AttributeError(f"module 'fathom' has no attribute {name!r}")
