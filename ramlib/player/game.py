"""A game: look at dark pictures through the retina, and guess, against the model."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from IPython.display import HTML
from torch import Tensor

from ramlib import checks, figures
from ramlib.player import page
from ramlib.sensor import GlimpseSensor, retina_boxes

GRID = 1000  # places lie on a grid of 1001 × 1001 points


@checks.checked
def game(
    images: Tensor,
    labels: Tensor,
    *,
    model: str = "mnist-6x8x8",
    glimpse_size: checks.GlimpseSize,
    num_scales: checks.NumScales,
    num_glimpses: checks.NumGlimpses,
    classes: Sequence[str] | None = None,
    name: str = "game",
    title: str | None = None,
) -> HTML:
    """Show dark images, which the reader looks at, guesses, and so plays the model.

    He sees what the retina sees from the places that he picks, and no more. The model,
    which the page loads and runs, has as many looks at the same image, and the same
    first place. The game is kept in the address of the page, as a challenge to others.

    Args:
        images: (B, H, W) or (B, 1, H, W), uint8 or float in [0, 1]; one image a round.
        labels: (B,) int64, their classes.
        model: the name of the shipped model to play against.
        glimpse_size: g of its retina, in pixels.
        num_scales: S of its retina.
        num_glimpses: T, the looks at each image, the first one included.
        classes: A names; None for the digits 0 to 9.
        name: a word that tells this widget from others, the same in every run.
        title: a heading, or None.

    Returns:
        An `IPython.display.HTML`; its `data` is the HTML.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if a shape does not fit, a size is out of range, or there is no such
            class.
    """
    data = page.heading(name, title)
    pixels = page.to_bytes(checks.check_images(images))  # (B, 1, H, W)
    count = len(classes) if isinstance(classes, Sequence) else 10
    names = figures.class_names(classes, count)
    checks.check_labels(labels, count, len(pixels))
    (B, _, H, W), g, S = pixels.shape, glimpse_size, num_scales
    chance = torch.Generator().manual_seed(0)
    firsts = torch.randint(GRID + 1, (B, 2), generator=chance)
    data |= {"width": W, "height": H, "size": g, "scales": S, "steps": num_glimpses}
    data |= {"labels": labels.tolist(), "firsts": firsts.tolist()}
    data |= {"classes": names, "model": page.text("model", model)}
    shown = min(B, 4)
    places = firsts[:shown] / (GRID / 2) - 1
    alt = (
        f"{shown} dark images, of which one look shows a few pixels: sharp in the "
        "middle, coarser further out"
    )
    caption = (
        f"What one look shows of {shown} images. Where scripts run, this is a game: "
        f"look {num_glimpses} times, guess, and play against the model."
    )
    sensor = GlimpseSensor(g, S)
    picture = figures.picture(draw_looks, pixels[:shown], places, sensor, dpi=70)
    return HTML(page.widget("game", data, picture, alt, caption, pixels))


def draw_looks(images: Tensor, places: Tensor, sensor: GlimpseSensor) -> plt.Figure:
    """Draw of each image (B, 1, H, W) what one look at a place (B, 2) shows."""
    g, S, (H, W) = sensor.glimpse_size, sensor.num_scales, images.shape[-2:]
    patches = sensor(images, places).unflatten(1, (S, g, g))
    boxes = retina_boxes(places, g, S, H, W)
    shape = {"figsize": (2 * len(images), 2), "squeeze": False}
    fig, axes = plt.subplots(1, len(images), **shape)
    for i, ax in enumerate(axes[0]):
        figures.show_image(ax, torch.full((H, W), 0.24))
        for s in reversed(range(S)):  # fine over coarse
            left, top, side = boxes[i, s].tolist()
            extent = (left, left + side, top + side, top)
            ax.imshow(patches[i, s], "gray", vmin=0, vmax=1, extent=extent)
        ax.set(xlim=(0, W), ylim=(H, 0))
    return fig
