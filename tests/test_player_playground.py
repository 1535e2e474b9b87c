"""The REINFORCE playground: what it holds, and what it refuses."""

import numpy as np
import pytest
import torch
from test_player import data

from ramlib import player

IMAGE = torch.arange(12).reshape(3, 4) / 11


def test_it_holds_the_brightness_of_every_pixel():
    text = player.playground(IMAGE, start=(0.126, -1), location_std=0.3).data
    held = data(text)
    np.testing.assert_allclose(held["ink"], IMAGE, atol=1e-6)
    assert (held["mean"], held["std"]) == ([0.13, -1], 0.3)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_bytes_are_shares_of_255_and_floats_of_1(kind):
    pixels = (IMAGE * 255).round().to(torch.uint8)
    text = player.playground(kind(pixels)).data
    assert text == player.playground(kind(pixels.double() / 255)).data
    assert player.playground(pixels * 0).data, "where nothing pays, too"


def test_the_largest_picture_still_fits_a_page():
    noise = torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    assert len(player.playground(noise).data.encode()) <= 80_000


def test_the_still_picture_tells_the_gradient():
    ink = torch.zeros(2, 2)
    ink[:, 0] = 1  # paid on the left: J = P(x < 0), whatever y is
    text = player.playground(ink, start=(0, 0.5), location_std=0.4).data
    slope = -1 / (0.4 * (2 * np.pi) ** 0.5)
    assert f"the exact gradient is ({slope:.2f}, 0.00)".replace("-", "−") in text


REFUSED = [
    ({"image": torch.zeros(3, 8, 8)}, ValueError, r"shape \(3, 8, 8\); give \(H, W\)"),
    ({"image": torch.zeros(33, 8)}, ValueError, "up to 32 × 32 pixels"),
    ({"image": torch.zeros(0, 8)}, ValueError, "at least one pixel"),
    ({"image": torch.full((4, 4), 2.0)}, ValueError, "must lie in"),
    ({"image": torch.zeros(4, 4, dtype=torch.int64)}, TypeError, "give uint8, or"),
    ({"start": 0.5}, TypeError, r"start is 0.5; give \(x, y\)"),
    ({"start": (0, 0, 0)}, TypeError, r"start is \(0, 0, 0\); give \(x, y\)"),
    ({"start": ("a", 0)}, TypeError, r"start is \('a', 0\); give \(x, y\)"),
    ({"start": (0, 1.5)}, ValueError, r"start is \(0, 1.5\); give \(x, y\)"),
    ({"start": (np.nan, 0)}, ValueError, r"start is \(nan, 0\); give"),
    ({"location_std": 0.01}, ValueError, "location_std is 0.01; give a number from"),
    ({"location_std": 0.9}, ValueError, "location_std is 0.9; give a number from"),
    ({"name": "a b"}, ValueError, "name is 'a b'; use letters"),
    ({"title": 3}, TypeError, "title is 3; give a text"),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
def test_what_cannot_be_shown_is_named(options, error, message):
    with pytest.raises(error, match=message) as caught:
        player.playground(**{"image": IMAGE} | options)
    assert "\n" not in str(caught.value)
