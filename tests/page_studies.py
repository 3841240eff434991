"""The committed study as a folder of its own, to be changed, and its page."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from vl_convert import vegalite_to_svg

from fathom.page.content import Content, read_content
from fathom.page.opened import FOLDERS
from fathom.page.page import page

ROOT = Path(__file__).parents[1]


def copied(folder: Path) -> Path:
    """Copy params.yaml and the small folders of the committed study into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / "params.yaml", folder / "params.yaml")
    for one in FOLDERS:
        shutil.copytree(ROOT / one, folder / one)
    return folder


def content_of(study: Path) -> Content:
    """Read a study as `fathom report` does in its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study)
        return read_content(*FOLDERS)


def page_of(study: Path, *, fresh: bool = False) -> str:
    """Return the page of a study; `fresh`: charts that were drawn before are drawn again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study)
        if not fresh:
            patch.setattr(
                "fathom.page.drawing.vl_convert.vegalite_to_svg",
                lambda one: _drawn(json.dumps(one)),
            )
        return page(read_content(*FOLDERS))


@cache
def _drawn(specification: str, draw: Callable[[object], str] = vegalite_to_svg) -> str:
    """Draw a chart once: most are the same on all pages, and they take most of the time."""
    return draw(json.loads(specification))


def edit_params(study: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = study / "params.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(params)
    file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def edit_json(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def rename_slide(study: Path, name: str) -> None:
    """Call the slide, image and nuclei of the first micrograph, and its crops, `name`."""
    tables = study / "report" / "tables"

    def change(pictures: dict[str, Any]) -> None:
        for kind in ("micrographs", "new_slides"):
            pictures[kind][0] |= {"image": name, "slide": name}

    edit_json(tables / "pictures.json", change)
    crops = pd.read_csv(tables / "crops.csv")
    crops["slide"] = name
    crops["nucleus"] = [f"{name}#{number}" for number in crops["cell"]]
    crops.to_csv(tables / "crops.csv", index=False)
