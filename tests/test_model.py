"""The model against a forward pass written by hand, one image at a time."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_sensor import brute, random_images
from torch.distributions import Normal
from torch.nn.functional import pad

from ramlib import RAMConfig, RecurrentAttentionModel, hybrid_loss
from ramlib.data import digits
from ramlib.losses import combine
from ramlib.rollout import rollout
from ramlib.worlds.still import Still

SMALL = RAMConfig(3, 1, 3, hidden_size=11, num_actions=4, glimpse_hidden_size=6)
OPTIONS = {
    "default": {},
    "scales": {"num_scales": 3, "glimpse_size": 2},
    "colour": {"num_channels": 3, "num_scales": 2},
    "lstm": {"use_lstm": True},
    "gru": {"core": "gru", "num_glimpses": 4},
    "conv": {"glimpse_encoder": "conv", "num_scales": 2, "num_channels": 2},
    "hidden layer": {"location_hidden_size": 5, "location_std": 0.7},
    "learned first": {"learn_first_location": True},
    "learned first, lstm": {"learn_first_location": True, "core": "lstm"},
    "one glimpse": {"num_glimpses": 1},
    "one learned glimpse": {"learn_first_location": True, "num_glimpses": 1},
}
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
EQUAL = {"rtol": 0, "atol": 0}


def small(kind=RecurrentAttentionModel, **options):
    """A small model, in float64, of weights large enough that choices differ."""
    torch.manual_seed(0)
    model = kind(dataclasses.replace(SMALL, **options)).double()
    for parameter in model.parameters():
        parameter.data.mul_(2)
    return model


class Through(RecurrentAttentionModel):
    """A model whose policy and baseline train the core as well."""

    def read(self, hidden, head):
        return hidden


def some_images(number=4, channels=1):
    return random_images((number, channels, 7, 9), seed=1)


def both(options, kind=RecurrentAttentionModel):
    return small(kind, **options), some_images(channels=options.get("num_channels", 1))


def drawn(model, number, seed=2, **how):
    generator = torch.Generator().manual_seed(seed)
    return model.draw(number, generator, acts=("action",), **how)


def note(out, **step):
    for name, value in step.items():
        out.setdefault(name, []).append(value)


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name in one:
        say = f"{name}: {{}}".format  # PyTorch's message, after the name
        torch.testing.assert_close(one[name], other[name], **tolerance, msg=say)


# --- the oracle: one image, plain NumPy -----------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def convolve(image, weight, bias):
    """A 3 × 3 convolution with a border of zeros, and its ReLU."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return relu(np.einsum("chwij,ocij->ohw", windows, weight) + bias[:, None, None])


