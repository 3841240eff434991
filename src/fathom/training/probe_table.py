"""The table of probes: what is measured in a network, one row a layer and epoch. No torch."""

from typing import NamedTuple


class Probe(NamedTuple):
    """One layer at one epoch; NaN where a measure does not apply or was not taken.

    Pre-activations z have the shape (n, units) or (n, channels, side, side).
    """

    epoch: int  # 0 is before the first step
    place: int  # 0 is the input; from 1, the layers with weights
    layer: str
    rms: float  # root mean square of z
    between_samples: float  # root of the variance over samples, averaged over units and pixels
    signal: float  # between_samples / rms: what is left of the differences between nuclei
    silent: float  # share of units that no pixel of any sample activates
    rank: float  # effective rank of the activations (Roy & Vetterli 2007), samples centred
    gradient_norm: float  # of the mean loss, in the layer's weights
    gradient_correlation: float  # mean cosine of two samples' gradients (Balduzzi et al. 2017)
    identity_distance: float  # |F(x)| / |x| of the block that ends here (He et al. 2015, fig. 7)
    jacobian: float  # root mean square singular value (Glorot & Bengio 2010, section 4.2.1)


# A row of the table: `Probe`, and
# update: |change| / |weights| of the layer, in the epoch's last step; of epoch 0 in the first step
# readability: see `fathom.training.readability`; of the kept weights, in the last epoch's rows only
COLUMNS = (*Probe._fields, "update", "readability")
