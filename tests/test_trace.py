"""A trace against the model it came from, and the selection of episodes."""

import dataclasses
import sys
import types

import numpy as np
import pytest
import torch

from ramlib import RAMConfig, RecurrentAttentionModel, Trace
from ramlib.sensor import GlimpseSensor


def a_model(**options):
    torch.manual_seed(0)
    sizes = {"glimpse_size": 3, "num_scales": 2, "num_glimpses": 4, "num_actions": 5}
    sizes |= {"hidden_size": 12, "glimpse_hidden_size": 6, "location_std": 0.8}
    return RecurrentAttentionModel(RAMConfig(**{**sizes, **options}))


def some_images(number=6, channels=1):
    generator = torch.Generator().manual_seed(0)
    shape = (number, channels, 7, 9)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def tensors(trace):
    return {f.name: getattr(trace, f.name) for f in dataclasses.fields(trace)}


@pytest.fixture
def trace():
    return a_model().look(
        some_images(), torch.arange(6), generator=0, deterministic=False
    )


def test_a_trace_holds_the_documented_shapes(trace):
    assert {name: tuple(tensor.shape) for name, tensor in tensors(trace).items()} == {
        "images": (6, 1, 7, 9),
        "labels": (6,),
        "locations": (6, 4, 2),
        "means": (6, 4, 2),
        "samples": (6, 4, 2),
        "patches": (6, 4, 2, 1, 3, 3),
        "hidden": (6, 4, 12),
        "probs": (6, 4, 5),
        "values": (6, 4),
    }
    assert (len(trace), trace.num_glimpses) == (6, 4)
    assert (trace.num_scales, trace.glimpse_size) == (2, 3)


def test_colour_channels_come_after_scales():
    trace = a_model(num_channels=3).look(some_images(channels=3))
    assert trace.patches.shape == (6, 4, 2, 3, 3, 3)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
def test_a_trace_says_what_forward_says(learned, deterministic):
    model, images = a_model(learn_first_location=learned), some_images()
    how = {"generator": 3, "deterministic": deterministic, "copies": 2}
    out = model(images, every_step=True, **how)
    trace = model.look(images, **how)
    K = out["locations"].shape[1]
    assert torch.equal(trace.locations[:, -K:], out["locations"])
    assert torch.equal(trace.locations[:, 0], out["first_location"])
    assert torch.equal(trace.hidden[:, -1], out["hidden_state"])
    torch.testing.assert_close(trace.probs, out["step_logits"].softmax(-1))
    torch.testing.assert_close(trace.values, out["values"][:, -4:])
    assert torch.equal(trace.predictions, out["step_logits"].argmax(-1))


def test_the_patches_are_what_the_sensor_sees_at_each_location(trace):
    sensor = GlimpseSensor(3, 2)
    for t in range(4):
        seen = sensor(trace.images, trace.locations[:, t])
        assert torch.equal(trace.patches[:, t].flatten(1), seen)


def test_locations_are_the_samples_clamped_to_the_image(trace):
    assert torch.equal(trace.locations, trace.samples.clamp(-1, 1))
    assert (trace.samples.abs() > 1).any()  # this trace clamps some
    assert (trace.means[:, 1:] != trace.samples[:, 1:]).all()


def test_nothing_chose_a_first_location_that_was_random_or_given(trace):
    assert torch.equal(trace.means[:, 0], trace.locations[:, 0])
    assert torch.equal(trace.samples[:, 0], trace.locations[:, 0])


def test_a_learned_first_location_was_chosen():
    trace = a_model(learn_first_location=True).look(
        some_images(), generator=0, deterministic=False
    )
    assert (trace.means[:, 0] == trace.means[0, 0]).all()  # from h = 0: all the same
    assert (trace.samples[:, 0] != trace.means[:, 0]).all()


def test_looking_takes_the_means_unless_told_otherwise():
    trace = a_model().look(some_images())
    assert torch.equal(trace.samples, trace.means)


def test_a_trace_of_one_image_is_a_batch_of_one():
    image = some_images(1)[0, 0]
    trace = a_model().look(image, 3, first_location=torch.zeros(2))
    assert trace.images.shape == (1, 1, 7, 9)
    assert trace.labels.tolist() == [3]
    assert trace.locations[0, 0].tolist() == [0, 0]


def test_copies_sit_side_by_side_with_their_image_and_label():
    trace = a_model().look(some_images(2), torch.tensor([4, 1]), copies=3)
    assert trace.labels.tolist() == [4, 4, 4, 1, 1, 1]
    assert torch.equal(trace.images, some_images(2).repeat_interleave(3, dim=0))


def test_a_trace_keeps_no_graph(trace):
    assert not any(tensor.requires_grad for tensor in tensors(trace).values())


def test_probabilities_sum_to_one_at_every_glimpse(trace):
    torch.testing.assert_close(trace.probs.sum(-1), torch.ones(6, 4))


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, 2), [0, 2, 4]),
        ([0, 3], [0, 3]),
        (2, [2]),
        (-1, [5]),
        (np.int64(2), [2]),
        (torch.tensor([5, 1]), [5, 1]),
        (torch.arange(6) > 3, [4, 5]),
    ],
    ids=str,
)
def test_episodes_are_selected_from_every_tensor(trace, key, kept):
    for name, tensor in tensors(trace[key]).items():
        assert torch.equal(tensor, tensors(trace)[name][kept]), name


def test_an_episode_that_is_not_there_is_an_index_error(trace):
    with pytest.raises(IndexError):
        trace[6]
    assert len(list(trace)) == 6


def test_a_trace_without_labels_stays_without():
    trace = a_model().look(some_images())
    assert trace.labels is None
    assert trace[:2].labels is None
    assert trace.cpu().labels is None


def test_cpu_copies_every_tensor(trace):
    for name, tensor in tensors(trace.cpu()).items():
        assert torch.equal(tensor, tensors(trace)[name])


def test_a_trace_cannot_be_changed(trace):
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.labels = None


def test_a_trace_says_in_one_line_what_it_is(trace):
    assert repr(trace) == "Trace of 6 episodes of 4 glimpses at 7 × 9"


def test_a_notebook_shows_the_player(trace, monkeypatch):
    player = types.ModuleType("ramlib.player")
    player.render = lambda shown: f"player of {len(shown)}"
    monkeypatch.setitem(sys.modules, "ramlib.player", player)
    monkeypatch.setattr("ramlib.player", player, raising=False)
    assert trace._repr_html_() == "player of 6"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_trace_from_a_gpu_comes_to_the_cpu():
    trace = a_model().cuda().look(some_images().cuda(), torch.arange(6))
    assert isinstance(trace, Trace)
    assert {t.device.type for t in tensors(trace.cpu()).values()} == {"cpu"}
