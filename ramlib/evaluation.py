"""Evaluation by a stated protocol: the same places looked at on every device."""

from __future__ import annotations

from typing import Literal

import torch

from ramlib.data import Digits
from ramlib.model import RecurrentAttentionModel
from ramlib.sensor import check_count

__all__ = ["PROTOCOLS", "evaluate"]

PROTOCOLS = ("mean", "sampled", "average")


def evaluate(
    model: RecurrentAttentionModel,
    data: Digits,
    *,
    protocol: Literal["mean", "sampled", "average"] = "mean",
    rollouts: int = 10,
    seed: int = 0,
    num_glimpses: int | None = None,
    location_std: float | None = None,
    batch_size: int = 1000,
) -> dict:
    """Measure the error on a set, by a stated protocol.

    The first locations are uniform in the image and, like the noise, drawn on the CPU
    from `seed`, so every device looks at the same places.

    Args:
        model: on any device.
        data: images (N, H, W) uint8 and labels (N,).
        protocol: "mean": one pass with the means of the policy, the headline figure;
            "sampled": one pass with sampled places; "average": the class probabilities
            averaged over `rollouts` sampled passes.
        rollouts: M, for "average".
        seed: of everything drawn.
        num_glimpses: T, when it should differ from the model's.
        location_std: σ, when it should differ from the model's.
        batch_size: images at a time; it changes the speed alone.

    Returns:
        `protocol`, `error` in percent, `wrong` and `count` (numbers of images), `seed`
        and, for "average", `rollouts`.

    Raises:
        TypeError: if a count is not a whole number.
        ValueError: if the protocol is unknown or the set is empty.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol is {protocol!r}; choose one of {PROTOCOLS}")
    M = rollouts if protocol == "average" else 1
    check_count("rollouts", M)
    check_count("batch_size", batch_size)
    N = len(data)
    check_count("the number of images", N)
    draws = model.draw(
        N * M, torch.Generator().manual_seed(seed), num_glimpses, device="cpu"
    )
    wrong = torch.zeros((), dtype=torch.long, device=model.device)
    with torch.inference_mode():
        for start in range(0, N, batch_size):
            chosen = slice(start, start + batch_size)
            episodes = slice(start * M, (start + batch_size) * M)
            images = data.images[chosen].to(model.device)[:, None]  # (B, 1, H, W)
            prepared = model.sensor.prepare(images)
            first, noise, _ = (tensor[episodes] for tensor in draws)
            noise = torch.zeros_like(noise) if protocol == "mean" else noise
            rollout = model.rollout(prepared, first, noise, location_std)
            logits = model.action_network.logits(rollout.last)  # (B·M, A)
            probs = logits.softmax(-1).unflatten(0, (-1, M)).mean(dim=1)  # (B, A)
            labels = data.labels[chosen].to(model.device)
            wrong += (probs.argmax(-1) != labels).sum()
    result = {"protocol": protocol, "error": 100 * int(wrong) / N}
    result |= {"wrong": int(wrong), "count": N, "seed": seed}
    return result | ({"rollouts": M} if protocol == "average" else {})