def reference(model, image, draws, n):
    """Everything the model says of one image (C, H, W), by the noise of episode n."""
    c, image, state = model.config, image.double().numpy() / 255, model.state_dict()
    w = {name: tensor.double().cpu().numpy() for name, tensor in state.items()}
    draws = {name: noise[n].double().cpu().numpy() for name, noise in draws.items()}
    h, cell, std = np.zeros(c.hidden_size), 0, w["location_network.std"]

    def linear(name, x):
        return w[f"{name}.weight"] @ x + w[f"{name}.bias"]

    def encode(patch, location):
        name = "glimpse_network.patch_to_what"
        if c.glimpse_encoder == "conv":
            patch = patch.reshape(-1, c.glimpse_size, c.glimpse_size)
            for layer in (f"{name}.1", f"{name}.3"):
                patch = convolve(patch, w[f"{layer}.weight"], w[f"{layer}.bias"])
            name += ".6"
        where = linear("glimpse_network.location_to_where", location)
        both = np.concatenate([linear(name, patch.reshape(-1)), where])
        return relu(linear("glimpse_network.both_to_feature", relu(both)))

    def remember(feature, h, cell):
        if c.core == "rnn":
            kept = linear("core.hidden_to_hidden", h)
            return relu(kept + linear("core.feature_to_hidden", feature)), cell
        new = w["core.cell.weight_ih"] @ feature + w["core.cell.bias_ih"]
        old = w["core.cell.weight_hh"] @ h + w["core.cell.bias_hh"]
        if c.core == "lstm":
            i, f, g, o = np.split(new + old, 4)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            return sigmoid(o) * np.tanh(cell), cell
        (r, z, n), (r_old, z_old, n_old) = np.split(new, 3), np.split(old, 3)
        update = sigmoid(z + z_old)
        candidate = np.tanh(n + sigmoid(r + r_old) * n_old)
        return (1 - update) * candidate + update * h, cell

    def mean(h):
        name = "location_network.hidden_to_mean"
        if c.location_hidden_size:
            h, name = relu(linear(f"{name}.0", h)), f"{name}.2"
        return np.tanh(linear(name, h))

    out, location = {}, draws.get("first_location")
    if location is None:
        note(out, values=linear("value_network.hidden_to_value", h)[0])
    for t in range(c.num_glimpses):
        if t > 0 or location is None:
            z = draws["location"][t]
            sample, scale = mean(h) + std * z, std * math.sqrt(2 * math.pi)
            location = np.clip(sample, -1, 1)
            note(out, locations=location, location_samples=sample)
            note(out, location_log_probs=(-(z**2) / 2 - np.log(scale)).sum())
        patch = brute(image, location, c.glimpse_size, c.num_scales)
        h, cell = remember(encode(patch, location), h, cell)
        logits = linear("action_network.hidden_to_logits", h)
        note(out, looked=location, patches=patch, hidden=h, step_logits=logits)
        note(out, values=linear("value_network.hidden_to_value", h)[0])
    action = (logits + draws["action"][-1]).argmax()
    note(out, actions=action)
    note(out, action_log_probs=logits[action] - np.log(np.exp(logits).sum()))
    out |= {"first_location": out["looked"][0], "hidden_state": h, "logits": logits}
    return {name: np.array(value) for name, value in out.items()}


@each_option
@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize("device", ["cpu"] + ["cuda"] * torch.cuda.is_available())
def test_the_model_equals_a_forward_pass_written_by_hand(options, kind, device):
    model, images = both(options)
    draws = drawn(model.to(device, kind), 4)
    out = model(images.to(device), draws=draws)
    assert {t.dtype for name, t in out.items() if name != "actions"} == {kind}
    rows = [reference(model, image, draws, n) for n, image in enumerate(images)]
    expected = {
        k: torch.from_numpy(np.stack([row[k] for row in rows])) for k in rows[0]
    }
    empty = {k: out.pop(k) for k in out.keys() - expected.keys()}  # where K = 0
    assert all(tensor.shape[:2] == (4, 0) for tensor in empty.values())
    # σ was rounded to float32, and so was what the sensor saw
    near = {"rtol": 0, "atol": 1e-6 if kind == torch.float64 else 1e-5}
    assert_same(out, expected, **near, check_dtype=False, check_device=False)


def test_the_shipped_model_says_what_it_said_when_it_was_trained():
    """In double precision, where all processors agree."""
    recorded = load_file(Path(__file__).parent / "recorded/mnist-6x8x8.safetensors")
    model = RecurrentAttentionModel.from_pretrained("mnist-6x8x8").double()
    images = digits("bundled", "test").images[:24].reshape(-1, 1, 28, 28)
    first, noise = recorded.pop("first_location"), recorded.pop("noise")
    draws = {"first_location": first, "location": pad(noise, (0, 0, 1, 0))}
    out = model(images, draws=draws | {"action": torch.zeros(24, 6, 10).double()})
    mean = model(images, first_location=first, deterministic=True)
    out |= {f"mean.{name}": tensor for name, tensor in mean.items()}
    assert len(recorded) == 7
    assert_same({k: out[k] for k in recorded}, recorded, rtol=0, atol=1e-9)


def test_the_defaults_are_those_of_the_specification():
    numbers, options = (8, 1, 6, 256, 10, 0.2, 128, 1), ("rnn", "linear", 0, False)
    assert dataclasses.astuple(RAMConfig()) == numbers + options + (0.0, 0.0, "normal")
    assert RAMConfig(use_lstm=True) == RAMConfig(core="lstm")
    model = RecurrentAttentionModel()
    assert sum(p.numel() for p in model.parameters()) == 209_421
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.config.hidden_size = 3
    near = RecurrentAttentionModel(RAMConfig(identity_init=1.0))
    assert torch.equal(near.core.hidden_to_hidden.weight, torch.eye(256))


