"""A retina to drag over an image, with what it sees at every scale."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML

from ramlib import figures
from ramlib.checks import check_images
from ramlib.player import page
from ramlib.sensor import GlimpseSensor


def retina(
    image,
    *,
    glimpse_size: int = 8,
    num_scales: int = 1,
    start: tuple[float, float] = (0.0, 0.0),
    name: str = "retina",
    title: str | None = None,
) -> HTML:
    """Show an image with a retina that the reader drags, or moves with the keys.

    What each scale sees is computed on the page, in single precision and rounded as
    `ramlib.sensor.corner` rounds, so it equals what the sensor gives for the location
    that is shown (in steps of 0.01).

    Args:
        image: (H, W), (1, H, W) or (3, H, W), uint8 or float in [0, 1]; a tensor or an
            array.
        glimpse_size: g, the side of the finest patch, in pixels.
        num_scales: S.
        start: (x, y) in [-1, 1]², where the retina is at first.
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
    wanted = f"start is {start!r}; give (x, y), two numbers from -1 to 1"
    try:
        x, y = torch.as_tensor(start, dtype=torch.float64).tolist()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(wanted) from None
    if not (abs(x) <= 1 and abs(y) <= 1):  # written so that NaN fails too
        raise ValueError(wanted)
    x, y = place = [round(x, 2), round(y, 2)]
    (H, W), g, S = pixels.shape[-2:], sensor.glimpse_size, sensor.num_scales
    data |= {"width": W, "height": H, "size": g, "scales": S, "start": place}
    covered = ", ".join(f"{g * 2**s} × {g * 2**s}" for s in range(S))
    alt = (
        f"On the left, an image of {H} × {W} pixels with the squares that the retina "
        f"covers at ({x:g}, {y:g}); on the right, what it sees at each scale"
    )
    caption = (
        f"The retina at ({x:g}, {y:g}) covers {covered} pixels. Where scripts run, you "
        "can drag it."
    )
    picture = figures.picture(draw_picture, pixels, place, sensor, dpi=70)
    return HTML(page.widget("retina", data, picture, alt, caption, pixels))


def draw_picture(images: torch.Tensor, place: list[float], sensor: GlimpseSensor):
    """Draw the image (1, C, H, W) with the retina's squares, and the patches."""
    g, S, sides = sensor.glimpse_size, sensor.num_scales, images.shape[-2:]
    patches = sensor(images, torch.tensor([place])).reshape(S, -1, g, g)
    ratios = {"width_ratios": [1.2, 0.8 * S]}
    fig, (left, right) = plt.subplots(1, 2, figsize=(3 + 2 * S, 3), **ratios)
    room = min(g * 2 ** (S - 1) / 2, 0.25 * max(sides))
    figures.show_image(left, images[0], margin=room)
    figures.draw_retina(left, place, sides, g, S)
    figures.show_patches(right, patches)
    return fig
