"""Widgets for a page: players of glimpses, and things to move, play and train.

Each is one self-contained piece of HTML that works in the rendered book, in a notebook
without a kernel, in Colab, and in a file opened from disk.  None of them knows a model.
"""

from ramlib.player.game import game
from ramlib.player.glimpses import render, show
from ramlib.player.learn import learn
from ramlib.player.playground import playground
from ramlib.player.retina import retina

__all__ = ["game", "learn", "playground", "render", "retina", "show"]
