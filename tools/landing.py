"""Record the player of the landing page and the picture of the README.

    python tools/landing.py        (RAMLIB_DATA says where MNIST is; see data/README.md)

Both show the shipped model on the first test digit of each class, so nothing is chosen
for looking good. What they were recorded from is written into the page; a test compares
it with the model that is shipped.
"""

from __future__ import annotations

import hashlib
import io
import sys
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
IN_PICTURE = 5  # the digit that the README shows
COLORS = 256  # of the picture: flat areas need no more


def fingerprint(folder: Path) -> str:
    """What a recording depends on: the weights and the configuration."""
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()[:16]


def record(folder: Path) -> Trace:
    """Let the model look at the first test digit of each class, from 0 to 9."""
    test = digits("mnist", "test")
    chosen = [int((test.labels == label).nonzero()[0]) for label in range(10)]
    model = RecurrentAttentionModel.from_pretrained(folder)
    return model.look(test.images[chosen], test.labels[chosen], generator=SEED)


def picture(trace: Trace) -> bytes:
    """The episode of one digit as a small PNG."""
    small = io.BytesIO()
    shown = figures.picture(figures.strip, trace, IN_PICTURE, dpi=160, colors=COLORS)
    shown.save(small, format="png", optimize=True)
    return small.getvalue()


def main() -> int:
    """Record both, and say what they show."""
    matplotlib.use("agg")
    torch.set_num_threads(1)
    folder = PRETRAINED / MODEL
    trace = record(folder)
    html = render(trace, name="landing")
    note = f"<!-- {MODEL} {fingerprint(folder)}, by tools/landing.py -->\n"
    PAGE.write_text(note + html.rstrip() + "\n", encoding="utf-8")
    PICTURE.write_bytes(picture(trace))
    right = int((trace.predictions[:, -1] == trace.labels).sum())
    print(f"{PAGE.name}: {PAGE.stat().st_size / 1024:.0f} KB, {right} of 10 are right")
    print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1024:.0f} KB")
    said = trace.predictions[IN_PICTURE].tolist()
    print(f"the picture shows a {IN_PICTURE}, read as {said} after each glimpse")
    return 0


if __name__ == "__main__":
    sys.exit(main())
