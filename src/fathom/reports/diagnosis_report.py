"""The diagnosis of a whole study, as its stages run it: rows in, verdicts and pictures out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fathom.diagnosis.causes import Diagnosis
from fathom.diagnosis.data_faults import DataFaults
from fathom.diagnosis.diagnosis import TrainedRow, diagnose, read_trained_rows, row_table
from fathom.networks.recipe import Recipe
from fathom.reports.layer_plots import draw_verdicts
from fathom.reports.plot_tables import write_tables
from fathom.reports.verdict_text import write_verdicts
from fathom.study.nuclei import Nuclei
from fathom.study.rows import Run


@dataclass(frozen=True)
class DiagnosedStudy:
    """What the rows of all tables of params.yaml were trained on and made from."""

    nuclei: Nuclei
    lines: Mapping[str, str]  # architectures by name
    recipe: Recipe
    group: str  # column of the nuclei's table that stands on one side of a split

    def rows(self, rows: Mapping[str, Run], folder: Path) -> dict[str, TrainedRow]:
        """Read what the training of the rows of one table left in `folder`."""
        return read_trained_rows(rows, folder, self.lines, self.recipe, self.nuclei, self.group)

    def write_diagnosis(
        self,
        rows: Mapping[str, TrainedRow],
        limits: Diagnosis,
        faults: DataFaults,
        verdicts: Path,
        metrics: Path,
    ) -> None:
        """Write the verdict on each network that params name, its pictures and its numbers."""
        told = diagnose(rows, limits, self.nuclei.crops().shape[1], faults)
        write_verdicts(verdicts, metrics, told)
        write_tables(verdicts, {"rows": row_table(rows, limits.confidence)})
        draw_verdicts(told, {row: rows[row].probes for row in rows}, verdicts)
