"""The five networks: shapes, parameters, and their equations written out by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, Normal

from ramlib import (
    ActionNetwork,
    CoreNetwork,
    GlimpseNetwork,
    LocationNetwork,
    ValueNetwork,
)
from ramlib.networks import check_std

leading_sizes = pytest.mark.parametrize("lead", [(), (1,), (5,), (2, 3)], ids=str)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


# --- sizes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "numbers"),
    [
        (GlimpseNetwork, 74_496),
        (CoreNetwork, 131_584),
        (LocationNetwork, 514),
        (ValueNetwork, 257),
        (ActionNetwork, 2_570),
    ],
)
def test_each_network_has_the_parameters_of_the_specification(network, numbers):
    assert count(network()) == numbers


def test_the_glimpse_networks_layers_have_the_sizes_of_the_specification():
    network = GlimpseNetwork()
    layers = [count(layer) for layer in (network.what, network.where, network.combine)]
    assert layers == [8_320, 384, 65_792]


@leading_sizes
def test_every_network_takes_one_example_or_a_batch(lead):
    hidden = torch.rand(*lead, 256)
    feature = GlimpseNetwork()(torch.rand(*lead, 64), torch.rand(*lead, 2))
    assert feature.shape == (*lead, 256)
    assert CoreNetwork()(feature).shape == (*lead, 256)
    assert CoreNetwork()(feature, hidden).shape == (*lead, 256)
    location, log_prob = LocationNetwork()(hidden)
    assert (location.shape, log_prob.shape) == ((*lead, 2), lead)
    assert ValueNetwork()(hidden).shape == lead
    logits, probs, action, log_prob = ActionNetwork()(hidden)
    assert (logits.shape, probs.shape) == ((*lead, 10), (*lead, 10))
    assert (action.shape, log_prob.shape) == (lead, lead)


@pytest.mark.parametrize("lead", [(), (4,)], ids=str)
@pytest.mark.parametrize("core", ["lstm", "gru"])
def test_other_cores_take_one_example_or_a_batch(core, lead):
    network = CoreNetwork(6, core)
    state = network(torch.rand(*lead, 6), network(torch.rand(*lead, 6)))
    assert network.hidden(state).shape == (*lead, 6)


@pytest.mark.parametrize("lead", [(), (4,)], ids=str)
def test_the_convolutional_encoder_takes_one_example_or_a_batch(lead):
    network = GlimpseNetwork(5, 6, 4, 12, encoder="conv")
    assert network(torch.rand(*lead, 150), torch.rand(*lead, 2)).shape == (*lead, 12)


# --- equations ------------------------------------------------------------------------


def test_glimpse_network_is_its_equation():
    network = GlimpseNetwork(3, 2, 4, 5)
    patch, location = torch.rand(7, 18), torch.rand(7, 2)
    weights = dict(network.named_parameters())
    what = (patch @ weights["what.weight"].T + weights["what.bias"]).clamp(min=0)
    where = (location @ weights["where.weight"].T + weights["where.bias"]).clamp(min=0)
    W, b = weights["combine.weight"], weights["combine.bias"]
    expected = (what @ W[:, :4].T + where @ W[:, 4:].T + b).clamp(min=0)
    torch.testing.assert_close(network(patch, location), expected)


def test_core_is_its_equation_and_no_state_means_zeros():
    network = CoreNetwork(5)
    feature, state = torch.rand(7, 5), torch.rand(7, 5)
    W, b = network.hidden_to_hidden.weight, network.hidden_to_hidden.bias
    V, c = network.glimpse_to_hidden.weight, network.glimpse_to_hidden.bias
    expected = (state @ W.T + b + feature @ V.T + c).clamp(min=0)
    torch.testing.assert_close(network(feature, state), expected)
    torch.testing.assert_close(network(feature), network(feature, torch.zeros(7, 5)))


@pytest.mark.parametrize("core", ["lstm", "gru"])
def test_other_cores_also_start_from_zeros(core):
    network, feature = CoreNetwork(5, core), torch.rand(7, 5)
    zero = torch.zeros(7, 5)
    state = (zero, zero) if core == "lstm" else zero
    assert torch.equal(
        network.hidden(network(feature)), network.hidden(network(feature, state))
    )


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_identity_init_mixes_the_random_start_with_the_identity(share):
    torch.manual_seed(3)
    plain = CoreNetwork(6).hidden_to_hidden.weight
    torch.manual_seed(3)
    mixed = CoreNetwork(6, identity_init=share).hidden_to_hidden.weight
    torch.testing.assert_close(mixed, (1 - share) * plain + share * torch.eye(6))


def test_the_values_are_one_linear_unit():
    network, hidden = ValueNetwork(4), torch.rand(3, 4)
    expected = hidden @ network.value.weight[0] + network.value.bias
    torch.testing.assert_close(network(hidden), expected)


# --- the location policy --------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(
    std=st.floats(0.01, 5),
    learn_std=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_log_probability_is_that_of_the_unclamped_sample(std, learn_std, seed):
    torch.manual_seed(seed)
    network = LocationNetwork(4, std, learn_std=learn_std).double()
    hidden = torch.randn(6, 4, dtype=torch.float64)
    noise = torch.randn(6, 2, dtype=torch.float64)
    location, log_prob = network(hidden, noise)
    mean = torch.tanh(hidden @ network.mean.weight.T + network.mean.bias)
    own = torch.as_tensor(network.std).double()  # a learned one is rounded to float32
    torch.testing.assert_close(own, torch.full_like(own, std), rtol=1e-5, atol=0)
    sample = mean + own * noise
    expected = Normal(mean, own).log_prob(sample).sum(-1)
    torch.testing.assert_close(log_prob, expected)
    torch.testing.assert_close(location, sample.clamp(-1, 1))


def test_with_a_large_std_the_clamped_place_would_have_another_log_probability():
    network, hidden = LocationNetwork(4, location_std=3.0), torch.randn(200, 4)
    location, log_prob = network(hidden)
    mean = network.policy_mean(hidden)
    of_the_place = Normal(mean, 3.0).log_prob(location).sum(-1)
    inside = location.abs().amax(-1) < 1
    assert 0 < inside.sum() < 100  # most places are clamped, some are not
    torch.testing.assert_close(log_prob[inside], of_the_place[inside])
    assert (log_prob[~inside] < of_the_place[~inside]).all()


def test_the_sample_is_cut_from_the_graph_but_its_log_probability_is_not():
    network = LocationNetwork(4)
    hidden = torch.rand(3, 4, requires_grad=True)
    location, log_prob = network(hidden)
    assert not location.requires_grad
    log_prob.sum().backward()
    assert hidden.grad.abs().sum() > 0


def test_one_standard_deviation_of_noise_moves_the_sample_by_one_std():
    mean = torch.tensor([0.1, -0.2])
    network = LocationNetwork(4, location_std=0.3)
    torch.testing.assert_close(
        network.sample(mean, torch.tensor([1.0, -2.0])), torch.tensor([0.4, -0.8])
    )
    torch.testing.assert_close(
        network.sample(mean, torch.tensor([1.0, -2.0]), 0.1), torch.tensor([0.2, -0.4])
    )


def test_a_hidden_layer_comes_before_the_mean():
    network = LocationNetwork(4, location_hidden_size=3)
    first, _, last = network.mean
    hidden = torch.randn(5, 4)
    inner = (hidden @ first.weight.T + first.bias).clamp(min=0)
    expected = torch.tanh(inner @ last.weight.T + last.bias)
    torch.testing.assert_close(network.policy_mean(hidden), expected)


def test_learned_std_has_the_gradient_of_the_normal_density():
    # d/d log σ of log N(l; μ, σ²) is z² - 1, with z = (l - μ) / σ, for each coordinate.
    network = LocationNetwork(4, 0.3, learn_std=True).double()
    noise = torch.randn(50, 2, dtype=torch.float64)
    _, log_prob = network(torch.randn(50, 4, dtype=torch.float64), noise)
    (gradient,) = torch.autograd.grad(log_prob.sum(), network.log_std)
    torch.testing.assert_close(gradient, (noise.square() - 1).sum(0))


def test_learned_std_starts_where_it_is_told_one_for_x_and_one_for_y():
    network = LocationNetwork(4, 0.3, learn_std=True)
    torch.testing.assert_close(network.std.detach(), torch.tensor([0.3, 0.3]))
    assert LocationNetwork(4, 0.3).std == 0.3


# --- the action -----------------------------------------------------------------------


def test_sampled_actions_have_the_frequencies_of_the_softmax():
    logits = torch.linspace(-1, 1.5, 10)
    number = 50_000
    uniform = torch.rand(number)
    actions = ActionNetwork.sample(logits.expand(number, 10), uniform)
    expected = number * logits.softmax(0)
    seen = actions.bincount(minlength=10)
    chi_square = ((seen - expected).square() / expected).sum()
    assert chi_square < 27.9  # exceeded once in 1,000 with nine degrees of freedom


def test_the_edges_of_the_uniform_give_the_first_and_the_last_class():
    logits = torch.randn(100, 10)
    assert (ActionNetwork.sample(logits, torch.zeros(100)) == 0).all()
    last = torch.full((100,), 0.99999994)  # the largest float32 below 1
    assert (ActionNetwork.sample(logits, last) == 9).all()


def test_a_class_without_probability_is_not_sampled():
    logits = torch.tensor([-200.0, 0.0, -200.0, 0.0])
    actions = ActionNetwork.sample(logits.expand(1000, 4), torch.rand(1000))
    assert set(actions.tolist()) == {1, 3}
    assert ActionNetwork.sample(logits, torch.tensor(0.0)) == 1


def test_action_network_gives_the_categorical_distribution():
    network, hidden = ActionNetwork(4, 3), torch.randn(20, 4)
    logits, probs, action, log_prob = network(hidden)
    expected = hidden @ network.logits.weight.T + network.logits.bias
    distribution = Categorical(logits=expected)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(probs, distribution.probs)
    torch.testing.assert_close(log_prob, distribution.log_prob(action))
    assert action.dtype == torch.int64


def test_a_given_uniform_decides_the_action():
    network, hidden, uniform = ActionNetwork(4), torch.randn(20, 4), torch.rand(20)
    assert torch.equal(network(hidden, uniform)[2], network(hidden, uniform)[2])


# --- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: GlimpseNetwork(0), ValueError, "glimpse_size is 0"),
        (lambda: GlimpseNetwork(8, -1), ValueError, "num_planes is -1"),
        (lambda: GlimpseNetwork(8, 1, 1.5), TypeError, "glimpse_hidden_size is 1.5"),
        (lambda: GlimpseNetwork(hidden_size=0), ValueError, "hidden_size is 0"),
        (lambda: GlimpseNetwork(encoder="mlp"), ValueError, "'mlp'.*'linear'"),
        (lambda: CoreNetwork("256"), TypeError, "hidden_size is '256'"),
        (lambda: CoreNetwork(core="LSTM"), ValueError, "'LSTM'.*'lstm'"),
        (lambda: CoreNetwork(identity_init=1.5), ValueError, "identity_init is 1.5"),
        (lambda: LocationNetwork(0), ValueError, "hidden_size is 0"),
        (lambda: LocationNetwork(4, 0.0), ValueError, "location_std is 0.0"),
        (lambda: LocationNetwork(4, math.nan, 0, True), ValueError, "is nan"),
        (lambda: LocationNetwork(4, 1, -3), ValueError, "location_hidden_size is -3"),
        (lambda: ValueNetwork(-1), ValueError, "hidden_size is -1"),
        (lambda: ActionNetwork(4, 0), ValueError, "num_actions is 0"),
        (lambda: ActionNetwork(4, True), TypeError, "num_actions is True"),
    ],
)
def test_bad_sizes_and_names_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("std", [0, -0.1, math.nan, math.inf, "0.2", None])
def test_a_std_that_is_no_positive_number_is_refused(std):
    with pytest.raises(ValueError, match="positive number"):
        check_std(std)


def test_a_std_may_be_a_positive_tensor():
    check_std(torch.tensor([0.1, 0.2]))
    with pytest.raises(ValueError, match="positive number"):
        check_std(torch.tensor([0.1, 0.0]))
