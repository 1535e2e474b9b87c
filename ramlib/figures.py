"""Static figures: one visual language for image, path, retina and posterior.

Every figure of the course is drawn from the same few pieces.  An image is shown in its
own pixel coordinates, so column j covers [j, j + 1) just as the sensor counts.  Glimpse
t has the colour `glimpse_color(t)` wherever it appears, and a white casing keeps its
strokes legible on any pixel.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.patheffects as effects
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ramlib.sensor import retina_boxes, to_pixels
from ramlib.trace import Trace

__all__ = [
    "ACCENT",
    "GLIMPSE_COLORS",
    "INK",
    "MUTED",
    "SERIES_COLORS",
    "draw_path",
    "draw_retina",
    "glimpse_color",
    "plot_posterior",
    "show_image",
    "show_patches",
    "strip",
    "style",
]

#: The colours of the glimpses in the order of time, from blue to brown. Hue moves one
#: way, and light and dark alternate, so that neighbours differ for every kind of colour
#: vision; each has a contrast of at least 3 to black and to white.
GLIMPSE_COLORS = (
    "#047ba2",
    "#045ea0",
    "#3a76f8",
    "#6947c4",
    "#cd49c1",
    "#b7017d",
    "#cb0467",
    "#c30046",
    "#eb3e44",
    "#b42703",
    "#bf6c01",
    "#735703",
)

INK = "#1d2430"  # text, axes, the exact value
MUTED = "#69717f"  # what stands back: guides, the other classes
ACCENT = "#0b6e99"  # the one thing to look at
PALE = "#8c96a5"  # bars that are not the point
SURROUND = "#20242b"  # what lies around the image

#: Colours of curves that are not glimpses.
SERIES_COLORS = ("#0b6e99", "#c2410c", "#5b4bb7", "#15803d", "#8a6100", "#a3175f")

_STYLE = {
    "figure.figsize": (7.0, 3.4),
    "figure.dpi": 110,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "savefig.transparent": False,
    "savefig.dpi": "figure",
    "axes.facecolor": "white",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 9.5,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#e4e7ec",
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 9.5,
    "mathtext.fontset": "dejavusans",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
}


def style() -> None:
    """Set matplotlib to the look of the course, for the rest of the program."""
    mpl.rcParams.update(_STYLE)
    mpl.rcParams["axes.prop_cycle"] = mpl.cycler(color=SERIES_COLORS)


def glimpse_color(t: int) -> str:
    """Give the colour of glimpse t, counted from 0; after twelve they come round again.

    Args:
        t: which glimpse, at least 0.

    Returns:
        The colour as ``"#rrggbb"``.

    Raises:
        ValueError: if `t` is negative.
    """
    if t < 0:
        raise ValueError(f"glimpse {t} does not exist; glimpses are counted from 0")
    return GLIMPSE_COLORS[t % len(GLIMPSE_COLORS)]


def show_image(ax: Axes, image, *, margin: float = 0, frame: bool = True):
    """Show an image in pixel coordinates, black as 0 and white as 1.

    Args:
        ax: where to draw.
        image: (H, W), (1, H, W), (3, H, W) or (H, W, 3); uint8, or float in [0, 1];
            a tensor or an array.
        margin: pixels to show around the image, to make room for a retina that reaches
            over its edge.
        frame: whether to outline the image.

    Returns:
        The matplotlib image, whose array holds numbers in [0, 1].

    Raises:
        ValueError: if the shape is none of these.
    """
    pixels = _pixels(image)  # (H, W) or (H, W, 3), in [0, 1]
    height, width = pixels.shape[:2]
    shown = ax.imshow(
        pixels,
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=(0, width, height, 0),  # column j covers [j, j + 1)
        interpolation="nearest",
    )
    ax.set_facecolor(SURROUND)
    ax.set(xticks=[], yticks=[])
    ax.set_xlim(-margin, width + margin)
    ax.set_ylim(height + margin, -margin)
    ax.spines[:].set_visible(False)
    if frame and margin:
        outline = Rectangle((0, 0), width, height, fill=False, lw=0.8, ec="#8b94a3")
        ax.add_patch(outline)
    return shown


def draw_retina(
    ax: Axes,
    location,
    image_shape: Sequence[int],
    glimpse_size: int,
    num_scales: int = 1,
    *,
    color: str = GLIMPSE_COLORS[0],
    linewidth: float = 2.0,
    casing: bool = True,
) -> list[Rectangle]:
    """Draw what the retina covers: one square per scale, the finest the thickest.

    Args:
        ax: an axes that shows an image (see `show_image`).
        location: (2,), (x, y) with the image spanning [-1, 1]².
        image_shape: of the image; its last two numbers are H and W, in pixels.
        glimpse_size: g, the side of the finest patch, in pixels.
        num_scales: S.
        color: of the squares; `glimpse_color(t)` for glimpse t.
        linewidth: of the finest square, in points.
        casing: whether to put a white edge around the strokes.

    Returns:
        S rectangles, finest first, exactly where the sensor looks.
    """
    height, width = image_shape[-2:]
    location = torch.as_tensor(location, dtype=torch.float32).reshape(2)
    boxes = retina_boxes(location, glimpse_size, num_scales, height, width)  # (S, 3)
    squares = []
    for scale, (left, top, side) in enumerate(boxes.tolist()):
        thickness = linewidth * 0.8**scale
        square = Rectangle((left, top), side, side, fill=False, ec=color, lw=thickness)
        square.set_joinstyle("miter")
        if casing:
            square.set_path_effects(_casing(thickness))
        squares.append(ax.add_patch(square))
    return squares


def draw_path(
    ax: Axes,
    locations,
    image_shape: Sequence[int],
    *,
    numbers: bool = True,
    size: float = 11.0,
) -> list:
    """Draw where the model looked, in the order of time: numbered dots and lines.

    Args:
        ax: an axes that shows an image.
        locations: (T, 2), (x, y) with the image spanning [-1, 1]².
        image_shape: of the image; its last two numbers are H and W, in pixels.
        numbers: whether to write 1 … T into the dots.
        size: of a dot, in points.

    Returns:
        T marker artists in order, each at its location in pixels.
    """
    height, width = image_shape[-2:]
    places = torch.as_tensor(locations, dtype=torch.float32).reshape(-1, 2)
    pixels = to_pixels(places, height, width).tolist()  # T pairs (px, py)
    # Each line takes the colour of the glimpse that it leads to.
    for t, (start, end) in enumerate(itertools.pairwise(pixels), start=1):
        (line,) = ax.plot(
            *zip(start, end, strict=True), color=glimpse_color(t), lw=1.6, zorder=3
        )
        line.set_path_effects(_casing(1.6))
    dots = []
    for t, (px, py) in enumerate(pixels):
        (dot,) = ax.plot(
            px, py, "o", ms=size, mfc=glimpse_color(t), mec="white", mew=1, zorder=4 + t
        )
        dots.append(dot)
        if numbers:
            ax.annotate(
                str(t + 1),
                (px, py),
                ha="center",
                va="center_baseline",
                color="white",
                fontsize=size * 0.62,
                fontweight="bold",
                zorder=4 + t,
            )
    return dots


def plot_posterior(
    ax: Axes,
    probs,
    label: int | None = None,
    *,
    classes: Sequence[str] | None = None,
    color: str = ACCENT,
):
    """Plot class probabilities as bars; the most probable is filled, the label framed.

    Args:
        ax: where to draw.
        probs: (A,), probabilities.
        label: the true class, framed under its bar; None if unknown.
        classes: A names; the numbers 0 … A-1 if not given.
        color: of the most probable class.

    Returns:
        The container of A bars.
    """
    probs = np.asarray(torch.as_tensor(probs).detach().cpu(), dtype=float).reshape(-1)
    names = [str(a) for a in range(len(probs))] if classes is None else list(classes)
    if len(names) != len(probs):
        raise ValueError(
            f"{len(names)} class names for {len(probs)} probabilities; give one each"
        )
    colors = [PALE] * len(probs)
    colors[int(probs.argmax())] = color
    bars = ax.bar(range(len(probs)), probs, color=colors, width=0.78)
    ax.set(ylim=(0, 1.02), xticks=range(len(probs)), yticks=[0, 1])
    ax.set_xticklabels(names)
    ax.tick_params(length=0)
    ax.spines["left"].set_visible(False)
    if label is not None:  # framed, so that it is marked without a colour
        frame = {"boxstyle": "round,pad=0.2", "fc": "none", "ec": INK, "lw": 0.9}
        ax.get_xticklabels()[int(label)].set(fontweight="bold", bbox=frame)
    return bars


def strip(
    trace: Trace, episode: int = 0, *, classes: Sequence[str] | None = None
) -> Figure:
    """Draw a whole episode in one row: a column for each glimpse, for print.

    Each column shows the image with the path so far and the retina, then what the
    retina saw at every scale, then the class probabilities after that glimpse.

    Args:
        trace: what happened.
        episode: which of its episodes.
        classes: A names; the numbers 0 … A-1 if not given.

    Returns:
        The figure; its axes run row by row.

    Raises:
        ValueError: if the trace has no such episode.
    """
    if not 0 <= episode < len(trace):
        raise ValueError(
            f"episode {episode} does not exist; this trace has {len(trace)}, from 0"
        )
    one = trace[[episode]].cpu()
    T, S, g = one.num_glimpses, one.num_scales, one.glimpse_size
    image, shape = one.images[0], one.images.shape
    label = None if one.labels is None else int(one.labels[0])
    margin = max(shape[-2:]) * 0.08

    width = max(1.3 * T, 3)
    fig, axes = plt.subplots(
        3,
        T,
        squeeze=False,
        figsize=(width, width / T * (1.15 + 1 / S + 0.75)),
        height_ratios=[1.15, 1 / S, 0.6],
        layout="constrained",
    )
    for t in range(T):
        top, middle, bottom = axes[:, t]
        show_image(top, image, margin=margin)
        draw_path(top, one.locations[0, : t + 1], shape, numbers=False, size=4)
        draw_retina(
            top, one.locations[0, t], shape, g, S, color=glimpse_color(t), linewidth=1.6
        )
        top.set_title(
            f"glimpse {t + 1}", color=glimpse_color(t), loc="center", fontsize=9
        )
        show_patches(middle, one.patches[0, t])
        probs = one.probs[0, t]
        plot_posterior(bottom, probs, label, classes=classes, color=glimpse_color(t))
        best = int(probs.argmax())
        name = str(best) if classes is None else classes[best]
        bottom.set_title(f"{name}: {probs[best] * 100:.0f} %", loc="center", fontsize=9)
        bottom.set_yticks([])
        bottom.tick_params(labelsize=6.5 if probs.numel() > 6 else 8, pad=4)
    return fig


def show_patches(ax: Axes, patches, *, gap: float = 0.06):
    """Show the patches of one glimpse side by side, finest first, enlarged.

    Args:
        ax: where to draw.
        patches: (S, C, g, g) or (S, g, g), in [0, 1].
        gap: between two patches, as a share of a patch.

    Returns:
        The S matplotlib images.
    """
    patches = torch.as_tensor(patches).detach().cpu()
    shown = []
    for scale, patch in enumerate(patches):
        left = scale * (1 + gap)
        extent = (left, left + 1, 1, 0)
        options = {"vmin": 0, "vmax": 1, "cmap": "gray", "interpolation": "nearest"}
        shown.append(ax.imshow(_pixels(patch), extent=extent, **options))
    ax.set_xlim(0, len(patches) * (1 + gap) - gap)
    ax.set_ylim(1, 0)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return shown


def _pixels(image) -> np.ndarray:
    """Bring any image to (H, W) or (H, W, 3) floats in [0, 1]."""
    array = np.asarray(torch.as_tensor(image).detach().cpu())
    shape = array.shape
    if array.ndim == 3 and shape[0] in (1, 3):
        array = array[0] if shape[0] == 1 else np.moveaxis(array, 0, -1)
    elif array.ndim == 3 and shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] != 3):
        raise ValueError(
            f"an image has shape {shape}; give (H, W), (1, H, W), (3, H, W) or "
            "(H, W, 3)"
        )
    return array / 255.0 if array.dtype == np.uint8 else array.astype(float)


def _casing(linewidth: float) -> list:
    """Edge a stroke with white, so that it shows on grey pixels too."""
    return [
        effects.Stroke(linewidth=linewidth + 1.1, foreground="white", alpha=0.8),
        effects.Normal(),
    ]
