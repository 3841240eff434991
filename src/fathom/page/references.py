"""What a study is to cite, as BibTeX: fathom, its data, and the papers of what was run.

This is the only list of papers; each says which studies have to do with it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fathom.networks.interventions import Plan
from fathom.page.content import Content
from fathom.page.tried import plan_of

_LATEX = re.compile("[&%$#_]")  # what LaTeX would take for a command
Plans = tuple[Plan, ...]  # of all runs


@dataclass(frozen=True)
class Paper:
    """A reference, and whether a study has to do with it."""

    key: str
    title: str
    author: str
    year: int
    where: str  # a DOI, or an address
    concerns: Callable[[Plans, Content], bool]


def _recipe(key: str, value: object) -> Callable[[Plans, Content], bool]:
    return lambda plans, _: any(getattr(plan.recipe, key) == value for plan in plans)


def _change(rung: str) -> Callable[[Plans, Content], bool]:
    """Whether a ladder tried a change of this name, or a run has it as an intervention."""
    return lambda _, content: (
        any(rung in run.interventions for run in content.runs.values())
        or any(
            one["name"] == f"{network}-{rung}"
            for network, verdict in content.verdicts.items()
            for one in verdict["rungs"]
        )
    )


def _any(*of: Callable[[Plans, Content], bool]) -> Callable[[Plans, Content], bool]:
    return lambda plans, content: any(one(plans, content) for one in of)


PAPERS = (
    Paper(
        "he2016residual",
        "Deep residual learning for image recognition",
        "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
        2016,
        "10.1109/CVPR.2016.90",
        lambda plans, content: (
            "depth.csv" in content.plots or any("res(" in plan.line for plan in plans)
        ),
    ),
    Paper(
        "glorot2010difficulty",
        "Understanding the difficulty of training deep feedforward neural networks",
        "Glorot, Xavier and Bengio, Yoshua",
        2010,
        "https://proceedings.mlr.press/v9/glorot10a.html",
        _recipe("initialisation", "glorot"),
    ),
    Paper(
        "he2015delving",
        "Delving deep into rectifiers: surpassing human-level performance on ImageNet "
        "classification",
        "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
        2015,
        "10.1109/ICCV.2015.123",
        _any(_recipe("initialisation", "he"), _change("he-init")),
    ),
    Paper(
        "mishkin2016all",
        "All you need is a good init",
        "Mishkin, Dmytro and Matas, Jiri",
        2016,
        "10.48550/arXiv.1511.06422",
        _any(_recipe("initialisation", "lsuv"), _change("lsuv")),
    ),
    Paper(
        "ioffe2015batch",
        "Batch normalization: accelerating deep network training by reducing internal covariate "
        "shift",
        "Ioffe, Sergey and Szegedy, Christian",
        2015,
        "https://proceedings.mlr.press/v37/ioffe15.html",
        _any(_recipe("norm", "batch"), _change("batchnorm")),
    ),
    Paper(
        "wu2018group",
        "Group normalization",
        "Wu, Yuxin and He, Kaiming",
        2018,
        "10.1007/978-3-030-01261-8_1",
        _recipe("norm", "group"),
    ),
    Paper(
        "kingma2015adam",
        "Adam: a method for stochastic optimization",
        "Kingma, Diederik P. and Ba, Jimmy",
        2015,
        "10.48550/arXiv.1412.6980",
        _recipe("optimiser", "adam"),
    ),
    Paper(
        "srivastava2014dropout",
        "Dropout: a simple way to prevent neural networks from overfitting",
        "Srivastava, Nitish and Hinton, Geoffrey and Krizhevsky, Alex and Sutskever, Ilya and "
        "Salakhutdinov, Ruslan",
        2014,
        "https://jmlr.org/papers/v15/srivastava14a.html",
        lambda plans, _: any(plan.recipe.dropout > 0 for plan in plans),
    ),
    Paper(
        "holm1979simple",
        "A simple sequentially rejective multiple test procedure",
        "Holm, Sture",
        1979,
        "https://www.jstor.org/stable/4615733",
        lambda _, content: len(content.results) > 1,
    ),
)


def bibtex(content: Content) -> str:
    """Return what to cite: fathom itself, what params name, and the papers of what was run."""
    version = content.study.get("versions", {}).get("fathom", "")
    package: Mapping[str, Any] = content.params["package"]
    plans = tuple(plan for name in content.runs if (plan := plan_of(content, name)))
    entries = [
        _entry(
            "fathom",
            title="fathom: how deep should a network be for your nuclei?",
            author="{The fathom developers}",
            note=f"Version {version}" if version else "",
        ),
        *(
            _entry(
                f"cited{number}",
                title=_LATEX.sub(r"\\\g<0>", cited["text"]),
                doi=cited.get("doi", ""),
                url=cited.get("url", ""),
            )
            for number, cited in enumerate(package["citations"], start=1)
        ),
        *(_paper(paper) for paper in PAPERS if paper.concerns(plans, content)),
    ]
    return "\n\n".join(entries)


def _paper(paper: Paper) -> str:
    where = "url" if paper.where.startswith("https:") else "doi"
    return _entry(
        paper.key,
        title=paper.title,
        author=paper.author,
        year=str(paper.year),
        **{where: paper.where},
    )


def _entry(key: str, **fields: str) -> str:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@misc{{{key},\n{lines}\n}}"
