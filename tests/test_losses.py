"""The losses: what they reach, finite differences, and the exact policy gradient."""

import itertools
import random

import numpy as np
import pytest
import torch
from test_model import OPTIONS, Through, both
from torch.nn import functional
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ramlib import RecurrentAttentionModel, baseline_loss, hybrid_loss, reinforce_loss
from ramlib.networks import ActionNetwork, LocationNetwork

LABELS = torch.tensor([0, 1, 2, 3])
VARIANTS = [options for options in OPTIONS.values() if options.get("num_glimpses") != 1]


# --- which parameters each loss reaches -----------------------------------------------

SEEING = ("glimpse_network.", "core.")
REACHES = {
    "task": (*SEEING, "action_network."),
    "policy": ("location_network.",),
    "baseline": ("value_network.",),
    "total": ("",),
}


@pytest.mark.parametrize("kind", [RecurrentAttentionModel, Through])
@pytest.mark.parametrize("part", REACHES)
@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_each_loss_reaches_exactly_the_documented_parameters(kind, part, options):
    model, images = both(options, kind)
    out = model(images, generator=0, num_rollouts=2)
    getattr(hybrid_loss(out, LABELS), part).backward()
    reached = REACHES[part] + (SEEING if kind is Through else ())
    for name, parameter in model.named_parameters():
        if name.startswith(reached):
            assert parameter.grad.abs().max() > 0, name
        else:
            assert parameter.grad is None, name


def test_no_gradient_flows_into_the_advantage_or_the_returns():
    one, other = torch.randn(2, 4, 2, requires_grad=True)
    loss = reinforce_loss(one, other) + baseline_loss(one, other)
    gradient, none = torch.autograd.grad(loss, [one, other], allow_unused=True)
    torch.testing.assert_close(gradient, 2 * (one - other) / 8 - other / 4)
    assert none is None


# --- values by brute force ------------------------------------------------------------


def made_up_out(N, T, first, acting):
    """A dictionary as a rollout returns it, of random numbers; three classes."""
    steps = torch.randn(N, T, 3, dtype=torch.float64)
    out = {
        "location_log_probs": torch.randn(N, T - 1 + first).double(),
        "action_log_probs": torch.randn(N, T if acting else 1).double(),
        "values": torch.rand(N, T + first).double(),
        "logits": steps[:, -1],
        "step_logits": steps,
    }
    if acting:
        out["rewards"] = torch.randn(N, T).double()
        out["alive"] = (torch.rand(N, 1) * T + 1 > torch.arange(T)).double()
    return out


