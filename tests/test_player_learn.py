"""Learning in the page: what the widget holds, and what it refuses."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from test_player import data, held, pixels

from ramlib import RAMConfig, player
from ramlib.training import new_model

PIXELS, LABELS = load_digits(return_X_y=True)


def test_it_holds_the_settings_of_a_model_and_eight_digits_that_differ():
    text = player.learn(seed=5).data
    assert len(text.encode()) <= 45_000
    kept = data(text)
    config = RAMConfig(**kept["config"])
    assert config.num_glimpses == 4 and new_model(config, 0)
    assert [kept[name] for name in ("seed", "train", "held")] == [5, 1197, 300]
    assert len(set(kept["truth"])) == len(kept["shown"]) == 8
    which = [1197 + i for i in kept["shown"]]
    assert kept["truth"] == LABELS[which].tolist() and max(which) < 1497
    bytes_ = torch.as_tensor(PIXELS[which] * 255 / 16).round()
    np.testing.assert_array_equal(
        pixels(held(text, "data-images")), bytes_.reshape(64, 8)
    )
    for label in kept["truth"]:
        assert f" {label}," in held(text, "alt")


def test_the_still_picture_claims_no_learning():
    text = player.learn().data
    assert "random places, as of a model that has learnt nothing" in text
    assert pixels(held(text, "src")).shape[1] <= 420
    assert player.learn().data == text != player.learn(seed=3).data


REFUSED = [
    ({"seed": -1}, ValueError, "seed is -1; give a whole number from 0"),
    ({"seed": 2.5}, TypeError, "seed is 2.5; give a whole number"),
    ({"seed": None}, TypeError, "seed is None; give a whole number"),
    ({"name": "a b"}, ValueError, "name is 'a b'; use letters"),
    ({"title": 3}, TypeError, "title is 3; give a text"),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
def test_what_cannot_be_shown_is_named(options, error, message):
    with pytest.raises(error, match=message):
        player.learn(**options)
