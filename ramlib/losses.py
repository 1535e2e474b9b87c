"""The three losses, and which parameters each one reaches.

=========  ==========================  =========================================
loss       what it is                  reaches
=========  ==========================  =========================================
task       cross-entropy               glimpse network, core, action network
policy     REINFORCE                   location network
baseline   mean squared error          value network
=========  ==========================  =========================================

Where the gradients stop is said by `RecurrentAttentionModel.read`; good implementations
differ in this choice.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot, pad

from ramlib.checks import Count, Share, check, check_labels, check_tensor, checked

__all__ = ["baseline_loss", "leave_one_out", "reinforce_loss", "reward_to_go"]
__all__ += ["Baseline", "Losses", "Reward", "combine", "hybrid_loss"]

Baseline = Literal["value", "leave-one-out", "none"]
Reward = Literal["final", "per-step"]


class Losses(NamedTuple):
    """The hybrid loss and its parts: scalars; `total` is the one to differentiate."""

    total: Tensor
    task: Tensor
    policy: Tensor
    baseline: Tensor
    reward: Tensor  # not a loss: what an episode was paid, on average


def reward_to_go(rewards: Tensor) -> Tensor:
    """Add up what is paid from each step on: (N, T) -> (N, T)."""
    check_pair("rewards", rewards, "rewards", rewards)
    return rewards.flip(1).cumsum(dim=1).flip(1)


def leave_one_out(returns: Tensor, num_rollouts: int) -> Tensor:
    """Average the returns of the other rollouts of the same image.

    Args:
        returns: (N, K); the rollouts of an image lie side by side.
        num_rollouts: M, at least 2; a divisor of N.

    Returns:
        (N, K), a baseline: a rollout's own return is not in it.

    Raises:
        ValueError: if M is 1, or does not divide N.
    """
    check_pair("returns", returns, "returns", returns)
    if check("num_rollouts", num_rollouts, int) < 2 or len(returns) % num_rollouts:
        raise ValueError(
            f"leave-one-out compares the rollouts of an image: num_rollouts is "
            f"{num_rollouts}, for {len(returns)} episodes; make 2 or more of each"
        )
    grouped = returns.unflatten(0, (-1, num_rollouts))  # (B, M, K)
    others = grouped.sum(dim=1, keepdim=True) - grouped
    return (others / (num_rollouts - 1)).flatten(0, 1)


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
        TypeError: if either is no tensor.
        ValueError: if the shapes differ or are not (N, K) with N ≥ 1.
    """
    check_pair("log_probs", log_probs, "advantage", advantage)
    return -(log_probs * advantage.detach()).sum(dim=1).mean()


def baseline_loss(values: Tensor, returns: Tensor) -> Tensor:
    r"""Give the mean squared error of the baseline, :math:`(R_t - b_t)^2`.

    Args:
        values: (N, K), the baseline of each choice.
        returns: (N, K), the return that followed; no gradient flows into it.

    Returns:
        A scalar: averaged over choices and episodes.

    Raises:
        TypeError: if either is no tensor.
        ValueError: if the shapes differ or are not (N, K) with N ≥ 1.
    """
    check_pair("values", values, "returns", returns)
    return mse_loss(values, returns.detach())


@checked
def hybrid_loss(
    out: dict[str, Tensor],
    labels: Tensor | None = None,
    *,
    baseline: Baseline = "value",
    reward: Reward = "final",
    step_loss: Share = 0.0,
    num_rollouts: Count | None = None,
    distillation: Share = 0.0,
) -> Losses:
    """Combine the three losses of a rollout.

    What is chosen after glimpse t, where to look next and what to do, is weighed by all
    that is paid from glimpse t on, less the baseline of that step. (A class that is
    right at glimpse t itself is paid before the next place is chosen, and that payment
    is in the weight as it is in the baseline: the estimate stays unbiased.)

    Args:
        out: what the model, or `rollout`, returned of N = B·M episodes, the rollouts of
            an image side by side.
        labels: (B,) int64 in [0, A), the class of each image, or (N, T), a class or
            -100 for every glimpse: the action network learns them by cross-entropy.
            None: it learns by REINFORCE as well, from what the world pays.
        baseline: what is subtracted from a return: "value" (the value network),
            "leave-one-out" (the mean return of the M - 1 other rollouts of the image)
            or "none".
        reward: what a right class pays where the world pays nothing: "final", 1 after
            the last glimpse; "per-step", 1/T after every glimpse. With labels (N, T),
            every glimpse that has one pays an equal share of 1.
        step_loss: in [0, 1]; the share of the cross-entropy that is averaged over all
            glimpses and not taken at the last one alone; for labels (B,).
        num_rollouts: M; None: as many as there are episodes for each label.
        distillation: in [0, 1]; how much of the target of the cross-entropy is not the
            label but what the M rollouts of the image say on average; for labels (B,).

    Returns:
        The losses, scalars.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a name is unknown, a share out of range, `out` is of one image
            without a leading size, labels or M do not fit it, it was paid NaN, or
            leave-one-out or distillation has but one rollout of an image.
    """
    check_out(out, labels, num_rollouts)
    alone = labels is None or labels.dim() == 2 or len(labels) == len(out["values"])
    if distillation and alone:
        raise ValueError(
            f"distillation is {distillation}, from the rollouts of an image: give "
            "labels (B,), and 2 rollouts or more of each image"
        )
    how = baseline, reward, step_loss, num_rollouts, distillation
    return combine(out, labels, *how)


