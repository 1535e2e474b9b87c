"""Catch: a ball falls, and a paddle must be where it lands.

The world of the paper's last experiment (Mnih et al., 2014): the model sees a binary
screen through its retina, a frame for each glimpse; after each it chooses where to look
next and whether the paddle goes left, stays or goes right. It is paid 1 at the end if
the paddle is under the ball.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ramlib.model import RecurrentAttentionModel
from ramlib.rollout import World, rollout
from ramlib.sensor import GlimpseSensor

__all__ = ["Catch", "CatchTask"]


class Catch(World):
    """N falling balls on screens of H × H pixels, for T = H - 1 glimpses.

    Args:
        sensor: the retina.
        first: (N, 2), where to look first; None: the model chooses that too.
        ball: (N, H) int64, the column of the ball in each row.
        paddle: (N,) int64, the column of the paddle's left end at the start.
        width: of the paddle, in pixels.
    """

    acts = ("action",)

    def __init__(
        self,
        sensor: GlimpseSensor,
        first: Tensor | None,
        ball: Tensor,
        paddle: Tensor,
        width=1,
    ):
        self.sensor, self.first, self.ball, self.width = sensor, first, ball, width
        self.paddle, self.t = paddle, 0

    def screen(self) -> Tensor:
        """Draw the present frame: (N, 1, H, H) uint8, with the paddle at the foot."""
        N, H = self.ball.shape
        frame = torch.zeros(N, H, H, dtype=torch.uint8, device=self.ball.device)
        n = torch.arange(N, device=self.ball.device)
        frame[n, self.t, self.ball[:, self.t]] = 255
        for i in range(self.width):
            frame[n, -1, self.paddle + i] = 255
        return frame[:, None]

    def look(self, location: Tensor) -> Tensor:
        """See S·g² numbers in [0, 1] at (x, y): (N, 2) -> (N, S·g²)."""
        table = self.sensor.prepare(self.screen())
        return self.sensor.look(table, location).to(location.dtype)

    def act(self, t: int, actions: dict[str, Tensor]) -> None:
        """Move the paddle by -1, 0 or 1 (actions 0, 1, 2) and let the ball fall."""
        last = self.ball.shape[1] - self.width
        self.paddle = (self.paddle + actions["action"] - 1).clamp(0, last)
        self.t = t + 1

    def rewards(self) -> Tensor:
        """Pay 1 after the last glimpse where the ball is caught: (N, T)."""
        N, H = self.ball.shape
        over = self.ball[:, -1] - self.paddle  # (N,)
        caught = (over >= 0) & (over < self.width)
        paid = torch.zeros(N, H - 1, device=over.device)
        paid[:, -1] = caught.float()
        return paid


class CatchTask:
    """Learn to catch: balls fall straight from a random column, or at an angle.

    Args:
        size: H, the side of the screen in pixels.
        width: of the paddle, in pixels.
        episodes: in an epoch.
    """

    def __init__(self, size: int = 8, width: int = 1, episodes: int = 10_000):
        self.size, self.width, self.episodes = size, width, episodes

    def __len__(self) -> int:
        """Count the episodes in an epoch."""
        return self.episodes

    def prepare(self, model: RecurrentAttentionModel) -> None:
        """Refuse a model that does not fit.

        Raises:
            ValueError: if it does not have three actions and a glimpse for each row
                but the last.
        """
        c = model.config
        if (c.num_actions, c.num_glimpses) != (3, self.size - 1):
            raise ValueError(
                f"num_actions is {c.num_actions} and num_glimpses {c.num_glimpses}; "
                f"this game needs 3 and {self.size - 1}"
            )

    def record(self) -> dict:
        """Say which game it is."""
        return {"game": "catch", "size": self.size, "width": self.width}

    def draw(self, model, chosen: Tensor, M: int, generator) -> dict[str, Tensor]:
        """Draw balls (N, H), paddles (N,) and the model's noise; no labels."""
        B, H = len(chosen), self.size
        place = {"generator": generator, "device": generator.device}
        start, end = torch.randint(H, (2, B, 1), **place)
        fallen = torch.linspace(0, 1, H, device=start.device)  # (H,)
        ball = (start + fallen * (end - start)).round().long()  # (B, H)
        paddle = torch.randint(H - self.width + 1, (B,), **place)
        games = {"ball": ball, "paddle": paddle}
        games = {name: x.repeat_interleave(M, dim=0) for name, x in games.items()}
        return model.draw(B * M, generator, acts=Catch.acts) | games

    def world(self, model: RecurrentAttentionModel, batch: dict[str, Tensor]) -> Catch:
        """Make the world of a batch."""
        first, ball = batch.get("first_location"), batch["ball"]
        return Catch(model.sensor, first, ball, batch["paddle"], self.width)

    def evaluate(self, model: RecurrentAttentionModel, episodes: int = 2000) -> float:
        """Give the share of balls that the likeliest choices miss, in percent."""
        generator = torch.Generator(model.device).manual_seed(1)
        with torch.inference_mode():
            batch = self.draw(model, torch.arange(episodes), 1, generator)
            for name in model.heads:
                batch[name] = torch.zeros_like(batch[name])
            out = rollout(model, self.world(model, batch), batch)
        return 100 * (1 - out["rewards"].sum(dim=1).mean().item())
