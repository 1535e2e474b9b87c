"""Record the player of the landing page and the picture of the README.

    python tools/landing.py        (RAMLIB_DATA says where MNIST is; see data/README.md)

Both show the shipped model on test digits that a rule chooses, so nothing is chosen for
looking good. What they were recorded from is written into the page; a test compares it
with the model that is shipped.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import torch

from course import ROOT
from ramlib import RecurrentAttentionModel, Trace, figures
from ramlib.data import digits
from ramlib.player import render

MODEL = "mnist-6x8x8"
PRETRAINED = ROOT / "ramlib/pretrained"
PAGE = ROOT / "book/landing_player.html"
PICTURE = ROOT / "book/images/glimpses.png"
SEED = 0  # of the first locations, which are drawn uniformly
AMONG = 300  # the first test digits, of which the player shows ten
CHANGED, KEPT, WRONG = 4, 3, 3
IN_PICTURE = 5  # the README shows the first test digit of this class
COLORS = 256  # of the picture: flat areas need no more


def fingerprint(folder: Path) -> str:
    """What a recording depends on: the weights and the configuration."""
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()[:16]


def record(folder: Path, numbers: Sequence[int]) -> Trace:
    """Let the model look at some test digits, each time at its likeliest choice."""
    test = digits("mnist", "test")[numbers]
    model = RecurrentAttentionModel.from_pretrained(folder)
    return model.look(test.images, test.labels, generator=SEED)


def choose(trace: Trace) -> list[int]:
    """Choose ten episodes by a rule.

    Of those that end right, the first four whose answer changes at least twice, and the
    first three whose answer never changes; and the first three that end wrong.

    Returns:
        Their numbers, the four first.
    """
    answers, right = trace.predictions, trace.predictions[:, -1] == trace.labels
    changes = (answers[:, 1:] != answers[:, :-1]).sum(dim=1)
    groups = [right & (changes > 1), right & (changes == 0), ~right]
    firsts = zip(groups, (CHANGED, KEPT, WRONG), strict=True)
    return [n for group, some in firsts for n in group.nonzero()[:some, 0].tolist()]


def player(trace: Trace) -> str:
    """Make the player: in the order of the test set, which gives no end away."""
    chosen = choose(trace)
    shown = sorted(chosen)
    options = {"start": shown.index(chosen[0]), "play": True, "live": MODEL}
    return render(trace[shown], name="landing", **options)


def picture(folder: Path) -> tuple[bytes, list[int]]:
    """The README's picture as a small PNG, and what was read after each glimpse."""
    labels = digits("mnist", "test").labels
    firsts = [int((labels == label).nonzero()[0]) for label in range(10)]
    trace, small = record(folder, firsts), io.BytesIO()
    shown = figures.picture(figures.strip, trace, IN_PICTURE, dpi=160, colors=COLORS)
    shown.save(small, format="png", optimize=True)
    return small.getvalue(), trace.predictions[IN_PICTURE].tolist()


def main() -> int:
    """Record both, and say what they show."""
    matplotlib.use("agg")
    torch.set_num_threads(1)
    folder = PRETRAINED / MODEL
    trace = record(folder, range(AMONG))
    note = f"<!-- {MODEL} {fingerprint(folder)}, by tools/landing.py -->\n"
    PAGE.write_text(note + player(trace).rstrip() + "\n", encoding="utf-8")
    drawn, said = picture(folder)
    PICTURE.write_bytes(drawn)
    for path in (PAGE, PICTURE):
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")
    for n in choose(trace):
        print(f"test digit {n}, a {trace.labels[n]}: {trace.predictions[n].tolist()}")
    print(f"the picture shows a {IN_PICTURE}, read as {said} after each glimpse")
    return 0


if __name__ == "__main__":
    sys.exit(main())
