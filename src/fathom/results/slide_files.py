"""All files of one slide, written as its nuclei come: all of them, or none."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from fathom.ground.errors import FathomError
from fathom.ground.images import Micrograph
from fathom.ground.output import written_whole
from fathom.models.onnx_model import ModelCard, class_colours
from fathom.results.anndata_file import AnnDataWriter
from fathom.results.coordinates import PixelGrid
from fathom.results.geojson import GeoJsonWriter
from fathom.results.label_image import LabelImageWriter
from fathom.results.nuclei_table import ParquetWriter
from fathom.results.nuclei_writer import NucleiBatch, NucleiWriter
from fathom.results.overlay import OverlayWriter
from fathom.results.summary import Counts


@dataclass(frozen=True)
class Formats:
    """What is written beside `.geojson`, `.parquet` and `.png`, which always are."""

    gzip: bool = False  # `.geojson.gz` instead of `.geojson`
    labels: bool = False  # `.labels.ome.tif`
    anndata: bool = False  # `.h5ad`

    def paths(self, base: Path) -> dict[str, Path]:
        """Return the files of a slide by their endings; `base` is their path without one."""
        kinds = ["geojson.gz" if self.gzip else "geojson", "parquet", "png"]
        kinds += ["labels.ome.tif"] * self.labels + ["h5ad"] * self.anndata
        # with_suffix would cut a name such as `day.2`
        return {kind: base.with_name(f"{base.name}.{kind}") for kind in kinds}


class SlideFiles:
    """The files of one slide in the making; from `slide_files`.

    tally : counts of the nuclei so far
    """

    def __init__(self, writers: Sequence[NucleiWriter], card: ModelCard, base: Path) -> None:
        self._writers = writers
        self._card = card
        self._base = base
        self.tally = Counts()

    def add(self, batch: NucleiBatch) -> None:
        """Write the nuclei of a batch to every file."""
        with _disk_errors_told(self._base):
            for writer in self._writers:
                writer.add(batch)
        self.tally += Counts.of(batch.table, self._card)

    def finish(self) -> None:
        """Write what comes last, and close the files; `slide_files` does it."""
        with _disk_errors_told(self._base):
            for writer in self._writers:
                writer.finish()
                writer.close()


@contextmanager
def slide_files(
    base: Path,
    grid: PixelGrid,
    picture: Micrograph,
    card: ModelCard,
    image: str,
    formats: Formats | None = None,
    origin: Mapping[str, str | float | None] = MappingProxyType({}),
) -> Iterator[SlideFiles]:
    """Yield the files of a slide to add batches to; they appear, all of them, when all is well.

    Parameters
    ----------
    base : path of the files without their endings; its folder is made
    grid : the view that the nuclei are found in
    picture : (h, w) or (h, w, 3), uint8 or uint16
        The whole view, small: best at `fathom.results.overlay.overlay_size`.
    card : of the model
    image : name of the slide, as in the column `image`
    formats : None for the usual ones
    origin : what else the tables are to say of how they were made

    Raises
    ------
    FathomError
        Where a file cannot be written: the folder is read-only, the disk full, a folder stands in
        its place. Whatever is raised inside is passed on. No file is left or replaced then.
    """
    paths = (formats or Formats()).paths(base)
    _require_no_folders(paths.values())
    with _disk_errors_told(base):
        base.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as parts, ExitStack() as closed:
        part_of = {kind: parts.enter_context(written_whole(path)) for kind, path in paths.items()}
        writers: list[NucleiWriter] = []
        told = {**about(grid, card, image), **origin}
        with _disk_errors_told(base):
            for writer in _writers_of(part_of, grid, picture, card, told):
                writers.append(writer)
                closed.callback(_close_whatever_happens, writer)
        files = SlideFiles(writers, card, base)
        yield files
        files.finish()
        with _disk_errors_told(base):
            parts.close()  # gives the files their names


def about(grid: PixelGrid, card: ModelCard, image: str) -> dict[str, str | float | None]:
    """Return what the tables say of how they were made."""
    return {
        "fathom_version": version("fathom"),
        "image": image,
        "model": card.run,
        "model_data_sha256": card.data_sha256,
        "positive": card.positive,
        "negative": card.negative,
        "threshold": card.threshold,
        "um_per_px": grid.um_per_px,
        "downsample": grid.downsample,
        "full_um_per_px": grid.full_um_per_px,
        "um_per_px_stated_by": grid.stated_by,
    }


def _writers_of(
    parts: Mapping[str, Path],
    grid: PixelGrid,
    picture: Micrograph,
    card: ModelCard,
    told: Mapping[str, str | float | None],
) -> Iterator[NucleiWriter]:
    """Open a writer for each of `Formats.paths`, one after the other."""
    colours = class_colours(card)
    for kind, part in parts.items():
        if kind == "geojson":
            yield GeoJsonWriter(part, grid, card.positive, colours)
        elif kind == "geojson.gz":
            yield GeoJsonWriter(part, grid, card.positive, colours, compress=True)
        elif kind == "parquet":
            yield ParquetWriter(part, grid, told)
        elif kind == "png":
            yield OverlayWriter(part, grid, picture, colours)
        elif kind == "labels.ome.tif":
            yield LabelImageWriter(part, grid, str(told["image"]))
        else:
            yield AnnDataWriter(part, grid, told, colours)


def _close_whatever_happens(writer: NucleiWriter) -> None:
    """Close a file that is to be deleted: that its last bytes do not fit is no news any more."""
    with suppress(OSError):
        writer.close()


@contextmanager
def _disk_errors_told(base: Path) -> Iterator[None]:
    """Say in a sentence what the system refuses."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise FathomError(
            f"{base}.*: cannot be written ({reason}); nothing was. Take another folder as --out, "
            "or make room"
        ) from None


def _require_no_folders(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            raise FathomError(f"{path}: is a folder; take another folder as --out, or move it")
