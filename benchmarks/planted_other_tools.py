"""What other tools say of the planted causes: the same cases, networks, recipes and nuclei.

    OMP_NUM_THREADS=1 python benchmarks/planted_other_tools.py [--out docs/planted-other-tools.csv]

with the Python that `other_tools.py` says how to furnish, which also needs what
`fathom.networks.network` and the simulator import (pandas, pydantic, pyyaml, scikit-image, typer),
and src/ on PYTHONPATH. Each tool watches one training, of fold 0, as its README says. The networks
have torch's own units and optimisers: fathom's ReLU works in place, where no tool looks for it.
"""

import fathom.ground.stage  # noqa: F401  first: it chooses the instruction sets  # isort: skip

import argparse
from pathlib import Path

import pandas as pd
import torch
from other_tools import causes, judge, verdicts
from planted_cases import CASES, CROP_PX, NUCLEI, Case, simulated
from torch import nn

from fathom.ground.streams import Streams
from fathom.networks.architecture import parse
from fathom.networks.initialisation import main_layers, unit_variance
from fathom.networks.network import build, scale_input
from fathom.networks.recipe import Recipe

# Our names of causes, as the table of `other_tools` writes them.
NAMES = {
    "no signal reaches the output at initialisation": "no-signal",
    "signal explodes": "exploding",
    "learning rate too high": "rate-too-high",
    "learning rate too low": "rate-too-low",
    "stopped too early": "stopped-early",
    "dropout too strong": "regularised",
    "weight decay too strong": "regularised",
    "overfitting": "overfitting",
    "true degradation": "degradation",
    "pooled away": "pooled-away",
    "input scale": "input-scale",
    "classes out of balance": "imbalance",
    "nothing to learn": "nothing-to-learn",
}


def with_own_relu(network: nn.Module) -> nn.Module:
    """Return the network with torch's ReLU, which leaves its input to those who watch it."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.ReLU())
    return network


def optimiser_of(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return torch's optimiser of a recipe."""
    given = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    match recipe.optimiser:
        case "rmsprop":
            given |= {"alpha": recipe.alpha, "eps": recipe.eps, "momentum": recipe.momentum}
            return torch.optim.RMSprop(network.parameters(), **given)
        case "adam":
            given |= {"betas": (recipe.momentum, recipe.alpha), "eps": recipe.eps}
            return torch.optim.Adam(network.parameters(), **given)
        case "sgd":
            return torch.optim.SGD(network.parameters(), momentum=recipe.momentum, **given)


def said_of(case: Case) -> dict[str, list[str]]:
    """Return what each tool says of a case's network on fold 0."""
    nuclei = simulated(**(NUCLEI | case.nuclei))
    positive = torch.from_numpy(nuclei.table["positive"].to_numpy(dtype=bool, copy=True)).float()
    plan, rows = case.plan(case.network), case.rows()[0]
    network = with_own_relu(build(parse(plan.line), plan.recipe, 1, CROP_PX, Streams(0)))

    def batch(chosen) -> tuple[torch.Tensor, torch.Tensor]:
        crops = torch.from_numpy(nuclei.crops[chosen])
        return scale_input(crops, plan.recipe.input_scale), positive[chosen]

    order = torch.randperm(len(rows["train"]), generator=torch.Generator().manual_seed(0)).numpy()
    inputs, targets = batch(rows["train"][order])
    if plan.recipe.initialisation == "lsuv":
        unit_variance(network, list(main_layers(network)), inputs[:128])
    size = plan.recipe.batch_size
    return verdicts(
        network,
        list(zip(inputs.split(size), targets.split(size), strict=True)),
        optimiser_of(network, plan.recipe),
        nn.BCEWithLogitsLoss(),
        epochs=plan.recipe.epochs,
        validation=batch(rows["validation"]),
    )


def main() -> None:
    """Print one line a case and tool, then the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for case in CASES:
        planted = NAMES[case.cause] if case.cause else None
        for tool, texts in said_of(case).items():
            rows.append(
                {
                    "case": case.name,
                    "network": case.network,
                    "planted": case.cause or "healthy",
                    "tool": tool,
                    "judged": judge(tool, texts, planted),
                    "causes covered": len(causes(tool, texts)),
                    "said": "; ".join(texts),
                }
            )
            print(" | ".join(map(str, list(rows[-1].values())[:6])), flush=True)
    table = pd.DataFrame(rows)
    table["kind"] = (table["planted"] == "healthy").map({True: "healthy", False: "planted"})
    print(table.groupby(["tool", "kind"])["judged"].value_counts().to_string())
    if arguments.out:
        table.drop(columns="kind").to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
