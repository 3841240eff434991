"""Hostile files: good ones of every format with changed bytes, each read in a process with limits.

Made on the spot: TIFF in tiles, strips and plain, OME-TIFF, PNG, SVS, CZI, OME-Zarr, label images
and ONNX models. A case is (kind, seed): the seed chooses the file and what is changed in it. The
process that reads it has 2 GiB of address space and 10 s of processor time, and goes the whole way:
a study's reader, then a slide scored with a small model and its files written.
"""

import json
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from hostile_input import (
    BLOCK,
    CRASHED,
    LIMIT_S,
    MEMORY,
    READ,
    REFUSED,
    SLOW,
    TRACEBACK,
    Results,
    Tried,
    where_of,
)

import fathom.slides.czi_reader
import fathom.slides.openslide_reader
import fathom.slides.zarr_reader  # noqa: F401 - so that not every process imports them
from fathom.datasets.masks import read_mask
from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph
from fathom.models.onnx_model import OnnxModel
from fathom.results.slide_files import Formats
from fathom.scoring.scorer import NewSlide, Reading, Scorer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

LIMIT_BYTES = 2 * 2**30
PIXELS = 300, 420  # height, width
BLOCK_OF_FILES = BLOCK // 10
_OUT_OF_MEMORY = (
    "bad_alloc",
    "MemoryError",
    "Unable to allocate",
    "Cannot allocate",
    "out of memory",
)


@dataclass(frozen=True)
class FileKind:
    """One kind of file: the good ones, and who reads a changed one, True where it was read."""

    name: str
    good: tuple[Path, ...]
    read: Callable[[Path, Path], bool]
    """The changed file, and an empty folder."""


def write_good(folder: Path) -> None:
    """Write the good files."""
    import slide_files as write  # noqa: PLC0415 - of tests/
    from conftest import draw_field  # noqa: PLC0415
    from pylibCZIrw import czi  # noqa: PLC0415
    from tiny_model import write_model  # noqa: PLC0415

    colour = write.picture(*PIXELS)
    grey = np.tile(draw_field(3)[0], (2, 3))[: PIXELS[0], : PIXELS[1]]
    labels = np.zeros(PIXELS, np.uint16)
    for number in range(1, 20):
        top, left = 14 * number, 20 * number
        labels[top : top + 12, left : left + 17] = number
    for channels in (1, 3):
        write_model(folder / f"{channels}.onnx", um_per_px=None, channels=channels)
    write.write_tiled(folder / "tiled.tif", grey)
    write.write_tiled(folder / "jpeg.tif", colour, compression="jpeg")
    write.write_tiled(folder / "zstd.tif", grey, compression="zstd")
    write.write_striped(folder / "strips.tif", grey)
    write.write_plain(folder / "plain.tif", colour)
    write.write_pages_pyramid(folder / "pages.tif", write.halves(grey, 2))
    write.write_pyramid_ome(folder / "grey.ome.tif", write.halves(grey, 2))
    write.write_pyramid_ome(folder / "colour.ome.tif", write.halves(colour, 2))
    write.write_png(folder / "colour.png", colour)
    write.write_png(folder / "grey.png", (grey >> 5).astype(np.uint8))
    write.write_svs(folder / "slide.svs", write.halves(colour, 2))
    write.write_svs(folder / "plain.svs", [colour], compression="none")
    for name, pixels in (("grey.czi", grey[..., np.newaxis]), ("colour.czi", colour)):
        with czi.create_czi(str(folder / name)) as document:
            document.write(pixels, plane={"C": 0}, location=(0, 0))
            document.write_metadata("hostile", scale_x=5e-7, scale_y=5e-7)
    write.write_ome_zarr(folder / "grey.zarr", write.halves(grey, 2))
    write.write_ome_zarr(folder / "colour.zarr", [colour])
    tifffile.imwrite(folder / "labels.tif", labels, compression="zlib")
    tifffile.imwrite(folder / "packed.tif", labels.astype(np.uint32), compression="lzw")
    write.write_png(folder / "labels.png", labels.astype(np.uint8))


def kinds_in(folder: Path) -> tuple[FileKind, ...]:
    """Return the kinds of file that `write_good` wrote."""
    models = [folder / "1.onnx", folder / "3.onnx"]

    def slide(path: Path, empty: Path) -> bool:
        return read_slide(path, empty, models)

    names = {
        "TIFF": ("tiled.tif", "jpeg.tif", "zstd.tif", "strips.tif", "plain.tif", "pages.tif"),
        "OME-TIFF": ("grey.ome.tif", "colour.ome.tif"),
        "PNG": ("colour.png", "grey.png"),
        "SVS": ("slide.svs", "plain.svs"),
        "CZI": ("grey.czi", "colour.czi"),
        "Zarr": ("grey.zarr", "colour.zarr"),
        "label image": ("labels.tif", "packed.tif", "labels.png"),
        "ONNX": ("1.onnx", "3.onnx"),
    }
    readers = {"label image": read_label_image, "ONNX": read_model}
    return tuple(
        FileKind(name, tuple(folder / one for one in files), readers.get(name, slide))
        for name, files in names.items()
    )


