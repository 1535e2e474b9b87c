"""Controls for a live model in a notebook: choose an image, and see where it looks.

What a notebook stores of it is the glimpse player alone, which works without a kernel.
The controls appear only where somebody can use them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from ramlib import player
from ramlib.sensor import check_count
from ramlib.trace import Trace

__all__ = ["Explorer", "explore", "is_live"]


def explore(
    model,
    images,
    labels: Tensor | None = None,
    *,
    classes: Sequence[str] | None = None,
    rollouts: int = 4,
    seed: int = 0,
    name: str = "explore",
    controls: bool | None = None,
) -> None:
    """Show where a model looks, with controls where a kernel is live.

    The controls set the image, the number of glimpses, the location's standard
    deviation and the first location; a button draws again. The player then shows a few
    rollouts on that image. Without controls, as in a stored notebook, it shows the
    first eight images under the mean policy.

    Args:
        model: a `RecurrentAttentionModel`, or anything with its `look`.
        images: `Digits`, or images as the model takes them: (B, H, W) or (B, C, H, W).
        labels: (B,), when `images` are a tensor and the labels are known.
        classes: A names for the player.
        rollouts: how many to draw of an image.
        seed: of the first rollouts; each press of the button counts it up.
        name: a word that tells this player from others, the same in every run.
        controls: whether to show them; None asks `is_live`.

    Raises:
        TypeError: if the model cannot look, or the images are no tensor.
        ValueError: if there are no images, not one label each, or `rollouts` < 1.
    """
    explorer = Explorer(
        model,
        images,
        labels,
        classes=classes,
        rollouts=rollouts,
        seed=seed,
        name=name,
    )
    if is_live() if controls is None else controls:
        explorer.show_controls()
    else:
        from IPython.display import display  # only a notebook needs it

        display(player.show(explorer.overview(), name=name, classes=classes))


def is_live() -> bool:
    """Tell whether somebody can use controls: a notebook that no program executes.

    ``RAMLIB_STATIC=1`` in the environment says no. So do pytest and nbclient, which
    execute notebooks to test and to store them.
    """
    if os.environ.get("RAMLIB_STATIC", "0") not in ("", "0"):
        return False
    if "PYTEST_VERSION" in os.environ or "PYTEST_CURRENT_TEST" in os.environ:
        return False
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    if shell is None or getattr(shell, "kernel", None) is None:
        return False
    # nbclient keeps no history; a person's notebook keeps it in a file.
    history = getattr(shell, "history_manager", None)
    return str(getattr(history, "hist_file", "")) != ":memory:"


class Explorer:
    """A model, its images, and the controls that choose what it does.

    Args:
        model: see `explore`, as for the other arguments.
        images: `Digits` or a tensor.
        labels: (B,) or None.
        classes: names of the classes.
        rollouts: how many to draw of an image.
        seed: of the first rollouts.
        name: of the player.
    """

    def __init__(
        self,
        model,
        images,
        labels: Tensor | None = None,
        *,
        classes: Sequence[str] | None = None,
        rollouts: int = 4,
        seed: int = 0,
        name: str = "explore",
    ):
        if not callable(getattr(model, "look", None)):
            raise TypeError(
                f"a {type(model).__name__} cannot look; give a RecurrentAttentionModel"
            )
        if hasattr(images, "images"):  # Digits bring their labels
            images, labels = images.images, images.labels if labels is None else labels
        if not isinstance(images, Tensor):
            raise TypeError(
                f"images are a {type(images).__name__}; give Digits or a torch.Tensor"
            )
        if images.dim() not in (3, 4) or len(images) == 0:
            raise ValueError(
                f"images have shape {tuple(images.shape)}; give (B, H, W) or "
                "(B, C, H, W) with at least one image"
            )
        if labels is not None and len(labels) != len(images):
            raise ValueError(
                f"{len(labels)} labels for {len(images)} images; give one each"
            )
        check_count("rollouts", rollouts)
        if isinstance(model, torch.nn.Module):  # look where the weights are
            images = images.to(next(model.parameters()).device)
        self.model = model
        self.images = images
        self.labels = labels
        self.classes = classes
        self.rollouts = rollouts
        self.seed = seed
        self.name = name
        self.trace: Trace | None = None  # what the player shows

    def overview(self, count: int = 8) -> Trace:
        """Look at the first images with the mean policy."""
        labels = None if self.labels is None else self.labels[:count]
        self.trace = self.model.look(self.images[:count], labels, generator=self.seed)
        return self.trace

    def look(
        self,
        image: int,
        first_location: tuple[float, float],
        num_glimpses: int,
        location_std: float,
    ) -> Trace:
        """Roll out on one image.

        Args:
            image: which.
            first_location: (x, y) in [-1, 1]², where to look first.
            num_glimpses: T.
            location_std: σ of the policy; at 0 it is the mean policy, and as every
                rollout is then the same there is one.

        Returns:
            The trace.
        """
        count = self.rollouts if location_std > 0 else 1
        chosen = [image] * count
        noise = {"location_std": location_std} if location_std > 0 else {}
        self.trace = self.model.look(
            self.images[chosen],
            None if self.labels is None else self.labels[chosen],
            first_location=torch.tensor(
                [first_location] * count, dtype=torch.float32, device=self.images.device
            ),
            num_glimpses=num_glimpses,
            deterministic=location_std == 0,
            generator=self.seed,
            **noise,
        )
        return self.trace

    def make_controls(self):
        """Make the controls; they redraw the player through `self.screen`.

        Returns:
            The box that holds them; they are also in `self.controls`, by name.
        """
        import ipywidgets as widgets  # the player does without them

        config = getattr(self.model, "config", None)
        std = getattr(config, "location_std", 0.2)
        wide = {"description_width": "9em"}
        layout = {"width": "24em"}
        common = {"style": wide, "layout": layout, "continuous_update": False}
        place = {"min": -1.0, "max": 1.0, "step": 0.05, "value": 0.0, **common}
        self.controls = {
            "image": widgets.IntSlider(
                0, 0, len(self.images) - 1, description="image", **common
            ),
            "num_glimpses": widgets.IntSlider(
                int(getattr(config, "num_glimpses", 6)),
                1,
                12,
                description="glimpses",
                **common,
            ),
            "location_std": widgets.FloatSlider(
                value=float(std) if isinstance(std, int | float) else 0.2,
                min=0.0,
                max=0.6,
                step=0.02,
                description="location std",
                **common,
            ),
            "x": widgets.FloatSlider(description="first location x", **place),
            "y": widgets.FloatSlider(description="first location y", **place),
        }
        self.button = widgets.Button(
            description="draw again",
            tooltip="Draw new rollouts with the same settings",
            icon="refresh",
        )
        for control in self.controls.values():
            control.observe(lambda change: self.redraw(), names="value")
        self.button.on_click(lambda button: self.redraw(again=True))
        return widgets.VBox([*self.controls.values(), self.button])

    def show_controls(self) -> None:
        """Show the controls and, below them, the player."""
        from IPython.display import display

        box = self.make_controls()
        display(box)
        self.screen = Screen()
        self.redraw()

    def redraw(self, again: bool = False) -> None:
        """Roll out with the settings of the controls, and show the player anew."""
        self.seed += int(again)
        value = {name: control.value for name, control in self.controls.items()}
        trace = self.look(
            value["image"],
            (value["x"], value["y"]),
            value["num_glimpses"],
            value["location_std"],
        )
        self.screen.show(player.show(trace, name=self.name, classes=self.classes))


class Screen:
    """A place below a cell whose content can be replaced.

    It is a display that is updated, because a notebook that is saved then holds the
    player itself, not a widget that dies with its kernel. Colab gives each cell's
    output a frame of its own, where an Output widget is the surer way.
    """

    def __init__(self):
        self.handle = None
        self.output = None
        if "google.colab" in sys.modules:
            import ipywidgets as widgets
            from IPython.display import display

            self.output = widgets.Output()
            display(self.output)

    def show(self, content) -> None:
        """Replace what is shown."""
        from IPython.display import display

        if self.output is not None:
            self.output.clear_output(wait=True)
            with self.output:
                display(content)
        elif self.handle is None:
            self.handle = display(content, display_id=True)
        else:
            self.handle.update(content)
