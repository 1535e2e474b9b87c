"""The figures: what is drawn is what the sensor saw."""

import io
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from traces import make_trace

from ramlib import figures
from ramlib.sensor import retina_boxes, to_pixels

matplotlib.use("Agg")
plt = matplotlib.pyplot
to_hex = matplotlib.colors.to_hex


@pytest.fixture(autouse=True)
def ax():
    with matplotlib.rc_context():
        figures.style()
        yield plt.subplots()[1]
        plt.close("all")


def test_the_style_has_the_colors_that_figures_names():
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    assert tuple(map(to_hex, cycle)) == figures.SERIES_COLORS
    assert to_hex(plt.rcParams["text.color"]) == figures.INK
    assert to_hex(plt.rcParams["xtick.color"]) == figures.MUTED


def test_twelve_colors_come_round():
    assert len({figures.glimpse_color(t) for t in range(99)}) == 12
    assert figures.glimpse_color(14) == figures.GLIMPSE_COLORS[2]


# -- image, retina, path ---------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 9), (1, 6, 9), (3, 6, 9), (6, 9, 3), (6, 9, 1)])
def test_show_image_uses_pixel_coordinates(ax, shape):
    shown = figures.show_image(ax, np.full(shape, 51, dtype=np.uint8), margin=2)
    assert shown.get_extent() == [0, 9, 6, 0]
    assert ax.get_xlim() == (-2, 11) and ax.get_ylim() == (8, -2)
    np.testing.assert_allclose(shown.get_array(), 0.2)
    assert shown.get_clim() == (0, 1)  # black is 0 and white is 1, whatever it holds


@pytest.mark.parametrize("location", [(0, 0), (-1, 1), (0.31, -0.77)])
@pytest.mark.parametrize(("g", "S"), [(8, 1), (5, 3)])
def test_squares_are_where_the_sensor_looks(ax, location, g, S):
    squares = figures.draw_retina(ax, location, (1, 30, 40), g, S)
    boxes = retina_boxes(torch.tensor(location, dtype=torch.float32), g, S, 30, 40)
    drawn = [[r.get_x(), r.get_y(), r.get_width()] for r in squares]
    assert drawn == boxes.tolist()


@pytest.mark.parametrize("numbers", [True, False])
def test_path_dots_are_at_the_locations_in_the_colors_of_time(ax, numbers):
    places = make_trace(T=5).locations[0]
    dots = figures.draw_path(ax, places, (1, 30, 40), numbers=numbers)
    drawn = [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots]
    np.testing.assert_allclose(drawn, to_pixels(places, 30, 40), rtol=1e-6)
    colors = [dot.get_markerfacecolor() for dot in dots]
    assert colors == list(figures.GLIMPSE_COLORS[:5])
    assert [text.get_text() for text in ax.texts] == list("12345" if numbers else "")


# -- posterior, strip, animation -------------------------------------------------------


def test_posterior_fills_the_most_probable_and_frames_the_label(ax):
    probs = torch.tensor([0.1, 0.7, 0.2])
    bars = figures.plot_posterior(ax, probs, label=2, classes=["a", "b", "c"])
    np.testing.assert_allclose([b.get_height() for b in bars], probs)
    faces = [to_hex(b.get_facecolor()) for b in bars]
    assert faces[1] == figures.ACCENT and faces[0] == faces[2] != figures.ACCENT
    ticks = [(t.get_text(), bool(t.get_bbox_patch())) for t in ax.get_xticklabels()]
    assert ticks == [("a", False), ("b", False), ("c", True)]


@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize("labels", [True, False])
def test_strip_shows_every_glimpse(C, labels):
    trace = replace(make_trace(C=C, labels=labels), classes=tuple("abcdefghij"))
    axes = np.reshape(figures.strip(trace, 1).axes, (3, -1))
    assert axes.shape[1] == trace.num_glimpses
    for t, (top, middle, bottom) in enumerate(axes.T):
        assert top.get_title() == f"glimpse {t + 1}"
        boxes = retina_boxes(trace.locations[1, t], 5, 2, 30, 40)
        drawn = [[r.get_x(), r.get_y(), r.get_width()] for r in top.patches[-2:]]
        assert drawn == boxes.tolist()
        for patch, image in zip(trace.patches[1, t], middle.images, strict=True):
            patch = patch.movedim(0, -1).squeeze(-1)
            np.testing.assert_allclose(image.get_array(), patch, atol=1e-6)
        heights = [bar.get_height() for bar in bottom.patches]
        np.testing.assert_allclose(heights, trace.probs[1, t], atol=1e-6)
        assert bottom.get_title().startswith("abcdefghij"[trace.predictions[1, t]])


def test_an_animation_has_a_frame_for_each_glimpse():
    trace = replace(make_trace(T=3), classes=["$\\frac$", *"中23456789"])
    opened = plt.get_fignums()
    gif = figures.animate(trace, 1)
    plt.rc("xtick.major", size=20)
    assert figures.animate(trace, 1) == gif, "the same bytes, whatever the style"
    assert figures.animate(trace, 0) != gif and plt.get_fignums() == opened
    frames = ImageSequence.Iterator(Image.open(io.BytesIO(gif)))
    assert [frame.info["duration"] for frame in frames] == [800, 800, 2400]


# -- refusals --------------------------------------------------------------------------

BAD_LABEL = replace(make_trace(), labels=torch.tensor([0, 10]))
BAD_VALUE = replace(make_trace(), values=torch.full((2, 4), torch.nan))


@pytest.mark.parametrize(
    ("draw", "given", "error", "message"),
    [
        (figures.glimpse_color, [None], TypeError, "t is None; give a whole number"),
        (figures.show_image, ["ax", torch.zeros(4)], ValueError, r"give \(H, W\)"),
        (figures.plot_posterior, ["ax", [1], 1], ValueError, "label is 1; give"),
        (figures.strip, [None], TypeError, "trace is None; give a ramlib.trace.Trace"),
        (figures.animate, [5], TypeError, "trace is 5; give a ramlib.trace.Trace"),
        (figures.strip, [make_trace(), 2], ValueError, "episode is 2; give"),
        (figures.strip, [BAD_LABEL], ValueError, r"they must lie in \[0, 9\]"),
        (figures.strip, [BAD_VALUE], ValueError, "values hold NaN"),
        (figures.strip, [make_trace(C=2)], ValueError, "1 or 3 channels"),
        (figures.strip, [make_trace()[:0]], ValueError, "at least one pixel"),
    ],
)
def test_what_cannot_be_drawn_is_named(ax, draw, given, error, message):
    with pytest.raises(error, match=message) as caught:
        draw(*[ax if one == "ax" else one for one in given])
    assert "\n" not in str(caught.value) and len(plt.get_fignums()) == 1
