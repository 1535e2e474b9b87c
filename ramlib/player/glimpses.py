"""The glimpse player: a rollout, glimpse by glimpse."""

from __future__ import annotations

from collections.abc import Sequence

from IPython.display import HTML
from torch import Tensor

from ramlib import checks, figures
from ramlib.player import page
from ramlib.sensor import retina_boxes, to_pixels
from ramlib.trace import Trace


def show(trace: Trace, **options) -> HTML:
    """Show the glimpse player in a notebook.

    Args:
        trace: as for `render`.
        **options: `name`, `classes`, `title` and the others, as for `render`.

    Returns:
        An `IPython.display.HTML`, to stand as the last value of a cell.
    """
    return HTML(render(trace, **options))


@checks.checked
def render(
    trace: Trace,
    *,
    name: str = "glimpses",
    classes: Sequence[str] | None = None,
    title: str | None = None,
    start: checks.Natural = 0,
    play: bool = False,
    live: str | None = None,
) -> str:
    """Make the glimpse player of a trace: one piece of HTML that needs nothing else.

    Args:
        trace: B episodes of T glimpses, of images with one or three channels. Its
            patches are drawn from the images, where the sensor looked.
        name: a word that tells this player from others, the same in every run.
        classes: A names, in place of the trace's own.
        title: a heading, or None.
        start: the episode that is shown first.
        play: whether an episode plays by itself, once, when it comes into view or is
            chosen; where the reader wants less motion it never does.
        live: for a page of the book, the name of the shipped model that made the trace;
            it then looks at what the reader draws, too.

    Returns:
        The HTML, the same bytes for the same trace.

    Raises:
        TypeError: if `trace` is no Trace, its labels are no class numbers, or a text is
            none.
        ValueError: if there is no such class or episode, the trace is empty or holds
            NaN, its images cannot be shown, or a name cannot be used.
    """
    data = page.heading(name, title)
    # This checks the trace and the classes, too.
    picture = figures.picture(lambda: figures.strip(trace, start, classes=classes))
    trace = trace.cpu()
    classes = trace.classes if classes is None else classes
    names = figures.class_names(classes, trace.probs.shape[-1])
    (H, W), g, S = trace.images.shape[-2:], trace.glimpse_size, trace.num_scales
    data |= {"width": W, "height": H, "size": g, "scales": S}
    data |= {"episodes": len(trace), "steps": trace.num_glimpses}
    data |= {"start": start, "play": play, "live": live}
    corners = retina_boxes(trace.locations, g, S, H, W)[..., :2]  # (B, T, S, 2)
    data |= {
        # Whole numbers are short, and the same wherever they are written.
        "corners": whole(corners),
        "points": whole(to_pixels(trace.locations, H, W) * 10),
        # Cut, not rounded: a share that is rounded twice may end a percent off.
        "probs": whole((trace.probs.double() * 1000).floor()),
        "best": whole(trace.predictions),
        "values": whole(trace.values * 1000),
        "labels": None if trace.labels is None else whole(trace.labels),
        "classes": None if classes is None else names,
    }
    alt = (
        f"One episode, its {trace.num_glimpses} glimpses from left to right: the "
        "image with the path and the squares of the retina, what the retina saw at "
        "each scale, and the class probabilities"
    )
    caption, pixels = describe(trace[start], names), page.to_bytes(trace.images)
    parts = ("controls", "handle", "live", "draw") if live else ()
    return page.widget("glimpses", data, picture, alt, caption, pixels, parts)


def whole(tensor: Tensor) -> list[int]:
    """Round a tensor to a flat list of whole numbers."""
    return tensor.detach().double().round().long().flatten().tolist()


def describe(trace: Trace, names: Sequence[str]) -> str:
    """Say in one line what the static picture shows."""
    # As the script rounds, and with a space that does not break.
    shares = (trace.probs[0].double().amax(dim=-1) * 100 + 0.5).floor()
    best = zip(trace.predictions[0], shares, strict=True)
    steps = ", ".join(f"{names[a]} ({share:.0f}\u00a0%)" for a, share in best)
    text = f"The most probable class after each glimpse: {steps}. "
    if trace.labels is not None:
        text += f"The label is {names[trace.labels[0]]}. "
    return text + "Where scripts run, this is a player with a slider."