def brute(out, labels, baseline, reward, step_loss, M, distillation):
    """Every part of the loss, read off its definition with loops."""
    (N, T), K = out["step_logits"].shape[:2], out["location_log_probs"].shape[1]
    first = out["values"].shape[1] - T
    alive = out.get("alive", torch.ones(N, T))
    task, rewards = torch.zeros(N), torch.zeros(N, T).double()
    for n, t in itertools.product(range(N), range(T)):
        if labels is None or (labels.dim() == 2 and labels[n, t] == -100):
            continue
        label, last = labels[n // M if labels.dim() == 1 else (n, t)], float(t == T - 1)
        taught = (1 - step_loss) * last + step_loss / T
        paid = last if reward == "final" else 1 / T
        if labels.dim() == 2:
            taught = paid = 1 / (labels[n] >= 0).sum()
        logits = out["step_logits"][n, t]
        target = torch.eye(3)[label].double()
        if labels.dim() == 1:  # what the rollouts of the image say on average
            siblings = out["step_logits"][n // M * M : n // M * M + M, t]
            target = (1 - distillation) * target
            target += distillation * siblings.softmax(-1).mean(0)
        task[n] -= taught * target @ logits.log_softmax(0)
        rewards[n, t] = paid * (logits.argmax() == label)
    rewards = out.get("rewards", rewards)
    # Value i is followed by what is paid from glimpse i on, or i - 1 where the first
    # value is that of a place chosen before the first glimpse.
    since = [max(i - first, 0) for i in range(T + first)]
    returns = [[rewards[n, t:].sum() for t in since] for n in range(N)]
    policy = value = 0.0
    for n, (i, t) in itertools.product(range(N), enumerate(since)):
        v, others = out["values"][n, i], {*range(n // M * M, n // M * M + M)} - {n}
        base = {"value": v, "none": 0}.get(baseline)
        if base is None:
            base = sum(returns[m][i] for m in others) / len(others)
        value += alive[n, t] * (v - returns[n][i]) ** 2 / (N * (T + first))
        chosen = 0.0
        if i < K:  # a place, which counts if there is somebody left to look at it
            chosen += alive[n, i + T - K] * out["location_log_probs"][n, i]
        if labels is None and i >= first:
            chosen += alive[n, t] * out["action_log_probs"][n, t]
        policy -= chosen * (returns[n][i] - base) / N
    return task.mean().double(), policy, value, rewards.sum(1).mean()


@pytest.mark.parametrize("seed", range(150))
def test_every_loss_equals_its_definition(seed):
    torch.manual_seed(seed)
    pick = random.Random(seed)
    B, M, T = (pick.randint(1, 3) for _ in range(3))
    first, taught = pick.random() < 0.5, pick.choice(["once", "every", "never"])
    baseline = pick.choice(["value", "none", "leave-one-out"] if M > 1 else ["value"])
    how = {"baseline": baseline, "reward": pick.choice(["final", "per-step"])}
    how["step_loss"] = pick.choice([0.0, 0.3, 1.0])
    how["distillation"] = 0.0
    if M > 1 and taught == "once":
        how["distillation"] = pick.choice([0.0, 0.6, 1.0])
    out = made_up_out(B * M, T, first, taught == "never" or pick.random() < 0.5)
    labels = {"once": torch.randint(0, 3, (B,)), "never": None}.get(taught)
    if taught == "every":
        labels = torch.randint(-1, 3, (B * M, T))
        labels[labels < 0] = -100
    given = {k: v for k, v in how.items() if v not in ("value", "final", 0.0)}
    given |= {} if taught == "once" else {"num_rollouts": M}
    losses = hybrid_loss(out, labels, **given)
    expected = brute(out, labels, **how, M=M)
    for got, part in zip(losses[1:], expected, strict=True):
        torch.testing.assert_close(got.double(), torch.as_tensor(part).double())
    torch.testing.assert_close(losses.total, sum(losses[1:4]))


def test_no_gradient_reaches_what_the_rollouts_say_on_average():
    torch.manual_seed(0)
    out, labels = made_up_out(6, 3, False, False), torch.tensor([0, 1, 2])
    every = out["step_logits"].requires_grad_()
    out["logits"] = every[:, -1]
    how = {"step_loss": 0.4, "distillation": 0.7}
    hybrid_loss(out, labels, **how).task.backward()
    said = (
        every.detach().softmax(-1).unflatten(0, (3, 2)).mean(1).repeat_interleave(2, 0)
    )
    aims = (
        0.3 * torch.eye(3).double()[labels.repeat_interleave(2)][:, None] + 0.7 * said
    )
    share = torch.tensor([0.4 / 3, 0.4 / 3, 0.6 + 0.4 / 3]).double()[:, None] / 6
    torch.testing.assert_close(every.grad, share * (every.detach().softmax(-1) - aims))


def test_distillation_needs_rollouts_of_an_image():
    out = made_up_out(4, 3, False, False)
    for labels in (torch.zeros(4).long(), torch.zeros(4, 3).long()):
        with pytest.raises(ValueError, match=r"distillation is 0\.5, from the roll"):
            hybrid_loss(out, labels, distillation=0.5)


# --- finite differences ---------------------------------------------------------------


@pytest.mark.parametrize("part", ["task", "policy", "baseline"])
@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_gradients_equal_finite_differences(part, options):
    # The places are replayed, and rewards do not change within a small step: what is
    # left is a smooth function of the parameters, whose slope is the loss's gradient.
    model, images = both(options, Through)
    seen, parameters = model(images, generator=0), list(model.parameters())
    how = {"locations": seen["locations"]}
    if not model.config.learn_first_location:
        how["first_location"] = seen["first_location"]

    def loss():
        rule = {"baseline": "none", "reward": "per-step", "step_loss": 0.3}
        return getattr(hybrid_loss(model(images, **how), LABELS, **rule), part)

    gradient = torch.autograd.grad(loss(), parameters, materialize_grads=True)
    start, step = parameters_to_vector(parameters).detach(), 1e-6
    for _ in range(3):
        ahead, ends = torch.randn_like(start), []
        for sign in (1, -1):
            vector_to_parameters(start + sign * step * ahead, parameters)
            ends.append(loss().item())
        slope, exact = (ends[0] - ends[1]) / (2 * step), parameters_to_vector(gradient)
        assert slope == pytest.approx((exact @ ahead).item(), rel=1e-5, abs=1e-7)


# --- the exact policy gradient --------------------------------------------------------


def gradient(scalar, policy):
    parameters = list(policy.parameters())
    gradients = torch.autograd.grad(scalar, parameters, retain_graph=True)
    return torch.cat([g.reshape(-1) for g in gradients])


@pytest.mark.parametrize("baseline", ["none", "value"])
def test_the_mean_over_all_sequences_of_actions_is_the_exact_gradient(baseline):
    # Three actions, twice: what is done first decides the state of the second choice,
    # and each step pays. All nine sequences are weighed by their probabilities.
    torch.manual_seed(0)
    policy, states = ActionNetwork(4, 3).double(), torch.randn(4, 4).double()
    paid, later = torch.randn(3).double(), torch.randn(3, 3).double()
    values, expected, found = torch.randn(4).double(), 0.0, 0.0
    for one, two in itertools.product(range(3), repeat=2):
        visited, rewards = [0, one + 1], torch.stack([paid[one], later[one, two]])
        log_probs = policy.log_prob(states[visited], torch.tensor([one, two]))
        probability = log_probs.sum().exp()
        expected += probability * rewards.sum()
        out = made_up_out(1, 2, first=False, acting=False)
        out["location_log_probs"] *= 0
        out |= {"action_log_probs": log_probs[None], "values": values[None, visited]}
        out["rewards"] = rewards[None]
        found -= probability.detach() * hybrid_loss(out, baseline=baseline).policy
    torch.testing.assert_close(gradient(found, policy), gradient(expected, policy))


@pytest.mark.parametrize("baseline", ["none", "value", "leave-one-out"])
def test_the_mean_over_all_places_is_the_exact_gradient(baseline):
    # Two places, paid for by a polynomial, which three Gauss-Hermite nodes for each of
    # the four coordinates integrate exactly; all pairs of them share an image.
    torch.manual_seed(0)
    policy, states = LocationNetwork(3, 0.5).double(), torch.randn(2, 3).double()
    nodes, weights = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(3))
    noise = torch.cartesian_prod(*[nodes] * 4).reshape(81, 2, 2)
    weight = torch.cartesian_prod(*[weights / weights.sum()] * 4).prod(1)

    def reward(places):
        one, two = places.unbind(1)
        return (one * two.flip(1)).sum(1) + one[:, 0] ** 2 - two[:, 1]

    moved = policy.mean(states) + policy.std * noise  # in the graph, as places are not
    places, expected = policy.sample(states, noise), weight @ reward(moved)
    pairs = torch.cartesian_prod(torch.arange(81), torch.arange(81))
    weight, all_of = weight[pairs].prod(1).repeat_interleave(2), pairs.flatten()
    log_probs = policy.log_prob(states, places)[all_of] * weight[:, None] * len(pairs)
    out = made_up_out(len(all_of), 3, first=False, acting=False)
    out |= {"location_log_probs": log_probs, "values": out["values"] * 0 + 0.6}
    out["rewards"] = functional.pad(reward(places)[all_of, None], (2, 0))
    found = -hybrid_loss(out, baseline=baseline, num_rollouts=2).policy
    torch.testing.assert_close(gradient(found, policy), gradient(expected, policy))
