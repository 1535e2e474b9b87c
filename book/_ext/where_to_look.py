"""What the book needs beyond Jupyter Book, in a few small pieces.

- The source folder is the repository's root, so that ``jupyter-book build book/`` reads
  the chapters where they are: no links and no copies.
- MathJax is one local file, so that no page asks another machine for anything.
- The badge of a chapter's first cell is a local picture on the page, and the solutions
  that fold away are called so.
- Figures come from the records, ``metrics.json``, and are never typed: a page says
  ``{{ shipped["NAME"].errors.mean }}`` for the test error of a protocol, or
  ``{{ results }}`` and ``{{ paper["TASK"] }}`` for the tables. So does the time that a
  chapter takes, from its facts box: ``{{ minutes[2] }}``, and ``{{ workload }}`` for
  all.
- Thebe (live cells, which Jupyter Book always loads) is left out: it declares its
  constants twice on every page, and could only fetch its script from elsewhere.
- MathJax is left out of a page without a formula.
- A picture stands on a paper of its own, and scrolls there where a screen is narrow.
- ``icons`` keeps of the theme's icon font what is used, ``terms`` links the glossary.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError

import icons
import live_scripts
import paper_tables as tables
import terms

ROOT = Path(__file__).resolve().parents[2]

BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
LOCAL_BADGE = "/book/images/open-in-colab.svg"  # from the source folder

MATHJAX_PACKAGE = "sphinx-mathjax-offline"
# Every TeX extension and the letters in one file. The shorter tex-svg.js asks for more
# files at the first \boldsymbol.
MATHJAX_FILE = "sphinx-mathjax-offline/static/mathjax/tex-svg-full.js"


def copy_mathjax(app) -> None:
    """Put the one file of MathJax where ``mathjax_path`` says it is."""
    if app.builder.format != "html":
        return
    try:
        package = importlib.metadata.distribution(MATHJAX_PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise ExtensionError(
            f"{MATHJAX_PACKAGE} is not installed; run pip install -r requirements.txt"
        ) from error
    target = Path(app.outdir) / "_static" / app.config.mathjax_path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(package.locate_file(MATHJAX_FILE), target)


def write_live_scripts(app) -> None:
    """Write what the live widgets load: the engine, digits, and each shipped model."""
    if app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / "live"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in live_scripts.scripts().items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")


def records() -> dict[str, dict]:
    """Read every record.

    The test error of every protocol over the seeds is added, as text, as ``errors``,
    and the run whose weights are shipped as ``own``.
    """
    found = {}
    for path in sorted((ROOT / "ramlib/pretrained").glob("*/metrics.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        seeds = [run["seed"] for run in record["runs"]]
        own = record["runs"][seeds.index(record["shipped"])]
        errors = {k: tables.spread(v["errors"]) for k, v in record["test"].items()}
        found[path.parent.name] = {**record, "own": own, "errors": errors}
    return found


def workloads() -> dict[int, dict[str, str]]:
    """Read the title and the times of every chapter from its first two cells."""
    asked = {
        "title": r"# \d+\. (.+)",
        "reading": r"\*\*Reading\*\* (\d+) minutes",
        "exercises": r"\*\*Exercises\*\* about (\d+) minutes",
        "running": r"\*\*Running\*\* about (\d+) seconds",
    }
    found = {}
    for path in sorted((ROOT / "chapters").glob("[0-9][0-9]_*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"][:2]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
        times = {name: re.search(words, text)[1] for name, words in asked.items()}
        found[int(path.name[:2])] = {"path": f"../chapters/{path.name}", **times}
    return found


def workload_table(chapters: dict[int, dict[str, str]]) -> str:
    """Give the times of every chapter and their sums, as Markdown."""
    lines = [
        "| chapter | reading, minutes | exercises, minutes | running, seconds |",
        "|---|--:|--:|--:|",
    ]
    kinds = ("reading", "exercises", "running")
    for number, one in chapters.items():
        times = " | ".join(one[kind] for kind in kinds)
        lines.append(f"| [{number}. {one['title']}]({one['path']}) | {times} |")
    sums = [str(sum(int(one[kind]) for one in chapters.values())) for kind in kinds]
    return "\n".join([*lines, f"| together | {' | '.join(sums)} |"])


def use_records(app, config) -> None:
    """Let the pages take their figures from the records, and from the chapters."""
    shipped, chapters = records(), workloads()
    config.myst_substitutions = {
        "minutes": {number: one["reading"] for number, one in chapters.items()},
        "shipped": shipped,
        "changes": tables.changes_table(shipped),
        "results": tables.results_table(shipped),
        "times": tables.time_table(shipped),
        "paper": {task: tables.paper_table(task, shipped) for task in tables.PAPER},
        "workload": workload_table(chapters),
    }


def prepare_chapter(app, docname: str, source: list[str]) -> None:
    """Show the badge from the book's own pictures, and call a folded solution one."""
    if not docname.startswith("chapters/"):
        return
    chapter = json.loads(source[0].replace(BADGE, LOCAL_BADGE))
    for cell in chapter["cells"]:
        if "solution" in cell["metadata"].get("tags", []):
            cell["metadata"].setdefault("mystnb", {}).update(
                code_prompt_show="Show the solution in code",
                code_prompt_hide="Hide the solution",
            )
    source[0] = json.dumps(chapter)


def skip_bare_fields(app, what, name, member, skip, options) -> bool | None:
    """The fields of a named tuple say nothing beyond their names, which stand above."""
    bare = (getattr(member, "__doc__", None) or "").startswith("Alias for field number")
    return True if bare else None


def leave_thebe_out(app) -> None:
    """Take sphinx-thebe's steps out of the build: it has no switch of its own."""
    for listeners in app.events.listeners.values():
        theirs = [one for one in listeners if one.handler.__module__ == "sphinx_thebe"]
        for listener in theirs:
            listeners.remove(listener)
    styles = app.registry.css_files
    styles[:] = [one for one in styles if one[0] != "sphinx-thebe.css"]


def leave_mathjax_out(app, pagename, templatename, context, doctree) -> None:
    """Take MathJax from a page without a formula: a page above chapters has it too."""
    if 'class="math' not in context.get("body", ""):
        scripts = context["script_files"]
        scripts[:] = [one for one in scripts if "mathjax" not in f"{one}".lower()]


def give_pictures_paper(app, doctree, docname: str) -> None:
    """Put the picture of a figure into a box, which its caption stays out of."""
    for picture in list(doctree.findall(nodes.image)):
        if isinstance(picture.parent, nodes.figure):
            box = nodes.compound(classes=["book-paper"])
            picture.replace_self(box)
            box += picture


def setup(app) -> dict:
    """Connect the pieces."""
    app.srcdir = type(app.srcdir)(ROOT)
    app.connect("config-inited", lambda app, config: leave_thebe_out(app))
    app.connect("config-inited", use_records)
    app.connect("builder-inited", copy_mathjax)
    app.connect("builder-inited", write_live_scripts)
    app.connect("source-read", prepare_chapter)
    app.connect("autodoc-skip-member", skip_bare_fields)
    app.connect("doctree-resolved", give_pictures_paper)
    app.connect("html-page-context", leave_mathjax_out, priority=900)
    icons.setup(app)
    terms.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
