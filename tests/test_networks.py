"""The five networks: sizes, distributions and noise; test_model has their equations."""

import pytest
import torch
from torch.distributions import Categorical, Gumbel, Normal

from ramlib import RAMConfig, RecurrentAttentionModel, networks
from ramlib.networks import ActionNetwork, CoreNetwork, GlimpseNetwork, LocationNetwork

NEAR = {"rtol": 1e-6, "atol": 1e-6}  # σ is rounded to float32


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_the_networks_have_the_sizes_of_the_specification():
    names = sorted({*networks.__all__} - {"UniformLocations"})  # as a normal one
    parts = [getattr(networks, name)().children() for name in names]
    sizes = [[sum(p.numel() for p in x.parameters()) for x in part] for part in parts]
    action, core, glimpse, location, value = sizes
    assert (glimpse, core) == ([8_320, 384, 65_792], [65_792, 65_792])
    assert (location, value, action) == ([514], [257], [2_570])


@pytest.mark.parametrize("lead", [(), (1,), (5,), (2, 3)], ids=str)
def test_every_network_takes_one_example_or_a_batch(lead):
    hidden, patch, place = (torch.rand(*lead, n) for n in (256, 150, 2))
    feature = GlimpseNetwork(5, 6)(patch, place)
    assert feature.shape == CoreNetwork()(feature).shape == (*lead, 256)
    assert CoreNetwork()(feature, hidden).shape == (*lead, 256)
    assert [x.shape for x in LocationNetwork()(hidden)] == [(*lead, 2), lead]
    assert networks.ValueNetwork()(hidden).shape == lead
    shapes = [(*lead, 10), (*lead, 10), lead, lead]
    assert [x.shape for x in ActionNetwork()(hidden)] == shapes
    if len(lead) < 2:
        assert GlimpseNetwork(5, 6, encoder="conv")(patch, place).shape == (*lead, 256)
        for core in (CoreNetwork(256, "lstm"), CoreNetwork(256, "gru")):
            state = core(feature, core(feature))
            assert core.hidden(state).shape == (*lead, 256)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_identity_init_mixes_the_random_start_with_the_identity(share):
    plain = dict(CoreNetwork(6).named_parameters())
    torch.manual_seed(0)
    mixed = dict(CoreNetwork(6, identity_init=share).named_parameters())
    expected = (1 - share) * plain.pop("hidden_to_hidden.weight") + share * torch.eye(6)
    torch.testing.assert_close(mixed.pop("hidden_to_hidden.weight"), expected)
    assert all(torch.equal(mixed[name], plain[name]) for name in plain)


# --- the heads ------------------------------------------------------------------------


@pytest.mark.parametrize("inner", [0, 3])
@pytest.mark.parametrize("std", [0.01, 0.3, 5.0])
def test_the_location_policy_is_a_normal_distribution(std, inner):
    network = LocationNetwork(4, location_hidden_size=inner).double()
    assert network.state_dict()["std"] == torch.tensor(0.2)
    network.std.fill_(std)  # as a schedule may
    hidden, noise = torch.randn(2, 100, 4).double(), torch.randn(2, 100, 2).double()
    hidden.requires_grad_()
    mean = torch.tanh(network.hidden_to_mean(hidden))
    sample = mean + std * noise
    torch.testing.assert_close(network.mean(hidden), mean)
    torch.testing.assert_close(network.sample(hidden, noise), sample, **NEAR)
    torch.testing.assert_close(network.sample(hidden, noise * 0), mean)  # the likeliest
    # The log-probability is that of the sample, wherever it was clamped to.
    location, log_prob = network(hidden, noise)
    expected = Normal(mean, std).log_prob(sample.detach()).sum(-1)
    torch.testing.assert_close(location, sample.clamp(-1, 1), **NEAR)
    torch.testing.assert_close(log_prob, expected, **NEAR)
    assert not location.requires_grad  # the sample is cut, its log-probability is not
    inputs = [hidden, *network.parameters()]
    one, other = (torch.autograd.grad(x.sum(), inputs) for x in (log_prob, expected))
    for got, wanted in zip(one, other, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def test_uniform_places_are_the_noise_and_teach_nothing():
    network, hidden = networks.UniformLocations(4), torch.randn(5000, 4)
    noise = network.draw((5000,))
    location, log_prob = network(hidden, noise)
    assert torch.equal(location, noise)
    below = (noise.flatten().sort().values + 1) / 2
    assert (below - torch.linspace(0, 1, 10_000)).abs().max() < 1.95 / 100
    assert torch.allclose(log_prob, torch.tensor(0.25).log())  # a density on a 2 × 2
    assert not log_prob.requires_grad
    other = network.draw((5000,), torch.Generator().manual_seed(1))
    assert not torch.equal(other, noise)
    model = RecurrentAttentionModel(RAMConfig(location_policy="uniform"))
    assert type(model.location_network) is networks.UniformLocations
    trace = model.look(torch.zeros(2, 28, 28), first_location=torch.ones(2))
    assert not trace.means[:, 1:].any() and not trace.locations[:, 1:].any()
    with pytest.raises(ValueError, match=r"location_gradient is 0\.5, but a loc"):
        RAMConfig(location_policy="uniform", location_gradient=0.5)


def test_the_action_network_gives_the_categorical_distribution():
    network, hidden, noise = ActionNetwork(4, 3), torch.randn(50, 4), torch.randn(50, 3)
    logits, probs, action, log_prob = network(hidden, noise)
    torch.testing.assert_close(logits, network.hidden_to_logits(hidden))
    distribution = Categorical(logits=logits)
    torch.testing.assert_close(probs, distribution.probs)
    torch.testing.assert_close(log_prob, distribution.log_prob(action))
    assert torch.equal(action, (logits + noise).argmax(1))
    assert torch.equal(network.sample(hidden, noise * 0), logits.argmax(1))


HEADS = [(LocationNetwork, 2, Normal(0.0, 1.0)), (ActionNetwork, 10, Gumbel(0.0, 1.0))]


@pytest.mark.parametrize(("kind", "wide", "distribution"), HEADS)
def test_the_noise_is_of_the_documented_distribution(kind, wide, distribution):
    network, own = kind(4).bfloat16(), torch.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    drawn = network.draw((2000, 5), generator)
    assert drawn.shape == (2000, 5, wide)
    # Kolmogorov and Smirnov's distance between the two distribution functions
    below = distribution.cdf(drawn.flatten().sort().values.double())
    steps = torch.linspace(0, 1, len(below), dtype=torch.float64)
    assert (below - steps).abs().max() < 1.95 / len(below) ** 0.5  # once in 1,000
    assert torch.equal(network.draw((2000, 5), generator.manual_seed(0)), drawn)
    assert torch.equal(torch.get_rng_state(), own)
    assert network.draw((3,), device="meta").is_meta
    # and it is drawn where none is given, in the precision of the state
    *_, log_prob = network(torch.zeros(100, 4).bfloat16())
    assert log_prob.dtype == torch.bfloat16
    assert len(log_prob.unique()) > 1
