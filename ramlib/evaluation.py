"""Evaluation by a stated protocol: the same places looked at on every device."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from ramlib import checks
from ramlib.data import Images
from ramlib.model import RecurrentAttentionModel
from ramlib.rollout import rollout
from ramlib.worlds.still import Still

__all__ = ["PROTOCOLS", "evaluate"]

Protocol = Literal["mean", "sampled", "average"]
PROTOCOLS = get_args(Protocol)


@checks.checked
def evaluate(
    model: RecurrentAttentionModel,
    data: Images,
    *,
    protocol: Protocol = "mean",
    num_rollouts: checks.NumRollouts = 10,
    seed: checks.Seed = 0,
    num_glimpses: checks.NumGlimpses | None = None,
    batch_size: checks.Count = 1000,
) -> dict:
    """Measure the error on a set, by a stated protocol.

    The first locations, uniform in the image, and the noise are drawn on the CPU from
    `seed`, so they are the same on every device.

    Args:
        model: on any device.
        data: images and labels, on any device.
        protocol: "mean": one pass with the means of the policy, the headline figure (of
            a "uniform" policy, which has none, with sampled places);
            "sampled": one pass with sampled places; "average": the class probabilities
            averaged over `num_rollouts` sampled passes.
        num_rollouts: M, for "average".
        seed: of everything drawn.
        num_glimpses: T, when it should differ from the model's.
        batch_size: images at a time; it changes the speed alone.

    Returns:
        `protocol`, `error` in percent, `wrong` and `count` (numbers of images), `seed`
        and, for "average", `num_rollouts`.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if one is out of range, the data does not fit the model, or the
            model's weights are not finite.
    """
    checks.check_finite(model)
    checks.check_images(data.images, model.config.num_channels)
    checks.check_labels(data.labels, model.config.num_actions)
    M = num_rollouts if protocol == "average" else 1
    generator = torch.Generator().manual_seed(seed)
    N, wrong = len(data), torch.zeros((), dtype=torch.long, device=model.device)
    with torch.inference_mode():
        draws = model.draw(N * M, generator, num_glimpses)
        uniform = model.config.location_policy == "uniform"  # which has no mean
        if protocol == "mean" and not uniform:
            draws["location"].zero_()
        for start in range(0, N, batch_size):
            part = data[start : start + batch_size].to(model.device)
            episodes = slice(start * M, (start + batch_size) * M)
            noise = {name: tensor[episodes] for name, tensor in draws.items()}
            world = Still(model.sensor, model.sensor.prepare(part.images), noise)
            logits = rollout(model, world, noise)["step_logits"][:, -1]  # (B·M, A)
            probs = logits.softmax(-1).unflatten(0, (-1, M)).mean(dim=1)  # (B, A)
            wrong += (probs.argmax(-1) != part.labels).sum()
    result = {"protocol": protocol, "error": 100 * int(wrong) / N}
    result |= {"wrong": int(wrong), "count": N, "seed": seed}
    return result | ({"num_rollouts": M} if protocol == "average" else {})
