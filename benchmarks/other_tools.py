"""What other tools for the diagnosis of a training say of it.

`other_tools_cost.py` shows it on three small networks and takes the time, `compared_tools.py` asks
them about the cases that fathom is measured on. The tools are installed
apart from fathom, without dependencies first, so that none of them brings another torch; one that
is not installed is left out:

    pip install torch==2.13.0 numpy
    pip install --no-deps torchmortem==0.1.1 torchdiag==0.1.0 traintools==0.6.2 \
        torchinstruments==0.10.2
    pip install "plotly>=5" "polars>=1.32,<2" "tensorboard>=2.21" scipy torch==2.13.0

Each is used as its README says, with its own settings:
- torchmortem: `Autopsy` around the loop, `step(loss=...)` after each step; its findings by layer,
  and its insights, which combine findings.
- torchdiag: its checks before the training, `verify_step` among them, which is a step of training,
  and again after it.
- traintools: the loop of its Quick start (`BatchInspector`, `GradientHealthMonitor`,
  `TraintoolsTracker`), with `TrainGuard` after each validation. No clipping threshold is given,
  because this loop does not clip: the README's 1.0 would warn of healthy networks. A stop is noted,
  not obeyed. Its trackers of single examples need ids of examples and a logit per class, and are
  left out.
- torchinstruments: `inject_observer` with its interval of a minute. Its README says "There are no
  scores or diagnoses", and so it has nothing to be judged by.
"""

import io
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from watched_training import Training

Said = Counter[tuple[str, str]]  # how often: (severity, issue)

# The causes that an issue covers: those that its name, or the explanation and the advice that the
# tool prints with it, speak of. Generous: one issue may cover many, and any one of them counts.
CAUSES: dict[str, dict[str, set[str]]] = {
    "torchmortem": {
        "Vanishing gradients detected": {"no-signal", "degradation", "saturating"},
        "Exploding gradients detected": {"exploding", "rate-too-high", "input-scale"},
        "Gradient stalling": {"no-signal", "degradation"},
        "Training divergence detected": {"rate-too-high", "exploding"},
        "Loss plateau detected": {"rate-too-low", "schedule-ran-out"},
        "Catapult phase detected": {"rate-too-high"},
        "Edge of stability regime detected": {"rate-too-high"},
        "Update ratio too low": {"rate-too-low", "no-signal", "schedule-ran-out"},
        "Update ratio too high": {"rate-too-high"},
        "Weight norm explosion": {"rate-too-high", "exploding"},
        "Stagnant weight norms": {"rate-too-low", "no-signal"},
        "Inter-layer weight norm imbalance": {"no-signal", "exploding"},
        "Dead units": {"rate-too-high", "no-signal", "lost-signal", "initial-bias"},
        "Activation saturation": {"rate-too-high", "exploding", "input-scale", "saturating"},
        "High gradient noise": {"rate-too-high", "batch-too-small"},
        "Rank collapse": {"regularised", "rate-too-high", "pooled-away"},
        "Gradient starvation": {"no-signal", "degradation"},
        "Instability feedback loop": {"exploding", "rate-too-high"},
        "Representation bottleneck": {"regularised", "degradation", "pooled-away"},
        "Training trapped": {"rate-too-high"},
    },
    "torchdiag": {
        "vanishing": {"no-signal", "degradation", "saturating"},
        "exploding": {"exploding", "rate-too-high", "input-scale"},
        "neurons dead": {
            "rate-too-high",
            "no-signal",
            "input-scale",
            "lost-signal",
            "initial-bias",
        },
        "not finite": {"exploding", "rate-too-high"},
        "No parameters changed": {"no-signal", "rate-too-low"},
        "disconnected from graph": {"no-signal"},
        "None gradients": {"no-signal"},
    },
    "traintools": {
        "gradient appears vanished": {"no-signal", "degradation", "saturating"},
        "gradient is very large": {"exploding", "rate-too-high", "input-scale"},
        "non-finite gradients": {"exploding", "rate-too-high"},
        "global update/weight ratio is tiny": {"rate-too-low", "no-signal", "schedule-ran-out"},
        "update/weight ratio is high": {"rate-too-high"},
        "dominant class covers": {"imbalance"},
        "is nearly constant": {"input-scale", "imbalance"},
        "has non-finite values": {"input-scale"},
        "abs max": {"input-scale"},
        "DORMANT": {"no-signal", "rate-too-high", "lost-signal", "initial-bias"},
        "dormant": {"no-signal", "rate-too-high", "lost-signal", "initial-bias"},
        "rank-collapsed": {"no-signal", "pooled-away", "regularised"},
        "low-rank": {"no-signal", "pooled-away", "regularised"},
        "Gradient noise far exceeds signal": {"nothing-to-learn"},
        "Larger batches would give cleaner gradients": {"batch-too-small"},
        "Reducing batch size": set(),
        "CONTINUE": {"stopped-early"},
        "STOP": {"overfitting"},
    },
    "torchinstruments": {},
}


def torchmortem(training: Training) -> Said:
    """Return the findings, counted by layer, and the insights, which have no severity."""
    library = import_module("torchmortem")
    with library.Autopsy(training.network, optimizer=training.optimiser) as autopsy:
        training.run(after_step=lambda _step, _inputs, _targets, loss: autopsy.step(loss=loss))
    report = autopsy.get_report()
    return Counter(
        [(one.severity.name.lower(), _issue("torchmortem", one.title)) for one in report.findings]
        + [("insight", _issue("torchmortem", one.title)) for one in report.insights]
    )


