"""Whether the verdict names the cause that was planted, and none where nothing was.

    python benchmarks/planted_causes.py [--seed 0] [--only NAME ...] [--kept STORE]
        [--budget 32] [--out docs/planted-causes.csv]

For each case the network and a shallower one are trained on four folds of whole patients; then the
ladder of the product (`fathom.diagnosis.ladder`) trains what decides. All nuclei are simulated.
With --kept an interrupted call goes on where it was ended.
"""

import fathom.ground.stage  # noqa: F401  first: it chooses the instruction sets  # isort: skip

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
from planted_cases import (
    CASES,
    CROP_PX,
    FOLDS,
    NUCLEI,
    PARAMS,
    PATIENTS,
    SHALLOWER,
    Case,
    simulated,
)

from fathom.diagnosis.case import Case as Studied
from fathom.diagnosis.case import Diagnosis
from fathom.diagnosis.evidence import Evidence, evidence_of
from fathom.diagnosis.ladder import Wanted, climb
from fathom.diagnosis.verdict import NO_EFFECT, Verdict, judge
from fathom.ground.section import read_section
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import weight_layers
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Probes
from fathom.statistics.metrics import EVEN, counts_by_group
from fathom.study.trained import PROBE_COLUMNS
from fathom.training.batches import Rows
from fathom.training.cell import Cell, Epoch, Shown
from fathom.training.pool import train_cells
from fathom.training.store import Store

SEEDS = 100  # of networks, to each seed of nuclei: those of two seeds never meet
BUDGET = 32  # with the two rows that are there, at most 40 networks a case


def diagnosed(case: Case, store: Store, seed: int = 0, budget: int = BUDGET) -> tuple[Verdict, int]:
    """Return the verdict on a case and how many networks it took."""
    limits = read_section(Diagnosis, PARAMS).model_copy(update={"budget": budget})

    def train(wanted: Mapping[str, Wanted]) -> dict[str, Evidence]:
        return trained(case, wanted, store, seed)

    rows = dict.fromkeys((case.network, SHALLOWER[case.network]))
    there = train({name: Wanted(case.plan(name), FOLDS, FOLDS) for name in rows})
    base, *shallower = there.values()
    climbed = climb(Studied(base, tuple(shallower), (), CROP_PX), limits, train)
    return judge(climbed.case, limits), climbed.spent + FOLDS * len(there)


def trained(
    case: Case, wanted: Mapping[str, Wanted], store: Store, seed: int
) -> dict[str, Evidence]:
    """Train the first networks of each row, as many at once as there are cores."""
    nuclei = simulated(seed, **(NUCLEI | case.nuclei))
    positive = nuclei.table["positive"].to_numpy(dtype=bool)
    probes = Probes(crops=64, epochs=(1,))
    folds = case.rows(seed)
    plans = {name: one.plan for name, one in wanted.items()}
    cells = [
        replace(
            _cell(name, one.plan, unit, seed, folds, probes),
            until_left=one.until_left(unit, FOLDS),
        )
        for name, one in wanted.items()
        for unit in range(one.networks)
    ]
    shown = Shown(nuclei.crops, positive)
    left = train_cells([(cell, shown) for cell in cells], "portable", store)
    names = nuclei.table["nucleus"].to_numpy()
    group = pd.factorize(nuclei.table["patient"])[0]
    found = {}
    for name, plan in plans.items():
        own = [(c, t) for c, t in zip(cells, left, strict=True) if c.run == name]
        evidence = evidence_of(
            name,
            plan,
            weight_layers(parse(plan.line)),
            pd.Series(positive, index=names),
            *_tables(own, names),
        )
        whole = [(c, t) for c, t in own if len(t.history) == c.recipe.epochs]
        found[name] = replace(evidence, held_out=_held_out(whole, positive, group))
    return found


def _cell(
    name: str, plan: Plan, unit: int, seed: int, folds: list[dict[str, Rows]], probes: Probes
) -> Cell:
    """Return the network of one unit: all folds of one seed of its own, then the next seed's."""
    fold = unit % FOLDS
    own = seed * SEEDS + unit // FOLDS
    return Cell(name, fold, own, plan.line, plan.recipe, folds[fold], probes)


def _held_out(cells, positive, group) -> tuple[tuple[float, ...], ...]:
    """Count the decisions on validation nuclei by patient: there are no other held-out ones."""
    counts = sum(
        counts_by_group(
            (one.probabilities["validation"] >= EVEN).astype(float),
            positive[cell.rows["validation"]],
            group[cell.rows["validation"]],
            PATIENTS,
        )
        for cell, one in cells
    )
    validated = counts.sum(axis=1) > 0
    return tuple(tuple(row) for row in counts[validated].tolist())


def _tables(cells, names) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    predictions = pd.concat(
        pd.DataFrame({"nucleus": names[cell.rows[part]], "part": part, "probability": p}).assign(
            fold=cell.fold, seed=cell.seed
        )
        for cell, one in cells
        for part, p in one.probabilities.items()
    )
    history = pd.concat(
        pd.DataFrame(one.history, columns=Epoch._fields).assign(fold=cell.fold, seed=cell.seed)
        for cell, one in cells
    )
    probes = pd.concat(
        pd.DataFrame(one.probes, columns=PROBE_COLUMNS).assign(fold=cell.fold, seed=cell.seed)
        for cell, one in cells
    )
    return predictions, history, probes


def marked(case: Case, verdict: Verdict) -> str:
    """Return right, partly (named, but not first) or wrong; a healthy case is right or alarm."""
    if case.cause is None:
        return "right" if verdict.main == NO_EFFECT else "false alarm"
    names = [cause.name for cause in verdict.causes]
    return "right" if names[0] == case.cause else "partly" if case.cause in names else "wrong"


def main() -> None:
    """Print one line a case, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of nuclei and networks")
    parser.add_argument("--budget", type=int, default=BUDGET, help="of networks a case")
    parser.add_argument("--kept", type=Path, help="a store of cells: what it holds is not trained")
    arguments = parser.parse_args()
    rows = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(arguments.kept or Path(folder))
        for case in (one for one in CASES if not arguments.only or one.name in arguments.only):
            verdict, networks = diagnosed(case, store, arguments.seed, arguments.budget)
            rows.append(
                {
                    "case": case.name,
                    "network": case.network,
                    "planted": case.cause or "healthy",
                    "verdict": " + ".join(cause.name for cause in verdict.causes),
                    "result": marked(case, verdict),
                    "networks trained": networks,
                }
            )
            print(" | ".join(map(str, rows[-1].values())), flush=True)
    table = pd.DataFrame(rows)
    print(table["result"].value_counts().to_string())
    print(f"{(time.monotonic() - began) / 60:.0f} minutes", file=sys.stderr)
    if arguments.out:
        table.to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
