"""A retina to drag over an image, with what it sees at every scale."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import HTML

from ramlib import figures
from ramlib.checks import check_images
from ramlib.player import page
from ramlib.sensor import GlimpseSensor

# One for each scale; every one has a contrast of at least 3 to black and to white.
SCALE_COLORS = figures.SERIES_COLORS[:5]


def retina(
    image,
    *,
    glimpse_size: int = 8,
    num_scales: int = 1,
    start: tuple[float, float] | None = None,
    name: str = "retina",
    title: str | None = None,
) -> HTML:
    """Show an image with a retina that the reader drags, or moves with the keys.

    What each scale sees is computed on the page, in single precision and rounded as
    `ramlib.sensor.corner` rounds, so it equals what the sensor gives for the location
    that is shown (in steps of 0.01). The reader points at a cell of a patch to see the
    block of pixels that it averages, and changes g and S.

    Args:
        image: (H, W), (1, H, W) or (3, H, W), uint8 or float in [0, 1]; a tensor or an
            array.
        glimpse_size: g, the side of the finest patch, in pixels, at first.
        num_scales: S, at first.
        start: (x, y) in [-1, 1]², where the retina is at first; None for where the
            finest patch is brightest.
        name: a word that tells this widget from others, the same in every run.
        title: a heading, or None.

    Returns:
        An `IPython.display.HTML`; its `data` is the HTML.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if the image has another shape, a size is smaller than 1, or `start`
            lies outside the image.
    """
    data = page.heading(name, title)
    image = image if torch.is_tensor(image) else torch.as_tensor(np.asarray(image))
    image = image[None] if image.dim() == 2 else image
    if image.dim() != 3 or len(image) not in (1, 3):
        has = f"the image has shape {tuple(image.shape)}"
        raise ValueError(f"{has}; give (H, W), or 1 or 3 channels")
    sensor = GlimpseSensor(glimpse_size, num_scales, len(image))
    pixels = page.to_bytes(check_images(image[None], len(image)))  # (1, C, H, W)
    (C, H, W), g, S = pixels.shape[1:], sensor.glimpse_size, sensor.num_scales
    x, y = place = page.place(brightest(pixels, g) if start is None else start)
    data |= {"width": W, "height": H, "channels": C, "size": g, "scales": S}
    data |= {"start": place}
    spot = f"({x:g}, {y:g})".replace("-", "−")  # a true minus
    sides = ", ".join(f"{g * 2**s} × {g * 2**s}" for s in range(S))
    alt = (
        f"On the left, an image of {H} × {W} pixels with the squares that the retina "
        f"covers at {spot}; on the right, what it sees at each scale"
    )
    caption = f"The retina at {spot} covers {sides} pixels. Where scripts run, drag it."
    picture = figures.picture(draw_picture, pixels, place, sensor, dpi=70)
    return HTML(page.widget("retina", data, picture, alt, caption, pixels))


def brightest(images: torch.Tensor, side: int) -> list[float]:
    """Find the middle (x, y) of the brightest patch that lies in an image (1, C, H, W).

    Of several that are equally bright it is the first, by rows.
    """
    H, W = images.shape[-2:]
    h, w = min(side, H), min(side, W)
    # Sums of whole numbers in double precision are exact, so that ties are ties.
    means = F.avg_pool2d(images.sum(dim=1).double(), (h, w), stride=1)[0]
    top, left = divmod(means.argmax().item(), means.shape[1])
    return [(2 * left + w) / W - 1, (2 * top + h) / H - 1]


def draw_picture(images: torch.Tensor, place: list[float], sensor: GlimpseSensor):
    """Draw the image (1, C, H, W) with the retina's squares, and the patches."""
    g, S, sides = sensor.glimpse_size, sensor.num_scales, images.shape[-2:]
    patches = sensor(images, torch.tensor([place])).reshape(S, -1, g, g)
    ratios = {"width_ratios": [1.2, 0.8 * S]}
    fig, (left, right) = plt.subplots(1, 2, figsize=(3 + 2 * S, 3), **ratios)
    # Room for the largest square, wherever it is.
    half = g * 2**S / 4
    room = math.ceil(half) + 0.01 * (max(sides) + 2 * half)
    figures.show_image(left, images[0], margin=room)
    squares = figures.draw_retina(left, place, sides, g, S)
    shown = figures.show_patches(right, patches)
    for s, (square, patch) in enumerate(zip(squares, shown, strict=True)):
        color = SCALE_COLORS[s % len(SCALE_COLORS)]
        square.set_edgecolor(color)
        frame = {"fill": False, "ec": color, "lw": 2.5, "clip_on": False}
        right.add_patch(plt.Rectangle((patch.get_extent()[0], 0), 1, 1, **frame))
    return fig
