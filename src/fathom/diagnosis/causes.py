"""Why a network is worse: the table of causes, each with what shows it, cures it and refutes it.

A finding is a property of a network; a cause needs a cure. So every row names what can be seen
without another training (`finding`) and the kinds of intervention that must then repair it
(`cures`, keys of `fathom.diagnosis.cures.CURES`). `fathom.diagnosis.verdict` goes through the rows
from top to bottom.

Thresholds stand in params.yaml (`diagnosis`). They were set on simulated networks
(benchmarks/planted_causes.py; `vanishing_gradient`: benchmarks/public_cases.py). None was fitted to
the default data; `large_step` was written down with it in view.
"""

from dataclasses import dataclass

from fathom.diagnosis import findings
from fathom.diagnosis.findings import Symptom


@dataclass(frozen=True)
class Cause:
    """A row of the table."""

    name: str
    finding: Symptom  # the numbers that show it, or None
    cures: tuple[str, ...]  # none: the finding is the cause
    refuted_by: str
    source: str
    cure_proves: bool = False  # a cure that repairs is proof, without the finding
    any_cure: bool = False  # the finding is the cause, and whatever repairs is its cure


CAUSES: tuple[Cause, ...] = (
    Cause(
        "pooled away",
        findings.pooled_away,
        ("less pooling",),
        "the same convolutions on larger maps fit the training nuclei no better",
        "arithmetic of the line: a kernel larger than its map meets padding",
    ),
    Cause(
        "input scale",
        findings.input_scale,
        ("another input scale",),
        "inputs of the order of 1 train no better",
        "LeCun et al. 1998, Efficient BackProp, section 4.3",
    ),
    Cause(
        "no non-linearity",
        findings.linear,
        ("another activation",),
        "with ReLU between its layers it fits the training nuclei no better",
        "Goodfellow, Bengio & Courville 2016, section 6.3: a chain of linear layers is one",
    ),
    Cause(
        "saturating non-linearity",
        findings.saturates,
        ("another activation",),
        "with ReLU in place of tanh or sigmoid it fits the training nuclei no better",
        "Glorot & Bengio 2010, section 3; Glorot, Bordes & Bengio 2011",
    ),
    Cause(
        "initial bias",
        findings.initial_bias,
        ("no initial bias",),
        "with biases that start at 0 it fits the training nuclei no better",
        "Goodfellow, Bengio & Courville 2016, section 8.4",
    ),
    Cause(
        "no signal reaches the output at initialisation",
        findings.no_signal,
        ("another initialisation", "a norm"),
        "an initialisation or a norm that keeps the signal trains no better",
        "Glorot & Bengio 2010; He et al. 2015, Delving deep into rectifiers",
    ),
    Cause(
        "signal explodes",
        findings.explodes,
        ("another initialisation", "a norm"),
        "an initialisation or a norm that bounds the signal trains no better",
        "Glorot & Bengio 2010; Mishkin & Matas 2016",
    ),
    # A setting out of the usual range says more than what a rate leaves behind.
    Cause(
        "dropout too strong",
        findings.dropout,
        ("less dropout",),
        "without dropout the training nuclei are fitted no better",
        "Srivastava et al. 2014, section 7.3",
        cure_proves=True,  # also a dropout that is usual
    ),
    Cause(
        "weight decay too strong",
        findings.weight_decay,
        ("less weight decay",),
        "without weight decay the training nuclei are fitted no better",
        "Krogh & Hertz 1992",
        cure_proves=True,
    ),
    Cause(
        "learning rate too high",
        findings.rate_too_high,
        ("a lower learning rate",),
        "a tenth and a hundredth of the rate train no better",
        "Bengio 2012, Practical recommendations, section 3.1.1",
    ),
    Cause(
        "learning rate too low",
        findings.rate_too_low,
        ("a higher learning rate",),
        "ten times the rate trains no better",
        "Bengio 2012, Practical recommendations, section 3.1.1",
    ),
    Cause(
        "batch too small",
        findings.batch_too_small,
        ("a larger batch",),
        "with 64 nuclei in a batch it fits the training nuclei no better",
        "Wu & He 2018, Group normalization, figure 1; Goyal et al. 2017, section 2.1",
    ),
    Cause(
        "schedule ran out",
        findings.schedule_ran_out,
        ("a constant rate",),
        "at a constant rate it fits the training nuclei no better",
        "Loshchilov & Hutter 2017; Bengio 2012, section 3.1.1",
    ),
    # After the settings that may be what takes the signal away: those name what to change.
    Cause(
        "lost its signal while training",
        findings.lost_its_signal,
        (
            "a lower learning rate",
            "a norm",
            "warm-up",
            "clipping",
            "another activation",
            "a larger eps",
        ),
        "what keeps the signal, by probes at the end, trains no better",
        "Pascanu et al. 2013; Maas et al. 2013; Kingma & Ba 2015, section 2.1; Goyal et al. 2017",
    ),
    Cause(
        "classes out of balance",
        findings.imbalance,
        ("balanced loss weights",),
        "with balanced loss weights the network still answers one class",
        "Japkowicz & Stephen 2002",
    ),
    Cause(
        "stopped too early",
        findings.stopped_early,
        ("more epochs",),
        "three times the epochs fit the training nuclei no better",
        "Prechelt 1998, Early stopping - but when?",
        cure_proves=True,  # the curve may lie flat for long: running on is the test itself
    ),
    Cause(
        "true degradation",
        findings.degradation,
        ("skips",),
        "skips do not lower the training error of the same layers",
        "He et al. 2015, Deep residual learning, figures 1 and 4; more epochs do not repair it",
    ),
    Cause(
        "hangs on the seed",
        findings.hangs_on_the_seed,
        (),
        "of as many networks from other seeds all leave the plateau, or none",
        "Bengio 2012, section 3.2; Zhang, Dauphin & Ma 2019, Fixup, section 1",
        any_cure=True,
    ),
    Cause(
        "overfitting",
        findings.overfitting,
        (),
        "training and validation accuracy come together on new nuclei of the same kind",
        "Geman et al. 1992, Neural networks and the bias/variance dilemma",
    ),
)