def read_slide(path: Path, empty: Path, models: list[Path]) -> bool:
    """Read a file as a study does, if it is of such a kind, and score it as a slide."""
    refused = 0
    if path.suffix in (".tif", ".png"):
        try:
            read_micrograph(path)
        except FathomError as error:
            require_sentence(error, path)
            refused += 1
    # Of the grey and the colour model the one that the good file is for.
    colour = path.stem.partition(".")[0] in ("colour", "jpeg", "plain", "slide")
    for number, model in enumerate(models[colour : colour + 1]):
        new = NewSlide(path, path.as_posix(), empty / str(number))
        scorer = Scorer(OnnxModel(model), Reading())
        (came,) = scorer.score([new], Formats(), done={})
        if isinstance(came, FathomError):
            require_sentence(came, path)
            refused += 1
            if left := list(empty.glob(f"{number}*")):
                raise AssertionError(f"refused, and left {left[0].name}")
    return not refused


def read_label_image(path: Path, _: Path) -> bool:
    """Read a label image as a study and a prediction do."""
    try:
        read_mask(path)
    except FathomError as error:
        require_sentence(error, path)
        return False
    return True


def read_model(path: Path, _: Path) -> bool:
    """Open a model, and score crops with it."""
    try:
        model = OnnxModel(path)
        side, channels = model.card.crop.crop_px, model.card.channels
        model.score(np.zeros((3, side, side, channels), np.uint8))
    except FathomError as error:
        require_sentence(error, path)
        return False
    return True


def require_sentence(error: FathomError, path: Path) -> None:
    """Raise where a message is none, or where what failed was the memory."""
    text = str(error)
    if out_of_memory(error):
        raise MemoryError(text[:200])
    if not text.startswith(f"{path}") or "\n" in text or len(text) > 2000:
        raise AssertionError(f"no sentence about the file: {text[:200]!r}")


