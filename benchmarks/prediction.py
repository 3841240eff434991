"""How fast a slide is scored, and in how much memory, beside the plain way, in one run.

    python benchmarks/prediction.py models/shallow.onnx data/micronuclei/images \
        --trained data/runs/shallow/final.safetensors --side 15000

The slide is a mosaic of the fields of a folder (`benchmarks/slide_memory.py`). fathom's side is the
whole of `fathom predict`: all files are written. The plain way is a first notebook's: it reads all,
segments all with SciPy and scikit-image (Gaussian, Otsu, distance transform, watershed), cuts
crops in a loop over `regionprops`, and runs the network in torch, eager, in batches of 256 on all
cores; it writes nothing. The two run in turn, each time in a process of its own; each is divided
by its own
count of nuclei. 15,000 px take the plain way 13 GiB: the largest that it can hold in 24 GiB.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from rounds import ratio
from slide_memory import measure, write_mosaic

from fathom.ground.images import read_micrograph
from fathom.ground.output import write_json
from fathom.ground.processor import cores, processor_name
from fathom.models.onnx_model import OnnxModel

RESULTS = Path(__file__).parent / "results" / "prediction.json"
SIDES = ("fathom", "plain")


def plain(model: Path, slide: Path, trained: Path) -> int:
    """Score the slide as a first notebook does; return the number of nuclei."""
    import torch  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415
    from segmentation_worker import textbook  # noqa: PLC0415
    from skimage.measure import regionprops  # noqa: PLC0415

    from fathom.ground.streams import Streams  # noqa: PLC0415
    from fathom.networks.architecture import parse  # noqa: PLC0415
    from fathom.networks.network import build, scale_input  # noqa: PLC0415
    from fathom.networks.recipe import Recipe  # noqa: PLC0415

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    card = OnnxModel(model).card
    micrograph = read_micrograph(slide)
    labels = textbook(micrograph, "fluorescence")
    low, high = np.percentile(micrograph[labels > 0], (0.1, 99.9))
    side, crops, found = card.crop.crop_px, [], 0
    for region in regionprops(labels):
        found += 1
        height, width = region.image.shape
        if max(height, width) > side:
            continue
        crop = np.zeros((side, side, 1), dtype=np.uint8)
        grey = np.clip((micrograph[region.slice] - low) / (high - low) * 255, 1, 255)
        top, left = (side - height) // 2, (side - width) // 2
        crop[top : top + height, left : left + width, 0] = grey * region.image
        crops.append(crop)
    recipe = Recipe.model_validate(card.recipe)
    network = build(parse(card.architecture), recipe, card.channels, side, Streams(0))
    network.load_state_dict(load_file(trained))
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(crops), 256):
            batch = torch.from_numpy(np.stack(crops[start : start + 256]))
            torch.sigmoid(network(scale_input(batch, recipe.input_scale)))
    return found


def in_process(way: str, model: Path, slide: Path, rest: Path) -> dict[str, float]:
    """Run one side in a process of its own."""
    command = [sys.executable, __file__, "--one", way, str(model), str(slide), str(rest)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(run.stdout)
    return found


def summary(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return medians of both sides, and fathom's ratios with their range."""
    found: dict[str, dict[str, float]] = {}
    for way in SIDES:
        per_s = [one[way]["nuclei"] / one[way]["seconds"] for one in rounds]
        per_cpu_s = [one[way]["nuclei"] / one[way]["cpu"] for one in rounds]
        found[way] = {
            "nuclei": rounds[0][way]["nuclei"],
            "nuclei_per_s": round(median(per_s), 1),
            "nuclei_per_cpu_s": round(median(per_cpu_s), 1),
            "peak_mib": round(max(one[way]["peak"] for one in rounds)),
        }
    for unit in ("seconds", "cpu"):
        own, plain_way = (
            [one[way]["nuclei"] / one[way][unit] for one in rounds] for way in ("fathom", "plain")
        )
        found[f"ratio_{unit}"] = ratio(own, plain_way)
    return found


def main() -> None:
    """Measure both sides in turn; write benchmarks/results/prediction.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("fields", type=Path)
    parser.add_argument("--trained", type=Path, required=True, help="weights of the model")
    parser.add_argument("--side", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    fields = [read_micrograph(path) for path in sorted(given.fields.rglob("*.tif"))]
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        slide = Path(folder) / "mosaic.tif"
        write_mosaic(slide, given.side, fields, OnnxModel(given.model).card.um_per_px or 1.0)
        for number in range(given.rounds):
            rests = {"fathom": Path(folder) / str(number), "plain": given.trained}
            rounds.append({way: in_process(way, given.model, slide, rests[way]) for way in SIDES})
    write_json(
        given.out,
        {
            "machine": {"processor": processor_name(), "cores": cores()},
            "model": given.model.stem,
            "side_px": given.side,
            "n": given.rounds,
            "unit": "nuclei a second; ratios are fathom's by the plain way's, round by round",
            **summary(rounds),
            "rounds": rounds,
        },
    )
    print(json.dumps(summary(rounds), indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure({"plain": plain}, sys.argv[2], *map(Path, sys.argv[3:]))
    else:
        main()
