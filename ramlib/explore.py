"""Controls for a live model in a notebook: choose an image, and see where it looks.

What a notebook stores of it is the glimpse player alone, which works without a kernel.
The controls appear only where somebody can use them.
"""

import os

import torch
from IPython import display, get_ipython
from ipywidgets import interactive

from ramlib import player
from ramlib.checks import NumRollouts, Seed, checked
from ramlib.model import RecurrentAttentionModel

__all__ = ["explore"]


@checked
def explore(
    model: RecurrentAttentionModel,
    images,
    labels: torch.Tensor | None = None,
    *,
    classes: list[str] | None = None,
    num_rollouts: NumRollouts = 4,
    seed: Seed = 0,
    name: str = "explore",
    controls: bool | None = None,
) -> None:
    """Show where a model looks, with controls where a kernel is live.

    The controls set the image, the number of glimpses, the policy's standard deviation
    σ, the first location (unless the model chooses it) and the seed. The player then
    shows a few rollouts on that image; at σ = 0 they are all the same, so there is one.
    Without controls, as in a stored notebook, it shows the first eight images under the
    mean policy.

    Args:
        model: a `RecurrentAttentionModel`.
        images: `ramlib.data.Images`; or (B, H, W) or (B, C, H, W), as the model takes
            them.
        labels: (B,) int64, when `images` are a tensor and the labels are known.
        classes: A names for the player, in place of those of the images.
        num_rollouts: how many to draw of an image.
        seed: of the first rollouts.
        name: a word that tells this player from others, the same in every run.
        controls: whether to show them; None asks whether a person's kernel is live.

    Raises:
        TypeError: if the images are no tensor.
        ValueError: if there are no images, or not one label for each.
    """
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"{len(labels)} labels for {len(images)} images")
    sigma, T = float(model.location_network.std), model.config.num_glimpses

    def show(which: slice, **options) -> None:
        known = None if labels is None else labels[which]
        trace = model.look(images[which], known, **options)
        display.display(player.show(trace, name=name, classes=classes))

    def draw(image=0, glimpses=T, std=sigma, seed=seed, **place) -> None:
        M = num_rollouts if std else 1
        draws = model.draw(M, seed, glimpses, ("action",))
        draws["location"] *= std / sigma  # a policy as wide as the control says
        first = torch.tensor([*place.values()], device=model.device) if place else None
        options = {"draws": draws, "deterministic": False, "num_rollouts": M}
        show(slice(image, image + 1), first_location=first, **options)

    if not (is_live() if controls is None else controls):
        return show(slice(8), generator=seed)
    axes = "" if model.config.learn_first_location else "xy"
    limits = dict.fromkeys(axes, (-1.0, 1.0, 0.05)) | {"seed": (seed, seed + 99)}
    limits |= {"image": (0, len(images) - 1), "glimpses": (1, max(12, T))}
    display.display(interactive(draw, std=(0.0, 0.6, 0.02), **limits))


def is_live() -> bool:
    """Tell whether somebody can use controls: a notebook that no program executes.

    RAMLIB_STATIC in the environment says no. So do pytest and nbclient, which execute
    notebooks to test and to store them.
    """
    shell, static = get_ipython(), {"RAMLIB_STATIC", "PYTEST_VERSION"}
    # nbclient keeps no history; a person's notebook keeps it in a file.
    history = getattr(getattr(shell, "history_manager", None), "hist_file", "")
    live = hasattr(shell, "kernel") and str(history) != ":memory:"
    return live and not static & os.environ.keys()
