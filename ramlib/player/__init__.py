"""Widgets for a page: the glimpse player, a draggable retina, sliding estimates.

Each is one self-contained piece of HTML that works in the rendered book, in a notebook
without a kernel, in Colab, and in a file opened from disk.  None of them knows a model.
"""

from ramlib.player.glimpses import render, show
from ramlib.player.retina import retina
from ramlib.player.samples import samples

__all__ = ["render", "retina", "samples", "show"]
