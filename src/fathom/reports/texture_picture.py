"""A few of the study's nuclei beside themselves with their texture changed: what is looked for."""

from pathlib import Path

import numpy as np

from fathom.reports.plots import picture
from fathom.study.nuclei import Nuclei
from fathom.texture.params import Texture
from fathom.texture.planted_texture import planted

SHOWN = 6  # nuclei
INCHES = 1.25  # of a row


def draw_textures(nuclei: Nuclei, texture: Texture, path: Path) -> None:
    """Draw nuclei from all over the study, a column each: own, then the weakest change first.

    Each column is as bright as its nucleus allows; within it grey levels can be compared.
    """
    crops = nuclei.crops()
    places = np.linspace(0, len(crops) - 1, SHOWN).astype(int)
    strengths = (0.0, *sorted(texture.strengths))
    with picture(path, height=INCHES * len(strengths)) as figure:
        grid = figure.subplots(len(strengths), SHOWN, squeeze=False)
        for axes, strength in zip(grid, strengths, strict=True):
            axes[0].set_ylabel(f"{strength:g} SD" if strength else "own")
            for one, place in zip(axes, places, strict=True):
                name = str(nuclei.kept["nucleus"].iloc[place])
                shown = planted(crops[place], name, texture, strength)
                one.imshow(shown.squeeze() / max(1, shown.max()), cmap="gray", vmin=0, vmax=1)
                one.set_xticks([])
                one.set_yticks([])
                one.spines[:].set_visible(False)
