"""The label images of a whole data set, on all cores: found, or taken from its masks."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from skimage.segmentation import relabel_sequential

from fathom.datasets.dataset import DataSet, labels_path
from fathom.datasets.masks import largest_pieces, read_mask
from fathom.ground.errors import FathomError
from fathom.ground.fingerprint import file_fingerprint
from fathom.ground.image_store import NOWHERE, ImageStore, Made, key_of
from fathom.ground.images import Labels, read_micrograph, write_labels
from fathom.ground.output import written_whole
from fathom.ground.processor import cores
from fathom.ground.progress import track
from fathom.ground.workers import Task, run
from fathom.imaging.find_nuclei import FindNuclei, finder
from fathom.imaging.params import NetworkSegmentation, Segmentation

_NAMED = 5  # images without a mask that an error lists by name


def segment_dataset(
    dataset: DataSet,
    params: Segmentation | NetworkSegmentation,
    out: Path,
    store: ImageStore = NOWHERE,
) -> None:
    """Write the label image of every micrograph to `labels_path(out, image)`, labels 1..n.

    A micrograph without nuclei gets one that is 0 throughout. With `params.method` masks the data
    set's own label images are taken, of each nucleus the largest piece, and `FathomError` names the
    micrographs that have none. What the store holds is not made again.
    """
    if params.method == "masks":
        require_label_images(dataset)
    else:
        finder(params)  # what is wrong with a network shows before any work
    jobs = [
        _Job(
            dataset.path(image),
            dataset.mask_path(image) if params.method == "masks" else None,
            um_per_px,
            params,
            labels_path(out, image),
        )
        for image, um_per_px in dataset.images[["image", "um_per_px"]].itertuples(index=False)
    ]
    for _ in track(_written(jobs, store), "segmenting", total=len(jobs)):
        pass


def require_label_images(dataset: DataSet) -> None:
    """Raise `FathomError` that names the micrographs without a label image of the data set's."""
    images = dataset.images["image"].tolist()
    without = [image for image in images if dataset.mask_path(image) is None]
    if not without:
        return
    more = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
    raise FathomError(
        f"segmentation.method is 'masks', but {len(without)} of {len(images)} images have no label "
        f"image in {dataset.folder / 'masks'}: {', '.join(without[:_NAMED])}{more}. Add them, same "
        "name as the image, as .png or .tif, or set segmentation.method to 'threshold'"
    )


@dataclass(frozen=True)
class _Job:
    """One label image: what it is made of, and where it goes."""

    image: Path
    mask: Path | None  # where it is made of one
    um_per_px: float
    params: Segmentation | NetworkSegmentation
    out: Path

    @property
    def key(self) -> str:
        """Return what names it in a store."""
        files = file_fingerprint(self.image), file_fingerprint(self.mask) if self.mask else ""
        return key_of(__name__, *files, str(self.um_per_px), self.params.model_dump_json())

    def labels(self) -> Labels:
        """Find the nuclei, or take them from the mask."""
        if self.mask is not None:
            labels: Labels = relabel_sequential(largest_pieces(read_mask(self.mask))[0])[0]
            return labels
        return _finder(self.params)(read_micrograph(self.image), self.um_per_px)


def _written(jobs: list[_Job], store: ImageStore) -> Iterator[None]:
    """Yield once for every label image that is there: those that the store holds come first."""
    missing = []
    for job in jobs:
        key = job.key
        made = store.kept(key)
        if made is None:
            missing.append((job, key))
        else:
            job.out.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(job.out) as part:
                part.write_bytes(made.arrays["tiff"].tobytes())
            yield
    tasks = [Task(str(job.image), _write, (job, key, store)) for job, key in missing]
    for _ in run(tasks, cores()):
        yield


def _write(job: _Job, key: str, store: ImageStore) -> None:
    write_labels(job.out, job.labels())
    store.keep(key, Made({"tiff": np.frombuffer(job.out.read_bytes(), np.uint8)}, {}))


@cache  # a worker opens its network once
def _finder(params: Segmentation | NetworkSegmentation) -> FindNuclei:
    return finder(params)
