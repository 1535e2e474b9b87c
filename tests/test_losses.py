"""The losses: what they reach, finite differences, and the exact policy gradient."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal
from torch.nn.functional import cross_entropy

from ramlib import (
    RAMConfig,
    RecurrentAttentionModel,
    baseline_loss,
    hybrid_loss,
    reinforce_loss,
)
from ramlib.networks import LocationNetwork

SMALL = {
    "glimpse_size": 3,
    "num_glimpses": 3,
    "hidden_size": 12,
    "glimpse_hidden_size": 6,
    "num_actions": 4,
}
LABELS = torch.tensor([0, 1, 2, 3, 1])


def small(**options):
    torch.manual_seed(0)
    return RecurrentAttentionModel(RAMConfig(**{**SMALL, **options})).double()


def some_images(number=5, channels=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (number, channels, 7, 9)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def made_up_out(N=6, T=3, A=4, first=False, seed=0):
    """A dictionary as the model returns it, of random numbers."""
    torch.manual_seed(seed)
    K = T if first else T - 1
    steps = torch.randn(N, T, A, dtype=torch.float64)
    return {
        "actions": torch.randint(0, A, (N, 1)),
        "location_log_probs": torch.randn(N, K, dtype=torch.float64),
        "values": torch.rand(N, max(T, K + 1), dtype=torch.float64),
        "logits": steps[:, -1],
        "step_logits": steps,
    }


# --- which parameters each loss reaches -----------------------------------------------

SEEING = ("glimpse_network.", "core.")
REACHES = [
    ("task", {}, (*SEEING, "action_network.")),
    ("policy", {}, ("location_network.",)),
    ("baseline", {}, ("value_network.",)),
    ("policy", {"policy_reaches_core": True}, (*SEEING, "location_network.")),
    ("baseline", {"baseline_reaches_core": True}, (*SEEING, "value_network.")),
    ("policy", {"baseline_reaches_core": True}, ("location_network.",)),
    ("baseline", {"policy_reaches_core": True}, ("value_network.",)),
    (
        "task",
        {"policy_reaches_core": True, "baseline_reaches_core": True},
        (*SEEING, "action_network."),
    ),
    ("total", {}, ("",)),
]
VARIANTS = [
    {},
    {"core": "lstm"},
    {"core": "gru"},
    {"glimpse_encoder": "conv"},
    {"location_hidden_size": 5},
    {"learn_location_std": True},
    {"learn_first_location": True},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize(("part", "options", "reached"), REACHES, ids=str)
def test_each_loss_reaches_exactly_the_documented_parameters(
    part, options, reached, variant
):
    model = small(**options, **variant)
    losses = hybrid_loss(model(some_images(), generator=0), LABELS)
    getattr(losses, part).backward()
    for name, parameter in model.named_parameters():
        if name.startswith(reached):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
        else:
            assert parameter.grad is None, name


@pytest.mark.parametrize("baseline", ["value", "leave-one-out", "none"])
def test_the_policys_loss_never_trains_its_baseline(baseline):
    model = small(policy_reaches_core=True)
    out = model(some_images(), copies=2)
    hybrid_loss(out, LABELS, baseline=baseline).policy.backward()
    assert all(p.grad is None for p in model.value_network.parameters())


def test_no_gradient_flows_into_the_advantage_or_the_returns():
    log_probs, values = torch.randn(4, 2, requires_grad=True), torch.randn(4, 2)
    other = torch.randn(4, 2, requires_grad=True)
    reinforce_loss(log_probs, other).backward()
    baseline_loss(values.requires_grad_(), other).backward()
    assert other.grad is None
    torch.testing.assert_close(log_probs.grad, -other.detach() / 4)
    torch.testing.assert_close(values.grad, 2 * (values - other).detach() / 8)


@pytest.mark.parametrize("reward", ["final", "per-step"])
def test_the_last_value_plays_no_part_in_the_policys_loss(reward):
    out = made_up_out()
    before = hybrid_loss(out, LABELS[:3], reward=reward)
    out["values"] = out["values"].clone()
    out["values"][:, -1] += 10
    after = hybrid_loss(out, LABELS[:3], reward=reward)
    assert torch.equal(after.policy, before.policy)
    assert after.baseline > before.baseline


@pytest.mark.parametrize("learned", [False, True])
def test_one_glimpse_reinforces_only_a_place_that_it_chose(learned):
    model = small(num_glimpses=1, learn_first_location=learned)
    losses = hybrid_loss(model(some_images()), LABELS)
    losses.total.backward()
    bias = model.location_network.mean.bias.grad
    if learned:
        assert bias.abs().max() > 0
    else:
        assert bias is None
        assert losses.policy == 0


# --- values by brute force ------------------------------------------------------------


def brute_returns(out, labels, reward, first):
    """The return that follows each value, read off the definition with loops."""
    right = (out["step_logits"].argmax(-1) == labels[:, None]).double()
    N, T = right.shape
    returns = torch.zeros(N, T + first, dtype=torch.float64)
    for n in range(N):
        for i in range(T + first):
            # the value at i is followed by glimpses (counted from 0) `start` to T - 1
            start = i if first else i + 1
            after = [right[n, t] for t in range(start, T)] or [right[n, -1]]
            mean = sum(after) / len(after)
            returns[n, i] = right[n, -1] if reward == "final" else mean
    return returns


def brute_baseline(out, returns, baseline, M):
    N, K = out["location_log_probs"].shape
    result = torch.zeros(N, K, dtype=torch.float64)
    for n, k in itertools.product(range(N), range(K)):
        if baseline == "value":
            result[n, k] = out["values"][n, k]
        elif baseline == "leave-one-out":
            image = n // M
            others = [m for m in range(image * M, image * M + M) if m != n]
            result[n, k] = sum(returns[m, k] for m in others) / (M - 1)
    return result


@settings(deadline=None, max_examples=60)
@given(
    B=st.integers(1, 4),
    M=st.integers(1, 4),
    T=st.integers(1, 5),
    first=st.booleans(),
    baseline=st.sampled_from(["value", "leave-one-out", "none"]),
    reward=st.sampled_from(["final", "per-step"]),
    step_loss=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 1000),
)
def test_every_loss_equals_its_definition(
    B, M, T, first, baseline, reward, step_loss, seed
):
    if baseline == "leave-one-out" and M == 1:
        M = 2
    out = made_up_out(B * M, T, 3, first, seed)
    labels = torch.randint(0, 3, (B,))
    losses = hybrid_loss(
        out,
        labels,
        baseline=baseline,
        reward=reward,
        step_loss=step_loss,
        policy_weight=0.7,
        baseline_weight=0.2,
    )
    each = labels.repeat_interleave(M)
    returns = brute_returns(out, each, reward, first)
    advantage = returns[:, : T - 1 + first] - brute_baseline(out, returns, baseline, M)
    policy = baseline_term = task = 0.0
    for n in range(B * M):
        policy -= (out["location_log_probs"][n] * advantage[n]).sum() / (B * M)
        baseline_term += (out["values"][n] - returns[n]).square().mean() / (B * M)
        log_softmax = out["step_logits"][n].log_softmax(-1)[:, each[n]]
        task -= (1 - step_loss) * log_softmax[-1] / (B * M)
        task -= step_loss * log_softmax.mean() / (B * M)
    torch.testing.assert_close(losses.task, task)
    torch.testing.assert_close(losses.policy, torch.as_tensor(policy).double())
    torch.testing.assert_close(losses.baseline, baseline_term)
    total = task + 0.7 * policy + 0.2 * baseline_term
    torch.testing.assert_close(losses.total, total)


def test_the_reward_can_be_that_of_the_sampled_action():
    out = made_up_out(N=5)
    for reward_of, final in [
        ("argmax", out["logits"].argmax(-1)),
        ("sample", out["actions"][:, 0]),
    ]:
        losses = hybrid_loss(out, LABELS % 4, baseline="none", reward_of=reward_of)
        right = (final == LABELS % 4).double()
        expected = -(out["location_log_probs"].sum(1) * right).mean()
        torch.testing.assert_close(losses.policy, expected)


def test_the_share_of_the_step_loss_is_exact_at_known_probabilities():
    out = made_up_out(N=1, T=2, A=2)
    out["step_logits"] = torch.tensor([[[0.0, 0.0], [0.8, 0.2]]]).double()
    out["step_logits"][0, 1] = out["step_logits"][0, 1].log()
    out["logits"] = out["step_logits"][:, -1]
    label = torch.tensor([0])
    last, first = -torch.tensor([0.8, 0.5]).double().log()
    for share in (0.0, 0.25, 0.5):
        task = hybrid_loss(out, label, step_loss=share).task
        torch.testing.assert_close(
            task, (1 - share) * last + share * (first + last) / 2
        )


def test_the_task_is_the_cross_entropy_of_the_last_logits():
    out = small()(some_images(), copies=3, generator=0)
    expected = cross_entropy(out["logits"], LABELS.repeat_interleave(3))
    torch.testing.assert_close(hybrid_loss(out, LABELS).task, expected)


def test_checking_the_labels_changes_nothing():
    out = made_up_out(N=5)
    assert hybrid_loss(out, LABELS) == hybrid_loss(out, LABELS, check=False)


# --- finite differences ---------------------------------------------------------------


def slope(function, parameter, index, step=1e-5):
    """The central difference of a scalar along one number of a parameter."""
    flat = parameter.data.view(-1)
    before = flat[index].item()
    values = []
    for sign in (1, -1):
        flat[index] = before + sign * step
        with torch.no_grad():
            values.append(function().item())
    flat[index] = before
    return (values[0] - values[1]) / (2 * step)


@pytest.mark.parametrize("part", ["task", "policy", "baseline"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"core": "lstm"},
        {"core": "gru", "num_scales": 2},
        {"glimpse_encoder": "conv"},
        {"learn_location_std": True, "location_hidden_size": 5},
        {"learn_first_location": True},
    ],
    ids=str,
)
def test_gradients_equal_finite_differences(part, options):
    # The places are replayed, and reward and baseline held fixed: what is left is a
    # smooth function of the parameters, and its slope must be the loss's gradient.
    model = small(policy_reaches_core=True, baseline_reaches_core=True, **options)
    images = some_images()
    seen = model(images, generator=0)
    how = {"locations": seen["locations"], "every_step": True}
    if not model.config.learn_first_location:
        how["first_location"] = seen["first_location"]

    def losses():
        return hybrid_loss(
            model(images, **how), LABELS, reward="per-step", step_loss=0.3
        )

    getattr(losses(), part).backward()
    out = model(images, **how)
    returns = brute_returns(out, LABELS, "per-step", model.config.learn_first_location)
    K = out["location_log_probs"].shape[1]
    advantage = (returns[:, :K] - out["values"][:, :K]).detach()
    fixed = {
        "task": lambda: losses().task,
        "policy": lambda: (
            -(model(images, **how)["location_log_probs"] * advantage).sum() / 5
        ),
        "baseline": lambda: (model(images, **how)["values"] - returns).square().mean(),
    }[part]
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            continue
        for _ in range(3):
            index = int(torch.randint(parameter.numel(), (), generator=generator))
            exact = parameter.grad.view(-1)[index].item()
            estimate = slope(fixed, parameter, index)
            assert exact == pytest.approx(estimate, rel=1e-5, abs=1e-8), name


# --- the exact policy gradient --------------------------------------------------------
#
# One Gaussian choice on a small image, and a reward for each pixel. The place is
# clamped to the image, so a pixel's probability is a difference of normal distribution
# functions, the outer pixels taking the tails; the expected reward sums over pixels,
# and PyTorch differentiates it. Nothing of ramlib in it but the policy's mean and std.

HEIGHT, WIDTH = 3, 4
HIDDEN = torch.tensor([[1.0, -0.5, 0.8]], dtype=torch.float64)
REWARD = torch.tensor(
    [[0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=torch.float64
)  # of each pixel: (HEIGHT, WIDTH)
BATCHES, BATCH = 60, 2_000


def interval_probabilities(mean, std, number):
    """The chance of each of `number` equal intervals of [-1, 1]; tails to the ends."""
    edges = torch.linspace(-1, 1, number + 1, dtype=torch.float64)[1:-1]
    below = Normal(mean, std).cdf(edges)
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    return torch.cat([below, one]) - torch.cat([zero, below])


def pixel_probabilities(policy, hidden):
    """The chance that the policy looks at each pixel: (HEIGHT, WIDTH)."""
    x, y = policy.policy_mean(hidden).reshape(2)
    std = torch.as_tensor(policy.std).double().expand(2)
    across = interval_probabilities(x, std[0], WIDTH)
    down = interval_probabilities(y, std[1], HEIGHT)
    return down[:, None] * across


def pixel_at(location):
    """The number of the pixel, row by row, that holds each location (..., 2)."""
    size = torch.tensor([WIDTH, HEIGHT])
    column, row = ((location + 1) / 2 * size).floor().long().unbind(-1)
    return row.clamp(max=HEIGHT - 1) * WIDTH + column.clamp(max=WIDTH - 1)


def a_policy(seed=0, std=0.5):
    """A policy whose mean lies near a corner, so that many samples are clamped."""
    torch.manual_seed(seed)
    policy = LocationNetwork(3, std, learn_std=True).double()
    with torch.no_grad():
        policy.mean.bias += torch.tensor([0.5, -0.4])
    return policy


def gradient(scalar, policy):
    parameters = list(policy.parameters())
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(scalar, parameters)])


def loss_of(log_probs, rewards, baseline):
    """`hybrid_loss`'s policy part for rewards of 0 and 1 and choices already made."""
    out = {
        "location_log_probs": log_probs,
        "logits": torch.stack([1 - rewards, rewards], dim=-1),  # class 1 where rewarded
        "values": torch.full((len(rewards), log_probs.shape[1] + 1), 0.6).double(),
    }
    copies = 4 if baseline == "leave-one-out" else 1
    labels = torch.ones(len(rewards) // copies, dtype=torch.int64)
    kind = {"constant": "value"}.get(baseline, baseline)
    return hybrid_loss(out, labels, baseline=kind).policy


def estimates(policy, episodes, baseline):
    """Many independent estimates of the gradient of the expected reward."""
    return torch.stack(
        [-gradient(loss_of(*episodes(), baseline), policy) for _ in range(BATCHES)]
    )


def errors_in_units_of_their_standard_error(estimates, exact):
    standard_error = estimates.std(dim=0) / len(estimates) ** 0.5
    return (estimates.mean(dim=0) - exact).abs() / standard_error


@pytest.mark.parametrize("baseline", ["none", "constant", "leave-one-out"])
def test_one_choice_has_the_exact_gradient_on_average(baseline):
    policy = a_policy()
    exact = gradient((pixel_probabilities(policy, HIDDEN) * REWARD).sum(), policy)

    def episodes():
        location, log_prob = policy(HIDDEN.expand(BATCH, 3))
        return log_prob[:, None], REWARD.reshape(-1)[pixel_at(location)]

    assert (exact.abs() > 0.01).all()  # there is something to estimate
    found = estimates(policy, episodes, baseline)
    assert (errors_in_units_of_their_standard_error(found, exact) < 4).all()


@pytest.mark.parametrize("baseline", ["none", "constant", "leave-one-out"])
def test_two_choices_have_the_exact_gradient_on_average(baseline):
    # What is seen first decides the state of the second choice: reward 1 if both pixels
    # have the same reward in the table above.
    policy = a_policy(1)
    torch.manual_seed(2)
    states = torch.randn(HEIGHT * WIDTH, 3, dtype=torch.float64)  # one per first pixel
    table = REWARD.reshape(-1)
    first = pixel_probabilities(policy, HIDDEN).reshape(-1)
    expected = 0.0
    for i, state in enumerate(states):
        second = pixel_probabilities(policy, state).reshape(-1)
        expected = expected + first[i] * second[table == table[i]].sum()
    exact = gradient(expected, policy)
    assert (exact.abs() > 0.01).all()

    def episodes():
        location, log_prob = policy(HIDDEN.expand(BATCH, 3))
        one = pixel_at(location)
        location, next_log_prob = policy(states[one])
        reward = (table[pixel_at(location)] == table[one]).double()
        return torch.stack([log_prob, next_log_prob], dim=1), reward

    found = estimates(policy, episodes, baseline)
    assert (errors_in_units_of_their_standard_error(found, exact) < 4).all()


def test_the_log_probability_of_the_clamped_place_would_be_seen_to_be_wrong():
    policy = a_policy()
    exact = gradient((pixel_probabilities(policy, HIDDEN) * REWARD).sum(), policy)

    def episodes():
        location, _ = policy(HIDDEN.expand(BATCH, 3))
        log_prob = policy.log_prob(location, policy.policy_mean(HIDDEN))
        return log_prob[:, None], REWARD.reshape(-1)[pixel_at(location)]

    found = estimates(policy, episodes, "none")
    assert errors_in_units_of_their_standard_error(found, exact).max() > 10


def test_baselines_make_the_estimate_less_noisy():
    policy = a_policy()

    def episodes():
        location, log_prob = policy(HIDDEN.expand(BATCH, 3))
        return log_prob[:, None], REWARD.reshape(-1)[pixel_at(location)]

    noise = {
        baseline: estimates(policy, episodes, baseline).var(dim=0).sum()
        for baseline in ("none", "constant", "leave-one-out")
    }
    assert noise["constant"] < noise["none"]
    assert noise["leave-one-out"] < noise["none"]


# --- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "how", "error", "words"),
    [
        ([0, 1, 2], {}, TypeError, "labels is a list"),
        (torch.tensor([0, 1, 4]), {}, ValueError, r"\[0, 4\].*\[0, 3\]"),
        (torch.tensor([0, -1, 2]), {}, ValueError, r"\[-1, 2\].*\[0, 3\]"),
        (torch.tensor([0.0, 1, 2]), {}, ValueError, "float32.*int64"),
        (torch.tensor([0, 1, 2]).int(), {}, ValueError, "int32.*int64"),
        (torch.tensor([True, False, True]), {}, ValueError, "bool.*int64"),
        (torch.tensor([[0], [1], [2]]), {}, ValueError, r"\(3, 1\).*\(B,\)"),
        (torch.tensor(0), {}, ValueError, r"\(\).*\(B,\)"),
        (torch.tensor([0, 1, 2, 3]), {}, ValueError, "4 labels.*6 episodes"),
        (torch.zeros(0, dtype=torch.int64), {}, ValueError, "0 labels"),
        (torch.tensor([0, 1, 2]).to("meta"), {}, ValueError, "labels are on meta"),
        (LABELS[:3], {"baseline": "critic"}, ValueError, "'critic'.*'leave-one-out'"),
        (LABELS[:3], {"reward": "last"}, ValueError, "'last'.*'per-step'"),
        (LABELS[:3], {"reward_of": "best"}, ValueError, "'best'.*'argmax'"),
        (LABELS[:3], {"step_loss": 1.0}, ValueError, "step_loss is 1.0"),
        (LABELS[:3], {"step_loss": -0.1}, ValueError, "step_loss is -0.1"),
        (
            LABELS[:3],
            {"reward": "per-step", "reward_of": "sample"},
            ValueError,
            "reward_of='argmax'",
        ),
        (
            LABELS.repeat(2)[:6],
            {"baseline": "leave-one-out"},
            ValueError,
            "copies=2 or more",
        ),
    ],
)
def test_bad_input_is_refused_with_its_value_and_the_remedy(labels, how, error, words):
    with pytest.raises(error, match=words.replace(".*", r"(?s:.*)")):
        hybrid_loss(made_up_out(), labels, **how)


@pytest.mark.parametrize("how", [{"reward": "per-step"}, {"step_loss": 0.3}], ids=str)
def test_a_loss_at_every_step_needs_every_step(how):
    out = made_up_out()
    del out["step_logits"]
    with pytest.raises(ValueError, match="every_step=True"):
        hybrid_loss(out, LABELS[:3], **how)


def test_the_dictionary_of_one_image_is_refused():
    out = small()(some_images()[0, 0])
    with pytest.raises(ValueError, match=r"\(1, H, W\)"):
        hybrid_loss(out, LABELS[:1])


@pytest.mark.parametrize("loss", [reinforce_loss, baseline_loss])
def test_the_parts_need_two_tensors_of_one_shape(loss):
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(3, 1\).*\(N, K\)"):
        loss(torch.zeros(3, 2), torch.zeros(3, 1))
    with pytest.raises(ValueError, match=r"\(N, K\)"):
        loss(torch.zeros(3), torch.zeros(3))
    with pytest.raises(TypeError, match="is a list"):
        loss(torch.zeros(1, 2), [[0, 0]])
