"""Still images: the world of the paper's classification tasks."""

from __future__ import annotations

from torch import Tensor

from ramlib.rollout import World
from ramlib.sensor import GlimpseSensor

__all__ = ["Still"]


class Still(World):
    """N = B·M episodes on B images that do not change, M rollouts of each.

    Args:
        sensor: the retina.
        table: (B, C, H+1, W+1), from `sensor.prepare`; the rollouts of an image share
            it and lie side by side.
        draws: from `model.draw`, of N episodes: it says where they look first, unless
            the model chooses that too.
    """

    def __init__(self, sensor: GlimpseSensor, table: Tensor, draws: dict[str, Tensor]):
        self.sensor, self.table = sensor, table
        self.first = draws.get("first_location")

    def look(self, location: Tensor) -> Tensor:
        """See S·C·g² numbers in [0, 1] at (x, y): (N, 2) -> (N, S·C·g²)."""
        places = location.unflatten(0, (len(self.table), -1))  # (B, M, 2)
        patches = self.sensor.look(self.table, places).flatten(0, 1)
        return patches.to(location.dtype)
