"""The sensor against a crop pixel by pixel, and against PyTorch's own resampling."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import avg_pool2d, grid_sample

from ramlib.sensor import GlimpseSensor, corner, retina_boxes, to_locations, to_pixels

EXACT = {"rtol": 0, "atol": 2e-6}
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


# --- the oracle -----------------------------------------------------------------------


def nearest(coordinate, size, length):
    """The whole pixel nearest to px - size / 2, a tie upwards, without rounding."""
    pixel = (Fraction(float(coordinate)) + 1) / 2 * length
    return math.floor(pixel - Fraction(size, 2) + Fraction(1, 2))


def brute(image, location, glimpse_size, num_scales):
    """Read one image (C, H, W) pixel by pixel and average blocks: (S·C·g²,)."""
    channels, height, width = image.shape
    scales = []
    for step in (2**s for s in range(num_scales)):
        n = glimpse_size * step
        left, top = nearest(location[0], n, width), nearest(location[1], n, height)
        patch = np.zeros((channels, n, n))
        for y in range(max(0, top), min(height, top + n)):
            for x in range(max(0, left), min(width, left + n)):
                patch[:, y - top, x - left] = image[:, y, x]
        blocks = patch.reshape(channels, glimpse_size, step, glimpse_size, step)
        scales.append(blocks.mean(axis=(2, 4)).reshape(-1))
    return np.concatenate(scales)


def brute_batch(images, locations, glimpse_size, num_scales):
    white = 255 if images.dtype == torch.uint8 else 1
    pairs = zip(images.double().numpy() / white, locations.double(), strict=True)
    rows = [brute(*pair, glimpse_size, num_scales) for pair in pairs]
    return torch.from_numpy(np.stack(rows))


def random_images(shape, dtype=torch.uint8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.uint8:
        return torch.randint(0, 256, shape, dtype=dtype, generator=generator)
    return torch.rand(shape, dtype=torch.float64, generator=generator).to(dtype)


def random_places(number):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(number, 2, dtype=torch.float64, generator=generator) * 2.6 - 1.3


# In steps of 1/1024, so that sums and ties are exact in every precision.
PLACES = st.one_of(
    st.integers(-1024, 1024).map(lambda n: n / 1024),
    st.sampled_from([-1.0, 1.0, 0.0, -0.5, 0.5]),  # corners, edges, ties
    st.integers(-4096, 4096).map(lambda n: n / 1024),  # partly or wholly outside
)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_equals_brute_force(data):
    height, width = data.draw(st.tuples(st.integers(1, 17), st.integers(1, 17)))
    C, S = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 4)))
    g = data.draw(st.integers(1, 9 - 2 * (S - 1)))
    dtype = data.draw(st.sampled_from([torch.uint8, *FLOATS]))
    places = data.draw(st.lists(st.tuples(PLACES, PLACES), min_size=1, max_size=2))
    locations = torch.tensor(places).to(data.draw(st.sampled_from(FLOATS)))
    images = random_images((len(places), C, height, width), dtype)
    seen = GlimpseSensor(g, S, C)(images, locations)
    double = dtype == torch.float64
    assert seen.dtype == (torch.float64 if double else torch.float32)
    expected = brute_batch(images, locations, g, S)
    torch.testing.assert_close(seen.double(), expected, **EXACT)


@pytest.mark.parametrize("s", [0, 1, 2])
def test_equals_nearest_pixels_resampled_and_pooled_by_pytorch(s):
    # grid_sample has our coordinates; random places meet no tie between two pixels.
    g, side = 5, 5 * 2**s
    images = random_images((40, 2, 23, 31), torch.float64)
    places, steps = random_places(40), torch.arange(side) - (side - 1) / 2
    grid = torch.stack(torch.meshgrid(steps / 31, steps / 23, indexing="xy"), dim=-1)
    how = {"mode": "nearest", "padding_mode": "zeros", "align_corners": False}
    patch = grid_sample(images, places[:, None, None] + 2 * grid, **how)
    seen = GlimpseSensor(g, s + 1, 2)(images, places).unflatten(1, (s + 1, 2, g, g))
    torch.testing.assert_close(seen[:, s], avg_pool2d(patch, 2**s))


def test_a_glimpse_by_hand():
    image = torch.arange(16, dtype=torch.uint8).reshape(4, 4)
    seen = GlimpseSensor(2, 2)(image, torch.tensor([0.0, 0.0])) * 255
    # scale 0: the four pixels in the middle; scale 1: the whole, in blocks of 2 × 2
    expected = torch.tensor([5.0, 6, 9, 10, 2.5, 4.5, 10.5, 12.5])
    torch.testing.assert_close(seen, expected)


# --- one image, many images, many places ----------------------------------------------


def test_a_batch_equals_its_images_one_by_one():
    images, locations = random_images((5, 13, 10)), random_places(5)
    before = images.clone(), locations.clone()
    sensor = GlimpseSensor(3, 3)
    together = sensor(images, locations)
    apart = [sensor(image, at) for image, at in zip(images, locations, strict=True)]
    assert torch.equal(together, torch.stack(apart))
    assert torch.equal(together, sensor(images[:, None], locations))
    places = torch.stack([locations, locations.flip(0)], dim=1)
    seen = sensor.look(sensor.prepare(images[:, None]), places)
    assert torch.equal(seen[:, 0], together)
    assert torch.equal(seen[:, 1], sensor(images, locations.flip(0)))
    turned = images.transpose(1, 2)  # not contiguous
    expected = sensor(turned.contiguous(), locations)
    assert torch.equal(sensor(turned, locations), expected)
    assert torch.equal(images, before[0]) and torch.equal(locations, before[1])


# --- exactness and reach --------------------------------------------------------------


def test_wholly_outside_is_exactly_black():
    images = random_images((1, 20, 20), torch.float32)
    for place in ([3.5, 0.0], [0.0, -3.5], [1e30, -1e30], [-3e38, 3e38]):
        assert not GlimpseSensor(8, 2)(images, torch.tensor([place])).any()


def test_large_images_do_not_lose_a_digit():
    # 255 · 2902² does not fit 32 bits; a table of float32 would lose 1e-3
    sensor, places = GlimpseSensor(4, 3), torch.tensor([[0.99, 0.99]])
    white = torch.full((1, 1, 2902, 2902), 255, dtype=torch.uint8)
    table = sensor.prepare(white)
    assert table[0, 0, -1, -1].item() == 255 * 2902**2
    assert torch.equal(sensor.look(table, places), torch.ones(1, 48))
    floats = random_images((1, 1, 2048, 2048), torch.float32)
    expected = brute_batch(floats, places, 4, 3)
    torch.testing.assert_close(sensor(floats, places).double(), expected, **EXACT)


def test_no_precision_is_lost_between_a_location_and_its_pixel():
    # 1e-12 left of a tie, which float32 could not tell from it; and half precision,
    # which holds the location but could not count the pixels
    image, kinds = random_images((1, 3000)), (torch.float64, *FLOATS)
    for x, kind in zip((-1e-12, 0.0, 0.291, 0.3, 0.7), kinds, strict=True):
        place = torch.tensor([x, 0], dtype=kind)
        pixel = image[0, nearest(place[0], 1, 3000)]
        assert GlimpseSensor(1)(image, place) == pixel / 255


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_boxes_of_half_precision_are_where_the_sensor_looks(kind):
    places = torch.linspace(-1, 1, 500).repeat(2, 1).T.to(kind)
    boxes = retina_boxes(places, 8, 2, 300, 300)
    assert torch.equal(boxes, retina_boxes(places.float(), 8, 2, 300, 300))


def test_gradients_reach_float_images_and_no_location():
    images = random_images((2, 2, 6, 5), torch.float64) * 0.8 + 0.1
    images.requires_grad_()
    places = torch.tensor([[0.1, 0.9], [-0.8, -0.3]], requires_grad=True)
    sensor = GlimpseSensor(3, 2, 2)
    assert torch.autograd.gradcheck(lambda x: sensor(x, places), (images,))
    assert not sensor(images.detach(), places).requires_grad


# --- coordinates ----------------------------------------------------------------------


def test_pixels_by_hand():
    locations = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.5, -0.5], [2.0, -2.0]])
    pixels = torch.tensor([[0.0, 0.0], [6.0, 4.0], [4.5, 1.0], [9.0, -2.0]])
    assert torch.equal(to_pixels(locations, height=4, width=6), pixels)
    assert torch.equal(to_locations(pixels, height=4, width=6), locations)


@settings(deadline=None, max_examples=50)
@given(PLACES, PLACES, st.integers(1, 12), st.integers(1, 3), st.integers(1, 60))
def test_boxes_are_where_the_sensor_looks(x, y, size, num_scales, width):
    places = torch.tensor([[[0.3, 0.1], [x, y]]])
    boxes = retina_boxes(places, size, num_scales, 20, width)
    assert boxes.shape == (1, 2, num_scales, 3)
    for s, box in enumerate(boxes[0, 1].tolist()):
        n = size * 2**s
        assert box == [nearest(x, n, width), nearest(y, n, 20), n]
    assert corner(places[0, 1, 0], size, width) == boxes[0, 1, 0, 0]


def test_it_shows_its_sizes_and_has_no_state():
    sizes = "GlimpseSensor(glimpse_size=8, num_scales=1, num_channels=1)"
    assert (repr(GlimpseSensor()), len(GlimpseSensor().state_dict())) == (sizes, 0)
