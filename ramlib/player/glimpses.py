"""The glimpse player: a rollout, glimpse by glimpse."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageColor, ImageDraw

from ramlib.figures import GLIMPSE_COLORS, INK, PALE, glimpse_color
from ramlib.player import page
from ramlib.sensor import retina_boxes, to_pixels
from ramlib.trace import Trace


def show(
    trace: Trace,
    *,
    name: str = "glimpses",
    classes: Sequence[str] | None = None,
    title: str | None = None,
):
    """Show the glimpse player in a notebook; see `render` for the arguments.

    Returns:
        An `IPython.display.HTML`, to stand as the last value of a cell.
    """
    return page.display_html(render(trace, name=name, classes=classes, title=title))


def render(
    trace: Trace,
    *,
    name: str = "glimpses",
    classes: Sequence[str] | None = None,
    title: str | None = None,
) -> str:
    """Make the glimpse player of a trace: one piece of HTML that needs nothing else.

    Args:
        trace: B episodes of T glimpses, of images with one or three channels. Its
            patches are drawn from the images, where the sensor looked.
        name: a word that tells this player from others, the same in every run.
        classes: A names; the numbers 0 … A-1 if not given.
        title: a heading, or None.

    Returns:
        The HTML, the same bytes for the same trace.

    Raises:
        TypeError: if `trace` is no Trace, or a text is no string.
        ValueError: if the trace is empty, its shapes do not fit together, it holds NaN,
            or a name cannot be used.
    """
    page.check_name(name)
    page.check_text("title", title)
    check_trace(trace)
    trace = trace.cpu()
    num_classes = trace.probs.shape[-1]
    if classes is not None:
        classes = check_classes(classes, num_classes)

    images = page.to_bytes(trace.images)  # (B, C, H, W)
    height, width = images.shape[-2:]
    boxes = retina_boxes(  # (B, T, S, 3)
        trace.locations, trace.glimpse_size, trace.num_scales, height, width
    )
    points = to_pixels(trace.locations, height, width)  # (B, T, 2)
    data = {
        "width": width,
        "height": height,
        "size": trace.glimpse_size,
        "scales": trace.num_scales,
        "episodes": len(trace),
        "steps": trace.num_glimpses,
        # Whole numbers are short, and the same wherever they are written.
        "corners": whole(boxes[..., :2]),
        "points": whole(points * 10),
        # Cut, not rounded: a share that is rounded twice may end a percent off.
        "probs": whole((trace.probs.double() * 1000).floor()),
        "best": whole(trace.predictions),
        "values": whole(trace.values * 1000),
    }
    if trace.labels is not None:
        data["labels"] = whole(trace.labels)
    if classes is not None:
        data["classes"] = classes
    if title:
        data["title"] = title
    return page.widget(
        "glimpses",
        name,
        data=data,
        images=page.sprite(images),
        picture=draw_strip(images[0], boxes[0], trace),
        alt=(
            f"The first episode, its {trace.num_glimpses} glimpses from left to right: "
            "the image with the path and the squares of the retina, what the retina "
            "saw at each scale, and the class probabilities"
        ),
        caption=describe(trace, classes),
    )


def whole(tensor: torch.Tensor) -> list[int]:
    """Round a tensor to a flat list of whole numbers."""
    return np.rint(tensor.detach().double().numpy()).astype(int).ravel().tolist()


def percent(share: float) -> str:
    """Write a share as the script does: 83 %, with a space that does not break."""
    return f"{math.floor(share * 100 + 0.5)}\u00a0%"


def describe(trace: Trace, classes: Sequence[str] | None) -> str:
    """Say in one line what the static picture shows."""
    names = [str(a) for a in range(trace.probs.shape[-1])]
    names = names if classes is None else classes
    best = trace.predictions[0].tolist()
    shares = trace.probs[0].max(dim=-1).values.tolist()
    steps = ", ".join(
        f"{names[a]} ({percent(p)})" for a, p in zip(best, shares, strict=True)
    )
    text = f"The most probable class after each glimpse: {steps}."
    if trace.labels is not None:
        label = int(trace.labels[0])
        text += f" The label is {names[label] if label < len(names) else label}."
    return text + " Where scripts run, this is a player with a slider."


def draw_strip(image: np.ndarray, boxes: torch.Tensor, trace: Trace) -> bytes:
    """Draw the first episode as a small PNG: a column per glimpse, no lettering.

    Args:
        image: (C, H, W) uint8.
        boxes: (T, S, 3), left, top and side of each square in pixels.
        trace: its first episode gives the path, patches and probabilities.

    Returns:
        The PNG.
    """
    T, S = boxes.shape[:2]
    height, width = image.shape[-2:]
    cell = 86  # the width of a column, in pixels of the picture
    gap = 6
    unit = cell / width
    tall = max(round(height * unit), 1)
    seen = (cell - (S - 1) * 2) // S  # the side of a patch
    bars = 30
    picture = Image.new(
        "RGB", (T * (cell + gap) - gap, tall + seen + bars + 2 * gap), "white"
    )
    enlarged = page.picture_of(image).resize((cell, tall), Image.Resampling.NEAREST)
    points = to_pixels(trace.locations[0], height, width) * unit  # (T, 2)
    for t in range(T):
        left = t * (cell + gap)
        view = enlarged.convert("RGB")
        pen = ImageDraw.Draw(view)
        for s, (x, y, side) in enumerate((boxes[t] * unit).tolist()):
            square = [round(v) for v in (x, y, x + side - 1, y + side - 1)]
            pen.rectangle(square, outline=glimpse_color(t), width=3 if s == 0 else 2)
        for k in range(t + 1):
            x, y = points[k].tolist()
            color = ImageColor.getrgb(glimpse_color(k))
            if k:
                pen.line([*points[k - 1].tolist(), x, y], fill=color, width=2)
            pen.ellipse([x - 3, y - 3, x + 3, y + 3], fill=color, outline="white")
        picture.paste(view, (left, 0))
        for s in range(S):
            patch = page.to_bytes(trace.patches[0, t, s].clamp(0, 1))
            shown = page.picture_of(patch).resize(
                (seen, seen), Image.Resampling.NEAREST
            )
            picture.paste(shown, (left + s * (seen + 2), tall + gap))
        draw_bars(picture, left, cell, bars, trace.probs[0, t].tolist(), t)
    colors = [*map(glimpse_color, range(min(T, len(GLIMPSE_COLORS)))), INK, PALE]
    return page.drawn_png(picture, enlarged, colors)


def draw_bars(picture, left: int, width: int, height: int, probs: list, t: int) -> None:
    """Draw the class probabilities at the foot of a column of the strip."""
    pen = ImageDraw.Draw(picture)
    floor = picture.height - 1
    step = width / len(probs)
    top = max(range(len(probs)), key=probs.__getitem__)
    for a, share in enumerate(probs):
        x = left + a * step
        color = glimpse_color(t) if a == top else PALE
        end = max(x + step - 2, x)
        pen.rectangle([x, floor - share * (height - 2), end, floor], fill=color)
    pen.line([left, floor, left + width - 1, floor], fill=INK)


def check_trace(trace: object) -> None:
    """Raise unless `trace` is a Trace whose parts fit together."""
    if not isinstance(trace, Trace):
        raise TypeError(
            f"the player needs a Trace, not a {type(trace).__name__}; "
            "model.look(images) returns one"
        )
    if trace.images.dim() != 4 or trace.images.shape[1] not in (1, 3):
        raise ValueError(
            f"images have shape {tuple(trace.images.shape)}; the player shows "
            "(B, 1, H, W) or (B, 3, H, W)"
        )
    if trace.patches.dim() != 6:
        raise ValueError(
            f"patches have shape {tuple(trace.patches.shape)}; give (B, T, S, C, g, g)"
        )
    B, C = trace.images.shape[:2]
    T, S, g = trace.num_glimpses, trace.num_scales, trace.glimpse_size
    A = trace.probs.shape[-1]
    if 0 in (*trace.images.shape, T, S, g, A):
        raise ValueError("the trace is empty; give at least one episode of one glimpse")
    expected = {
        "locations": (B, T, 2),
        "patches": (B, T, S, C, g, g),
        "probs": (B, T, A),
        "values": (B, T),
    }
    if trace.labels is not None:
        expected["labels"] = (B,)
    for name, shape in expected.items():
        value = getattr(trace, name)
        if tuple(value.shape) != shape:
            raise ValueError(
                f"{name} have shape {tuple(value.shape)}, but the trace's other parts "
                f"need {shape}"
            )
        if not torch.isfinite(value).all():
            raise ValueError(f"{name} hold NaN or infinity: there is nothing to show")


def check_classes(classes: object, count: int) -> list[str]:
    """Raise unless `classes` are `count` strings."""
    if isinstance(classes, str) or not all(isinstance(c, str) for c in classes):
        raise TypeError(f"classes are {classes!r}; give a list of strings")
    if len(classes) != count:
        raise ValueError(
            f"{len(classes)} class names for {count} probabilities; give one each"
        )
    return list(classes)
