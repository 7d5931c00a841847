"""How Sphinx makes the site from the pages that docs/make_site.py gathers. Nothing here, and
nothing on the pages, asks the network for anything."""

import itertools
import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import tlcourse

project = "Transfer learning, measured"
author = "The tlcourse authors"
version = release = tlcourse.__version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["README.md"]
# The stored outputs are what was measured; to build a page is not to run a chapter.
nb_execution_mode = "off"
nb_merge_streams = True
# Widgets would load their script from elsewhere.
nb_ipywidgets_js = {}
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# Browsers read MathML. Sphinx's own choice is a script from elsewhere.
html_math_renderer = "mathml"


def _inline(self, node: nodes.math) -> None:
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block(self, node: nodes.math_block) -> None:
    self.body.append(f"<div class='math'>{tex2mathml(node.astext(), as_block=True)}</div>")
    raise nodes.SkipNode


def as_rst(lines: list[str]) -> list[str]:
    """A docstring as Sphinx reads it: ours are written as Markdown, but for their sections."""
    found, kinds, kind = [], [], ""
    for line in lines:
        if line.lstrip().startswith(">>>") or (kind == "example" and line.strip()):
            kind = "example"
        else:
            kind = "table" if line.startswith("|") else "prose"
        kinds.append(kind)
    for kind, group in itertools.groupby(zip(kinds, lines, strict=True), key=lambda pair: pair[0]):
        block = [line for _, line in group]
        if kind == "prose":
            block = _escaped("\n".join(block)).split("\n")
        elif kind == "table":
            block = _table(block)
        found += block
    return found


def _table(lines: list[str]) -> list[str]:
    head, _, *body = ([cell.strip() for cell in line.strip("| ").split("|")] for line in lines)
    found = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *body):
        found += [f"   {' ' if n else '*'} - {_escaped(cell)}" for n, cell in enumerate(row)]
    return found


def _escaped(text: str) -> str:
    prose, _, code = (re.split(r"(`+)([^`]+)\1", text)[start::3] for start in range(3))
    found = _plain(prose[0])
    for inside, after in zip(code, prose[1:], strict=True):
        # Where a letter comes next, a backslash and a blank end the code.
        found += f"``{inside}``" + ("\\ " if after[:1].isalnum() else "") + _plain(after)
    return found


def _plain(text: str) -> str:
    # Of two names for one field, Sphinx would take the first for a type.
    text = re.sub(r"(?m)^( {4})(\w+), (\w+): ", r"\1\2/\3: ", text)
    return re.sub(r"(\*\w[^*]*\w\*)|([|*])", lambda m: m[1] or "\\" + m[2], text)


def _read(app, what, name, thing, options, lines) -> None:
    lines[:] = as_rst(lines)


def setup(app) -> None:
    # Before napoleon, which makes reStructuredText of the sections.
    app.connect("autodoc-process-docstring", _read, priority=100)
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