def torchdiag(training: Training) -> Said:
    """Return what the checks print as issues: it is not in what they return."""
    library = import_module("torchdiag")
    network, (inputs, targets) = training.network, next(iter(training.batches))

    def look() -> None:
        library.check_dead_neurons(network, inputs)
        training.optimiser.zero_grad()
        training.loss(network(inputs), targets).backward()
        library.check_gradients(network)
        training.optimiser.zero_grad()

    with redirect_stdout(io.StringIO()) as printed:
        library.summary(network)
        library.verify_step(network, training.optimiser, training.loss, inputs, targets)
        look()
        training.run()
        network.train()
        look()
    issues = [line[4:] for line in printed.getvalue().splitlines() if line.startswith("  • ")]
    return Counter((_torchdiag_severity(text), _issue("torchdiag", text)) for text in issues)


def _torchdiag_severity(issue: str) -> str:
    """Read "name: 60% neurons dead", critical above 50 %; no other issue has a degree."""
    name, dead, _ = issue.partition("% neurons dead")
    return "critical" if dead and float(name.rpartition(" ")[2]) > 50 else "warning"


def traintools(training: Training) -> Said:
    """Return the warnings, counted by step and layer, and as `info` its advice.

    Advice is of the batch size (at its last estimate) and whether to go on training (at the end) or
    to stop (at any time).
    """
    library = import_module("traintools")
    inspector = library.BatchInspector(expected_num_classes=2)
    gradients = library.GradientHealthMonitor()
    tracker = import_module("traintools.callbacks.pytorch").TraintoolsTracker(
        training.network, training.loss, verbose=False
    )
    warned: list[str] = []
    decisions: list[Any] = []

    def inspect(step: int, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        rate = training.optimiser.param_groups[0]["lr"]
        warned.extend(inspector.inspect(inputs, targets, step=step).warnings)
        warned.extend(gradients.inspect(training.network, step=step, lr=rate).warnings)

    def guard(step: int, loss: float) -> None:
        tracker.guard.record(step=step, val_loss=loss)
        decisions.append(tracker.guard.evaluate())

    training.run(
        inspect, lambda step, inputs, targets, _: tracker.step(step, inputs, targets), guard
    )
    said = Counter(("warning", _issue("traintools", text)) for text in warned)
    for measured in tracker.plasticity_history.results:
        layers = [layer for layer in measured.layers if layer.is_critical()]
        said.update(
            ("critical", _issue("traintools", flag)) for layer in layers for flag in layer.flags
        )
    noise = [one for one in tracker.gns_history.results if one.regime != "optimal"]
    said.update(("info", _issue("traintools", one.recommendation)) for one in noise[-1:])
    said.update(("info", "STOP") for one in decisions if one.should_stop)
    if decisions and decisions[-1].reason.endswith("Continue training."):  # not: warming up
        said["info", "CONTINUE"] += 1
    return said


def torchinstruments(training: Training) -> Said:
    """Return nothing: it writes statistics for a person to read."""
    library = import_module("torchinstruments")
    with tempfile.TemporaryDirectory() as folder:
        library.inject_observer(training.network, output_dir=Path(folder) / "stats")
        try:
            training.run()
        finally:
            library.remove_observer(training.network)
    return Counter()


TOOLS: dict[str, Callable[[Training], Said]] = {
    tool.__name__: tool for tool in (torchmortem, torchdiag, traintools, torchinstruments)
}


def installed() -> list[str]:
    """Return the tools that this Python has."""
    return [tool for tool in TOOLS if find_spec(tool)]


def verdicts(training: Training, seed: int = 0) -> dict[str, list[str]]:
    """Run a copy of `training` under each installed tool and return what the tool says of it.

    The batches are passed over once an epoch by each tool: for the same training under all of them
    they must not hold a random state. `seed` is of dropout and of what the tools draw. Each text is
    "severity: issue × times", the issue in the tool's words without the name of the layer. A
    tool that fails says "failed: ..."; if all do, it is the training that fails.
    """
    return {tool: _texts(tool, training, seed) for tool in installed()}


def judge(
    tool: str, said: Sequence[str], accepted: Collection[str]
) -> Literal["named", "missed", "alarm", "nothing"]:
    """Judge what `verdicts` has of a tool, given the accepted causes, none for a healthy network.

    "named": one of the issues covers such a cause; "missed": there are issues, none of which does;
    "alarm": the network is healthy and there is more than advice; "nothing": nothing is said, or
    the tool failed.
    """
    said = _without_failures(said)
    if not accepted:
        return "nothing" if all(text.startswith("info: ") for text in said) else "alarm"
    if causes(tool, said) & set(accepted):
        return "named"
    return "missed" if said else "nothing"


def causes(tool: str, said: Sequence[str]) -> set[str]:
    """Return every cause that the issues cover: who names them all has named none."""
    issues = [_issue(tool, text) for text in _without_failures(said)]
    return {cause for issue in issues for cause in CAUSES[tool].get(issue, set())}


def _without_failures(said: Sequence[str]) -> list[str]:
    return [text for text in said if not text.startswith("failed: ")]


def _texts(tool: str, training: Training, seed: int) -> list[str]:
    with _apart(seed):
        try:
            said = TOOLS[tool](training.copied())
        except Exception as error:  # a tool's fault is a result of the comparison, not its end
            return [f"failed: {type(error).__name__}: {error}"]
    return [f"{severity}: {issue} × {times}" for (severity, issue), times in sorted(said.items())]


def _issue(tool: str, text: str) -> str:
    """Return the issue in what a tool says, which has layers and numbers around it."""
    return next((issue for issue in CAUSES[tool] if issue in text), text)


@contextmanager
def _apart(seed: int) -> Iterator[None]:
    """Seed the global states that dropout and the tools draw from, and put them back.

    Python's warnings are of the tools' insides (an overflow in a fit) and say nothing to a user.
    """
    state = np.random.get_state()  # noqa: NPY002 (traintools draws from it)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
