"""Charts of what held-out nuclei say of a run: ROC and calibration, each with its numbers."""

import pandas as pd

from fathom.page import files
from fathom.page.chart_layers import Chart, diagonal, run_lines
from fathom.page.content import Content
from fathom.page.drawing import chart
from fathom.page.tables import Table, as_csv, plain
from fathom.statistics.row_text import with_interval
from fathom.study.rows import short


def roc(content: Content) -> Chart | None:
    """Return the ROC curve of everyone."""
    table = content.plots.get("roc.csv")
    if table is None:
        return None
    wide = table.pivot(index="false_positive_rate", columns="run", values="true_positive_rate")
    wide = wide[list(dict.fromkeys(table["run"]))].reset_index()
    areas = pd.DataFrame(
        [(short(name), with_interval(of, "auroc")) for name, of in content.results.items()],
        columns=["run", "AUROC"],
    )
    said = ", ".join(f"{run} {area}" for run, area in areas.itertuples(index=False))
    return Chart(
        "ROC of held-out nuclei",
        chart(
            {
                "data": {"values": table.drop(columns="part").to_dict("records")},
                "width": 220,
                "height": 220,
                "layer": [
                    diagonal(),
                    run_lines(content, table["run"], "false_positive_rate", "true_positive_rate",
                               (0, 1), "1 - specificity", "sensitivity"),
                ],
            },
            f"ROC curves; areas: {said}",
        ),
        Table(
            "roc", "Area under the ROC curve", ("run", "AUROC"),
              plain("auroc", "", areas).rows, as_csv(wide)),
    )  # fmt: skip


def calibration(content: Content) -> Chart | None:
    """Return how often nuclei are positive, by the probability that they were given."""
    table = content.tables.get(files.CALIBRATION)
    if table is None:
        return None
    lines = run_lines(content, table["run"], "predicted", "observed", (0, 1),
                       "probability given", "share that is positive")  # fmt: skip
    lines["mark"]["point"] = {"size": 12, "filled": True}
    return Chart(
        "Calibration on held-out nuclei",
        chart(
            {
                "data": {"values": table.to_dict("records")},
                "width": 220,
                "height": 220,
                "layer": [diagonal(), lines],
            },
            "share of positive nuclei by the probability that each run gave; the diagonal is right",
        ),
        plain("calibration", "Share of positive nuclei by the probability given", table),
    )
