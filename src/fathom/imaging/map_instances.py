"""From probability maps to nuclei: a threshold, seeds, and a watershed between them.

Every length is in px and every rule is local: what becomes of a nucleus hangs on the map around it,
not on how much of the slide is looked at.
"""

import numpy as np
from scipy import ndimage
from skimage.measure import label as label_pieces
from skimage.morphology import local_maxima, reconstruction, remove_small_holes
from skimage.segmentation import relabel_sequential, watershed

from fathom.ground.images import Labels
from fathom.imaging.params import NetworkSegmentation
from fathom.imaging.segmenter_network import Maps
from fathom.imaging.stain import Plane

_STEPS = 16  # of the distance map a px, so that equal heights are equal


def nuclei_of_maps(maps: Maps, params: NetworkSegmentation) -> Labels:
    """Part a region's maps, (maps, H, W), into nuclei: (H, W) int32, 0 = background, 1..n.

    A nucleus is where the interior's probability reaches `threshold`. Its seed is where the
    interior's less the boundary's does (without a boundary map, the nucleus itself): seeds that
    touch are parted at dents of their distance map deeper than `seed_depth_px`, its h-maxima
    (Soille 2004, Morphological Image Analysis, section 9.4). Pieces below `smallest_area_px` go,
    and holes of that size are filled. A piece without a seed is all outline, and goes too.
    """
    interior = maps[params.interior_channel]
    mask = interior >= params.threshold
    mask = remove_small_holes(mask, max_size=params.smallest_area_px - 1)
    inner = mask
    if params.boundary_channel is not None:
        inner = mask & (interior - maps[params.boundary_channel] >= params.threshold)
    relief = ndimage.distance_transform_edt(inner).astype(np.float32)
    labels = watershed(-relief, _seeds(relief, params.seed_depth_px), mask=mask)
    area = np.bincount(labels.ravel())
    small = area < params.smallest_area_px
    nuclei: Labels = relabel_sequential(np.where(small[labels], 0, labels))[0].astype(np.int32)
    return nuclei


def _seeds(relief: Plane, depth_px: float) -> Labels:
    """Label the domes of a distance map that rise by `depth_px`."""
    heights = np.rint(relief * _STEPS).astype(np.int32)
    # A dome lower than the depth counts if it is alone: it still rises by one step.
    floor = np.maximum(heights - max(1, round(depth_px * _STEPS)), np.minimum(heights, 1))
    domes = local_maxima(reconstruction(floor, heights).astype(np.int32)) & (heights > 0)
    seeds: Labels = label_pieces(domes).astype(np.int32)
    return seeds
