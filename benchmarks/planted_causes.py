"""Whether the verdict names the cause that was planted, and none where nothing was.

    python benchmarks/planted_causes.py [--seed 0] [--only NAME ...] [--kept STORE]
        [--budget 36] [--out docs/planted-causes.csv]

The rules are in `diagnosed_cases`, the cases in `planted_cases`. Real nuclei are those of the
default data (`data/nuclei`, what `dvc repro crop` or `dvc pull` leaves); where they are absent
their cases are skipped and named. With --kept an interrupted call goes on where it was ended. The
table keeps the rows of other seeds.
"""

import fathom.ground.stage  # noqa: F401  first: it chooses the instruction sets  # isort: skip

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from diagnosed_cases import BUDGET, Case, Outcome, diagnosed
from planted_cases import CASES
from studied_nuclei import FAULTS, are_there

from fathom.training.store import Store

COUNTED = ["right", "partly", "wrong", "false alarm"]


def that_can_be_run(cases: Iterable[Case], only: Sequence[str]) -> list[Case]:
    """Return the cases that are asked for; say which are skipped for want of their nuclei."""
    asked = [case for case in cases if not only or case.name in only]
    if absent := [case.name for case in asked if not are_there(case.setting.nuclei)]:
        print(f"skipped, data/nuclei is absent: {', '.join(absent)}")
    return [case for case in asked if case.name not in absent]


def tally(table: pd.DataFrame) -> str:
    """Return how many of the planted and of the healthy cases came out how, as Markdown.

    *Warned*: the audit warns of something in nuclei in which no fault was planted.
    """
    healthy = table["accepted"] == "healthy"
    sound = ~table["nuclei"].str.contains("|".join(filter(None, FAULTS)))
    lines = [f"| | count | {' | '.join(COUNTED)} | do not count | warned |", "| --- " * 8 + "|"]
    for name, here in (("planted", table[~healthy]), ("healthy", table[healthy])):
        counts = [int((here["result"] == mark).sum()) for mark in COUNTED]
        out = len(here) - sum(counts)
        warned = int((here["warnings"].ne("") & sound).sum())
        cells = (sum(counts), *counts, out, warned)
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def with_other_rows(path: Path, rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return `rows` in place of those of the same keys in the table at `path`, if there is one."""
    if not path.is_file():
        return rows
    before = pd.read_csv(path, keep_default_na=False, dtype={"case": str})
    known = set(map(tuple, rows[keys].to_numpy().tolist()))
    others = [tuple(row) not in known for row in before[keys].to_numpy().tolist()]
    return pd.concat([before[others], rows], ignore_index=True)


def run(cases: Sequence[Case], store: Store, seed: int, budget: int) -> Iterable[Outcome]:
    """Yield the outcome of each case, and print a line of a Markdown table."""
    for number, case in enumerate(cases, 1):
        began = time.monotonic()
        outcome = diagnosed(case, store, seed, budget)
        row = outcome.row()
        if number == 1:
            print(f"| {' | '.join(row)} |\n{'| --- ' * len(row)}|")
        print(
            f"| {' | '.join(str(cell).replace(' | ', '; ') for cell in row.values())} |", flush=True
        )
        taken = f"{time.monotonic() - began:.0f} s"
        print(f"{case.name}: {number} of {len(cases)} cases, {taken}", file=sys.stderr)
        yield outcome


def main() -> None:
    """Print one line a case, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of cases")
    parser.add_argument("--out", type=Path, help="a table, CSV")
    parser.add_argument("--seed", type=int, default=0, help="of nuclei and networks")
    parser.add_argument("--budget", type=int, default=BUDGET, help="of networks, for the ladder")
    parser.add_argument("--kept", type=Path, help="a store of cells: what it holds is not trained")
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(arguments.kept or Path(folder))
        cases = that_can_be_run(CASES, arguments.only)
        if not cases:
            parser.error("no case is left: --only takes names of benchmarks/planted_cases.py")
        for outcome in run(cases, store, arguments.seed, arguments.budget):
            rows.append({"seed": arguments.seed, **outcome.row()})
            if arguments.out:
                table = with_other_rows(arguments.out, pd.DataFrame(rows), ["seed", "case"])
                table.to_csv(arguments.out, index=False)
    print(tally(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
