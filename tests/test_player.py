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
from traces import digit_canvases, estimates, make_trace

from ramlib import figures, player

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


MAKE = {
    "glimpses": lambda **kw: player.render(make_trace(), **kw),
    "retina": lambda **kw: player.retina(make_trace().images[0], **kw).data,
    "samples": lambda **kw: player.samples(estimates(), 1.0, **kw).data,
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
    text = make()
    with plt.rc_context({"font.size": 20, "xtick.major.size": 9}):
        assert make() == text != make(name="other")
    assert not plt.get_fignums()


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
    colors = re.search(r'COLORS = "([^"]*)"', text)[1].split()
    assert tuple("#" + color for color in colors) == figures.GLIMPSE_COLORS
    assert all(f"light-dark({c}," in text for c in (figures.INK, figures.ACCENT))


# -- the glimpse player ----------------------------------------------------------------


def test_eight_episodes_fit_in_40_kb_and_hold_their_pixels():
    trace = make_trace(B=8, T=6, g=12, S=3, images=digit_canvases())
    text = player.render(trace)
    assert len(text.encode()) <= 40_000
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


# -- the retina and the estimates ------------------------------------------------------


@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_retina_is_small_and_holds_the_image(C, kind):
    image = digit_canvases(1)[0].expand(C, 60, 60)
    given = kind(image if C == 3 else image[0])
    text = player.retina(given, glimpse_size=12, num_scales=3, start=(0.111, 1)).data
    assert len(text.encode()) <= 25_000 and data(text)["start"] == [0.11, 1]
    expected = image.movedim(0, -1).squeeze(-1)
    np.testing.assert_array_equal(pixels(held(text, "data-images")), expected)


def test_samples_hold_the_histograms():
    counts = [1, 2, 4, 8, 16, 32, 64, 128, 256]
    both = [estimates(counts, 2000), estimates(counts, 2000, seed=1)]
    exact, labels = torch.tensor(1.0), ["plain", "\ud800"]
    text = player.samples(both, exact, labels=labels, xlabel=ODD).data
    assert len(text.encode()) <= 25_000
    shown = data(text)
    assert (shown["counts"], shown["exact"], shown["xlabel"]) == (counts, 1, SHOWN)
    for given, one in zip(both, shown["series"], strict=True):
        for n, bins, beyond in zip(counts, one["bins"], one["beyond"], strict=True):
            inside = (given[n] >= shown["low"]) & (given[n] <= shown["high"])
            assert abs(sum(bins) - inside.sum()) <= 1  # the ends are rounded
            assert sum(bins) + beyond == 2000


# -- refusals --------------------------------------------------------------------------


TRACE, IMAGE, TWO = make_trace(), torch.zeros(8, 8), {1: [1, 2]}
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
    ],
    player.retina: [
        (torch.full((4, 4), 2.0), {}, ValueError, "must lie in"),
        (IMAGE, {"start": "ab"}, TypeError, r"start is 'ab'; give \(x, y\)"),
        (IMAGE, {"start": (0,)}, TypeError, r"start is \(0,\); give \(x, y\)"),
        (IMAGE, {"start": (0, 1.5)}, ValueError, r"start is \(0, 1.5\); give"),
        (IMAGE, {"start": (0, np.nan)}, ValueError, "start is"),
    ],
    player.samples: [
        ({"a": [1, 2]}, {}, TypeError, "a number of samples is 'a'; give a whole"),
        ({0: [1, 2]}, {}, ValueError, "a number of samples is 0; give a whole"),
        ({1: [1, np.nan]}, {}, ValueError, "1 of them not finite; give at least two"),
        ([TWO, TWO], {}, ValueError, "labels are None; give a list of 2 names"),
        ([TWO, {2: [1, 2]}], {}, ValueError, "every dictionary needs the same"),
        ([TWO] * 4, {}, ValueError, "give 1 to 3 dictionaries"),
        ([], {}, ValueError, "give 1 to 3 dictionaries"),
        (None, {}, TypeError, "estimates are a NoneType; give a dictionary"),
        (TWO, {"exact": "x"}, TypeError, "exact is 'x'; give a number"),
        (TWO, {"exact": np.inf}, ValueError, "exact is inf; give a number"),
        (TWO, {"labels": [3]}, TypeError, "a label is 3; give a text"),
    ],
}
ROWS = [(widget, *row) for widget, rows in REFUSED.items() for row in rows]


@pytest.mark.parametrize(("widget", "given", "options", "error", "message"), ROWS)
def test_what_cannot_be_shown_is_named(widget, given, options, error, message):
    exact = {"exact": 1.0} if widget is player.samples else {}
    with pytest.raises(error, match=message) as caught:
        widget(given, **exact | options)
    assert "\n" not in str(caught.value)
