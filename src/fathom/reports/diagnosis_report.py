"""The diagnosis of a whole study, as its stage runs it: ladders in, verdicts and pictures out."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fathom.diagnosis.case import DataFaults, Diagnosis
from fathom.diagnosis.diagnosis import TrainedRow, evidence_table, suspects
from fathom.diagnosis.ladder_file import Told, read_climbed
from fathom.diagnosis.verdict import judge
from fathom.reports.layer_plots import draw_verdicts
from fathom.reports.plot_tables import write_tables
from fathom.reports.texture_sentences import texture_sentences
from fathom.reports.verdict_text import Explained, write_verdicts
from fathom.study.nuclei import Nuclei
from fathom.study.rows import Run
from fathom.texture.found import read_texture


def write_diagnosis(
    rows: Mapping[str, TrainedRow],
    ladders: Path,
    nuclei: Nuclei,
    group: str,
    limits: Diagnosis,
    faults: DataFaults,
    texture: Path,
    verdicts: Path,
    metrics: Path,
) -> None:
    """Write the verdict on each network that has a ladder, its pictures and all numbers.

    `rows` is what `runs` came to, `ladders` the folder that the stage `ladder` wrote, `texture` the
    metrics of the positive control.
    """
    would_find = texture_sentences(read_texture(texture))
    evidence = {name: row.evidence for name, row in rows.items()}
    probes = {name: row.probes for name, row in rows.items()}
    explained = []
    for given in suspects(rows, limits, nuclei.crop_px):
        name = given.base.name
        case, told, own = read_climbed(ladders / name, given, nuclei, group)
        verdict = judge(replace(case, faults=faults), limits)
        following = next_lines(told, name, {row: one.run for row, one in rows.items()})
        explained.append(Explained(verdict, told, following, would_find))
        evidence |= {row.name: row for row in (case.base, *case.ladder)}
        probes |= own
    shares = {name: evidence[name].tally for name in rows}
    write_verdicts(verdicts, metrics, explained, shares, limits.confidence)
    write_tables(verdicts, {"rows": evidence_table(evidence, limits.confidence)})
    draw_verdicts([one.verdict for one in explained], probes, verdicts)


def next_lines(told: Told, network: str, runs: Mapping[str, Run]) -> tuple[str, ...]:
    """Return the rows that the ladder of `network` did not come to, as lines of `runs`.

    A row of `runs` that waits is there as it stands.
    """
    lines = []
    for row in told.next_rows:
        run = runs[network if row.interventions else row.name]
        changes = dict(run.interventions)
        for name, change in row.interventions.items():
            own = name
            while own in changes:  # the network has an intervention of that name
                own += "-more"
            changes[own] = change
        content = {"architecture": run.architecture, "interventions": changes}
        lines.append(f"{row.name}: {json.dumps(content)}")
    return tuple(lines)
