"""Static figures: one visual language for image, path, retina and posterior.

Every figure of the course is drawn from the same few pieces.  An image is shown in its
own pixel coordinates, so column j covers [j, j + 1) just as the sensor counts.  Glimpse
t has the colour `glimpse_color(t)` wherever it appears, and a white casing keeps its
strokes legible on any pixel.
"""

from __future__ import annotations

import dataclasses
import io
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Annotated

import matplotlib.patheffects as effects
import matplotlib.pyplot as plt
import torch
from PIL import Image

from ramlib import checks
from ramlib.sensor import retina_boxes, to_pixels
from ramlib.trace import Trace

__all__ = ["ACCENT", "GLIMPSE_COLORS", "INK", "MUTED", "SERIES_COLORS", "style"]
__all__ += ["class_names", "draw_path", "draw_retina", "glimpse_color"]
__all__ += ["plot_posterior", "show_image", "show_patches"]
__all__ += ["animate", "picture", "strip"]

#: The colours of the glimpses in the order of time, from blue to brown. Hue moves one
#: way, and light and dark alternate, so that neighbours differ for every kind of colour
#: vision; each has a contrast of at least 3 to black and to white.
GLIMPSE_COLORS = (
    "#047ba2", "#045ea0", "#3a76f8", "#6947c4", "#cd49c1", "#b7017d",
    "#cb0467", "#c30046", "#eb3e44", "#b42703", "#bf6c01", "#735703",
)  # fmt: skip

INK = "#1d2430"  # text, axes, the exact value
MUTED = "#69717f"  # what stands back: guides, the other classes
ACCENT = "#0b6e99"  # the one thing to look at
PALE = "#8c96a5"  # bars that are not the point

#: Colours of curves that are not glimpses.
SERIES_COLORS = ("#0b6e99", "#c2410c", "#5b4bb7", "#15803d", "#8a6100", "#a3175f")


def style() -> None:
    """Set matplotlib to the look of the course, for the rest of the program."""
    plt.style.use("ramlib.course")  # course.mplstyle, beside this file


def glimpse_color(t: int) -> str:
    """Give the colour of glimpse t, counted from 0; after twelve they come round again.

    Args:
        t: which glimpse, at least 0.

    Returns:
        The colour as ``"#rrggbb"``.

    Raises:
        TypeError: if `t` is not a whole number.
        ValueError: if it is negative.
    """
    return GLIMPSE_COLORS[checks.check("t", t, checks.Natural) % len(GLIMPSE_COLORS)]


def show_image(ax: plt.Axes, image, *, margin: float = 0):
    """Show an image in pixel coordinates, black as 0 and white as 1.

    Args:
        ax: where to draw.
        image: (H, W), (1, H, W), (3, H, W) or (H, W, 3); uint8, or float in [0, 1];
            a tensor or an array.
        margin: pixels to show around the image, which is then outlined, to make room
            for a retina that reaches over its edge.

    Returns:
        The matplotlib image, whose array holds numbers in [0, 1].

    Raises:
        ValueError: if the shape is none of these.
    """
    pixels = _pixels(image)  # (H, W) or (H, W, 3), in [0, 1]
    height, width = pixels.shape[:2]
    # Column j covers [j, j + 1).
    shown = ax.imshow(pixels, "gray", vmin=0, vmax=1, extent=(0, width, height, 0))
    ax.set(xlim=(-margin, width + margin), ylim=(height + margin, -margin))
    ax.set(xticks=[], yticks=[], facecolor="#20242b")
    ax.spines[:].set_visible(False)
    if margin:
        edge = {"fill": False, "lw": 0.8, "ec": "#8b94a3"}
        ax.add_patch(plt.Rectangle((0, 0), width, height, **edge))
    return shown


