"""What every chapter shares: the public address, the badge, and the set-up cell.

The address of the repository is written once, in ``_config.yml``; the badge and the
set-up cell are made from it here. ``tests/test_notebooks.py`` holds every chapter to
these texts, and ``make address`` rewrites them all at once.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ROOT / "chapters"
CONFIG = ROOT / "_config.yml"

BADGE_IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"

SETUP_CELL = """\
try:
    import ramlib.figures
except ImportError:  # in Colab: install once, keeping Colab's own PyTorch
    %pip install -q git+{address}
    import ramlib.figures

import matplotlib.pyplot as plt
import numpy as np
import torch

ramlib.figures.style()
torch.set_num_threads(1)"""


def address(config: Path = CONFIG) -> str:
    """The public address: ``repository: url:`` of ``_config.yml``, without a slash."""
    found = re.search(
        r"^repository:\n(?:[ \t]+.*\n)*?[ \t]+url:[ \t]*(\S+)",
        config.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    if not found:
        raise ValueError(f"{config} has no repository: url:")
    return found.group(1).rstrip("/")


def owner_and_name(url: str) -> tuple[str, str]:
    """Split ``https://github.com/owner/name`` into its owner and its name."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", url)
    if not found:
        raise ValueError(
            f"{url!r} is not an address of the form https://github.com/owner/name"
        )
    return found.group(1), found.group(2)


def book_address(url: str) -> str:
    """Where GitHub Pages serves the book of the repository at ``url``."""
    owner, name = owner_and_name(url)
    return f"https://{owner.lower()}.github.io/{name}/"


def setup_cell(url: str | None = None) -> str:
    """The text of the set-up cell, the same in every chapter."""
    return SETUP_CELL.format(address=url or address())


def colab_address(path: str, url: str | None = None) -> str:
    """Where Colab opens the notebook at ``path`` (relative to the repository)."""
    owner, name = owner_and_name(url or address())
    return f"https://colab.research.google.com/github/{owner}/{name}/blob/main/{path}"


def badge(path: str, url: str | None = None) -> str:
    """The Markdown of the Colab badge that stands under a chapter's title."""
    return f"[![Open in Colab]({BADGE_IMAGE})]({colab_address(path, url)})"


def pages() -> list[str]:
    """Every page that ``_toc.yml`` names, in its order, without its ending."""
    text = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    return re.findall(r"^[ -]*(?:root|file): *(\S+)", text, flags=re.MULTILINE)


# How long a reader takes: words a minute, and seconds for each of the others.
PROSE, LINE, FORMULA, PICTURE = 180, 6, 20, 45
FOLDED = {"hide-cell", "hide-input"}  # tags of what is read only by who asks for it
MINUTES = re.compile(r"(?<=\*\*Reading\*\* )\d+(?= minutes)")  # in the facts box


def words(source: str) -> int:
    """Words that a reader reads: a formula is one, tags and addresses are none."""
    source = re.sub(r"```.*?```", " ", source, flags=re.DOTALL)
    source = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", " formula ", source, flags=re.DOTALL)
    source = re.sub(r"\]\([^)]*\)", "] ", source)
    source = re.sub(r"<[^>]+>", " ", source)
    return len(re.findall(r"\w[\w’'.,-]*", source))


def folded(cell) -> bool:
    """Say whether a cell's code is shown only to who asks for it."""
    return bool(FOLDED & set(cell["metadata"].get("tags", [])))


def reading_minutes(cells: list) -> int:
    """Reckon how long an executed chapter takes to read, without its exercises."""
    seconds = 0.0
    for cell in cells:
        source = cell["source"]
        if cell["cell_type"] == "markdown":
            if source.startswith("## Exercises"):
                break
            formulas = source.count("$$") // 2
            seconds += (words(source) - formulas) * 60 / PROSE + formulas * FORMULA
            continue
        if not folded(cell):
            seconds += LINE * sum(bool(line.strip()) for line in source.splitlines())
        kinds = [set(output.get("data", {})) for output in cell["outputs"]]
        seconds += PICTURE * sum(bool({"image/png", "text/html"} & k) for k in kinds)
    return round(seconds / 60)


def notebooks() -> list[Path]:
    """Every chapter, in order."""
    return sorted(CHAPTERS.glob("[0-9][0-9]_*.ipynb"))


def main(arguments: list[str]) -> int:
    """Print the cells that a new chapter begins with."""
    if len(arguments) != 1 or not re.fullmatch(r"\d\d_[a-z0-9_]+", arguments[0]):
        print("usage: python tools/course.py NN_name, as in 03_glimpse_network")
        return 2
    number, _, name = arguments[0].partition("_")
    print(f"# {int(number)}. {name.replace('_', ' ').capitalize()}\n")
    print(badge(f"chapters/{arguments[0]}.ipynb"))
    print("\n**The one question that this chapter answers?**\n\n---\n")
    print(setup_cell())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
