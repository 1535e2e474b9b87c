"""The three losses, and which parameters each one reaches.

=========  ==========================  =========================================
loss       what it is                  reaches
=========  ==========================  =========================================
task       cross-entropy               glimpse network, core, action network
policy     REINFORCE                   location network
baseline   mean squared error          value network
=========  ==========================  =========================================

REINFORCE and the baseline's loss stop at the state h by default. `RAMConfig` can let
either through to the core and the glimpse network (`policy_reaches_core`,
`baseline_reaches_core`); good implementations differ in this choice.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ramlib.sensor import check_tensor

__all__ = ["Losses", "baseline_loss", "hybrid_loss", "reinforce_loss"]


class Losses(NamedTuple):
    """The hybrid loss and its parts: scalars; `total` is the one to differentiate."""

    total: Tensor
    task: Tensor
    policy: Tensor
    baseline: Tensor


def reinforce_loss(log_probs: Tensor, advantage: Tensor) -> Tensor:
    r"""Give the loss whose gradient is the REINFORCE estimate, negated.

    .. math::
        \nabla_\theta J \approx \frac{1}{N} \sum_{n=1}^{N} \sum_{t=1}^{K}
        \nabla_\theta \log \pi_\theta(l_t^n \mid h_t^n)\, (R_t^n - b_t^n)

    The value of this loss means nothing; only its gradient does. No gradient flows into
    the advantage.

    Args:
        log_probs: (N, K), log-probability of each choice.
        advantage: (N, K), the return that followed each choice, minus its baseline.

    Returns:
        A scalar: summed over choices, averaged over episodes.

    Raises:
        ValueError: if the shapes differ or are not (N, K).
    """
    _check_pair("log_probs", log_probs, "advantage", advantage)
    return -(log_probs * advantage.detach()).sum(dim=1).mean()


def baseline_loss(values: Tensor, returns: Tensor) -> Tensor:
    r"""Give the mean squared error of the baseline, :math:`(R_t - b_t)^2`.

    Args:
        values: (N, K), the baseline of each choice.
        returns: (N, K), the return that followed; no gradient flows into it.

    Returns:
        A scalar: averaged over choices and episodes.

    Raises:
        ValueError: if the shapes differ or are not (N, K).
    """
    _check_pair("values", values, "returns", returns)
    return functional.mse_loss(values, returns.detach())


def hybrid_loss(
    out: dict[str, Tensor],
    labels: Tensor,
    *,
    baseline: str = "value",
    reward: str = "final",
    reward_of: str = "argmax",
    step_loss: float = 0.0,
    policy_weight: float = 1.0,
    baseline_weight: float = 1.0,
    check: bool = True,
) -> Losses:
    """Combine the three losses of a rollout.

    Args:
        out: what the model returned for B images with M copies each: leading size
            N = B·M, the copies of an image side by side.
        labels: (B,) int64, the classes, in [0, A).
        baseline: what is subtracted from the return of a choice: "value" (the value
            network), "leave-one-out" (the mean return of the M - 1 other copies of the
            image) or "none".
        reward: "final": 1 if the class is right after the last glimpse, for every
            choice; "per-step": the share of right classes among the glimpses still to
            come, which needs `every_step=True` in the forward pass.
        reward_of: "argmax", or "sample" for the sampled action, which there is at the
            end alone: with reward "final".
        step_loss: in [0, 1); the share of the cross-entropy that is averaged over all
            glimpses and not taken at the last one alone; above 0 it needs `every_step`.
        policy_weight: factor of the policy's loss in the total.
        baseline_weight: factor of the baseline's loss in the total.
        check: look at the labels first; False never waits for the device.

    Returns:
        The losses, scalars.

    Raises:
        TypeError: if `labels` is no tensor.
        ValueError: if a name is unknown, a share out of range, `out` is of one image
            without a leading size, the labels do not fit it, leave-one-out has but one
            copy, or `every_step` is missing.
    """
    if check:
        check_labels(labels, out["logits"])
    choices = {
        "baseline": (baseline, ("value", "leave-one-out", "none")),
        "reward": (reward, ("final", "per-step")),
        "reward_of": (reward_of, ("argmax", "sample")),
    }
    for name, (value, known) in choices.items():
        if value not in known:
            raise ValueError(f"{name} is {value!r}; choose one of {known}")
    if reward == "per-step" and reward_of == "sample":
        raise ValueError(
            "reward 'per-step' is always that of the most probable class: give "
            "reward_of='argmax' with it"
        )
    if not 0 <= step_loss < 1:
        raise ValueError(f"step_loss is {step_loss}; it must lie in [0, 1)")
    if (reward == "per-step" or step_loss) and "step_logits" not in out:
        raise ValueError(
            "a per-step reward or loss needs the classes after every glimpse; call the "
            "model with every_step=True"
        )
    N, K = out["location_log_probs"].shape
    M = N // len(labels)
    targets = labels.repeat_interleave(M) if M > 1 else labels  # (N,)
    task = functional.cross_entropy(out["logits"], targets)
    if step_loss:
        steps = out["step_logits"].transpose(1, 2)  # (N, A, T)
        T = steps.shape[2]
        every = functional.cross_entropy(steps, targets[:, None].expand(N, T))
        task = (1 - step_loss) * task + step_loss * every

    returns = _returns(out, targets, reward, reward_of)  # (N, T) or (N, T + 1)
    chosen = returns[:, :K]  # the last return follows no choice of place
    if baseline == "value":
        base = out["values"][:, :K]
    elif baseline == "leave-one-out":
        base = _leave_one_out(chosen, M)
    else:
        base = torch.zeros_like(chosen)
    policy = reinforce_loss(out["location_log_probs"], chosen - base)
    value = baseline_loss(out["values"], returns)
    total = task + policy_weight * policy + baseline_weight * value
    return Losses(total, task, policy, value)


def _returns(out: dict, targets: Tensor, reward: str, reward_of: str) -> Tensor:
    """Give the return that follows each value, (N, T), or (N, T + 1) as `values` is."""
    values = out["values"]
    if reward == "final":
        final = (
            out["logits"].argmax(-1) if reward_of == "argmax" else out["actions"][:, 0]
        )
        right = (final == targets).to(values.dtype)
        return right[:, None].expand_as(values)
    right = out["step_logits"].argmax(-1) == targets[:, None]  # (N, T)
    right = right.to(values.dtype)
    T = right.shape[1]
    left = torch.arange(T, 0, -1, device=right.device)  # glimpses from here to the end
    to_go = right.flip(1).cumsum(1).flip(1) / left  # (N, T) this glimpse included
    # The choice made at step t is followed by the glimpses t+1, …, T; the last value is
    # a guess of the outcome alone.
    after = torch.cat([to_go[:, 1:], right[:, -1:]], dim=1)
    first = to_go[:, :1] if values.shape[1] > T else to_go[:, :0]
    return torch.cat([first, after], dim=1)


def _leave_one_out(returns: Tensor, copies: int) -> Tensor:
    """Average the returns of the other copies of the same image: (N, K) -> (N, K)."""
    if copies < 2:
        raise ValueError(
            f"baseline 'leave-one-out' compares the copies of an image, but there is "
            f"{copies}; call the model with copies=2 or more"
        )
    grouped = returns.unflatten(0, (-1, copies))  # (B, M, K)
    others = (grouped.sum(dim=1, keepdim=True) - grouped) / (copies - 1)
    return others.flatten(0, 1)


def check_labels(labels: Tensor, logits: Tensor) -> None:
    """Raise unless labels (B,) fit logits (B·M, A)."""
    check_tensor("labels", labels)
    if logits.dim() != 2:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)}, but a loss needs a batch; give "
            "the model images of shape (1, H, W) for a single one"
        )
    N, A = logits.shape
    if labels.dtype != torch.int64 or labels.dim() != 1:
        raise ValueError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}; give class "
            "numbers as int64 of shape (B,)"
        )
    if labels.device != logits.device:
        raise ValueError(
            f"labels are on {labels.device}, the model is on {logits.device}; move "
            "one of them with .to(device)"
        )
    if len(labels) == 0 or N % len(labels):
        raise ValueError(
            f"{len(labels)} labels do not fit {N} episodes; give one label per image "
            "(each image's copies share it)"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= A:
        raise ValueError(
            f"labels span [{low}, {high}], but the model has {A} classes: they must "
            f"lie in [0, {A - 1}]"
        )


def _check_pair(name: str, one: Tensor, other_name: str, other: Tensor) -> None:
    check_tensor(name, one)
    check_tensor(other_name, other)
    if one.dim() != 2 or one.shape != other.shape:
        raise ValueError(
            f"{name} has shape {tuple(one.shape)} and {other_name} "
            f"{tuple(other.shape)}; both must be (N, K), episodes by choices"
        )
