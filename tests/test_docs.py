"""The docs are what the code is: generated pages, links, words of commands, and the site itself."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
import typer
from markdown_it import MarkdownIt
from planted_causes import tally
from test_pipeline import ENVIRONMENT

from fathom.cli import app
from fathom.commands.examples import EXAMPLES
from fathom.commands.words import EXIT_CODES, Exit
from fathom.diagnosis.causes import CAUSES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
COMMANDS = typer.main.get_command(app).commands

sys.path.append(str(DOCS))
import reference  # noqa: E402


def name_of(page):
    return str(page.relative_to(ROOT))


def tokens_of(page):
    """Yield the tokens of a page, those inside of paragraphs and cells too."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def anchors_of(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = (re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize(
    ("page", "written"),
    [
        (reference.PARAMS, reference.params_page),
        (reference.COMMAND_LINE, reference.command_line_page),
    ],
    ids=["params", "command-line"],
)
def test_a_generated_page_is_what_the_code_says(page, written):
    assert page.read_text(encoding="utf-8") == written(), "run 'python docs/reference.py'"


def test_every_param_has_a_meaning_and_what_is_allowed():
    page = reference.PARAMS.read_text(encoding="utf-8")
    tables = page.split("| key | as committed | allowed | meaning |")[1:]
    assert len(tables) > 10
    for table in tables:
        for row in table.partition("\n\n")[0].splitlines()[2:]:
            key, _, what, meaning = re.split(
                r"(?<!\\) \| ", row.removesuffix(" |").strip("| ") + " "
            )[:4]
            assert what.strip(), key
            assert meaning.strip(), key


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings_that_are_there(page):
    for token in tokens_of(page):
        target = token.attrGet("href") or token.attrGet("src")
        if not target or re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        other = (page.parent / file).resolve() if file else page
        assert other.exists(), target
        if anchor and other.suffix == ".md":
            assert anchor in anchors_of(other), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_command_in_running_text_has_the_words_of_the_command_line(page):
    for token in tokens_of(page):
        if token.type != "code_inline" or not token.content.startswith("fathom "):
            continue
        name, *words = token.content.split()[1:]
        if name == "COMMAND" or name.startswith("--"):
            continue
        assert name in COMMANDS, token.content
        options = {option for param in COMMANDS[name].params for option in param.opts} | {"--help"}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= options, token.content


def test_every_page_is_reached_from_the_first():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```$", index, re.MULTILINE | re.DOTALL)
    listed = [line for tree in trees for line in tree.splitlines() if re.fullmatch(r"[\w-]+", line)]
    assert sorted(listed) == sorted(page.stem for page in DOCS.glob("*.md") if page.stem != "index")


def test_readme_keeps_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


SCORED = (3, 4)  # seeds of the planted causes that were run once, by rules that had not seen them


def scored(seed: int) -> pd.DataFrame:
    """Return the planted causes of a seed."""
    cases = pd.read_csv(DOCS / "planted-causes.csv", keep_default_na=False)
    return cases[cases["seed"] == seed]


def test_the_science_page_has_every_cause_and_what_was_measured_of_it():
    page = (DOCS / "science.md").read_text(encoding="utf-8")
    measured = r"(\d+ of \d+|no harm|not planted)"
    rows = re.findall(rf"^\| ([^|]+) \| [^|]+ \| [^|]+ \| {measured} \|$", page, re.M)
    cases = scored(SCORED[-1])
    assert [cause for cause, _ in rows] == [*(cause.name for cause in CAUSES), "nothing to learn"]
    for cause, said in rows:
        planted = cases[cases["accepted"].str.split(" | ", regex=False).str[0] == cause]
        counted = planted[planted["result"] != "did no harm"]
        right = (counted["result"] == "right").sum()
        unmeasured = "no harm" if len(planted) else "not planted"
        assert said == (f"{right} of {len(counted)}" if len(counted) else unmeasured), cause
    healthy = cases[cases["accepted"] == "healthy"]
    assert (healthy["result"] == "right").all()
    assert f"Of {len(healthy)} healthy networks none" in page


@pytest.mark.parametrize("seed", SCORED)
def test_the_page_of_planted_causes_has_the_tally_of_its_table(seed):
    page = (DOCS / "planted-causes.md").read_text(encoding="utf-8")
    after = page.partition(f"<!-- planted-causes.csv, seed {seed} -->\n")[2]
    assert after.partition("\n<!-- end -->")[0] == tally(scored(seed))


def test_the_exit_codes_are_documented_once_each():
    page = reference.COMMAND_LINE.read_text(encoding="utf-8")
    assert set(EXIT_CODES) == set(Exit)
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == list(Exit)


def test_every_command_has_examples_of_itself():
    assert set(EXAMPLES) == set(COMMANDS)
    for name, examples in EXAMPLES.items():
        assert all(example.startswith(f"fathom {name}") for example in examples)


BUILD = """
import socket, sys
from sphinx.cmd.build import main

def refused(*of, **words):
    raise OSError("the docs are built without a network")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refused
sys.exit(main(sys.argv[1:]))
"""
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//|<link\b[^>]*stylesheet[^>]*href=\"(?:https?:)?//"
)


@pytest.mark.long
def test_the_site_is_built_without_a_network_and_fetches_nothing(tmp_path):
    options = (
        "--quiet",
        "--fail-on-warning",
        "--nitpicky",
        "--doctree-dir",
        str(tmp_path / "trees"),
    )
    command = [sys.executable, "-c", BUILD, *options, str(DOCS), str(tmp_path / "site")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = sorted((tmp_path / "site").glob("*.html"))
    assert {page.stem for page in built} >= {page.stem for page in DOCS.glob("*.md")}
    for page in built:
        assert not FETCHED.search(page.read_text(encoding="utf-8")), page.name
