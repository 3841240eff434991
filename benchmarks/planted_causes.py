"""Does the verdict name the cause that was planted? At least 24 planted cases and 8 healthy ones.

    python benchmarks/planted_causes.py [--seed 0] [--only NAME ...] [--out docs/planted-causes.csv]

For each case the network, a shallower one and the control on shuffled labels are trained on four
folds of whole patients; then every kind of intervention that a finding asks for, until the verdict
asks for no more: what a user does. All nuclei are simulated.
"""

import fathom.ground.stage  # noqa: F401  first: it chooses the instruction sets  # isort: skip

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
from planted_cases import (
    CASES,
    CROP_PX,
    NUCLEI,
    PARAMS,
    PATIENTS,
    SHALLOWER,
    Case,
    simulated,
)

from fathom.diagnosis import causes
from fathom.diagnosis.evidence import Evidence, evidence_of
from fathom.diagnosis.verdict import NO_EFFECT, Verdict, judge
from fathom.ground.section import read_section
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import weight_layers
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Probes
from fathom.statistics.metrics import EVEN, counts_by_group
from fathom.study.trained import PROBE_COLUMNS
from fathom.training.cell import Cell, Epoch, Shown
from fathom.training.pool import train_cells
from fathom.training.store import Store

# What a user would add to params.yaml for each kind of cure.
CURES = {
    "another initialisation": ({"initialisation": "he", "initial_scale": 1.0},),
    "a norm": ({"norm": "batch"},),
    "a lower learning rate": ({"learning_rate_times": 0.1}, {"learning_rate_times": 0.01}),
    "a higher learning rate": ({"learning_rate_times": 10}, {"learning_rate_times": 100}),
    "more epochs": ({"epochs_times": 3},),
    "less dropout": ({"dropout": 0.0},),
    "less weight decay": ({"weight_decay": 0.0},),
    "another input scale": ({"input_scale": "unit"},),
    "balanced loss weights": ({"loss_weights": "balanced"},),
    "skips": ({"residual": True},),
    "less pooling": ({"unpooled": True},),
}
ROUNDS = 3


def diagnosed(case: Case, store: Store, seed: int = 0) -> tuple[Verdict, int]:
    """Return the verdict on a case and how many networks it took."""
    limits = read_section(causes.Diagnosis, PARAMS)
    plans = {case.network: case.plan(case.network)}
    if SHALLOWER[case.network] != case.network:
        plans[SHALLOWER[case.network]] = case.plan(SHALLOWER[case.network])
    plans["control"] = case.plan(case.network, training_labels="shuffled")
    found: dict[str, Evidence] = {}
    for _ in range(ROUNDS):
        new = {name: plan for name, plan in plans.items() if name not in found}
        found |= trained(case, new, store, seed) if new else {}
        verdict = judge(_case(case, found), limits)
        wanted = {kind for one in verdict.suspected for kind in one.untried}
        for kind in sorted(wanted):
            for number, changes in enumerate(CURES[kind]):
                plans[f"{kind} {number}"] = case.plan(case.network, **changes)
        if not wanted:
            break
    return verdict, sum(len(one.cells) for one in found.values())


def _case(case: Case, found: dict[str, Evidence]) -> causes.Case:
    networks = (case.network, SHALLOWER[case.network])
    ladder = tuple(one for name, one in found.items() if name not in networks)
    shallower = tuple(found[name] for name in networks[1:] if name != case.network)
    return causes.Case(found[case.network], shallower, ladder, CROP_PX)


def trained(case: Case, plans: dict[str, Plan], store: Store, seed: int) -> dict[str, Evidence]:
    """Train every plan on every fold, as many cells at once as there are cores."""
    nuclei = simulated(seed, **(NUCLEI | case.nuclei))
    positive = nuclei.table["positive"].to_numpy(dtype=bool)
    probes = Probes(crops=64, epochs=(1,))
    cells = [
        Cell(name, fold, seed, plan.line, plan.recipe, rows, probes)
        for name, plan in plans.items()
        for fold, rows in enumerate(case.rows(seed))
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
        found[name] = replace(evidence, held_out=_held_out(own, positive, group))
    return found


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
    parser.add_argument("--kept", type=Path, help="a store of cells: what it holds is not trained")
    arguments = parser.parse_args()
    rows = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(arguments.kept or Path(folder))
        for case in (one for one in CASES if not arguments.only or one.name in arguments.only):
            verdict, networks = diagnosed(case, store, arguments.seed)
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
