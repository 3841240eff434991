"""Stage `texture`: the smallest change of the texture that each network found, and a picture."""

from pathlib import Path

import fathom.ground.stage
from fathom.ground.output import write_metrics
from fathom.ground.section import read_section
from fathom.reports.texture_picture import draw_textures
from fathom.statistics.params import Comparison
from fathom.study.nuclei import read_nuclei
from fathom.study.splits import Split
from fathom.texture.params import Texture
from fathom.texture.texture_scores import score_strength, texture_numbers


def texture(nuclei: Path, trained: Path, metrics: Path, picture: Path) -> None:
    """Write who found what to METRICS, and a few nuclei, own and changed, to PICTURE."""
    params, group = read_section(Texture), read_section(Split).group
    confidence = read_section(Comparison).confidence
    sought = [
        one
        for strength in params.strengths
        for one in score_strength(trained, strength, group, confidence)
    ]
    write_metrics(metrics, texture_numbers(sought, params.wavelength_px, confidence))
    draw_textures(read_nuclei(nuclei), params, picture)


if __name__ == "__main__":
    fathom.ground.stage.run(texture)
