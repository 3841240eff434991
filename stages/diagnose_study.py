"""Stage `diagnose_study`: the verdicts again, with all that the full study trained."""

from pathlib import Path

from fathom.diagnosis.causes import Diagnosis
from fathom.diagnosis.diagnosis import diagnose, read_rows, row_table
from fathom.diagnosis.layer_plots import draw_verdicts
from fathom.diagnosis.verdict_text import write_verdicts
from fathom.imaging.nuclei import read_nuclei
from fathom.params.data import Split
from fathom.params.recipe import Recipe
from fathom.params.runs import read_architectures, read_experiments, read_runs, read_study
from fathom.params.section import read_section
from fathom.reports.plot_tables import write_tables
from fathom.stage import run_stage


def diagnose_study(
    nuclei: Path, runs: Path, experiments: Path, study: Path, verdicts: Path, metrics: Path
) -> None:
    """Write the verdict on each network that params name, and their numbers."""
    found, recipe, lines = read_nuclei(nuclei), read_section(Recipe), read_architectures()
    group = read_section(Split).group
    rows = read_rows(read_runs(), runs, lines, recipe, found, group)
    rows |= read_rows(read_experiments(), experiments, lines, recipe, found, group)
    rows |= read_rows(read_study(), study, lines, recipe, found, group)
    limits, crop_px = read_section(Diagnosis), found.crops().shape[1]
    told = diagnose(rows, limits, crop_px)
    write_verdicts(verdicts, metrics, told)
    write_tables(verdicts, {"rows": row_table(rows, limits.confidence)})
    draw_verdicts(told, {row: rows[row].probes for row in rows}, verdicts)


if __name__ == "__main__":
    run_stage(diagnose_study)
