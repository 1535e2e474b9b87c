"""The game: what it holds, and what it refuses."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from test_player import ODD, SHOWN, data, held, pixels
from traces import digit_canvases

from ramlib import player
from ramlib.sensor import retina_boxes

LABELS = torch.tensor([3, 0, 9])
RETINA = {"glimpse_size": 12, "num_scales": 3, "num_glimpses": 6}


def test_it_holds_the_canvases_and_where_each_game_begins():
    images = digit_canvases(3)
    text = player.game(images, LABELS, model="cluttered", **RETINA).data
    np.testing.assert_array_equal(
        pixels(held(text, "data-images")), images.view(-1, 60)
    )
    kept = data(text)
    assert [kept[name] for name in ("size", "scales", "steps")] == [12, 3, 6]
    assert (kept["labels"], kept["model"]) == (LABELS.tolist(), "cluttered")
    assert kept["classes"] == list("0123456789")
    firsts = np.array(kept["firsts"])
    assert firsts.shape == (3, 2) and len(np.unique(firsts)) > 3
    # The first pictures stay the same when others are added: an address holds a number.
    more = player.game(digit_canvases(5), torch.arange(5), **RETINA).data
    np.testing.assert_array_equal(data(more)["firsts"][:3], firsts)


def test_first_places_are_anywhere():
    images, labels = torch.zeros(400, 2, 2), torch.zeros(400, dtype=torch.int64)
    firsts = np.array(data(player.game(images, labels, **RETINA).data)["firsts"])
    assert firsts.min() >= 0 and firsts.max() <= 1000
    assert np.abs(firsts.mean(axis=0) - 500).max() < 50
    assert np.abs(firsts.std(axis=0) - 289).max() < 20
    assert abs(np.corrcoef(firsts.T)[0, 1]) < 0.15


def test_thirty_canvases_fit_in_60_kb():
    text = player.game(digit_canvases(30), torch.arange(30) % 10, **RETINA).data
    assert len(text.encode()) <= 60_000


def test_names_of_classes_are_text_and_floats_are_rounded_to_bytes():
    images, names = digit_canvases(3), [ODD, *"123456789"]
    text = player.game(images, LABELS, classes=names, **RETINA).data
    assert data(text)["classes"] == [SHOWN, *names[1:]] and text.encode()
    assert text.count("</script>") == 1
    assert player.game(images[:, 0] / 255, LABELS, classes=names, **RETINA).data == text


def test_the_still_picture_shows_one_look_and_no_more():
    images = torch.zeros(5, 40, 30, dtype=torch.uint8)
    how = {"glimpse_size": 9, "num_scales": 2, "num_glimpses": 2}
    text = player.game(images, torch.arange(5), **how).data
    file = io.BytesIO(base64.b64decode(held(text, "src").split(",")[1]))
    shown = np.asarray(Image.open(file).convert("L"))
    black, dark = (shown < 20).sum(), ((shown >= 20) & (shown < 90)).sum()
    first = torch.tensor(data(text)["firsts"][:4]) / 500 - 1
    (left, top, side) = retina_boxes(first, 9, 2, 40, 30)[:, 1].T
    width = (left + side).clamp(max=30) - left.clamp(min=0)
    height = (top + side).clamp(max=40) - top.clamp(min=0)
    seen = (width * height).sum() / (4 * 40 * 30)
    assert abs(black / (black + dark) - seen) < 0.02


REFUSED = [
    (
        {"images": torch.zeros(3, 3, 8, 8)},
        ValueError,
        r"images have shape \(3, 3, 8, 8\)",
    ),
    ({"images": torch.full((3, 8, 8), 2.0)}, ValueError, "must lie in"),
    ({"images": None}, TypeError, "images is a NoneType; give a tensor"),
    ({"labels": LABELS[:2]}, ValueError, "2 labels do not fit 3 episodes"),
    ({"labels": LABELS + 1}, ValueError, r"labels span \[1, 10\]"),
    ({"labels": LABELS.float()}, ValueError, "labels are torch.float32"),
    ({"labels": [3, 0, 9]}, TypeError, "labels is a list; give a tensor"),
    ({"classes": list("abc")}, ValueError, r"labels span \[0, 9\]"),
    ({"classes": 5}, TypeError, "classes are 5; give a list of 10 strings"),
    ({"classes": "0123456789"}, TypeError, "give a list of 10 strings"),
    ({"glimpse_size": 0}, ValueError, "glimpse_size is 0; give a whole number"),
    ({"num_scales": 1.5}, TypeError, "num_scales is 1.5; give a whole number"),
    ({"num_glimpses": 0}, ValueError, "num_glimpses is 0; give a whole number"),
    ({"model": 3}, TypeError, "model is 3; give a text"),
    ({"name": "a b"}, ValueError, "name is 'a b'; use letters"),
    ({"title": 3}, TypeError, "title is 3; give a text"),
]


@pytest.mark.parametrize(("given", "error", "message"), REFUSED)
def test_what_cannot_be_played_is_named(given, error, message):
    plain = {"images": torch.zeros(3, 8, 8), "labels": LABELS, **RETINA}
    with pytest.raises(error, match=message) as caught:
        player.game(**plain | given)
    assert "\n" not in str(caught.value)