# --- randomness and replay ------------------------------------------------------------


@each_option
def test_a_seed_a_generator_and_its_draws_are_one_and_the_same(options):
    (model, images), own = both(options), torch.get_rng_state()
    expected = model(images, generator=5)
    assert torch.equal(torch.get_rng_state(), own)  # PyTorch's own is not touched
    again = model.train()(images, generator=torch.Generator().manual_seed(5))
    assert_same(again, expected, **EQUAL)
    draws = drawn(model, 4, seed=5)
    held = {name: tensor.clone() for name, tensor in draws.items()}
    assert_same(model.eval()(images, draws=draws), expected, **EQUAL)
    model(images, draws=draws, deterministic=True)
    assert_same(draws, held, **EQUAL)  # what was given stays as it was
    looked = [model(images, generator=seed)["looked"] for seed in (5, 6, None, None)]
    assert len({str(each) for each in looked}) == 4


@pytest.mark.parametrize("learned", [False, True])
def test_draws_are_uniform_places_and_the_noise_of_every_head(learned):
    model = small(learn_first_location=learned)
    draws = drawn(model, 20_000, num_glimpses=5)
    first, noise = draws.pop("first_location", None), draws["location"]
    shapes = {name: tuple(tensor.shape) for name, tensor in draws.items()}
    assert shapes == {"location": (20_000, 5, 2), "action": (20_000, 5, 4)}
    assert {tensor.dtype for tensor in draws.values()} == {torch.float64}
    assert torch.allclose(noise[:, 1:].std(dim=0), torch.ones(4, 2).double(), atol=0.03)
    assert noise[:, 0].any() == learned == (first is None)  # or nothing chooses it
    if not learned:
        steps = torch.linspace(-1, 1, 40_000, dtype=torch.float64)
        assert (first.flatten().sort().values - steps).abs().max() < 0.02
        assert first.abs().max() <= 1


@each_option
def test_replayed_locations_give_the_same_states(options):
    model, images = both(options)
    seen = model(images, generator=0)
    how = {"locations": seen["locations"]}
    if not model.config.learn_first_location:
        how["first_location"] = seen["first_location"]
    again = model(images, generator=1, **how)
    for name in ("looked", "patches", "hidden", "logits", "values", "first_location"):
        assert torch.equal(again[name], seen[name])
    # in place of samples that may have been clamped: their log-probabilities differ
    K, means = seen["locations"].shape[1], model.look(images, **how).means
    normal = Normal(means[:, means.shape[1] - K :], model.location_network.std)
    expected = normal.log_prob(seen["locations"]).sum(-1)
    torch.testing.assert_close(again["location_log_probs"], expected)


def test_deterministic_looks_at_the_means_and_names_the_likeliest_class():
    model, images = both({})
    draws, outs = drawn(model, 4, seed=0), [model(images, deterministic=True)]
    assert not outs[0]["first_location"].any()  # the centre
    # from elsewhere, if a place is given or something to draw it from
    first = {"first_location": draws["first_location"]}
    for how in ({"draws": draws}, {"generator": 0}, first, {"draws": draws, **first}):
        outs.append(model(images, deterministic=True, **how))
        assert torch.equal(outs[-1]["first_location"], draws["first_location"])
    for out in outs:
        means = model.location_network.mean(out["hidden"][:, :-1])
        torch.testing.assert_close(out["locations"], means)
        torch.testing.assert_close(out["location_samples"], means)
        assert torch.equal(out["actions"][:, 0], out["logits"].argmax(-1))


