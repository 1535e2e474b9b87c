"""The widgets of the page: what they hold, how large they are, what they refuse."""

import base64
import html
import io
import json
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from traces import digit_canvases, make_trace

from ramlib import figures, player
from ramlib.player.retina import SCALE_COLORS
from ramlib.sensor import GlimpseSensor

ODD = "</script><b title='x'>&amp; \ud800 $\\frac$"  # markup, half a letter, a formula
SHOWN = ODD.replace("\ud800", "?")


def held(text, name):
    """The first attribute of that name; every one is in quotes."""
    return html.unescape(re.search(rf" {name}=([\"'])(.*?)\1", text, re.DOTALL)[2])


def data(text):
    return json.loads(held(text, "data-value"))


def pixels(address):
    assert address.startswith("data:image/png;base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    assert not picture.info.keys() - {"transparency"}, "a date, or a version"
    return np.asarray(picture)


GAME = {"glimpse_size": 12, "num_scales": 3, "num_glimpses": 6}
MAKE = {
    "glimpses": lambda **kw: player.render(make_trace(), **kw),
    "retina": lambda **kw: player.retina(make_trace().images[0], **kw).data,
    "playground": lambda **kw: player.playground(torch.eye(8), **kw).data,
    "game": lambda **kw: (
        player.game(digit_canvases(2), torch.tensor([0, 1]), **GAME, **kw).data
    ),
    "learn": lambda **kw: player.learn(**kw).data,
}
every_widget = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


# -- every widget ----------------------------------------------------------------------


@every_widget
def test_one_element_that_asks_for_nothing_and_stands_without_scripts(make):
    text = make()
    assert text.startswith("<div") and text.endswith("</div>")
    assert not re.search(r"https?:|url\(|@import|\bimport\b", text)
    before_script = text.split("<script>")[0]
    assert not re.search(r"\bid=|\bhref=|<button|<input|<select", before_script)
    assert len(held(text, "alt")) >= 20
    assert min(pixels(held(text, "src")).shape[:2]) > 50
    assert "Where scripts run" in before_script


@every_widget
def test_the_same_bytes_whatever_the_program_has_set(make):
    text, open_figures = make(), plt.get_fignums()
    with plt.rc_context({"font.size": 20, "xtick.major.size": 9}):
        assert make() == text != make(name="other")
    assert plt.get_fignums() == open_figures


@every_widget
def test_titles_are_escaped(make):
    text = make(title=ODD)
    assert data(text)["title"] == SHOWN and text.encode()
    assert text.count("</script>") == 1 and "<b title" not in text


@every_widget
def test_styles_stay_within(make):
    style = re.search(r"<style>(.*?)</style>", make(), re.DOTALL)[1]
    selectors = re.findall(r"([^{}]+){", re.sub(r"@[^{]*{", "", style))
    assert all(".ramlib" in one for all_of in selectors for one in all_of.split(","))


def test_colors_are_those_of_the_figures():
    text = player.render(make_trace())
    scales = re.findall(
        "#[0-9a-f]{6}", re.search(r"SCALES = (.*);", MAKE["retina"]())[1]
    )
    assert tuple(scales) == SCALE_COLORS
    colors = re.search(r'COLORS = "([^"]*)"', text)[1].split()
    assert tuple("#" + color for color in colors) == figures.GLIMPSE_COLORS
    assert all(f"light-dark({c}," in text for c in (figures.INK, figures.ACCENT))


# -- the glimpse player ----------------------------------------------------------------


def test_eight_episodes_fit_in_48_kb_and_hold_their_pixels():
    trace = make_trace(B=8, T=6, g=12, S=3, images=digit_canvases())
    text = player.render(trace)
    assert len(text.encode()) <= 48_000
    stacked = trace.images.reshape(8 * 60, 60)
    np.testing.assert_array_equal(pixels(held(text, "data-images")), stacked)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_any_precision_is_shown_and_floats_are_rounded_to_bytes(dtype):
    names, trace = ("locations", "patches", "probs", "values"), make_trace()
    changed = {name: getattr(trace, name).to(dtype) for name in names}
    text = player.render(replace(trace, **changed))
    assert player.render(replace(trace, images=trace.images / 255, **changed)) == text


def test_names_are_the_trace_s_own_or_those_given():
    trace = replace(make_trace(labels=False), classes=tuple("abcdefghij"))
    assert "The label is" not in player.render(trace)
    trace = replace(trace, labels=torch.tensor([2, 3], dtype=torch.int32))
    assert "The label is c." in trace._repr_html_() == player.show(trace).data
    given = [ODD, "ü", *"23456789"]
    text = player.render(trace, classes=given)
    assert data(text)["classes"] == [SHOWN, *given[1:]] and text.encode()
    assert text.count("</script>") == 1 and "<b title" not in text


def test_only_a_live_player_brings_what_draws_and_loads():
    plain, live = (player.render(make_trace(), live=name) for name in (None, "a-model"))
    assert "makePad" in live and "ramlib-pad" in live and "loadModel" in live
    assert "ramlib-pad" not in plain and "loadModel" not in plain
    assert data(plain)["live"] is None and data(live)["live"] == "a-model"


def test_the_picture_is_that_of_the_episode_that_is_shown_first():
    trace = make_trace(B=3)
    text, other = player.render(trace, start=1), player.render(trace[[1, 0]])
    assert data(text)["start"] == 1
    for name in ("src", "alt"):
        assert held(text, name) == held(other, name)
    caption = r"<figcaption>.*?</figcaption>"
    assert re.findall(caption, text) == re.findall(caption, other)


# -- the retina ------------------------------------------------------------------------


@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_retina_is_small_and_holds_the_image(C, kind):
    image = digit_canvases(1)[0].expand(C, 60, 60)
    given = kind(image if C == 3 else image[0])
    text = player.retina(given, glimpse_size=12, num_scales=3, start=(0.111, -1)).data
    assert "The retina at (0.11, −1) covers 12 × 12, 24 × 24, 48 × 48 pixels" in text
    assert len(text.encode()) <= 32_000 and data(text)["start"] == [0.11, -1]
    expected = image.movedim(0, -1).squeeze(-1)
    np.testing.assert_array_equal(pixels(held(text, "data-images")), expected)


@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize(("g", "H", "W"), [(6, 30, 50), (7, 50, 30), (12, 9, 20)])
def test_retina_opens_where_the_finest_patch_is_brightest(C, g, H, W):
    generator = torch.Generator().manual_seed(g)
    image = torch.randint(0, 40, (C, H, W), dtype=torch.uint8, generator=generator)
    image[0, H // 2 : H - 1, 1:9] = 200  # not where the middle of the image is
    start = data(player.retina(image, glimpse_size=g).data)["start"]
    assert start == [round(coordinate, 2) for coordinate in start]
    sensor = GlimpseSensor(g, 1, C)
    x, y = (torch.linspace(-1, 1, 2 * side + 1) for side in (W, H))
    places = torch.cartesian_prod(x, y)
    seen = sensor(image.expand(len(places), C, H, W), places).mean(dim=1)
    there = sensor(image[None], torch.tensor([start])).mean()
    assert there >= 0.97 * seen.max() > 1.5 * seen.mean()


# -- refusals --------------------------------------------------------------------------


TRACE, IMAGE = make_trace(), torch.zeros(8, 8)
HALVES, NEGATIVE = (replace(TRACE, labels=torch.tensor(x)) for x in ([1, 1.5], [0, -1]))
REFUSED = {
    player.render: [
        (None, {}, TypeError, "trace is None; give a ramlib.trace.Trace"),
        (HALVES, {}, TypeError, "labels are torch.float32; give class"),
        (NEGATIVE, {}, ValueError, r"labels span \[-1, 0\]"),
        (TRACE, {"classes": 5}, TypeError, "classes are 5; give a list of 10 strings"),
        (TRACE, {"classes": "0123456789"}, TypeError, "give a list of 10 strings"),
        (TRACE, {"name": "a b"}, ValueError, "name is 'a b'; use letters"),
        (TRACE, {"title": ["a"]}, TypeError, r"title is \['a'\]; give a text"),
        (TRACE, {"start": 0.5}, TypeError, "start is 0.5; give a whole number"),
        (TRACE, {"start": 2}, ValueError, "episode is 2; give a whole number from 0"),
        (TRACE, {"play": 1}, TypeError, "play is 1; give True or False"),
        (TRACE, {"live": 1}, TypeError, "live is 1; give a text"),
    ],
    player.retina: [
        (torch.full((4, 4), 2.0), {}, ValueError, "must lie in"),
        (IMAGE, {"start": "ab"}, TypeError, r"start is 'ab'; give \(x, y\)"),
        (IMAGE, {"start": (0,)}, TypeError, r"start is \(0,\); give \(x, y\)"),
        (IMAGE, {"start": (0, 1.5)}, ValueError, r"start is \(0, 1.5\); give"),
        (IMAGE, {"start": (0, np.nan)}, ValueError, "start is"),
    ],
}
ROWS = [(widget, *row) for widget, rows in REFUSED.items() for row in rows]


@pytest.mark.parametrize(("widget", "given", "options", "error", "message"), ROWS)
def test_what_cannot_be_shown_is_named(widget, given, options, error, message):
    with pytest.raises(error, match=message) as caught:
        widget(given, **options)
    assert "\n" not in str(caught.value)
