"""A model package: one zip that others can run without fathom (bioimage.io, docs/model-package.md).

It holds the model file, crops and what the model returns for them (so that a reader can tell
whether it computes the same), a cover, the model card, and the description of all that.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from PIL import Image

from fathom.ground.errors import FathomError
from fathom.ground.output import written_whole
from fathom.models.onnx_model import (
    INPUT,
    LOGIT,
    NEGATIVE,
    POSITIVE,
    PROBABILITY,
    Colour,
    ModelCard,
    OnnxModel,
)
from fathom.packaging.card import model_card
from fathom.packaging.description import (
    COVER,
    DESCRIPTION,
    DOCUMENT,
    TENSORS,
    WEIGHTS,
    Package,
    description,
    yaml_text,
)
from fathom.simulation.simulated_nuclei import simulate_nuclei
from fathom.simulation.simulation import DEFAULT
from fathom.study.nuclei import Nuclei, data_sha256
from fathom.study.stored_crops import Crops

TEST_CROPS = 8
# The cover's crops, in two rows, 640 x 320 px: 2:1 as bioimage.io asks, far below its 500 KB.
COVER_ROWS, COVER_COLUMNS = 2, 4
COVER_TILE_PX = 160
FRAME_SHARE = 0.06  # of a tile's side
_SMALLEST_PX = 16  # side of a simulated crop
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time a zip can name: the same files, the same bytes


def write_package(model: Path, out: Path, package: Package, nuclei: Nuclei | None = None) -> None:
    """Write the package of a model file as the zip `out`; the same model gives the same bytes.

    Parameters
    ----------
    model : a file that the stage `export` wrote
    out : the zip to write, replaced if it is there
    package : licence, authors, citations, and which crops are the test
    nuclei : the model's study; only read, and demanded, where `package.test_crops` is `study`

    Raises
    ------
    FathomError
        Where the model cannot be read, or the nuclei are not the model's.
    """
    opened = OnnxModel(model)
    if package.test_crops == "study":
        crops = _study_crops(opened, nuclei)
    else:
        crops = _simulated(opened.card)
    logit, probability = opened.score(crops)
    weights = model.read_bytes()
    contents = {
        WEIGHTS: weights,
        DOCUMENT: model_card(opened.card, _sha256(weights)).encode(),
        COVER: _png(cover(crops, probability >= opened.card.threshold)),
        TENSORS[INPUT]: _npy(crops),
        TENSORS[LOGIT]: _npy(logit),
        TENSORS[PROBABILITY]: _npy(probability),
    }
    hashes = {name: _sha256(content) for name, content in contents.items()}
    text = yaml_text(description(opened.card, package, _opset(weights), hashes))
    _write_zip(out, {DESCRIPTION: text.encode(), **contents})


def write_model_card(model: Path, out: Path) -> None:
    """Write the card of a model file as Markdown, the one that is in its package."""
    text = model_card(OnnxModel(model).card, _sha256(model.read_bytes()))
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as part:
        part.write_text(text, encoding="utf-8")


def _simulated(card: ModelCard) -> Crops:
    """Return crops of simulated nuclei, nobody's: the same for every model of one size."""
    crop_px = card.crop.crop_px
    side = max(crop_px, _SMALLEST_PX)
    simulation = replace(DEFAULT, patients=1, nuclei_per_patient=TEST_CROPS, crop_px=side)
    crops = simulate_nuclei(simulation, seed=0).crops
    first = (side - crop_px) // 2
    cut = crops[:, first : first + crop_px, first : first + crop_px]
    return np.repeat(cut, card.channels, axis=-1)


def _study_crops(model: OnnxModel, nuclei: Nuclei | None) -> Crops:
    """Return crops evenly over the model's study."""
    if nuclei is None:
        raise FathomError(
            "package.test_crops is 'study': name the folder of the study's nuclei with --nuclei, "
            "or set it to 'simulated'"
        )
    if data_sha256(nuclei) != model.card.data_sha256:
        raise FathomError(
            f"{nuclei.folder}: these are not the nuclei {model.path} was trained on: take those, "
            "export the model again, or set package.test_crops to 'simulated'"
        )
    crops = nuclei.crops()
    chosen: Crops = crops[np.linspace(0, len(crops) - 1, min(TEST_CROPS, len(crops))).astype(int)]
    return chosen


def cover(crops: Crops, positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Return a picture of eight crops, each framed in the colour of its score: (h, w, 3) uint8.

    Where there are fewer they are repeated.

    `positive` (n,): whether the model calls the nucleus positive, which makes its frame vermilion;
    sky blue else.
    """
    shown = np.arange(COVER_ROWS * COVER_COLUMNS) % len(crops)
    tiles = [_tile(crops[i], POSITIVE if positive[i] else NEGATIVE) for i in shown]
    rows = [np.hstack(tiles[at : at + COVER_COLUMNS]) for at in range(0, len(tiles), COVER_COLUMNS)]
    return np.vstack(rows)


def _tile(crop: Crops, colour: Colour) -> npt.NDArray[np.uint8]:
    frame = round(COVER_TILE_PX * FRAME_SHARE)
    inner = COVER_TILE_PX - 2 * frame
    rgb = np.repeat(crop, 3, axis=-1) if crop.shape[-1] == 1 else crop
    tile = np.empty((COVER_TILE_PX, COVER_TILE_PX, 3), dtype=np.uint8)
    tile[:] = colour
    picture = Image.fromarray(rgb).resize((inner, inner), Image.Resampling.NEAREST)
    tile[frame:-frame, frame:-frame] = np.asarray(picture)
    return tile


def _opset(weights: bytes) -> int:
    """Return the version of ONNX's own operators that a model file asks for."""
    imported = onnx.load_model_from_string(weights).opset_import
    return int(next(one.version for one in imported if one.domain in ("", "ai.onnx")))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _npy(array: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    return file.getvalue()


def _write_zip(out: Path, contents: Mapping[str, bytes]) -> None:
    """Write files as a zip, stored: weights do not compress, and zlib's bytes differ by version."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(out) as part, zipfile.ZipFile(part, "w") as archive:
            for name, content in contents.items():
                entry = zipfile.ZipInfo(name, date_time=_EPOCH)
                entry.create_system = 3  # Unix, whatever this machine is
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content)
    except OSError as error:
        raise FathomError(f"{out}: cannot be written ({error.strerror})") from None