def draw_retina(
    ax: plt.Axes,
    location,
    image_shape: Sequence[int],
    glimpse_size: int,
    num_scales: int = 1,
    *,
    color: str = GLIMPSE_COLORS[0],
    linewidth: float = 2.0,
) -> list[plt.Rectangle]:
    """Draw what the retina covers: one square per scale, the finest the thickest.

    Args:
        ax: an axes that shows an image (see `show_image`).
        location: (2,), (x, y) with the image spanning [-1, 1]².
        image_shape: of the image; its last two numbers are H and W, in pixels.
        glimpse_size: g, the side of the finest patch, in pixels.
        num_scales: S.
        color: of the squares; `glimpse_color(t)` for glimpse t.
        linewidth: of the finest square, in points.

    Returns:
        S rectangles, finest first, exactly where the sensor looks.
    """
    location = torch.as_tensor(location, dtype=torch.float32).reshape(2)
    boxes = retina_boxes(location, glimpse_size, num_scales, *image_shape[-2:])
    squares = []
    for scale, (left, top, side) in enumerate(boxes.tolist()):
        stroke = {"ec": color, "joinstyle": "miter", **_cased(linewidth * 0.8**scale)}
        square = plt.Rectangle((left, top), side, side, fill=False, **stroke)
        squares.append(ax.add_patch(square))
    return squares


def draw_path(ax: plt.Axes, locations, image_shape, *, numbers=True, size=11.0) -> list:
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
    places = torch.as_tensor(locations, dtype=torch.float32).reshape(-1, 2)
    places = to_pixels(places, *image_shape[-2:]).numpy()  # (T, 2)
    dots = []
    for t, place in enumerate(places):
        color = glimpse_color(t)
        if t:  # the line takes the colour of the glimpse that it leads to
            ax.plot(*places[t - 1 : t + 1].T, color=color, zorder=3, **_cased(1.6))
        dot = {"ms": size, "mfc": color, "mec": "white", "mew": 1, "zorder": 4 + t}
        dots += ax.plot(*place, "o", **dot)
        if numbers:
            text = {"color": "white", "size": size * 0.62, "weight": "bold"}
            text |= {"ha": "center", "va": "center_baseline", "zorder": 4 + t}
            ax.annotate(str(t + 1), place, **text)
    return dots


def plot_posterior(
    ax: plt.Axes, probs, label: int | None = None, *, classes=None, color: str = ACCENT
):
    """Plot class probabilities as bars; the most probable is filled, the label framed.

    Args:
        ax: where to draw.
        probs: (A,), probabilities.
        label: the true class, framed under its bar; None if unknown.
        classes: A names; the numbers 0 … A-1 if not given. Of more than 20, only the
            label's is written.
        color: of the most probable class.

    Returns:
        The container of A bars.

    Raises:
        TypeError: if the label is not a whole number, or a name no text.
        ValueError: if there is no such label, or not one name for each class.
    """
    probs = torch.as_tensor(probs).detach().cpu().double().flatten().numpy()
    A, names = len(probs), class_names(classes, len(probs))
    label = label.item() if isinstance(label, torch.Tensor) else label
    label = checks.check("label", label, Annotated[int, checks.Range(0, A - 1)] | None)
    bars = ax.bar(range(A), probs, color=PALE, width=0.78)
    bars[probs.argmax()].set_facecolor(color)
    named = [a for a in range(A) if A <= 20 or a == label]
    ax.set(ylim=(0, 1.02), yticks=[0, 1])
    ax.set_xticks(named, [names[a] for a in named])
    ax.tick_params(length=0)
    ax.spines["left"].set_visible(False)
    if label is not None:  # framed, so that it is marked without a colour
        frame = {"boxstyle": "round,pad=0.2", "fc": "none", "ec": INK, "lw": 0.9}
        text = ax.get_xticklabels()[named.index(label)]
        text.set(fontweight="bold", bbox=frame)
    return bars