@pytest.mark.parametrize("name", ["first_location", "locations"])
@pytest.mark.parametrize("lead", [(), (4,), (8,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_places_may_be_one_or_one_per_image_or_per_episode(name, lead, dtype):
    shape = (2,) if name == "first_location" else (2, 2)
    places = (torch.rand(*lead, *shape) * 2 - 1).to(dtype)
    out = small()(some_images(), num_rollouts=2, **{name: places})
    wanted = places.repeat_interleave(2, dim=0) if lead == (4,) else places
    assert torch.equal(out[name], wanted.expand(8, *shape).double())


@each_option
def test_rollouts_equal_images_repeated_by_hand_side_by_side(options):
    model, images = both(options)
    draws = drawn(model, 12, num_glimpses=5)
    out = model(images, num_rollouts=3, draws=draws)
    assert_same(out, model(images.repeat_interleave(3, dim=0), draws=draws))
    # nor do the images of a batch influence each other, or how they are stored
    some = {name: tensor[6:] for name, tensor in draws.items()}
    half = model(images[2:] / 255, num_rollouts=3, draws=some)
    assert_same(half, {name: t[6:] for name, t in out.items()}, rtol=0, atol=1e-6)
    if images.shape[1] == 1:  # a single image, and one with rollouts
        one = model(images[0, 0], draws={name: t[:1] for name, t in draws.items()})
        assert_same(one, {name: tensor[0] for name, tensor in out.items()})
        how = {"generator": 5, "num_rollouts": 3, "num_glimpses": 2}
        assert_same(model(images[0, 0], **how), model(images[0], **how), **EQUAL)
        assert model(images[0], **how)["looked"].shape == (3, 2, 2)


# --- compiling, saving and loading ----------------------------------------------------


def test_a_share_of_the_policy_s_gradient_goes_on_into_the_core():
    gradients, outs = {}, []
    for share in (0.0, 0.3, 1.0):
        model, images = both({"location_gradient": share})
        draws = drawn(model, 4)
        out = model(images, draws=draws)
        labels = torch.tensor([0, 1, 2, 3])
        hybrid_loss(out, labels, baseline="none").total.backward()
        gradients[share] = model.core.hidden_to_hidden.weight.grad
        outs.append({k: v.detach() for k, v in out.items()})
    for out in outs[1:]:
        assert_same(out, outs[0], **EQUAL)
    mixed = 0.7 * gradients[0.0] + 0.3 * gradients[1.0]
    torch.testing.assert_close(gradients[0.3], mixed)
    assert not torch.allclose(gradients[0.0], gradients[1.0])


def test_a_training_step_compiles_as_one_graph():
    torch._dynamo.reset()
    (model, images), labels = both({}), torch.tensor([0, 1, 2, 3])
    draws, table = drawn(model, 8), model.sensor.prepare(images)
    how = {"baseline": "leave-one-out", "reward": "per-step", "step_loss": 0.3}

    def step(table, labels, draws):
        out = rollout(model, Still(model.sensor, table, draws), draws)
        return combine(out, labels, *how.values(), None, 0.0).total

    compiled = torch.compile(step, backend="eager", fullgraph=True)
    # The model runs the same loop.
    same = hybrid_loss(model(images, draws=draws, num_rollouts=2), labels, **how)
    torch.testing.assert_close(compiled(table, labels, draws), same.total)


@each_option
def test_a_saved_model_comes_back_bit_for_bit(options, tmp_path):
    model = small(**options)
    model.location_network.std.fill_(0.123)  # as a schedule may
    folder = model.save_pretrained(tmp_path / "a" / "b", metrics={"error": 1.5})
    assert len(list(folder.iterdir())) == 3  # no file half written
    stored = json.loads((folder / "config.json").read_text())
    assert stored == {"model": dataclasses.asdict(model.config)}
    loaded = RecurrentAttentionModel.from_pretrained(folder)
    assert (loaded.config, loaded.training) == (model.config, False)
    assert_same(loaded.state_dict(), model.state_dict(), **EQUAL)
    again = loaded.save_pretrained(tmp_path / "c")  # with its record
    assert json.loads((again / "metrics.json").read_text()) == {"error": 1.5}


def test_nothing_is_overwritten_without_being_asked_for(tmp_path):
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        small().save_pretrained(tmp_path)
    with pytest.raises(TypeError, match="JSON"):  # no half a model either
        small().save_pretrained(tmp_path, {"error": torch.ones(1)}, overwrite=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
    small(hidden_size=5).save_pretrained(tmp_path, overwrite=True)
    assert RecurrentAttentionModel.from_pretrained(tmp_path).config.hidden_size == 5
