"""fathom beside other tools, ten rules of thumb, and chance: planted causes and strangers' cases.

    python benchmarks/compared_tools.py [--kept STORE] [--seed 0] [--only NAME ...]
        [--planted docs/planted-causes.csv] [--public benchmarks/results/public_cases.json]
        [--out docs/other-tools.csv]

with the Python that `other_tools.py` says how to furnish, which also needs fathom's extra `train`;
or with fathom's own, for the rules alone. Each tool watches one training of a case, that of fold 0,
as its README says; networks have torch's own units and optimisers, for fathom's ReLU works in place
where no tool looks for it, and crops are not turned. It is *named* if any issue of a tool covers
an accepted cause. The rules read the six networks of fathom's own first look.

What `--out` holds already is not asked again. Counted are the cases that count for fathom. Chance
names a cause, or none, as often as it is planted in the same table. *By others' answers* is what a
tool would be expected to name if each faulty case got its answer to another one: as many as that
are named by an answer that does not look.
"""

import fathom.ground.stage  # noqa: F401  first: it chooses the instruction sets  # isort: skip

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
from diagnosed_cases import Case, six_networks
from other_tools import CAUSES, causes, installed, judge, verdicts
from planted_cases import CASES
from planted_causes import COUNTED, that_can_be_run, with_other_rows
from public_cases import RESULTS, read_cases
from rules_of_thumb import HEALTHY, named_by_rules
from studied_nuclei import CROP_PX, PROJECT, studied
from torch import nn
from watched_training import Training

from fathom.diagnosis.verdict import DATA_FAULT, NO_EFFECT, UNEXPLAINED
from fathom.ground.streams import Streams
from fathom.networks.architecture import parse
from fathom.networks.initialisation import main_layers, unit_variance
from fathom.networks.network import build, scale_input
from fathom.networks.recipe import Recipe
from fathom.training.batches import fewer
from fathom.training.optimisers import scheduled
from fathom.training.store import Store

FATHOM, RULES, CHANCE = "fathom", "ten rules of thumb", "chance"
FIRST_RUN = "fathom, first run"  # of the strangers' cases: its rules knew none of them
KEYS = ["benchmark", "seed", "case", "tool"]
# fathom's names of causes, as the table of `other_tools` writes them.
TOKENS = {
    "no signal reaches the output at initialisation": "no-signal",
    "signal explodes": "exploding",
    "learning rate too high": "rate-too-high",
    "learning rate too low": "rate-too-low",
    "stopped too early": "stopped-early",
    "schedule ran out": "schedule-ran-out",
    "dropout too strong": "regularised",
    "weight decay too strong": "regularised",
    "overfitting": "overfitting",
    "true degradation": "degradation",
    "pooled away": "pooled-away",
    "input scale": "input-scale",
    "classes out of balance": "imbalance",
    "nothing to learn": "nothing-to-learn",
    "no non-linearity": "linear",
    "saturating non-linearity": "saturating",
    "initial bias": "initial-bias",
    "lost its signal while training": "lost-signal",
    "batch too small": "batch-too-small",
    "hangs on the seed": "hangs-on-the-seed",
    DATA_FAULT: "data-fault",
}


def token(cause: str) -> str:
    """Return the short name of a cause; faults of the data have one for all."""
    return TOKENS[cause.partition(":")[0]]


def watched(case: Case, seed: int) -> Training:
    """Return the training of a case's network on fold 0, as torch's users write it."""
    setting = case.setting
    given, plan, rows = studied(setting.nuclei, seed), setting.plan("network"), setting.rows(seed)
    recipe, streams = plan.recipe, Streams(0)
    network = with_own_relu(build(parse(plan.line), recipe, 1, CROP_PX, streams))
    positive = torch.from_numpy(given.positive.copy()).float()

    def batch(chosen) -> tuple[torch.Tensor, torch.Tensor]:
        crops = torch.from_numpy(given.crops[chosen])
        return scale_input(crops, recipe.input_scale), positive[chosen]

    train = fewer(rows[0]["train"], given.positive, recipe, streams.generator("nuclei"))
    inputs, targets = batch(streams.generator("order").permutation(train))
    if recipe.initialisation == "lsuv":
        unit_variance(network, list(main_layers(network)), inputs[:128])
    size = recipe.batch_size
    batches = list(zip(inputs.split(size), targets.split(size), strict=True))
    if len(batches[-1][1]) == 1:  # a norm cannot train on one crop
        batches.pop()
    rates = tuple(recipe.learning_rate * scheduled(recipe, one) for one in range(recipe.epochs))
    validation = batch(rows[0]["validation"])
    optimiser, loss = optimiser_of(network, recipe), nn.BCEWithLogitsLoss()
    return Training(network, batches, optimiser, loss, recipe.epochs, validation, rates)


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