def show_patches(ax: plt.Axes, patches, *, gap: float = 0.06):
    """Show the patches of one glimpse side by side, finest first, enlarged.

    Args:
        ax: where to draw.
        patches: (S, C, g, g) or (S, g, g), in [0, 1].
        gap: between two patches, as a share of a patch.

    Returns:
        The S matplotlib images.
    """
    shown = []
    for scale, patch in enumerate(patches):
        left = scale * (1 + gap)
        extent = (left, left + 1, 1, 0)
        shown.append(ax.imshow(_pixels(patch), "gray", vmin=0, vmax=1, extent=extent))
    ax.set(xlim=(0, left + 1), ylim=(1, 0), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return shown


def strip(trace: Trace, episode: int = 0, *, classes=None) -> plt.Figure:
    """Draw a whole episode in one row: a column for each glimpse, for print.

    Each column shows the image with the path so far and the retina, then what the
    retina saw at every scale, then the class probabilities after that glimpse.

    Args:
        trace: what happened, on images of one or three channels.
        episode: which of its episodes.
        classes: a list of A names, in place of the trace's own.

    Returns:
        The figure; its axes run row by row.

    Raises:
        TypeError: if the trace is none, its labels are no class numbers, or the names
            no texts.
        ValueError: if it has no such episode or class, holds NaN, or if its images
            cannot be shown.
    """
    one = _episode(trace, episode, classes)
    return _columns(one, range(one.num_glimpses))


def animate(trace: Trace, episode: int = 0, *, classes=None) -> bytes:
    """Draw an episode as a GIF that comes round again: the columns of its `strip`.

    Args:
        trace: what happened, on images of one or three channels.
        episode: which of its episodes.
        classes: a list of A names, in place of the trace's own.

    Returns:
        The GIF, the same bytes for the same trace: a frame for each glimpse, 0.8 s
        long, the last one 2.4 s.

    Raises:
        TypeError: as `strip`.
        ValueError: as `strip`.
    """
    one = _episode(trace, episode, classes)
    steps = [[t] for t in range(one.num_glimpses)]
    frames = [picture(_columns, one, step, dpi=100, colors=128) for step in steps]
    gif, times = io.BytesIO(), [800] * (len(steps) - 1) + [2400]  # milliseconds
    rest = {"append_images": frames[1:], "duration": times, "loop": 0}
    frames[0].save(gif, "GIF", save_all=True, **rest)
    return gif.getvalue()


def picture(make: Callable, *given, dpi: float = 60, colors: int = 24) -> Image.Image:
    """Draw a figure in the look of the course, whatever the program's, as a picture.

    Args:
        make: makes the figure. A text that it writes is no formula, and a letter that
            the font lacks is no warning.
        *given: what it makes the figure of.
        dpi: pixels per inch.
        colors: how many the picture keeps, to be small.

    Returns:
        The picture, the same pixels every time.
    """
    drawn = io.BytesIO()
    plain = {"text.parse_math": False}  # two $ in a name: no formula
    quiet = warnings.catch_warnings(action="ignore")  # letters that the font lacks
    with quiet, plt.ioff(), plt.style.context(["default", "ramlib.course", plain]):
        figure = make(*given)
        figure.savefig(drawn, format="png", dpi=dpi)
        plt.close(figure)
    # The tree keeps the colour of a thin stroke, which a median of pixels would lose.
    return Image.open(drawn).convert("RGB").quantize(colors, Image.Quantize.FASTOCTREE)


def class_names(classes: object, count: int) -> list[str]:
    """Check the names of classes, or make them: the numbers from 0 on.

    Args:
        classes: the names that were given; None if there are none.
        count: A, how many there must be.

    Returns:
        A names that can be drawn and stored.

    Raises:
        TypeError: if they are no list of texts.
        ValueError: if there are more or fewer than A.
    """
    if classes is None:
        return [str(a) for a in range(count)]
    texts = isinstance(classes, Collection) and not isinstance(classes, str)
    if not texts or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"classes are {classes!r}; give a list of {count} strings")
    if len(classes) != count:
        raise ValueError(f"{len(classes)} names for {count} classes; give one each")
    # Half of a surrogate pair is no letter: nothing draws or stores it.
    return [name.encode(errors="replace").decode() for name in classes]


