"""The figures: what is drawn is what the sensor saw."""

import matplotlib

matplotlib.use("Agg")

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from traces import make_trace

from ramlib import figures
from ramlib.sensor import retina_boxes, to_pixels


@pytest.fixture
def ax():
    with matplotlib.rc_context():
        figures.style()
        fig, ax = plt.subplots()
        yield ax
        plt.close(fig)


# -- colours ---------------------------------------------------------------------------


def linear(color):
    rgb = np.array(matplotlib.colors.to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    weights = np.array([0.2126, 0.7152, 0.0722])
    high, low = sorted([linear(one) @ weights, linear(other) @ weights], reverse=True)
    return (high + 0.05) / (low + 0.05)


def cielab(rgb):
    matrix = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    f = np.cbrt(matrix @ np.clip(rgb, 1e-6, 1) / matrix.sum(1))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "typical": np.eye(3),
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritan": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("color", figures.GLIMPSE_COLORS)
@pytest.mark.parametrize("ground", ["black", "white"])
def test_glimpse_colors_stand_out(color, ground):
    assert contrast(color, ground) >= 3


@pytest.mark.parametrize("vision", VISION)
def test_neighbours_in_time_differ_for_every_kind_of_vision(vision):
    seen = [cielab(VISION[vision] @ linear(c)) for c in figures.GLIMPSE_COLORS]
    steps = [np.linalg.norm(a - b) for a, b in itertools.pairwise(seen)]
    assert min(steps) >= (9 if vision == "tritan" else 15)


def test_there_are_twelve_colors_and_they_come_round():
    assert len(set(figures.GLIMPSE_COLORS)) == len(figures.GLIMPSE_COLORS) == 12
    assert figures.glimpse_color(0) == figures.GLIMPSE_COLORS[0]
    assert figures.glimpse_color(14) == figures.GLIMPSE_COLORS[2]
    with pytest.raises(ValueError, match="counted from 0"):
        figures.glimpse_color(-1)


@pytest.mark.parametrize("color", [figures.INK, figures.MUTED, *figures.SERIES_COLORS])
def test_text_and_curves_are_legible_on_white(color):
    assert contrast(color, "white") >= 4.5


def test_bars_that_stand_back_can_still_be_read():
    assert contrast(figures.PALE, "white") >= 2.9


def test_style_is_opaque():
    with matplotlib.rc_context():
        figures.style()
        for key in ("figure.facecolor", "axes.facecolor", "savefig.facecolor"):
            assert matplotlib.colors.to_rgba(plt.rcParams[key])[3] == 1
        assert not plt.rcParams["savefig.transparent"]


# -- image, retina, path ---------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(6, 9), (1, 6, 9), (3, 6, 9), (6, 9, 3), (6, 9, 1)], ids=str
)
def test_show_image_uses_pixel_coordinates(ax, shape):
    image = np.full(shape, 51, dtype=np.uint8)
    shown = figures.show_image(ax, image)
    assert shown.get_extent() == [0, 9, 6, 0]
    assert ax.get_xlim() == (0, 9) and ax.get_ylim() == (6, 0)
    np.testing.assert_allclose(shown.get_array(), 0.2)
    assert shown.get_clim() == (0, 1)  # black is 0 and white is 1, whatever it holds


def test_show_image_takes_tensors_and_a_margin(ax):
    shown = figures.show_image(ax, torch.rand(1, 4, 4), margin=2)
    assert ax.get_xlim() == (-2, 6)
    assert shown.get_array().shape == (4, 4)


@pytest.mark.parametrize("shape", [(4,), (2, 4, 4), (1, 1, 4, 4)], ids=str)
def test_show_image_refuses_other_shapes(ax, shape):
    with pytest.raises(ValueError, match=r"give \(H, W\)"):
        figures.show_image(ax, np.zeros(shape))


@pytest.mark.parametrize("location", [(0, 0), (-1, 1), (0.31, -0.77)])
@pytest.mark.parametrize(("g", "S"), [(8, 1), (5, 3)])
def test_squares_are_where_the_sensor_looks(ax, location, g, S):
    squares = figures.draw_retina(ax, location, (1, 30, 40), g, S)
    boxes = retina_boxes(torch.tensor(location, dtype=torch.float32), g, S, 30, 40)
    drawn = [(r.get_x(), r.get_y(), r.get_width()) for r in squares]
    assert drawn == [tuple(box) for box in boxes.tolist()]
    assert all(r.get_width() == r.get_height() for r in squares)


def test_path_dots_are_at_the_locations_in_the_colors_of_time(ax):
    trace = make_trace(T=5)
    dots = figures.draw_path(ax, trace.locations[0], trace.images.shape)
    expected = to_pixels(trace.locations[0], 30, 40)
    drawn = [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots]
    np.testing.assert_allclose(drawn, expected, rtol=1e-6)
    colors = [dot.get_markerfacecolor() for dot in dots]
    assert colors == list(figures.GLIMPSE_COLORS[:5])
    assert [text.get_text() for text in ax.texts] == ["1", "2", "3", "4", "5"]


def test_path_of_one_glimpse_without_numbers(ax):
    assert len(figures.draw_path(ax, [(0.0, 0.0)], (8, 8), numbers=False)) == 1
    assert not ax.texts


# -- posterior and strip ---------------------------------------------------------------


def test_posterior_fills_the_most_probable_and_frames_the_label(ax):
    bars = figures.plot_posterior(ax, torch.tensor([0.1, 0.7, 0.2]), label=2)
    np.testing.assert_allclose([b.get_height() for b in bars], [0.1, 0.7, 0.2])
    faces = [matplotlib.colors.to_hex(b.get_facecolor()) for b in bars]
    assert faces == [figures.PALE, figures.ACCENT, figures.PALE]
    framed = [tick.get_bbox_patch() is not None for tick in ax.get_xticklabels()]
    assert framed == [False, False, True]
    assert ax.get_ylim()[0] == 0 and ax.get_ylim()[1] >= 1


def test_posterior_names(ax):
    figures.plot_posterior(ax, [0.5, 0.5], classes=["left", "right"])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["left", "right"]
    with pytest.raises(ValueError, match="give one each"):
        figures.plot_posterior(ax, [0.5, 0.5], classes=["left"])


@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize("labels", [True, False])
def test_strip_shows_every_glimpse(C, labels):
    trace = make_trace(C=C, labels=labels)
    fig = figures.strip(trace, 1)
    T, S = trace.num_glimpses, trace.num_scales
    assert len(fig.axes) == 3 * T
    for t in range(T):
        top, middle, bottom = fig.axes[t], fig.axes[T + t], fig.axes[2 * T + t]
        assert top.get_title() == f"glimpse {t + 1}"
        assert top.title.get_color() == figures.glimpse_color(t)
        squares = [p for p in top.patches if p.get_edgecolor()[:3] != (0, 0, 0)][-S:]
        boxes = retina_boxes(trace.locations[1, t], 5, S, 30, 40)
        drawn = [[r.get_x(), r.get_y(), r.get_width()] for r in squares]
        assert drawn == boxes.tolist()
        for scale, image in enumerate(middle.images):
            patch = trace.patches[1, t, scale].movedim(0, -1).squeeze(-1)
            np.testing.assert_allclose(image.get_array(), patch, atol=1e-6)
        heights = [bar.get_height() for bar in bottom.patches]
        np.testing.assert_allclose(heights, trace.probs[1, t], atol=1e-6)
    plt.close(fig)


def test_strip_names_a_missing_episode():
    with pytest.raises(ValueError, match="this trace has 2"):
        figures.strip(make_trace(), 2)
