"""Record the game and the lesson of the page "Play".

    python tools/play.py           (RAMLIB_DATA says where MNIST is; see data/README.md)

The game is played on the first images of the test set of the shipped model named below,
so nothing is chosen. A test compares both records with the widgets of today.
"""

from __future__ import annotations

import sys

import matplotlib

from course import ROOT
from ramlib import player
from ramlib.experiments import EXPERIMENTS, PRESETS

MODEL, IMAGES = "cluttered60-6x12x12", 24
GAME, LESSON = ROOT / "book/play_game.html", ROOT / "book/play_lesson.html"


def game(images, labels) -> str:
    """Make the game of some images, with the retina and the looks of the model."""
    c = PRESETS[EXPERIMENTS[MODEL][0]].model
    sizes = {"glimpse_size": c.glimpse_size, "num_scales": c.num_scales}
    sizes |= {"num_glimpses": c.num_glimpses}
    return player.game(images, labels, model=MODEL, name="game", **sizes).data


def lesson() -> str:
    """Make the widget in which a small model learns."""
    return player.learn(name="lesson").data


def main() -> int:
    """Record both."""
    matplotlib.use("agg")
    test = PRESETS[EXPERIMENTS[MODEL][0]].images.fixed("test")[:IMAGES]
    made = {GAME: game(test.images, test.labels), LESSON: lesson()}
    for path, html in made.items():
        path.write_text(html.rstrip() + "\n", encoding="utf-8")
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