def combine(
    out, labels, baseline, reward, step_loss, num_rollouts, distillation
) -> Losses:
    """Give the `hybrid_loss`, unchecked: it never waits for the device."""
    values, (N, T) = out["values"], out["step_logits"].shape[:2]
    task = policy = values.new_zeros(())
    rewards = out.get("rewards")
    M = num_rollouts or (1 if labels is None else N // len(labels))
    if labels is not None:
        task, paid = taught(out, labels, step_loss, reward, distillation)
        rewards = paid if rewards is None else rewards
    # Where the first place is chosen too, that is before the first glimpse is paid.
    lead = values.shape[1] - T
    returns = reward_to_go(pad(rewards.to(values.dtype), (lead, 0)))  # (N, lead + T)
    alive = out.get("alive", torch.ones_like(returns[:, lead:]))
    alive = torch.cat([alive[:, :lead], alive], dim=1)
    advantage = returns
    if baseline != "none":
        base = values if baseline == "value" else leave_one_out(returns, M)
        advantage = returns - base
    for name, log_probs in out.items():
        by_labels = name == "action_log_probs" and labels is not None
        if not name.endswith("_log_probs") or by_labels:
            continue
        # A place is chosen one step before it is looked at; all else, beside a glimpse.
        K = log_probs.shape[1]
        begin = 0 if name == "location_log_probs" else lead + T - K
        log_probs = log_probs * alive[:, lead + T - K :]
        policy = policy + reinforce_loss(log_probs, advantage[:, begin : begin + K])
    value, episode = baseline_loss(values * alive, returns * alive), returns[:, 0]
    return Losses(task + policy + value, task, policy, value, episode.mean())


def taught(
    out: dict, labels: Tensor, step_loss: float, reward: str, distillation: float
) -> tuple[Tensor, Tensor]:
    """Give the cross-entropy with the labels, and what right classes pay: (N, T)."""
    last, every = out["logits"], out["step_logits"]  # (N, A), (N, T, A)
    N, T = every.shape[:2]
    if labels.dim() == 1:
        M = N // len(labels)
        targets = labels.repeat_interleave(M)[:, None].expand(N, T)
        aims = targets
        if distillation:
            said = every.detach().softmax(-1).unflatten(0, (-1, M)).mean(dim=1)
            aims = one_hot(targets, said.shape[-1]).to(said)  # (N, T, A)
            aims = aims.lerp(said.repeat_interleave(M, dim=0), distillation)
        task, share = cross_entropy(last, aims[:, -1]), torch.ones_like(targets) / T
    else:
        task, step_loss, targets, reward = 0, 1, labels, "per-step"
        aims = targets
        share = (labels >= 0) / (labels >= 0).sum(dim=1, keepdim=True).clamp(min=1)
    if step_loss:
        flat = every.flatten(0, 1), aims.flatten(0, 1)  # (N·T, A), and (N·T,) or so
        steps = cross_entropy(*flat, reduction="none").view(N, T)
        task = (1 - step_loss) * task + step_loss * (steps * share).sum(dim=1).mean()
    if reward == "per-step":
        return task, (every.argmax(-1) == targets) * share
    right = (last.argmax(-1) == targets[:, -1]).to(last.dtype)
    return task, pad(right[:, None], (T - 1, 0))  # 0 until the end


def check_out(out: dict, labels: Tensor | None, num_rollouts: int | None) -> None:
    """Raise unless `out` is of a batch, and labels and M fit it."""
    names = ("logits", "step_logits", "values", "location_log_probs")
    if not isinstance(out, dict) or not set(names) <= set(out):
        raise TypeError(f"out lacks one of {names}; give what a model returns")
    logits = out["step_logits"]
    if logits.dim() != 3:
        raise ValueError(
            f"step_logits have shape {tuple(logits.shape)}, but a loss needs a batch; "
            "give the model images of shape (1, H, W) for a single one"
        )
    N, T, A = logits.shape
    for name in {"rewards", "alive"} & set(out):
        check_tensor(name, paid := out[name])
        if paid.shape != (N, T) or not paid.isfinite().all():
            shape = tuple(paid.shape)
            raise ValueError(f"{name} has shape {shape}, or NaN; give finite {(N, T)}")
    if labels is None and "rewards" not in out:
        raise ValueError("out has no rewards: give labels, to say what is right")
    M, rest = num_rollouts or 1, N
    if labels is not None:
        check_tensor("labels", labels, logits.device)
        if labels.dim() == 2 and labels.shape == (N, T):
            check_labels(labels[labels != -100], A)
        else:
            check_labels(labels, A, N)
            rest = N // len(labels)
    if rest % M:
        raise ValueError(f"num_rollouts is {M}, which does not divide {rest} episodes")


def check_pair(name: str, one: Tensor, other_name: str, other: Tensor) -> None:
    """Raise unless both are (N, K), floating, with at least one episode."""
    check_tensor(name, one)
    check_tensor(other_name, other)
    if one.dim() != 2 or one.shape != other.shape or len(one) == 0:
        raise ValueError(
            f"{name} has shape {tuple(one.shape)} and {other_name} "
            f"{tuple(other.shape)}; both must be (N, K), N ≥ 1 episodes by choices"
        )
    if not one.is_floating_point():
        raise TypeError(f"{name} holds {one.dtype}; give floating-point numbers")
