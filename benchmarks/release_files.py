"""What a release writes, kept: a small model, what it makes of one slide, the params.

    python benchmarks/release_files.py

Run once, at a release, by its own code: writes tests/files/releases/<version>/, which no later
version may change. `tests/test_releases.py` has later versions read it, or refuse it in a sentence.
The model is an untrained network of the tests (tests/tiny_model.py), the slide a simulated field.
"""

import json
import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tifffile

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))
from conftest import draw_field  # noqa: E402
from tiny_model import make_crops, write_model  # noqa: E402

from fathom.models.abstention import Abstention  # noqa: E402
from fathom.models.onnx_model import OnnxModel  # noqa: E402
from fathom.scoring.predict import predict_slides  # noqa: E402

MODEL, SLIDE = Path("model.onnx"), Path("slide.tif")


def main() -> None:
    """Write the files of this version."""
    folder = ROOT / "tests" / "files" / "releases" / version("fathom")
    folder.mkdir(parents=True)
    band = Abstention(confidence=0.9, group="slide", groups=12, band=0.2)
    write_model(folder / MODEL, um_per_px=None, fathom_version=version("fathom"), abstention=band)
    tifffile.imwrite(folder / SLIDE, draw_field(3)[0], compression="zlib", predictor=True)
    os.chdir(folder)  # the tables name the slide as it was given
    predict_slides(MODEL, [SLIDE], Path("scored"))
    Path("scored/slide.png").unlink()  # large, and nobody reads it again
    # What the model gives for crops, by ONNX Runtime alone.
    crops = make_crops(4)
    logit, probability = OnnxModel(folder / MODEL).score(crops)
    np.savez_compressed(folder / "crops.npz", crops=crops, logit=logit, probability=probability)
    shutil.copy2(ROOT / "params.yaml", folder / "params.yaml")
    told = {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    print(json.dumps(told, indent=1), sum(told.values()))


if __name__ == "__main__":
    main()
