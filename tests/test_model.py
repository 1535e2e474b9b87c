"""The model against a forward pass written by hand, one image at a time."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.distributions import Normal

from ramlib import RAMConfig, RecurrentAttentionModel, hybrid_loss, pretrained_names
from ramlib.model import Draws

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SMALL = {
    "glimpse_size": 3,
    "num_glimpses": 3,
    "hidden_size": 12,
    "glimpse_hidden_size": 6,
    "num_actions": 4,
}
OPTIONS = {
    "default": {},
    "scales": {"num_scales": 3, "glimpse_size": 2},
    "colour": {"num_channels": 3, "num_scales": 2},
    "lstm": {"core": "lstm"},
    "use_lstm": {"use_lstm": True},
    "gru": {"core": "gru"},
    "conv": {"glimpse_encoder": "conv", "num_scales": 2, "num_channels": 2},
    "hidden layer": {"location_hidden_size": 5},
    "learned std": {"learn_location_std": True},
    "learned first": {"learn_first_location": True},
    "learned first, lstm": {"learn_first_location": True, "core": "lstm"},
    "one glimpse": {"num_glimpses": 1},
    "one learned glimpse": {"num_glimpses": 1, "learn_first_location": True},
    "all through": {"policy_reaches_core": True, "baseline_reaches_core": True},
}
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())


def small(**options):
    """A small model, in float64, of weights large enough that choices differ."""
    torch.manual_seed(0)
    model = RecurrentAttentionModel(RAMConfig(**{**SMALL, **options})).double()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter is not model.location_network.log_std:
                parameter.mul_(2)
    return model


def some_images(number=4, channels=1, height=7, width=9, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (number, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


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


def crop(image, location, size, scales):
    """Average blocks of a patch that is read pixel by pixel; black outside."""
    channels, height, width = image.shape
    planes = []
    for scale in range(scales):
        step = 2**scale
        left = math.floor((location[0] + 1) / 2 * width - size * step / 2 + 0.5)
        top = math.floor((location[1] + 1) / 2 * height - size * step / 2 + 0.5)
        patch = np.zeros((channels, size * step, size * step))
        for row in range(size * step):
            for column in range(size * step):
                y, x = top + row, left + column
                if 0 <= y < height and 0 <= x < width:
                    patch[:, row, column] = image[:, y, x]
        blocks = patch.reshape(channels, size, step, size, step)
        planes.append(blocks.mean(axis=(2, 4)))
    return np.concatenate([plane.reshape(-1) for plane in planes])


def convolve(image, weight, bias):
    """A 3 × 3 convolution with a border of zeros."""
    _, height, width = image.shape
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    result = np.zeros((len(weight), height, width))
    for row in range(height):
        for column in range(width):
            window = padded[:, row : row + 3, column : column + 3]
            result[:, row, column] = (weight * window).sum(axis=(1, 2, 3)) + bias
    return result


def reference(model, image, first, noise, uniform):
    """Everything the model says of one image (C, H, W) in [0, 1]."""
    c = model.config
    weights = {
        name: tensor.double().numpy() for name, tensor in model.state_dict().items()
    }

    def linear(name, x):
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    def encode(patch, location):
        if c.glimpse_encoder == "conv":
            x = patch.reshape(-1, c.glimpse_size, c.glimpse_size)
            for layer in (1, 3):
                name = f"glimpse_network.what.{layer}"
                x = relu(
                    convolve(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
                )
            what = linear("glimpse_network.what.6", x.reshape(-1))
        else:
            what = linear("glimpse_network.what", patch)
        where = linear("glimpse_network.where", location)
        both = np.concatenate([relu(what), relu(where)])
        return relu(linear("glimpse_network.combine", both))

    def remember(feature, h, cell):
        if c.core == "rnn":
            kept = linear("core.hidden_to_hidden", h)
            return relu(kept + linear("core.glimpse_to_hidden", feature)), cell
        new = weights["core.cell.weight_ih"] @ feature + weights["core.cell.bias_ih"]
        old = weights["core.cell.weight_hh"] @ h + weights["core.cell.bias_hh"]
        if c.core == "lstm":
            i, f, g, o = np.split(new + old, 4)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            return sigmoid(o) * np.tanh(cell), cell
        (r, z, n), (r_old, z_old, n_old) = np.split(new, 3), np.split(old, 3)
        update = sigmoid(z + z_old)
        candidate = np.tanh(n + sigmoid(r + r_old) * n_old)
        return (1 - update) * candidate + update * h, cell

    def choose(h, draw):
        if c.location_hidden_size:
            inner = relu(linear("location_network.mean.0", h))
            mean = np.tanh(linear("location_network.mean.2", inner))
        else:
            mean = np.tanh(linear("location_network.mean", h))
        std = np.full(2, c.location_std)
        if c.learn_location_std:
            std = np.exp(weights["location_network.log_std"])
        z = draw  # (sample - mean) / std
        log_prob = (-(z**2) / 2 - np.log(std * math.sqrt(2 * math.pi))).sum()
        return np.clip(mean + std * draw, -1, 1), log_prob

    h, cell = np.zeros(c.hidden_size), np.zeros(c.hidden_size)
    locations, log_probs, values, step_logits = [], [], [], []
    location, choice = first, 0
    if c.learn_first_location:
        values.append(linear("value_network.value", h)[0])
    for t in range(c.num_glimpses):
        if t > 0 or c.learn_first_location:
            location, log_prob = choose(h, noise[choice])
            choice += 1
            locations.append(location)
            log_probs.append(log_prob)
        if t == 0:
            first = location
        patch = crop(image, location, c.glimpse_size, c.num_scales)
        h, cell = remember(encode(patch, location), h, cell)
        values.append(linear("value_network.value", h)[0])
        step_logits.append(linear("action_network.logits", h))
    logits = step_logits[-1]
    log_softmax = logits - np.log(np.exp(logits).sum())
    action = int((uniform >= np.cumsum(np.exp(log_softmax))[:-1]).sum())
    return {
        "actions": [action],
        "locations": np.reshape(locations, (-1, 2)),
        "location_log_probs": log_probs,
        "action_log_probs": [log_softmax[action]],
        "values": values,
        "hidden_state": h,
        "logits": logits,
        "first_location": first,
        "step_logits": step_logits,
    }


def reference_batch(model, images, draws):
    rows = [
        reference(model, *(array.double().numpy() for array in row))
        for row in zip(images.double() / 255, *draws, strict=True)
    ]
    return {
        name: torch.from_numpy(np.stack([np.asarray(row[name]) for row in rows]))
        for name in rows[0]
    }


@each_option
def test_model_equals_a_forward_pass_written_by_hand(options):
    model = small(**options)
    images = some_images(channels=model.config.num_channels)
    draws = model.draw(4, torch.Generator().manual_seed(2))
    out = model(images, draws=draws, every_step=True)
    assert_same(out, reference_batch(model, images, draws), rtol=0, atol=1e-6)


def test_the_default_model_equals_it_too_in_float32():
    torch.manual_seed(0)
    model = RecurrentAttentionModel()
    images = some_images(3, height=28, width=28)
    draws = model.draw(3)
    out = model(images, draws=draws, every_step=True)
    expected = reference_batch(model, images, draws)
    for name in expected:
        tolerance = 1e-5 if name == "location_log_probs" else 1e-6
        torch.testing.assert_close(
            out[name].double(), expected[name].double(), rtol=0, atol=tolerance
        )


# --- shapes ---------------------------------------------------------------------------

SHAPES = {
    "actions": (1,),
    "locations": (5, 2),
    "location_log_probs": (5,),
    "action_log_probs": (1,),
    "values": (6,),
    "hidden_state": (256,),
    "logits": (10,),
    "first_location": (2,),
}


def shapes(out):
    return {name: tuple(tensor.shape) for name, tensor in out.items()}


def test_the_default_model_has_the_parameters_of_the_specification():
    model = RecurrentAttentionModel()
    parts = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in model.named_children()
    }
    assert parts == {
        "sensor": 0,
        "glimpse_network": 74_496,
        "core": 131_584,
        "location_network": 514,
        "value_network": 257,
        "action_network": 2_570,
    }
    assert sum(p.numel() for p in model.parameters()) == 209_421
    assert sum(t.numel() for t in model.state_dict().values()) == 209_421


def test_the_weights_have_the_names_that_saved_models_have():
    layers = [
        "glimpse_network.what",
        "glimpse_network.where",
        "glimpse_network.combine",
    ]
    layers += ["core.hidden_to_hidden", "core.glimpse_to_hidden"]
    layers += ["location_network.mean", "value_network.value", "action_network.logits"]
    names = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    assert list(RecurrentAttentionModel().state_dict()) == names


def test_training_and_evaluation_mode_are_the_same():
    model, images = small(), some_images()
    training = model.train()(images, generator=0)
    assert_same(model.eval()(images, generator=0), training, rtol=0, atol=0)


def test_the_defaults_are_those_of_the_specification():
    c = RAMConfig()
    assert (c.glimpse_size, c.num_scales, c.num_glimpses) == (8, 1, 6)
    assert (c.hidden_size, c.glimpse_hidden_size, c.num_actions) == (256, 128, 10)
    assert (c.location_std, c.core, c.num_channels) == (0.2, "rnn", 1)
    options = dataclasses.asdict(c)
    off = ["location_hidden_size", "learn_location_std", "learn_first_location"]
    off += ["identity_init", "policy_reaches_core", "baseline_reaches_core"]
    assert not any(options[name] for name in off)


@pytest.mark.parametrize("core", ["rnn", "lstm", "gru"])
def test_one_image_and_batches_give_the_specified_keys_and_shapes(core):
    model = RecurrentAttentionModel(RAMConfig(core=core))
    image = some_images(1, height=28, width=28)
    assert shapes(model(image[0, 0])) == SHAPES
    one, two = {k: (1, *s) for k, s in SHAPES.items()}, image.repeat(2, 1, 1, 1)
    assert shapes(model(image)) == shapes(model(image[:, 0])) == one
    assert shapes(model(two)) == {k: (2, *s) for k, s in SHAPES.items()}
    assert shapes(model(two, copies=3)) == {k: (6, *s) for k, s in SHAPES.items()}
    assert shapes(model(image[0, 0], copies=3)) == {
        k: (3, *s) for k, s in SHAPES.items()
    }


@each_option
def test_every_option_keeps_the_shapes(options):
    model = small(**options)
    c = model.config
    T = c.num_glimpses
    K = T if c.learn_first_location else T - 1
    images = some_images(channels=c.num_channels)
    out = model(images, every_step=True)
    assert shapes(out) == {
        "actions": (4, 1),
        "locations": (4, K, 2),
        "location_log_probs": (4, K),
        "action_log_probs": (4, 1),
        "values": (4, max(T, K + 1)),
        "hidden_state": (4, 12),
        "logits": (4, 4),
        "first_location": (4, 2),
        "step_logits": (4, T, 4),
    }
    assert all(t.dtype == torch.float64 for k, t in out.items() if k != "actions")
    assert out["actions"].dtype == torch.int64


def test_the_number_of_glimpses_can_differ_from_the_config():
    out = small()(some_images(), num_glimpses=7)
    assert out["locations"].shape == (4, 6, 2)
    assert out["values"].shape == (4, 7)


def test_use_lstm_is_another_name_for_the_lstm_core():
    assert RAMConfig(use_lstm=True) == RAMConfig(core="lstm")
    assert RAMConfig(use_lstm=True, core="lstm").core == "lstm"
    assert dataclasses.replace(RAMConfig(use_lstm=True), hidden_size=9).core == "lstm"
    with pytest.raises(ValueError, match="use_lstm contradicts core='gru'"):
        RAMConfig(use_lstm=True, core="gru")


@settings(deadline=None, max_examples=15)
@given(height=st.integers(1, 40), width=st.integers(1, 40), size=st.integers(1, 9))
def test_any_image_size_and_any_patch_size(height, width, size):
    model = small(glimpse_size=size, num_scales=2)
    out = model(some_images(2, height=height, width=width), generator=0)
    assert all(tensor.isfinite().all() for tensor in out.values())


# --- randomness and replay ------------------------------------------------------------


@each_option
def test_the_same_draws_give_the_same_bits(options):
    model = small(**options)
    images = some_images(channels=model.config.num_channels)
    draws = model.draw(4)
    assert_same(model(images, draws=draws), model(images, draws=draws), rtol=0, atol=0)


def test_a_seed_a_generator_and_its_draws_are_one_and_the_same():
    model, images = small(), some_images()
    expected = model(images, generator=5)
    again = model(images, generator=torch.Generator().manual_seed(5))
    drawn = model(images, draws=model.draw(4, torch.Generator().manual_seed(5)))
    assert_same(again, expected, rtol=0, atol=0)
    assert_same(drawn, expected, rtol=0, atol=0)
    assert not torch.equal(
        model(images, generator=6)["locations"], expected["locations"]
    )


def test_a_seed_does_not_touch_pytorchs_own_generator():
    model, images = small(), some_images()
    before = torch.get_rng_state()
    model(images, generator=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_draws_are_uniform_places_normal_noise_and_uniform_numbers():
    draws = small().draw(20_000, torch.Generator().manual_seed(0))
    assert draws.first_location.abs().max() <= 1
    assert draws.first_location.mean(0).abs().max() < 0.02
    assert abs(draws.first_location.var() - 1 / 3) < 0.01
    assert abs(draws.noise.mean()) < 0.02
    assert abs(draws.noise.var() - 1) < 0.02
    assert draws.uniform.min() >= 0
    assert draws.uniform.max() < 1
    assert abs(draws.uniform.mean() - 0.5) < 0.01


@each_option
def test_replayed_locations_give_the_same_patches_and_logits(options):
    model = small(**options)
    images = some_images(channels=model.config.num_channels)
    seen = model(images, generator=0, every_step=True)
    how = {"locations": seen["locations"]}
    if not model.config.learn_first_location:
        how["first_location"] = seen["first_location"]
    again = model(images, generator=1, every_step=True, **how)
    for name in ("logits", "step_logits", "values", "hidden_state", "first_location"):
        assert torch.equal(again[name], seen[name])
    traces = [model.look(images, **how), model.look(images, generator=1, **how)]
    assert torch.equal(traces[0].patches, traces[1].patches)


@pytest.mark.parametrize("std", [0.2, 3.0])
@pytest.mark.parametrize("learned", [False, True])
def test_replayed_locations_have_their_own_log_probabilities(std, learned):
    model = small(learn_first_location=learned, location_std=std)
    images = some_images()
    K = 3 if learned else 2
    places = torch.rand(4, K, 2, dtype=torch.float64) * 2 - 1
    how = {} if learned else {"first_location": torch.zeros(2)}
    out = model(images, locations=places, **how)
    means = model.look(images, locations=places, **how).means[:, -K:]
    expected = Normal(means, std).log_prob(places).sum(-1)
    torch.testing.assert_close(out["location_log_probs"], expected)
    torch.testing.assert_close(out["locations"], places)


def test_a_clamped_choice_keeps_the_log_probability_of_its_sample():
    model, images = small(location_std=3.0), some_images()
    out = model(images, generator=0)
    trace = model.look(images, generator=0, deterministic=False)
    expected = Normal(trace.means[:, 1:], 3.0).log_prob(trace.samples[:, 1:]).sum(-1)
    torch.testing.assert_close(out["location_log_probs"], expected)
    torch.testing.assert_close(out["locations"], trace.samples[:, 1:].clamp(-1, 1))
    replayed = model(
        images, first_location=out["first_location"], locations=out["locations"]
    )
    assert torch.equal(replayed["logits"], out["logits"])
    clamped = (out["locations"].abs() == 1).any(-1)
    assert clamped.any()
    higher = replayed["location_log_probs"] > out["location_log_probs"]
    assert torch.equal(higher, clamped)


def test_deterministic_looks_at_the_means_and_names_the_likeliest_class():
    model, images = small(), some_images()
    out = model(images, generator=0, deterministic=True)
    trace = model.look(images, generator=0)
    torch.testing.assert_close(out["locations"], trace.means[:, 1:])
    assert torch.equal(out["actions"][:, 0], out["logits"].argmax(-1))
    peak = -2 * math.log(0.2 * math.sqrt(2 * math.pi))
    torch.testing.assert_close(
        out["location_log_probs"], torch.full((4, 2), peak, dtype=torch.float64)
    )
    again = model(images, first_location=out["first_location"], deterministic=True)
    assert_same(again, out, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(2,), (4, 2), (8, 2)])
def test_a_first_location_may_be_one_or_one_per_image_or_per_episode(shape):
    model, images = small(), some_images()
    first = torch.rand(shape, dtype=torch.float64) * 2 - 1
    out = model(images, first_location=first, copies=2)
    wanted = first.expand(8, 2) if shape == (2,) else first
    if shape == (4, 2):
        wanted = first.repeat_interleave(2, dim=0)
    assert torch.equal(out["first_location"], wanted)


@pytest.mark.parametrize("shape", [(2, 2), (4, 2, 2), (8, 2, 2)])
def test_locations_may_be_one_path_or_one_per_image_or_per_episode(shape):
    model, images = small(), some_images()
    places = torch.rand(shape, dtype=torch.float64) * 2 - 1
    out = model(images, locations=places, copies=2)
    wanted = places.expand(8, 2, 2) if shape == (2, 2) else places
    if shape == (4, 2, 2):
        wanted = places.repeat_interleave(2, dim=0)
    assert torch.equal(out["locations"], wanted)


def test_given_locations_of_another_dtype_are_taken():
    model, images = small(), some_images()
    out = model(images, first_location=torch.tensor([0, 1]))
    assert out["first_location"].tolist() == [[0.0, 1.0]] * 4


def test_location_std_can_differ_from_the_config():
    model, images = small(), some_images()
    draws = model.draw(4)
    wide = model(images, draws=draws, location_std=0.4)
    assert_same(
        wide, model(images, draws=draws, location_std=torch.tensor(0.4).double())
    )
    other = small(location_std=0.4)
    assert_same(wide, other(images, draws=draws))


@each_option
def test_copies_equal_images_repeated_by_hand_side_by_side(options):
    model = small(**options)
    images = some_images(channels=model.config.num_channels)
    draws = model.draw(12)
    out = model(images, copies=3, draws=draws)
    assert_same(out, model(images.repeat_interleave(3, dim=0), draws=draws))


def test_copies_share_one_table():
    model, images = small(), some_images()
    prepared = []
    prepare = model.sensor.prepare
    model.sensor.prepare = lambda images: (
        prepared.append(prepare(images)) or prepared[0]
    )
    model(images, copies=5)
    assert [len(tables.table) for tables in prepared] == [4]


GREY = {name: o for name, o in OPTIONS.items() if "num_channels" not in o}


@pytest.mark.parametrize("options", GREY.values(), ids=GREY.keys())
def test_one_image_is_a_batch_of_one(options):
    model, image = small(**options), some_images(1)
    draws = model.draw(1)
    single = model(image[0, 0], draws=draws, every_step=True)
    batch = model(image, draws=draws, every_step=True)
    assert_same(single, {name: t[0] for name, t in batch.items()}, rtol=0, atol=0)


def test_images_of_a_batch_do_not_influence_each_other():
    model, images = small(), some_images()
    draws = model.draw(4)
    whole = model(images, draws=draws)
    half = model(images[2:], draws=Draws(*(tensor[2:] for tensor in draws)))
    assert_same(half, {name: tensor[2:] for name, tensor in whole.items()})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uint8_and_float_images_give_the_same(dtype):
    model = small(num_scales=2).to(dtype)
    images = some_images()
    draws = model.draw(4)
    tolerance = {"rtol": 0, "atol": 2e-6}
    assert_same(
        model(images, draws=draws),
        model(images.to(dtype) / 255, draws=draws),
        **tolerance,
    )


# --- gradients stop at the sample -----------------------------------------------------


def test_the_sample_is_cut_from_the_graph():
    out = small(policy_reaches_core=True)(some_images())
    assert not out["locations"].requires_grad
    assert not out["first_location"].requires_grad


def test_the_classification_never_reaches_the_location_network():
    model = small(learn_location_std=True, policy_reaches_core=True)
    model(some_images())["logits"].sum().backward()
    assert all(p.grad is None for p in model.location_network.parameters())
    assert all(p.grad is not None for p in model.glimpse_network.parameters())


@pytest.mark.parametrize("glimpses", [1, 2, 5])
def test_nothing_is_chosen_that_is_not_looked_at(glimpses):
    model = small(num_glimpses=glimpses)
    calls = []
    model.location_network.mean.register_forward_hook(lambda *_: calls.append(1))
    out = model(some_images())
    assert len(calls) == glimpses - 1 == out["location_log_probs"].shape[1]


# --- compiled -------------------------------------------------------------------------


def test_a_training_step_compiles_as_one_graph():
    torch._dynamo.reset()
    model, images = small(), some_images()
    labels = torch.tensor([0, 1, 2, 3])
    draws = model.draw(8)
    prepared = model.sensor.prepare(images)

    def step(prepared, labels, draws):
        rollout = model.rollout(prepared, draws.first_location, draws.noise)
        out = model.read_out(rollout, draws.uniform, every_step=True)
        how = {"reward": "per-step", "step_loss": 0.3, "check": False}
        one = hybrid_loss(out, labels, baseline="leave-one-out", **how)
        return (*one, *hybrid_loss(out, labels, baseline="value", check=False))

    compiled = torch.compile(step, backend="eager", fullgraph=True)
    got, expected = compiled(prepared, labels, draws), step(prepared, labels, draws)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_training_step_never_waits_for_the_device():
    # Tensors on "meta" have no values: whatever asks for one raises.
    model = small(learn_location_std=True).to("meta")
    prepared = model.sensor.prepare(some_images().to("meta"))
    draws = model.draw(8)
    rollout = model.rollout(prepared, draws.first_location, draws.noise)
    out = model.read_out(rollout, draws.uniform, every_step=True)
    losses = hybrid_loss(
        out,
        torch.zeros(4, dtype=torch.int64, device="meta"),
        baseline="leave-one-out",
        reward="per-step",
        step_loss=0.3,
        check=False,
    )
    losses.total.backward()
    assert losses.total.device.type == "meta"


# --- saving and loading ---------------------------------------------------------------


@each_option
def test_a_saved_model_comes_back_bit_for_bit(options, tmp_path):
    model = small(**options)
    folder = model.save_pretrained(tmp_path / "a" / "b", metrics={"error": 1.5})
    names = ["config.json", "metrics.json", "model.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names
    loaded = RecurrentAttentionModel.from_pretrained(folder, device="cpu")
    assert loaded.config == model.config
    assert loaded.metrics == {"error": 1.5}
    assert not loaded.training
    assert loaded.dtype == torch.float64
    assert_same(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_nothing_is_overwritten_without_being_asked_for(tmp_path):
    model = small()
    model.save_pretrained(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    other = small(hidden_size=5)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        other.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    other.save_pretrained(tmp_path, overwrite=True)
    assert RecurrentAttentionModel.from_pretrained(tmp_path).config.hidden_size == 5


def test_a_foreign_config_is_not_overwritten_either(tmp_path):
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"config\.json"):
        small().save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_metrics_that_are_not_json_leave_no_half_a_model(tmp_path):
    with pytest.raises(TypeError):
        small().save_pretrained(tmp_path, metrics={"error": torch.ones(1)})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    for folder in (file, file / "deeper"):
        with pytest.raises(ValueError, match=r"file.* cannot be written"):
            small().save_pretrained(folder)
    blocked = tmp_path / "blocked"
    (blocked / "model.safetensors").mkdir(parents=True)
    with pytest.raises(ValueError, match="cannot be written"):
        small().save_pretrained(blocked, overwrite=True)


def test_a_missing_model_lists_those_there_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model 'mnist-9x9'") as caught:
        RecurrentAttentionModel.from_pretrained("mnist-9x9")
    for name in pretrained_names() or ["none"]:
        assert name in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"config\.json and model\.safetensors"):
        RecurrentAttentionModel.from_pretrained(tmp_path)


def test_every_shipped_model_loads_and_looks():
    for name in pretrained_names():
        model = RecurrentAttentionModel.from_pretrained(name)
        C = model.config.num_channels
        assert len(model.look(some_images(channels=C, height=28, width=28))) == 4


def broken(path, how):
    weights = path.read_bytes()
    if how == "truncated":
        path.write_bytes(weights[: len(weights) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "garbage":
        path.write_bytes(bytes(range(256)) * 10)
    elif how == "foreign":
        save_file({"encoder.weight": torch.zeros(3)}, path)
    elif how == "another size":
        state = small(hidden_size=5).state_dict()
        save_file(dict(state), path)
    elif how == "no tensors":
        save_file({}, path)


@pytest.mark.parametrize(
    "how", ["truncated", "empty", "garbage", "foreign", "another size", "no tensors"]
)
def test_damaged_weights_are_named(how, tmp_path):
    small().save_pretrained(tmp_path)
    broken(tmp_path / "model.safetensors", how)
    with pytest.raises(
        ValueError, match=r"model\.safetensors (cannot be read|does not)"
    ):
        RecurrentAttentionModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("[]", r"config\.json.*needs names and values"),
        ("null", r"config\.json.*needs names and values"),
        ('{"hiden_size": 4}', r"config\.json.*no hiden_size.*hidden_size"),
        ('{"hidden_size": -4}', r"config\.json.*hidden_size is -4"),
        ('{"hidden_size": "4"}', r"config\.json.*hidden_size is '4'"),
        ('{"core": "mlp"}', r"config\.json.*core is 'mlp'"),
        ('{"learn_location_std": "no"}', r"config\.json.*learn_location_std is 'no'"),
    ],
)
def test_a_damaged_config_is_named(text, words, tmp_path):
    small().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        RecurrentAttentionModel.from_pretrained(tmp_path)


def test_config_json_holds_every_field_and_nothing_else(tmp_path):
    config = RAMConfig(use_lstm=True, num_scales=2)
    RecurrentAttentionModel(config).save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored == dataclasses.asdict(config)
    assert RAMConfig.from_dict(stored) == config


# --- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"glimpse_size": 0}, ValueError, "glimpse_size is 0"),
        ({"num_scales": -1}, ValueError, "num_scales is -1"),
        ({"num_glimpses": 0}, ValueError, "num_glimpses is 0"),
        ({"hidden_size": 25.6}, TypeError, "hidden_size is 25.6"),
        ({"num_actions": "10"}, TypeError, "num_actions is '10'"),
        ({"glimpse_hidden_size": True}, TypeError, "glimpse_hidden_size is True"),
        ({"num_channels": 0}, ValueError, "num_channels is 0"),
        ({"location_hidden_size": -1}, ValueError, "location_hidden_size is -1"),
        ({"location_std": 0.0}, ValueError, "location_std is 0.0"),
        ({"location_std": -0.2}, ValueError, "location_std is -0.2"),
        ({"location_std": math.nan}, ValueError, "location_std is nan"),
        ({"location_std": "wide"}, ValueError, "location_std is 'wide'"),
        ({"core": "transformer"}, ValueError, "core is 'transformer'.*'gru'"),
        ({"glimpse_encoder": "mlp"}, ValueError, "'mlp'.*'conv'"),
        ({"identity_init": 2}, ValueError, "identity_init is 2"),
        ({"identity_init": "a"}, ValueError, "identity_init is 'a'"),
        ({"learn_location_std": 1}, TypeError, "learn_location_std is 1"),
        ({"policy_reaches_core": "yes"}, TypeError, "policy_reaches_core is 'yes'"),
    ],
)
def test_a_bad_config_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        RAMConfig(**options)


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RAMConfig().hidden_size = 3


U8, ONES = some_images(), torch.ones(4, 1, 7, 9)


@pytest.mark.parametrize(
    ("images", "how", "error", "words"),
    [
        (U8.numpy(), {}, TypeError, "images is a ndarray"),
        (U8[0, 0, 0], {}, ValueError, r"shape \(9,\)"),
        (U8[None], {}, ValueError, r"shape \(1, 4, 1, 7, 9\)"),
        (U8[:0], {}, ValueError, "nothing to look at"),
        (U8.repeat(1, 3, 1, 1), {}, ValueError, r"3 channel\(s\)"),
        (U8.long(), {}, TypeError, "int64.*uint8"),
        (ONES * 255, {}, ValueError, r"\[0, 1\].*divide by 255"),
        (-ONES, {}, ValueError, r"\[0, 1\]"),
        (ONES * math.nan, {}, ValueError, r"\[0, 1\]"),
        (ONES * math.inf, {}, ValueError, r"\[0, 1\]"),
        (U8.to("meta"), {}, ValueError, "on meta, the model is on cpu.*to"),
        (U8, {"copies": 0}, ValueError, "copies is 0"),
        (U8, {"copies": -1}, ValueError, "copies is -1"),
        (U8, {"copies": 1.5}, TypeError, "copies is 1.5"),
        (U8, {"num_glimpses": 0}, ValueError, "num_glimpses is 0"),
        (U8, {"num_glimpses": 2.0}, TypeError, "num_glimpses is 2.0"),
        (U8, {"location_std": 0}, ValueError, "location_std is 0"),
        (U8, {"location_std": math.nan}, ValueError, "location_std is nan"),
        (U8, {"location_std": torch.tensor(-1.0)}, ValueError, "location_std is"),
        (U8, {"generator": 1.5}, TypeError, "generator is 1.5.*seed"),
        (U8, {"generator": True}, TypeError, "generator is True"),
        (U8, {"first_location": (0, 0)}, TypeError, "first_location is a tuple"),
        (U8, {"first_location": torch.zeros(3)}, ValueError, r"shape \(3,\).*\(4, 2\)"),
        (U8, {"first_location": torch.zeros(3, 2)}, ValueError, r"\(3, 2\).*\(4, 2\)"),
        (U8, {"first_location": torch.tensor([0, 1.1])}, ValueError, r"\[-1, 1\]"),
        (U8, {"first_location": torch.tensor([0, math.nan])}, ValueError, "NaN"),
        (U8, {"locations": torch.zeros(4, 3, 2)}, ValueError, r"\(4, 2, 2\)"),
        (U8, {"locations": torch.full((2, 2), -1.5)}, ValueError, r"\[-1, 1\]"),
        (U8, {"locations": torch.full((2, 2), math.nan)}, ValueError, "NaN"),
        (U8, {"locations": [[0, 0], [0, 0]]}, TypeError, "locations is a list"),
        (U8, {"draws": small().draw(3)}, ValueError, r"4 episodes of 3.*\(4, 2, 2\)"),
        (U8, {"draws": small().draw(4)._replace(uniform=torch.rand(3))},
         ValueError, r"\(3,\).*model\.draw"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_its_value_and_the_remedy(images, how, error, words):
    model = small()
    with pytest.raises(error, match=words):
        model(images, **how)
    with pytest.raises(error, match=words):
        model.look(images, **how)


def test_a_model_that_chooses_its_first_place_refuses_to_be_given_one():
    with pytest.raises(ValueError, match="pass locations"):
        small(learn_first_location=True)(some_images(), first_location=torch.zeros(2))


def test_draws_of_another_dtype_are_taken():
    model, images = small(), some_images()
    draws = model.draw(4)
    single = Draws(*(tensor.float() for tensor in draws))
    assert_same(
        model(images, draws=single), model(images, draws=draws), rtol=0, atol=1e-5
    )


def test_look_needs_one_label_per_image():
    with pytest.raises(ValueError, match="3 labels for 4 images"):
        small().look(some_images(), labels=torch.zeros(3, dtype=torch.int64))


def test_look_always_keeps_every_step():
    with pytest.raises(ValueError, match="every_step is False"):
        small().look(some_images(), every_step=False)


# --- on a GPU -------------------------------------------------------------------------


@needs_gpu
@each_option
def test_a_gpu_gives_what_the_cpu_gives(options):
    model = small(**options)
    images = some_images(channels=model.config.num_channels)
    draws = model.draw(4)
    expected = model(images, draws=draws, every_step=True)
    model.cuda()
    out = model(images.cuda(), draws=draws, every_step=True)
    assert_same({name: tensor.cpu() for name, tensor in out.items()}, expected)


@needs_gpu
def test_a_cpu_generator_draws_the_same_for_a_gpu():
    model = small()
    drawn = model.draw(4, torch.Generator().manual_seed(0))
    again = model.cuda().draw(4, torch.Generator().manual_seed(0))
    for one, other in zip(drawn, again, strict=True):
        assert torch.equal(one, other.cpu())


@needs_gpu
def test_a_model_can_be_loaded_onto_a_gpu(tmp_path):
    small().save_pretrained(tmp_path)
    model = RecurrentAttentionModel.from_pretrained(tmp_path, device="cuda")
    assert model.device.type == "cuda"
    with pytest.raises(ValueError, match=r"images are on cpu.*\.to\(device\)"):
        model(some_images())
