"""Stage `compare`: every run and classifier with intervals and paired differences; pictures."""

from pathlib import Path

import fathom.ground.stage
from fathom.ground.numerics import read_numerics
from fathom.ground.section import read_section
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import weight_layers
from fathom.reports.headline import write_headline
from fathom.reports.plot_tables import tables, write_tables
from fathom.reports.plots import draw_all
from fathom.statistics import comparison, final_network
from fathom.statistics.params import Comparison
from fathom.statistics.scores import study_of
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_architectures, read_runs
from fathom.study.splits import Split


def compare(
    nuclei: Path,
    baseline: Path,
    runs: Path,
    metrics: Path,
    summary: Path,
    headline: Path,
    plots: Path,
    pictures: Path,
) -> None:
    """Write one JSON a run, the summary of all, tables of plots, pictures."""
    networks, lines, params = read_runs(), read_architectures(), read_section(Comparison)
    study = study_of(read_nuclei(nuclei), read_section(Split).group)
    everyone = comparison.read_all_cells(networks, runs, baseline, study)
    depths = {name: weight_layers(parse(lines[of.architecture])) for name, of in networks.items()}
    results = comparison.compare(everyone, study, depths, params, read_numerics())
    results = final_network.with_final_networks(results, networks, runs, study)
    comparison.write_comparison(metrics, summary, results)
    write_headline(headline, results, networks, params)
    write_tables(plots, drawn := tables(everyone, study, results, networks, runs))
    draw_all(drawn, results, params.confidence, pictures)


if __name__ == "__main__":
    fathom.ground.stage.run(compare)
