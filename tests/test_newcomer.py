"""The newcomer's way of benchmarks/newcomer.py is that of README."""

from pathlib import Path

import newcomer
import yaml

ROOT = Path(__file__).parents[1]


def test_every_command_is_one_of_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for step in newcomer.STEPS:
        assert step.in_readme in readme
        assert step.command.startswith(step.in_readme)
    assert [step.name for step in newcomer.STEPS if not step.in_readme] == ["set-up", "table"]


def test_what_it_sets_are_keys_of_params():
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key, value in newcomer.OWN.items():
        assert set(value) <= set(params[key]) if isinstance(value, dict) else key in params
    assert Path(newcomer.MODEL).stem in params["runs"]


def test_fifty_images_and_their_points(tmp_path):
    newcomer.draw(tmp_path / "given")
    assert len(list((tmp_path / "given/images").glob("*.tif"))) == 50
    lines = (tmp_path / "given/points.csv").read_text().splitlines()
    assert len(lines) == 601
