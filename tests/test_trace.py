"""A trace against the model it came from, and the selection of episodes."""

import dataclasses

import numpy as np
import pytest
import torch
from test_model import assert_same, small, some_images

from ramlib import Trace
from ramlib.data import Images
from ramlib.sensor import GlimpseSensor

NAMES, LABELS = ("ant", "bee", "cat", "dog"), torch.tensor([2, 0, 1])


def tensors(trace):
    fields = {f.name: getattr(trace, f.name) for f in dataclasses.fields(trace)}
    return {name: x for name, x in fields.items() if isinstance(x, torch.Tensor)}


@pytest.fixture
def trace():
    """Six episodes of colour images, with two scales, that clamp some places."""
    model = small(num_scales=2, num_channels=3, num_glimpses=5, location_std=0.8)
    how = {"generator": 0, "deterministic": False, "classes": NAMES}
    return model.look(some_images(6, 3), torch.arange(6) % 4, **how)


def test_it_shows_what_the_sensor_sees_where_the_policy_looks(trace):
    assert trace.patches.shape == (6, 5, 2, 3, 3, 3)
    assert (trace.num_glimpses, trace.num_scales, trace.glimpse_size) == (5, 2, 3)
    assert repr(trace) == "Trace of 6 episodes of 5 glimpses at 7 × 9"
    assert trace.cpu() != trace  # no comparison of tensors
    assert Trace._repr_html_(trace).lstrip().startswith("<div")  # the player
    for t in range(5):
        seen = GlimpseSensor(3, 2, 3)(trace.images, trace.locations[:, t])
        assert torch.equal(trace.patches[:, t].flatten(1), seen.double())
    assert torch.equal(trace.locations, trace.samples.clamp(-1, 1))


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
def test_a_trace_says_what_forward_says(learned, deterministic):
    model, images = small(learn_first_location=learned), some_images(3)
    how = {"generator": 3, "deterministic": deterministic, "num_rollouts": 2}
    out, trace = model(images, **how), model.look(images, LABELS, **how)
    before = torch.cat([torch.zeros(6, 1, 11), out["hidden"]], dim=1)[:, :3].double()
    means, samples = model.location_network.mean(before), out["location_samples"]
    if not learned:  # a first place that was random or given is chosen by nothing
        means[:, 0] = out["first_location"]
        samples = torch.cat([means[:, :1], samples], dim=1)
    expected = {
        "images": images.repeat_interleave(2, dim=0),
        "labels": LABELS.repeat_interleave(2),
        "locations": out["looked"],
        "means": means,
        "samples": samples,
        "patches": out["patches"].reshape(6, 3, 1, 1, 3, 3),
        "hidden": out["hidden"],
        "probs": out["step_logits"].softmax(-1),
        "values": out["values"][:, -3:],
    }
    assert_same(tensors(trace), expected)
    assert not any(tensor.requires_grad for tensor in tensors(trace).values())
    assert torch.equal(trace.predictions, trace.probs.argmax(-1))


def test_labels_and_classes_come_with_images_or_beside_them():
    model, data = small(), Images(some_images(3), LABELS, NAMES)
    for shown in (model.look(data), model.look(data.images, LABELS, classes=NAMES)):
        assert (shown.labels.tolist(), shown.classes) == ([2, 0, 1], NAMES)
        assert torch.allclose(shown.samples, shown.means)  # unless told otherwise
        assert not shown.locations[:, 0].any()
    other = model.look(data, LABELS.flip(0), classes=NAMES[::-1])
    assert (other.labels.tolist(), other.classes) == ([1, 0, 2], NAMES[::-1])
    bare = model.look(some_images()[0, 0])
    assert (bare.labels, bare[:1].labels, bare.cpu().classes) == (None, None, None)


def test_episodes_are_selected_from_every_tensor(trace):
    C = torch.arange(6)
    keys = slice(1, 3), [0, 3], -1, np.int64(2), C[[5, 1]], C > 3
    kept = [1, 2], [0, 3], [5], [2], [5, 1], [4, 5]
    for key, episodes in zip(keys, kept, strict=True):
        part, whole = trace[key].cpu(), tensors(trace)
        assert (part.classes, len(part)) == (NAMES, len(episodes))
        assert_same(tensors(part), {name: x[episodes] for name, x in whole.items()})
    assert len(list(trace)) == 6  # an episode that is not there is an IndexError
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.labels = None
