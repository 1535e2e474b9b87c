"""One loop over glimpses, for every world.

A *world* is N episodes side by side: still images, falling balls, lines of text. The
model looks at a place of it, and the world says what is there. `rollout` runs the model
through it. All the randomness has been drawn before, so that a rollout can be replayed,
resumed exactly, and compiled as one graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["World", "rollout"]


class World:
    """N episodes side by side; the defaults are those of a world that stands still.

    Attributes:
        first: (N, 2), where the first look goes; None: the model chooses that too.
        acts: names of the model's heads that act on this world after every glimpse.
    """

    first: Tensor | None
    acts: tuple[str, ...] = ()

    def look(self, location: Tensor) -> Tensor:
        """Say what is there now: (N, 2) -> what the glimpse network takes."""
        raise NotImplementedError

    def move(self, location: Tensor | None, choice: Tensor) -> Tensor:
        """Give the place that a choice means: here (x, y), clamped to the image."""
        return choice.clamp(-1, 1)

    def act(self, t: int, actions: dict[str, Tensor]) -> None:
        """Go on after glimpse t, where every head in `acts` has chosen: (N,) each."""

    def rewards(self) -> Tensor | None:
        """Say, at the end, what was paid after each glimpse: (N, T); None: nothing."""
        return None

    def alive(self) -> Tensor | None:
        """Say, at the end, which episodes had each glimpse: (N, T); None: all did."""
        return None


def rollout(
    model: nn.Module, world: World, draws: dict[str, Tensor]
) -> dict[str, Tensor | list[Tensor]]:
    """Look T times at every episode of a world: unchecked, no randomness of its own.

    Args:
        model: a `RecurrentAttentionModel`, or another with the same parts.
        world: what is looked at.
        draws: the noise of every head that acts, (N, T, …), from `model.draw`.

    Returns:
        Every step. Of T glimpses the last K are places that the model chose: all T
        where `world.first` is None, and otherwise T - 1.

        - looked (N, T, 2), where it looked; glimpses, a list of T, what it saw there
        - locations (N, K, 2), the places it chose, location_samples (N, K, 2), the same
          before `world.move`, and location_log_probs (N, K) of the samples
        - hidden (N, T, D) and step_logits (N, T, A), after each glimpse, and logits
          (N, A), the last of them
        - values (N, T): values[:, t] is the baseline of what is chosen after glimpse t;
          where the first place is chosen too, (N, T + 1), the first the baseline of it
        - for every head in `world.acts`, its choices NAMEs and NAME_log_probs (N, T)
        - rewards and alive (N, T), where the world has them
    """
    N, T = draws["location"].shape[:2]
    where, state, hidden = world.first, None, model.initial(N)
    samples, steps = [], []
    for t in range(T):
        if t > 0 or where is None:
            samples.append(model.choose("location", hidden, draws, t))
            where = world.move(where, samples[-1])
        glimpse = world.look(where)
        feature = model.glimpse_network(glimpse, where)
        state = model.core(feature, state)
        hidden = model.core.hidden(state)
        actions = {name: model.choose(name, hidden, draws, t) for name in world.acts}
        world.act(t, actions)
        steps.append((where, glimpse, hidden, actions))
    return read_out(model, world, samples, steps)


def read_out(model: nn.Module, world: World, samples: list, steps: list[tuple]) -> dict:
    """Let every head read the states, all at once: see `rollout`."""
    looked, glimpses, hiddens, actions = zip(*steps, strict=True)
    T, K = len(looked), len(samples)
    looked, hidden = torch.stack(looked, dim=1), torch.stack(hiddens, dim=1)
    known = hidden  # (N, T, D), where a place was chosen or a value is wanted
    if K == T:  # before the first glimpse too: (N, T + 1, D)
        known = torch.cat([model.initial(len(hidden))[:, None], hidden], dim=1)
    samples = torch.stack(samples, dim=1) if K else looked[:, :0]
    policy = model.heads["location"]
    out = {
        "looked": looked,
        "glimpses": list(glimpses),
        "locations": looked[:, T - K :],
        "location_samples": samples,
        "location_log_probs": policy.log_prob(
            model.read(known, "location")[:, :K], samples
        ),
        "hidden": hidden,
        # The last logits by themselves: their gradient then need not pass the stack.
        "logits": model.action_network.logits(model.read(hiddens[-1], "action")),
        "step_logits": model.action_network.logits(model.read(hidden, "action")),
        "values": model.value_network(model.read(known, "value")),
    }
    for name in world.acts:
        out[f"{name}s"] = chosen = torch.stack([a[name] for a in actions], dim=1)
        seen = model.read(hidden, name)
        out[f"{name}_log_probs"] = model.heads[name].log_prob(seen, chosen)
    paid = {"rewards": world.rewards(), "alive": world.alive()}
    return out | {name: value for name, value in paid.items() if value is not None}