def out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError) or any(word in str(error) for word in _OUT_OF_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


INTERESTING = (0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536)
INTERESTING += (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**64 - 1)


def changed(content: bytes, rng: np.random.Generator, *, others: list[bytes]) -> bytes:
    """Return a file's bytes with one to three changes."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if not data:
            break
        # Headers are where damage does most: half of the changes fall on both ends of a file.
        end = len(data)
        near = int(rng.integers(0, min(end, 600)))
        place = int(rng.choice([near, end - 1 - near, rng.integers(0, end), rng.integers(0, end)]))
        match rng.integers(0, 8):
            case 0:
                data[place] ^= 1 << int(rng.integers(0, 8))
            case 1:
                data[place : place + 4] = rng.bytes(int(rng.integers(1, 9)))
            case 2 | 3:
                width, form = [(1, "B"), (2, "H"), (4, "I"), (8, "Q")][int(rng.integers(0, 4))]
                number = INTERESTING[int(rng.integers(0, len(INTERESTING)))] % 2 ** (8 * width)
                packed = struct.pack(("<", ">")[int(rng.integers(0, 2))] + form, number)
                data[place : place + width] = packed
            case 4:
                del data[place:]
            case 5:
                del data[place : place + int(rng.integers(1, 64))]
            case 6:
                data[place : place + int(rng.integers(1, 200))] = bytes(int(rng.integers(1, 200)))
            case _:
                other = others[int(rng.integers(0, len(others)))]
                start = int(rng.integers(0, len(other)))
                piece = other[start : start + int(rng.integers(1, 300))]
                data[place : place + len(piece)] = piece
    return bytes(data)


def changed_tags(path: Path, rng: np.random.Generator) -> None:
    """Change the code, type, count or value of one to three tags of a TIFF."""
    with tifffile.TiffFile(path) as tiff:
        order, big = tiff.byteorder, tiff.is_bigtiff
        places = [tag.offset for page in tiff.pages for tag in page.tags]
    data = bytearray(path.read_bytes())
    fields = ((0, "H"), (2, "H"), (4, "Q" if big else "I"), (12 if big else 8, "Q" if big else "I"))
    for _ in range(rng.integers(1, 4)):
        start, form = fields[int(rng.choice(4, p=(0.1, 0.15, 0.25, 0.5)))]
        place = places[int(rng.integers(0, len(places)))] + start
        number = INTERESTING[int(rng.integers(0, len(INTERESTING)))]
        number = number if rng.random() < 0.6 else int(rng.integers(0, len(data)))
        struct.pack_into(order + form, data, place, number % 2 ** (8 * struct.calcsize(form)))
    path.write_bytes(data)


def changed_zarr(path: Path, rng: np.random.Generator) -> None:
    """Change one file of a Zarr folder: bytes of a chunk, or a value in its JSON."""
    files = sorted(one for one in path.rglob("*") if one.is_file())
    told = [one for one in files if one.name.startswith(".z")]
    chosen = (told if rng.random() < 0.7 else files)[int(rng.integers(0, 10**6)) % len(told)]
    if chosen not in told or rng.random() < 0.3:
        chosen.write_bytes(changed(chosen.read_bytes(), rng, others=[chosen.read_bytes()]))
        return
    odd = [0, -1, 1, 2**31, 2**63, 10**30, None, "", "../..", "/", [], {}, [[]], "x", 1e308, True]
    content = json.loads(chosen.read_text())
    inside = [content]
    while isinstance(inside[-1], dict | list) and inside[-1] and rng.random() < 0.85:
        keys = sorted(inside[-1]) if isinstance(inside[-1], dict) else range(len(inside[-1]))
        key = list(keys)[int(rng.integers(0, len(keys)))]
        last, inside = inside[-1], [*inside, inside[-1][key]]
        if not isinstance(inside[-1], dict | list) or rng.random() < 0.3:
            last[key] = odd[int(rng.integers(0, len(odd)))]
            break
    chosen.write_text(json.dumps(content))


def write_case(kind: FileKind, number: int, folder: Path) -> Path:
    """Write case `number` of a kind into an empty folder."""
    rng = np.random.default_rng([number, *kind.name.encode()])
    good = kind.good[number % len(kind.good)]
    path = folder / good.name
    if good.is_dir():
        shutil.copytree(good, path)
        changed_zarr(path, rng)
        return path
    shutil.copy(good, path)
    if good.suffix in (".tif", ".svs") and rng.random() < 0.5:
        changed_tags(path, rng)
    else:
        others = [one.read_bytes() for one in kind.good]
        path.write_bytes(changed(good.read_bytes(), rng, others=others))
    return path


def tried_apart(kind: FileKind, number: int) -> Tried:
    """Return what comes of one file in a process of its own."""
    with tempfile.TemporaryDirectory() as made:
        path = write_case(kind, number, Path(made))
        said, empty = Path(made) / "said.json", Path(made) / "out"
        empty.mkdir()
        child = os.fork()
        if child == 0:
            _read_and_say(kind, path, empty, said)
        _, status, used = os.wait4(child, 0)
        seconds = used.ru_utime + used.ru_stime
        if said.is_file() and os.WIFEXITED(status):
            outcome, error = json.loads(said.read_text())
        elif seconds >= LIMIT_S - 0.5:
            outcome, error = SLOW, f"{seconds:.1f} s"
        else:
            name = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else status
            outcome, error = CRASHED, f"ended by {name}"
        return outcome, error


def _read_and_say(kind: FileKind, path: Path, empty: Path, said: Path) -> None:
    """In the child: read a file under the limits, say what came of it, and end."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(LIMIT_S), int(LIMIT_S) + 1))
    signal.alarm(int(30 * LIMIT_S))  # one that waits for ever uses no processor time
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    try:
        outcome, error = (READ if kind.read(path, empty) else REFUSED), ""
    except MemoryError as wrong:
        outcome, error = MEMORY, repr(wrong)
    except BaseException as wrong:
        outcome, error = (MEMORY if out_of_memory(wrong) else TRACEBACK), where_of(wrong)
    said.write_text(json.dumps([outcome, error]))
    os._exit(0)


def run_files(cases: int, results: Results, kept: Path | None, stop: float) -> None:
    """Try so many files, as many of each kind, a block of each kind in turn."""
    with tempfile.TemporaryDirectory() as made:
        # In a process of its own: torch, which writes the models, is then not in those that read.
        child = os.fork()
        if child == 0:
            try:
                write_good(Path(made))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit("the good files could not be written")
        kinds = kinds_in(Path(made))
        each = -(-cases // len(kinds))
        while waiting := [kind for kind in kinds if results.of(kind.name)["cases"] < each]:
            for kind in waiting:
                if time.monotonic() > stop:
                    return
                first = results.of(kind.name)["cases"]
                last = min(first + BLOCK_OF_FILES, each)
                block = []
                for number in range(first, last):
                    block.append((str(number), tried_apart(kind, number)))
                    if kept and block[-1][1][0] not in (READ, REFUSED):
                        place = kept / f"{kind.name}-{number}"
                        place.mkdir(parents=True, exist_ok=True)
                        write_case(kind, number, place)
                results.add(kind.name, block)
                print(kind.name, results.of(kind.name)["outcomes"], flush=True)
