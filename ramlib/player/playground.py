"""REINFORCE on one picture: samples, their arrows, and the climb that they lead to."""

from __future__ import annotations

from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML
from torch import Tensor

from ramlib import figures
from ramlib.checks import Range, check_images, checked
from ramlib.player import page
from ramlib.sensor import to_pixels

LONGEST = 32  # pixels: for each of them there is a number in the page
SEED = 1


@checked
def playground(
    image,
    *,
    start=(0.5, 0.1),
    location_std: Annotated[float, Range(0.05, 0.8)] = 0.2,
    name: str = "playground",
    title: str | None = None,
) -> HTML:
    """Show the score-function estimator at work, for the reader to play with.

    A look at one pixel is paid its brightness, and a normal policy chooses where. The
    reader moves its mean, sets σ and the baseline, drops samples, sees the arrow of
    each and their mean beside the exact gradient, and lets the mean climb.

    Args:
        image: (H, W), up to 32 x 32, uint8 or float in [0, 1]; a tensor or an array.
        start: (x, y) in [-1, 1]², the mean at first.
        location_std: σ at first, the same on both axes.
        name: a word that tells this widget from others, the same in every run.
        title: a heading, or None.

    Returns:
        An `IPython.display.HTML`; its `data` is the HTML.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if the image has another shape, or a number is out of range.
    """
    data = page.heading(name, title)
    ink = check_picture(image)
    mean = torch.tensor(page.place(start), dtype=torch.float64)
    # More digits than anything shown has, and all of a brightness in sixteenths.
    data |= {"ink": ink.numpy().round(6).tolist(), "seed": SEED}
    data |= {"mean": mean.tolist(), "std": location_std}
    samples, arrows, exact = forty(ink, mean, location_std)
    both = (v.round(decimals=2) + 0 for v in (arrows.mean(dim=0), exact))  # no -0.00
    mid, true = (f"({x:.2f}, {y:.2f})" for x, y in both)
    H, W = ink.shape
    alt = (
        f"On the left, a picture of {H} × {W} pixels with forty samples around "
        f"({mean[0]:g}, {mean[1]:g}), each with its arrow; on the right, the mean of "
        "these arrows beside the exact gradient"
    ).replace("-", "−")
    caption = (
        "Each sample pulls the mean towards itself if it paid more than the baseline, "
        f"and pushes it away if less. Together they say {mid}; the exact gradient is "
        f"{true}. Where scripts run, you can move the mean, drop samples and climb."
    ).replace("-", "−")
    drawn = ink, mean, samples, arrows, exact
    picture = figures.picture(draw_picture, *drawn, dpi=90, colors=64)
    return HTML(page.widget("playground", data, picture, alt, caption))


def check_picture(image) -> Tensor:
    """Bring a small grey image to (H, W), float64 in [0, 1]."""
    image = image if torch.is_tensor(image) else torch.as_tensor(np.asarray(image))
    if image.dim() != 2 or max(image.shape) > LONGEST:
        has = f"the image has shape {tuple(image.shape)}"
        raise ValueError(f"{has}; give (H, W), up to {LONGEST} × {LONGEST} pixels")
    pixels = check_images(image)[0, 0].detach().cpu()
    return pixels.double() / (255 if pixels.dtype == torch.uint8 else 1)


def forty(ink: Tensor, mean: Tensor, std: float) -> tuple[Tensor, Tensor, Tensor]:
    """Draw forty samples (40, 2); give their arrows (40, 2), and the exact gradient.

    The baseline of the arrows is the expected reward.
    """
    (H, W), mean = ink.shape, mean.clone().requires_grad_()
    J = chances(mean[1], H, std) @ ink @ chances(mean[0], W, std)
    noise = torch.randn(40, 2, generator=torch.Generator().manual_seed(SEED)).double()
    samples = mean.detach() + std * noise
    column, row = to_pixels(samples.clamp(-1, 1), H, W).long().unbind(-1)
    paid = ink[row.clamp(max=H - 1), column.clamp(max=W - 1)]
    arrows = (paid - J.detach())[:, None] * noise / std
    return samples, arrows, torch.autograd.grad(J, mean)[0]


def chances(mean: Tensor, parts: int, std: float) -> Tensor:
    """Give the chance of each of equal parts of [-1, 1], the outer ones with tails.

    It is of shape (..., parts), for means of shape (...).
    """
    edges = torch.linspace(-1, 1, parts + 1, dtype=mean.dtype)
    edges[0], edges[-1] = -torch.inf, torch.inf
    return torch.special.ndtr((edges - mean[..., None]) / std).diff()


def draw_picture(ink, mean, samples, arrows, exact) -> plt.Figure:
    """Draw samples with their arrows, and the mean arrow beside the exact gradient."""
    sides, longest = ink.shape, max(ink.shape)
    blue, orange, purple = figures.SERIES_COLORS[:3]
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.2))
    figures.show_image(left, ink, margin=0.1 * longest)
    # Every arrow says where the mean should go: on to its sample, or back from there.
    on = (arrows * (samples - mean)).sum(dim=1) >= 0
    shown = {"angles": "xy", "scale_units": "xy", "zorder": 3}
    scale = arrows.norm(dim=1).max().item() / (0.3 * longest) or 1
    for some, color in ((~on, orange), (on, blue)):
        at = to_pixels(samples[some], *sides).T
        edge = {"ec": "white", "lw": 0.4, "width": 0.011, "scale": scale}
        left.quiver(*at, *arrows[some].T, color=color, **shown, **edge)
        left.plot(*at, "o", ms=5, color=color, mec="white", mew=0.7, zorder=4)
    cross = {"ms": 12, "mfc": "white", "mec": "black", "zorder": 5}
    left.plot(*to_pixels(mean, *sides), "P", **cross)
    left.set_title("Forty samples, and their arrows")
    thick = {"width": 0.016, "scale": 1}
    both = {"mean of 40 arrows": (arrows.mean(dim=0), purple)}
    both |= {"exact gradient": (exact, figures.INK)}
    for label, (arrow, color) in both.items():
        right.quiver(0, 0, *arrow, color=color, label=label, **shown, **thick)
    reach = 1.2 * max(arrow.abs().max().item() for arrow, _ in both.values()) or 1
    right.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")
    right.set(xlabel="x", ylabel="y")
    right.axhline(0, lw=0.6, color=figures.MUTED)
    right.axvline(0, lw=0.6, color=figures.MUTED)
    right.legend(loc="lower right", fontsize=7.5)
    right.set_title("Their mean, beside the gradient")
    return fig
