"""What happened in a rollout, step by step, as plain tensors.

A `Trace` knows no model: figures and the glimpse player draw it, tests compare it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from numbers import Integral

from torch import Tensor

__all__ = ["Trace"]


@dataclass(frozen=True, eq=False)
class Trace:
    """Every step of B episodes of T glimpses.

    Attributes:
        images: (B, C, H, W), uint8 or float in [0, 1].
        labels: (B,) int64, or None where there are none.
        locations: (B, T, 2), the (x, y) that were looked at, in [-1, 1]².
        means: (B, T, 2), the mean of the policy that chose each location. Nothing chose
            a first location that was random or given: there it is the location itself.
        samples: (B, T, 2), what the policy drew, before it was clamped to the image.
        patches: (B, T, S, C, g, g) in [0, 1], what the retina saw, finest scale first.
        hidden: (B, T, D), the core's state after each glimpse.
        probs: (B, T, A), the class probabilities the action network would give if the
            episode ended after that glimpse.
        values: (B, T), the value network's guess of the reward.
        classes: A names of the classes; None where they are called 0 to A - 1.
    """

    images: Tensor
    labels: Tensor | None
    locations: Tensor
    means: Tensor
    samples: Tensor
    patches: Tensor
    hidden: Tensor
    probs: Tensor
    values: Tensor
    classes: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """B, the number of episodes."""
        return len(self.images)

    @property
    def num_glimpses(self) -> int:
        """T, looks in each episode."""
        return self.locations.shape[1]

    @property
    def num_scales(self) -> int:
        """S, scales of the retina."""
        return self.patches.shape[2]

    @property
    def glimpse_size(self) -> int:
        """g, the side of a patch, in its own pixels."""
        return self.patches.shape[-1]

    @property
    def predictions(self) -> Tensor:
        """(B, T), the class that looked most probable after each glimpse."""
        return self.probs.argmax(dim=-1)

    def __getitem__(self, episodes) -> Trace:
        """Select episodes by a number, a slice, a list, or a tensor of either kind."""
        if isinstance(episodes, Integral):
            episodes = [int(episodes)]
        return self._map(lambda tensor: tensor[episodes])

    def cpu(self) -> Trace:
        """Copy every tensor to the CPU."""
        return self._map(Tensor.cpu)

    def _map(self, function) -> Trace:
        changed = {
            field.name: function(value)
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return dataclasses.replace(self, **changed)

    def __repr__(self) -> str:
        """Say what it holds in one line."""
        height, width = self.images.shape[-2:]
        return (
            f"Trace of {len(self)} episodes of {self.num_glimpses} glimpses "
            f"at {height} × {width}"
        )
