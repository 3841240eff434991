"""The docs as a site: `make docs` builds it into site/, without a network, warnings as errors."""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "fathom"
author = "The fathom developers"
copyright = "the fathom developers, MIT licence"
language = "en"

extensions = ["myst_parser"]
root_doc = "index"
source_suffix = {".md": "markdown"}

# Headings have the anchors that GitHub gives them, so that a link works in both places.
myst_heading_anchors = 4
# Blocks without a language are commands and what they print.
highlight_language = "none"

html_theme = "furo"  # system fonts, its own files alone: nothing is fetched by a reader's browser
html_title = "fathom"
html_static_path: list[str] = []
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None


def setup(app: Sphinx) -> None:
    """Show the graph of stages as its text: GitHub draws it, by a script from the network."""
    app.add_lexer("mermaid", TextLexer)
