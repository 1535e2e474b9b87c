"""A small model that learns in the page, while its error and its paths are shown."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from IPython.display import HTML
from torch import Tensor

from ramlib import checks, figures
from ramlib.player import page

#: What is trained: the settings of a `ramlib.RAMConfig` for digits of 8 × 8 pixels.
CONFIG = {"glimpse_size": 4, "num_scales": 1, "num_channels": 1, "num_glimpses": 4}
CONFIG |= {"hidden_size": 64, "glimpse_hidden_size": 32, "num_actions": 10}
CONFIG |= {"core": "rnn", "identity_init": 0.5}
CONFIG |= {"location_hidden_size": 0, "location_std": 0.2}

TRAIN, HELD, SHOWN = 1197, 300, 8  # digits: to learn from, to examine it, in pictures


@checks.checked
def learn(
    *, seed: checks.Natural = 2, name: str = "learn", title: str | None = None
) -> HTML:
    """Train a small model in the page, on the digits that scikit-learn ships.

    A new model learns by the hybrid loss, in a worker of the page, while its error on
    300 other digits, its reward and its paths on eight of them are drawn. The reader
    changes σ, the baseline, M and the learning rate, or has it look at random places.

    Args:
        seed: of the first run; the runs after it count on from there.
        name: a word that tells this widget from others, the same in every run.
        title: a heading, or None.

    Returns:
        An `IPython.display.HTML`; its `data` is the HTML.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if the seed is out of range, or the name no plain word.
    """
    from sklearn.datasets import load_digits  # with scipy: only where it is wanted

    data = page.heading(name, title)
    pixels, labels = load_digits(return_X_y=True)
    held, truth = pixels[TRAIN : TRAIN + HELD], labels[TRAIN : TRAIN + HELD].tolist()
    shown = sorted(truth.index(label) for label in set(truth))[:SHOWN]  # all different
    images = torch.as_tensor(held[shown] / 16).reshape(-1, 1, 8, 8)
    data |= {"config": CONFIG, "seed": seed, "train": TRAIN, "held": HELD}
    data |= {"shown": shown, "truth": [truth[i] for i in shown]}
    alt = (
        f"{SHOWN} handwritten digits, {', '.join(map(str, data['truth']))}, each with "
        "the squares of four looks at random places and the path from one to the next"
    )
    caption = (
        f"{SHOWN} digits with four looks each at random places, as of a model that has "
        "learnt nothing. Where scripts run, a model learns where to look, in the page."
    )
    picture = figures.picture(draw_digits, images, seed, dpi=70)
    images = page.to_bytes(images)
    return HTML(page.widget("learn", data, picture, alt, caption, images))


def draw_digits(images: Tensor, seed: int) -> plt.Figure:
    """Draw looks at random places on each image (B, 1, 8, 8)."""
    chance = torch.Generator().manual_seed(seed)
    shape = (len(images), CONFIG["num_glimpses"], 2)
    places = torch.rand(shape, generator=chance) * 2 - 1
    fig, axes = plt.subplots(2, len(images) // 2, figsize=(6, 3))
    for ax, image, path in zip(axes.flat, images, places, strict=True):
        figures.show_image(ax, image, margin=1)
        for t, place in enumerate(path):
            color = figures.glimpse_color(t)
            figures.draw_retina(ax, place, (8, 8), CONFIG["glimpse_size"], color=color)
        figures.draw_path(ax, path, (8, 8), numbers=False, size=6)
    return fig
