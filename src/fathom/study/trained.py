"""What the training of a row of params.yaml leaves in its folder: file names and columns. No torch.

Predictions: nucleus, fold, seed, part, probability of the positive class. History: fold, seed and
the fields of `fathom.training.cell.Epoch`. Probes: fold, seed and `PROBE_COLUMNS`, one row a layer
and epoch. Weights: of the final model, if one was trained.
"""

from typing import NamedTuple

PREDICTIONS, HISTORY, PROBES = "predictions.parquet", "history.parquet", "probes.parquet"
WEIGHTS = "final.safetensors"


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


# A row of the table of probes: `Probe`, and
# update: |change| / |weights| of the layer, in the epoch's last step; of epoch 0 in the first step
# readability: see `fathom.training.readability`; of the kept weights, in the last epoch's rows only
PROBE_COLUMNS = (*Probe._fields, "update", "readability")