def asked(case: Case, seed: int, store: Store) -> Iterator[dict[str, object]]:
    """Yield a row for the rules and for each installed tool."""
    named = named_by_rules(six_networks(case.setting, store, seed))
    right = _accepts(case, named) if case.accept else named == HEALTHY
    wrong = "nothing" if named == HEALTHY else "missed" if case.accept else "alarm"
    judged = ("named" if case.accept else "nothing") if right else wrong
    yield {"tool": RULES, "judged": judged, "covers": int(named != HEALTHY), "said": named}
    accepted = {token(one) for one in case.accept}
    for tool, texts in verdicts(watched(case, seed)).items():
        yield {
            "tool": tool,
            "judged": judge(tool, texts, accepted),
            "covers": len(causes(tool, texts)),
            "said": "; ".join(texts),
        }


def _accepts(case: Case, named: str) -> bool:
    return named in {one.partition(":")[0] for one in case.accept}


def of_fathom(benchmark: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return fathom's own rows as those of the tools, with what each case accepts."""
    judged, covers = [], []
    for row in rows.to_dict("records"):
        silent = row["verdict"] in {NO_EFFECT, UNEXPLAINED, ""}
        right = row["result"] == "right"
        healthy = row["accepted"] == "healthy"
        named = "nothing" if healthy else "named"
        missed = "alarm" if healthy else "nothing" if silent else "missed"
        judged.append(named if right else missed)
        covers.append(0 if silent else str(row["verdict"]).count(" + ") + 1)
    counts = rows["result"].isin(COUNTED)
    return rows[["seed", "case", "accepted"]].assign(
        benchmark=benchmark,
        tool=FATHOM,
        judged=judged,
        covers=covers,
        counts=counts,
        said=rows["verdict"].str.partition(" + ")[0],
    )


def scored(rows: pd.DataFrame) -> dict[str, str]:
    """Return the shares of one tool on one benchmark."""
    healthy = rows["accepted"] == "healthy"
    faulty, named = rows[~healthy], int((rows["judged"] == "named").sum())
    alarms = int((rows["judged"] == "alarm").sum())
    spoke = named + alarms + int((rows["judged"] == "missed").sum())
    return {
        "named": f"{named} of {len(faulty)}",
        "precision": f"{named / spoke:.2f}" if spoke else "-",
        "alarms": f"{alarms} of {int(healthy.sum())}" if healthy.any() else "-",
        "causes a case": f"{faulty['covers'].mean():.1f}" if len(faulty) else "-",
        "by others' answers": f"{by_others_answers(faulty):.1f}" if len(faulty) > 1 else "-",
    }


def by_others_answers(rows: pd.DataFrame) -> float:
    """Return the number of cases expected to be named if each got the answer to another one.

    `rows` are the faulty cases of one tool; each other answer is as likely.
    """
    answers = [_answer(tool, said) for tool, said in zip(rows["tool"], rows["said"], strict=True)]
    accepted = [{token(one) for one in text.split(" | ")} for text in rows["accepted"]]
    named = sum(
        bool(answer & right)
        for i, answer in enumerate(answers)
        for j, right in enumerate(accepted)
        if i != j
    )
    return named / (len(rows) - 1)


def _answer(tool: str, said: str) -> set[str]:
    """Return the causes any of which counts as named: of fathom and of the rules the first."""
    if tool in CAUSES:
        return causes(tool, said.split("; "))
    return {token(said)} if said.partition(":")[0] in TOKENS else set()


def by_chance(accepted: list[str]) -> dict[str, str]:
    """Return what naming at random, as often as each is planted, is expected to get."""
    n, often = len(accepted), Counter(accepted)
    share = {one: sum(often[other] for other in often if _overlap(one, other)) / n for one in often}
    faulty = [one for one in accepted if one != "healthy"]
    named, healthy = sum(share[one] for one in faulty), n - len(faulty)
    return {
        "named": f"{named:.1f} of {len(faulty)}",
        "precision": f"{named / len(faulty):.2f}",  # a cause is named as often as one is planted
        "alarms": f"{healthy * len(faulty) / n:.1f} of {healthy}" if healthy else "-",
        "causes a case": f"{len(faulty) / n:.1f}",
        "by others' answers": "-",
    }


def _overlap(one: str, other: str) -> bool:
    return bool(set(one.split(" | ")) & set(other.split(" | ")))


def table(rows: pd.DataFrame) -> str:
    """Return the table of all tools and both benchmarks, Markdown; `rows` are counted ones."""
    columns = ["named", "by others' answers", "precision", "alarms", "causes a case"]
    lines = ["| benchmark | who | " + " | ".join(columns) + " |", "| --- " * 7 + "|"]
    for benchmark, here in rows.groupby("benchmark", sort=False):
        found = {str(tool): scored(own) for tool, own in here.groupby("tool", sort=False)}
        accepted = here.loc[here["tool"] == FATHOM, "accepted"].tolist()
        for tool, one in (found | {CHANCE: by_chance(accepted)}).items():
            shares = " | ".join(one[column] for column in columns)
            lines.append(f"| {benchmark} | {tool} | {shares} |")
    return "\n".join(lines)


def fathoms_rows(planted: Path, public: Path, seed: int) -> pd.DataFrame:
    """Return fathom's rows of both benchmarks, so far as they were run."""
    tables = []
    if planted.is_file():
        rows = pd.read_csv(planted, keep_default_na=False)
        tables.append(of_fathom("planted", rows[rows["seed"] == seed]))
    if public.is_file():
        runs = json.loads(public.read_text(encoding="utf-8"))
        for run, tool in (("first", FIRST_RUN), ("last", FATHOM)):
            rows = pd.DataFrame(runs[run]["rows"]).assign(seed=0)
            tables.append(of_fathom("public", rows).assign(tool=tool))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def main() -> None:
    """Print one line a case and tool, write them down, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kept", type=Path, help="a store of cells: what it holds is not trained")
    parser.add_argument("--seed", type=int, default=0, help="of the planted causes")
    parser.add_argument("--only", nargs="*", default=[], help="names of cases")
    parser.add_argument("--planted", type=Path, default=PROJECT / "docs" / "planted-causes.csv")
    parser.add_argument("--public", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=PROJECT / "docs" / "other-tools.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    asked_of = [
        ("planted", arguments.seed, case) for case in that_can_be_run(CASES, arguments.only)
    ]
    asked_of += [("public", 0, case) for case in that_can_be_run(read_cases()[0], arguments.only)]
    tools = {RULES, *installed()}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(arguments.kept or Path(folder))
        for benchmark, seed, case in asked_of:
            if tools <= _there(arguments.out, benchmark, seed, case.name):
                continue
            own = {"benchmark": benchmark, "seed": seed, "case": case.name}
            rows = pd.DataFrame([{**own, **row} for row in asked(case, seed, store)])
            with_other_rows(arguments.out, rows, KEYS).to_csv(arguments.out, index=False)
            print(rows.drop(columns="said").to_csv(index=False, header=False), end="", flush=True)
    fathom = fathoms_rows(arguments.planted, arguments.public, arguments.seed)
    if fathom.empty:
        sys.exit("the table needs fathom's own rows: run planted_causes.py and public_cases.py")
    others = pd.read_csv(arguments.out, keep_default_na=False, dtype={"case": str})
    last = fathom["tool"] == FATHOM
    known = fathom.loc[last, ["benchmark", "seed", "case", "accepted", "counts"]]
    every = pd.concat([fathom, others.merge(known, on=["benchmark", "seed", "case"])])
    print(table(every[every["counts"]]))


def _there(path: Path, benchmark: str, seed: int, case: str) -> set[str]:
    """Return the tools that were asked about a case."""
    if not path.is_file():
        return set()
    rows = pd.read_csv(path, keep_default_na=False, dtype={"case": str})
    here = (rows["benchmark"] == benchmark) & (rows["seed"] == seed) & (rows["case"] == case)
    return set(rows.loc[here, "tool"])


if __name__ == "__main__":
    main()