@checks.checked
def _episode(trace: Trace, episode: int, classes) -> Trace:
    """Check a trace; give one episode, on the CPU, with a name for every class."""
    checks.check_images(trace.images, trace.images.shape[1])
    checks.check("episode", episode, Annotated[int, checks.Range(0, len(trace) - 1)])
    for name in ("locations", "patches", "probs", "values"):
        if not getattr(trace, name).isfinite().all():
            raise ValueError(f"{name} hold NaN or infinity: there is nothing to show")
    A, labels = trace.probs.shape[-1], trace.labels
    if labels is not None:
        if labels.is_floating_point() or labels.dtype == torch.bool:
            raise TypeError(f"labels are {labels.dtype}; give class numbers, as int64")
        checks.check_labels(labels.long(), A, len(trace))
    _pixels(trace.images[episode])  # refused before there is a figure
    names = class_names(trace.classes if classes is None else classes, A)
    return dataclasses.replace(trace[[episode]].cpu(), classes=names)


def _columns(one: Trace, steps: Sequence[int]) -> plt.Figure:
    """Draw some glimpses of the only episode of a trace, a column for each."""
    shape, g, S, n = one.images.shape, one.glimpse_size, one.num_scales, len(steps)
    label = None if one.labels is None else one.labels[0]
    names = [name if len(name) < 13 else name[:11] + "…" for name in one.classes]
    wide = max(1.3 * n, 3)  # inches
    size = {"figsize": (wide, wide / n * (1.9 + 1 / S)), "layout": "constrained"}
    rows = {"height_ratios": [1.15, 1 / S, 0.6], "squeeze": False}
    fig, axes = plt.subplots(3, n, **size, **rows)
    for t, (top, middle, bottom) in zip(steps, axes.T, strict=True):
        color, place = glimpse_color(t), one.locations[0, t]
        show_image(top, one.images[0], margin=max(shape[-2:]) * 0.08)
        draw_path(top, one.locations[0, : t + 1], shape, numbers=False, size=4)
        draw_retina(top, place, shape, g, S, color=color, linewidth=1.6)
        top.set_title(f"glimpse {t + 1}", color=color, loc="center", fontsize=9)
        show_patches(middle, one.patches[0, t])
        probs, best = one.probs[0, t], one.predictions[0, t]
        plot_posterior(bottom, probs, label, classes=names, color=color)
        said = f"{names[best]}: {probs[best] * 100:.0f} %"
        bottom.set_title(said, loc="center", fontsize=9)
        bottom.set_yticks([])
        bottom.tick_params(labelsize=6.5 if len(names) > 6 else 8, pad=4)
        bottom.tick_params("x", rotation=90 if max(map(len, names)) > 3 else 0)
    return fig


def _pixels(image):
    """Bring any image to an array (H, W) or (H, W, 3) of floats in [0, 1]."""
    pixels = torch.as_tensor(image).detach().cpu()
    if pixels.dim() == 3 and len(pixels) in (1, 3):
        pixels = pixels.movedim(0, -1)
    if pixels.dim() == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.dim() != 2 and pixels.shape[2:] != (3,):
        shape = tuple(pixels.shape)
        raise ValueError(f"an image has shape {shape}; give (H, W), or 1 or 3 channels")
    return (pixels.double() / (255 if pixels.dtype == torch.uint8 else 1)).numpy()


def _cased(linewidth: float) -> dict:
    """Edge a stroke with white, so that it shows on grey pixels too."""
    edge = effects.Stroke(linewidth=linewidth + 1.1, foreground="white", alpha=0.8)
    return {"lw": linewidth, "path_effects": [edge, effects.Normal()]}
