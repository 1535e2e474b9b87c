"""The sensor against a crop that visits every pixel; its coordinates by hand."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from ramlib.sensor import (
    GlimpseSensor,
    check_count,
    check_images,
    check_tensor,
    patch_corner,
    retina_boxes,
    to_locations,
    to_pixels,
)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


# --- the oracle -----------------------------------------------------------------------


def brute_corner(coordinate, size, length):
    """The whole pixel nearest to px - size/2, a tie upwards; in float32 or float64.

    The steps are those of the definition, px = (x + 1) / 2 · length, each rounded to
    the precision of the location, as in the sensor: only so are the pixels the same.
    """
    kind = type(coordinate)
    with np.errstate(over="ignore"):
        pixel = (coordinate + kind(1)) * kind(length / 2)
        nearest = np.floor(pixel - kind(size / 2 - 0.5))
    if np.isinf(nearest):
        return -(10**9) if nearest < 0 else 10**9
    return int(nearest)


def brute_glimpse(image, location, glimpse_size, num_scales):
    """Sum every pixel of every block, one by one: (S, C, g, g) sums and their areas."""
    channels, height, width = image.shape
    white = 255 if image.dtype == np.uint8 else 1
    exact = int if image.dtype == np.uint8 else float
    sums = np.zeros((num_scales, channels, glimpse_size, glimpse_size))
    areas = np.zeros((num_scales, 1, 1, 1))
    for s in range(num_scales):
        step = 2**s
        areas[s] = white * step * step
        left = brute_corner(location[0], glimpse_size * step, width)
        top = brute_corner(location[1], glimpse_size * step, height)
        for c in range(channels):
            for row in range(glimpse_size):
                for column in range(glimpse_size):
                    total = exact(0)
                    for y in range(top + row * step, top + (row + 1) * step):
                        for x in range(
                            left + column * step, left + (column + 1) * step
                        ):
                            if 0 <= y < height and 0 <= x < width:
                                total += exact(image[c, y, x])
                    sums[s, c, row, column] = total
    return sums, areas


def brute(images, locations, glimpse_size, num_scales):
    """What the sensor should return for (B, C, H, W) and (B, 2)."""
    if locations.dtype in (torch.float16, torch.bfloat16):
        locations = locations.float()
    kind = np.float64 if images.dtype == torch.float64 else np.float32
    source = images if images.dtype == torch.uint8 else images.double()
    result = []
    for image, location in zip(source.numpy(), locations.numpy(), strict=True):
        sums, areas = brute_glimpse(image, location, glimpse_size, num_scales)
        result.append((sums.astype(kind) / areas.astype(kind)).reshape(-1))
    return torch.from_numpy(np.stack(result))


def random_images(shape, dtype=torch.uint8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.uint8:
        return torch.randint(0, 256, shape, dtype=dtype, generator=generator)
    return torch.rand(shape, dtype=torch.float64, generator=generator).to(dtype)


def rand(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


INSIDE = st.floats(-1, 1, width=16)
PLACES = st.one_of(
    INSIDE,
    st.sampled_from([-1.0, 1.0, 0.0, -0.5, 0.5]),  # corners, edges, ties
    st.floats(-1, 1, width=32),
    st.floats(-4, 4, width=16),  # partly or wholly outside
)
VERY_FAR = st.sampled_from([1e30, -1e30, 3e38, -3e38, 1e10, -70000.0])


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_equals_brute_force(data):
    height = data.draw(st.integers(1, 17), "height")
    width = data.draw(st.one_of(st.just(height), st.integers(1, 17)), "width")
    channels = data.draw(st.integers(1, 3), "channels")
    num_scales = data.draw(st.integers(1, 4), "num_scales")
    glimpse_size = data.draw(st.integers(1, 9 - 2 * (num_scales - 1)), "glimpse_size")
    dtype = data.draw(
        st.sampled_from([torch.uint8, torch.float32, torch.float64, torch.float16]),
        "dtype",
    )
    place_dtype = data.draw(
        st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
        "location dtype",
    )
    # a half-precision 1e30 is infinity, which is refused
    wide = place_dtype in (torch.float32, torch.float64)
    places = st.one_of(PLACES, VERY_FAR) if wide else PLACES
    batch = data.draw(st.integers(1, 2), "batch")
    locations = data.draw(
        st.lists(st.tuples(places, places).map(list), min_size=batch, max_size=batch),
        "locations",
    )
    locations = torch.tensor(locations, dtype=torch.float64).to(place_dtype)
    seed = data.draw(st.integers(0, 9), "seed")
    images = random_images((batch, channels, height, width), dtype, seed)

    sensor = GlimpseSensor(glimpse_size, num_scales, channels)
    seen = sensor(images, locations)
    expected = brute(images, locations, glimpse_size, num_scales)

    assert seen.shape == (batch, sensor.patch_size)
    assert seen.dtype == expected.dtype
    if dtype == torch.uint8:
        assert torch.equal(seen, expected)
    else:
        torch.testing.assert_close(seen, expected, rtol=0, atol=2e-6)
    assert seen.min() >= -2e-6
    assert seen.max() <= 1 + 2e-6


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(
    "location", [(0.0, 0.0), (-1.0, 1.0), (0.97, -0.4), (2.0, 0.1)]
)
def test_equals_brute_force_at_the_size_of_the_experiments(dtype, location):
    images = random_images((1, 1, 60, 60), dtype)
    locations = torch.tensor([location])
    seen = GlimpseSensor(12, 3)(images, locations)
    expected = brute(images, locations, 12, 3)
    tolerance = 0 if dtype == torch.uint8 else 2e-6
    torch.testing.assert_close(seen, expected, rtol=0, atol=tolerance)


def test_a_glimpse_by_hand():
    image = torch.arange(16, dtype=torch.uint8).reshape(4, 4)
    seen = GlimpseSensor(2, 2)(image, torch.tensor([0.0, 0.0])) * 255
    # scale 0: the four pixels in the middle; scale 1: the whole, in blocks of 2 × 2
    expected = torch.tensor([5.0, 6, 9, 10, 2.5, 4.5, 10.5, 12.5])
    torch.testing.assert_close(seen, expected)


def test_the_order_is_scale_channel_row_column():
    images = random_images((2, 3, 9, 11))
    locations = torch.tensor([[0.1, -0.3], [-0.6, 0.8]])
    seen = GlimpseSensor(4, 2, 3)(images, locations).reshape(2, 2, 3, 4, 4)
    for channel in range(3):
        alone = GlimpseSensor(4, 2)(images[:, channel], locations)
        assert torch.equal(seen[:, :, channel].reshape(2, -1), alone)
    for s in range(2):
        boxes = retina_boxes(locations, 4, 2, 9, 11)[:, s].long()
        for b, (left, top, side) in enumerate(boxes.tolist()):
            wide = torch.nn.functional.pad(images[b].double() / 255, (20,) * 4)
            patch = wide[:, 20 + top : 20 + top + side, 20 + left : 20 + left + side]
            blocks = torch.nn.functional.avg_pool2d(patch, 2**s)
            torch.testing.assert_close(seen[b, s].double(), blocks, rtol=0, atol=1e-6)


# --- one image, many images, many places ----------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_batch_equals_its_images_one_by_one(dtype):
    images = random_images((5, 13, 10), dtype)
    locations = rand(5, 2) * 3 - 1.5
    sensor = GlimpseSensor(3, 3)
    together = sensor(images, locations)
    apart = torch.stack(
        [sensor(i, at) for i, at in zip(images, locations, strict=True)]
    )
    assert torch.equal(together, apart)
    assert torch.equal(together, sensor(images[:, None], locations))
    assert sensor(images[0], locations[0]).shape == (27,)


def test_many_places_of_one_table():
    images = random_images((4, 2, 9, 9))
    locations = rand(4, 3, 5, 2) * 2 - 1
    sensor = GlimpseSensor(4, 2, 2)
    prepared = sensor.prepare(images)
    seen = sensor.look(prepared, locations)
    assert seen.shape == (4, 3, 5, sensor.patch_size)
    for m in range(3):
        for k in range(5):
            assert torch.equal(seen[:, m, k], sensor(images, locations[:, m, k]))
    assert sensor.look(prepared, locations[:, :0]).shape == (4, 0, 5, sensor.patch_size)


def test_prepared_images_can_be_selected():
    images = random_images((6, 1, 7, 8))
    sensor = GlimpseSensor(4)
    prepared = sensor.prepare(images)
    assert (prepared.height, prepared.width) == (7, 8)
    chosen = torch.tensor([4, 0])
    locations = torch.tensor([[0.2, 0.1], [-1.0, 0.9]])
    expected = sensor(images[chosen], locations)
    assert torch.equal(sensor.look(prepared[chosen], locations), expected)
    assert torch.equal(
        sensor.look(prepared[2:4], locations), sensor(images[2:4], locations)
    )


def test_images_need_not_be_contiguous():
    images = random_images((3, 1, 8, 12)).transpose(2, 3)
    locations = torch.tensor([[0.3, -0.2]]).expand(3, 2)
    sensor = GlimpseSensor(5, 2)
    assert torch.equal(
        sensor(images, locations), sensor(images.contiguous(), locations)
    )


def test_the_arguments_are_left_as_they_were():
    images, locations = random_images((2, 6, 6), torch.float32), torch.full((2, 2), 9.0)
    before = images.clone(), locations.clone()
    GlimpseSensor(4)(images, locations)
    assert torch.equal(images, before[0])
    assert torch.equal(locations, before[1])


# --- exactness and reach --------------------------------------------------------------


def test_wholly_outside_is_exactly_black():
    for dtype in (torch.uint8, torch.float32, torch.float64):
        images = random_images((1, 20, 20), dtype)
        for place in ([3.5, 0.0], [0.0, -3.5], [1e30, -1e30], [-3e38, 3e38]):
            assert not GlimpseSensor(8, 2)(images, torch.tensor([place])).any()


def test_an_image_smaller_than_the_patch_is_framed_in_black():
    image = torch.full((2, 2), 255, dtype=torch.uint8)
    seen = GlimpseSensor(6)(image, torch.zeros(2)).reshape(6, 6)
    expected = torch.zeros(6, 6)
    expected[2:4, 2:4] = 1
    assert torch.equal(seen, expected)


def test_large_white_images_do_not_lose_a_digit():
    # 255 · 2902² does not fit 32 bits; a float32 table would lose 1e-3
    sensor = GlimpseSensor(4, 3)
    places = torch.tensor([[0.99, 0.99]])
    side = 2902
    white = torch.full((1, 1, side, side), 255, dtype=torch.uint8)
    prepared = sensor.prepare(white)
    assert prepared.table.dtype == torch.int64
    assert prepared.table[0, 0, -1, -1] == 255 * side**2
    assert torch.equal(sensor.look(prepared, places), torch.ones(1, sensor.patch_size))
    assert sensor.prepare(white[..., :2901, :2901]).table.dtype == torch.int32

    floats = random_images((1, 1, 2048, 2048), torch.float32)
    seen = sensor(floats, places)[0].reshape(3, 4, 4)
    for s, (left, top, n) in enumerate(retina_boxes(places, 4, 3, 2048, 2048)[0].int()):
        patch = floats[..., top : top + n, left : left + n].double()
        patch = torch.nn.functional.pad(patch, (0, n - patch.shape[-1]) * 2)
        expected = torch.nn.functional.avg_pool2d(patch, 2**s)[0, 0]
        torch.testing.assert_close(seen[s].double(), expected, rtol=0, atol=2e-6)


class CountReads(TorchDispatchMode):
    """Count the numbers that are gathered, whatever the size of their source."""

    def __init__(self):
        super().__init__()
        self.reads = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket in (torch.ops.aten.gather, torch.ops.aten.index):
            self.reads += result.numel()
        return result


def test_the_number_of_reads_does_not_depend_on_the_image():
    g, num_scales = 8, 3
    sensor = GlimpseSensor(g, num_scales)
    counts = []
    for side in (5, 28, 60, 512):
        prepared = sensor.prepare(random_images((2, 1, side, side)))
        with CountReads() as counter:
            sensor.look(prepared, torch.zeros(2, 2))
        counts.append(counter.reads)
    assert counts == [2 * num_scales * (g + 1) ** 2] * 4


def test_one_gather_for_the_whole_batch():
    sensor = GlimpseSensor(8, 3)

    class CountCalls(TorchDispatchMode):
        calls = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.calls += 1
            return function(*args, **(kwargs or {}))

    calls = []
    for batch in (1, 64):
        images = random_images((batch, 1, 28, 28))
        with CountCalls() as counter:
            sensor(images, torch.zeros(batch, 2))
        calls.append(counter.calls)
    assert calls[0] == calls[1]


# --- gradients ------------------------------------------------------------------------


def test_gradients_reach_float_images():
    sensor = GlimpseSensor(3, 2, 2)
    images = random_images((2, 2, 6, 5), torch.float64) * 0.8 + 0.1
    images.requires_grad_()
    locations = torch.tensor([[0.1, 0.9], [-0.8, -0.3]])
    assert torch.autograd.gradcheck(lambda x: sensor(x, locations), (images,))


def test_the_gradient_of_an_average_is_one_over_its_area():
    image = torch.full((4, 4), 0.5, requires_grad=True)
    coarse = GlimpseSensor(1, 2)(image, torch.zeros(2))[1]
    coarse.backward()
    expected = torch.zeros(4, 4)
    expected[1:3, 1:3] = 0.25
    torch.testing.assert_close(image.grad, expected)


def test_no_gradient_reaches_a_location():
    locations = torch.zeros(1, 2, requires_grad=True)
    assert not GlimpseSensor(4)(random_images((1, 8, 8)), locations).requires_grad


# --- coordinates ----------------------------------------------------------------------


def test_pixels_by_hand():
    locations = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0], [0.5, -0.5]])
    expected = torch.tensor([[0.0, 0.0], [6.0, 4.0], [3.0, 2.0], [4.5, 1.0]])
    assert torch.equal(to_pixels(locations, height=4, width=6), expected)
    assert torch.equal(to_locations(expected, height=4, width=6), locations)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(-2, 2), st.floats(-2, 2))
def test_pixels_and_locations_are_inverse(height, width, x, y):
    location = torch.tensor([x, y], dtype=torch.float64)
    back = to_locations(to_pixels(location, height, width), height, width)
    torch.testing.assert_close(back, location, rtol=0, atol=1e-12)
    pixel = torch.tensor([x * width, y * height], dtype=torch.float64)
    back = to_pixels(to_locations(pixel, height, width), height, width)
    torch.testing.assert_close(back, pixel, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(
    ("x", "size", "width", "left"),
    [
        (0.0, 8, 28, 10),  # even in even: centred
        (0.0, 7, 29, 11),  # odd in odd: centred
        (0.0, 7, 28, 11),  # odd in even: 10.5, the tie goes to the right
        (0.0, 8, 29, 11),  # even in odd: 10.5 again
        (-1.0, 8, 28, -4),  # half of the patch outside
        (-1.0, 7, 28, -3),  # -3.5, a tie
        (1.0, 8, 28, 24),
        (0.03, 8, 28, 10),  # px = 14.42: a little to the right is still the same pixel
        (0.04, 8, 28, 11),  # px = 14.56
        (-0.03, 8, 28, 10),
        (-0.04, 8, 28, 9),
        (0.0, 30, 4, -13),  # a patch larger than the image
        (3.0, 2, 10, 19),  # outside the image
    ],
)
def test_corners_by_hand(x, size, width, left):
    across = patch_corner(torch.tensor([x, 0.0]), size, height=2, width=width)
    down = patch_corner(torch.tensor([0.0, x]), size, height=width, width=2)
    assert across[0] == left
    assert down[1] == left


@settings(deadline=None, max_examples=200)
@given(st.integers(-2048, 2048), st.integers(1, 40), st.integers(1, 300))
def test_corners_in_exact_arithmetic(eighths, size, width):
    # multiples of 1/1024 lose nothing in float32, so that ties are ties
    x = Fraction(eighths, 1024)
    start = (x + 1) / 2 * width - Fraction(size, 2)
    nearest = (start + Fraction(1, 2)).__floor__()
    corner = patch_corner(torch.tensor([float(x), 0.0]), size, 1, width)
    assert corner[0] == nearest


@settings(deadline=None, max_examples=100)
@given(
    st.floats(-2, 2, width=16),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    st.integers(1, 12),
    st.integers(1, 3),
    st.integers(1, 600),
)
def test_boxes_are_where_the_sensor_looks(x, dtype, size, num_scales, width):
    # one lit pixel at the box's corner must be the first that the patch shows
    location = torch.tensor([x, 0.0], dtype=dtype)
    boxes = retina_boxes(location, size, num_scales, 1, width)
    assert boxes.shape == (num_scales, 3)
    assert boxes[:, 2].tolist() == [size * 2**s for s in range(num_scales)]
    for s, left in enumerate(boxes[:, 0].tolist()):
        inside = [j for j in range(width) if left <= j < left + size * 2**s]
        covered = torch.zeros(1, width)
        covered[0, inside] = 1
        seen = GlimpseSensor(size, num_scales)(covered, location)
        rows = seen.reshape(num_scales, size, size)[s].sum() * 4**s
        assert rows == pytest.approx(len(inside), abs=1e-3)


# --- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ({"glimpse_size": 0}, ValueError, r"glimpse_size is 0; .* at least 1"),
        ({"glimpse_size": -3}, ValueError, r"glimpse_size is -3; .* at least 1"),
        ({"num_scales": 0}, ValueError, r"num_scales is 0; .* at least 1"),
        ({"num_channels": -1}, ValueError, r"num_channels is -1; .* at least 1"),
        ({"glimpse_size": 8.0}, TypeError, r"glimpse_size is 8\.0; give a whole"),
        ({"num_scales": True}, TypeError, r"num_scales is True; give a whole number"),
        ({"num_scales": "2"}, TypeError, r"num_scales is '2'; give a whole number"),
        ({"num_channels": None}, TypeError, r"num_channels is None; give a whole"),
    ],
)
def test_bad_sizes(sizes, error, message):
    with pytest.raises(error, match=message):
        GlimpseSensor(**sizes)


def with_pixel(value):
    images = rand(2, 8, 8)
    images[1, 3, 5] = value
    return images


CENTRE = torch.zeros(2, 2)


@pytest.mark.parametrize(
    ("images", "locations", "error", "message"),
    [
        (np.zeros((2, 8, 8)), CENTRE, TypeError, r"images is a ndarray; .*as_tensor"),
        (None, CENTRE, TypeError, r"images is a NoneType; give a torch\.Tensor"),
        (rand(2, 8, 8), [0.0, 0.0], TypeError, r"locations is a list; .*as_tensor"),
        (rand(8), CENTRE, ValueError, r"shape \(8,\); give \(H, W\), \(B, H, W\)"),
        (rand(1, 2, 1, 8, 8), CENTRE, ValueError, r"\(1, 2, 1, 8, 8\); give \(H, W\)"),
        (rand(2, 3, 8, 8), CENTRE, ValueError, r"3 channel\(s\).* give \(B, 1, H, W\)"),
        (rand(0, 8, 8), CENTRE[:0], ValueError, r"\(0, 8, 8\): there is nothing"),
        (rand(2, 0, 8), CENTRE, ValueError, r"\(2, 0, 8\): there is nothing"),
        (
            torch.zeros(2, 8, 8, dtype=torch.int64),
            CENTRE,
            TypeError,
            r"torch\.int64; give uint8 in \[0, 255\] or float in \[0, 1\]",
        ),
        (
            torch.zeros(2, 8, 8, dtype=torch.bool),
            CENTRE,
            TypeError,
            r"torch\.bool; give",
        ),
        (with_pixel(float("nan")), CENTRE, ValueError, r"must lie in \[0, 1\].*nan"),
        (with_pixel(float("inf")), CENTRE, ValueError, r"must lie in \[0, 1\].*inf"),
        (with_pixel(-0.5), CENTRE, ValueError, r"span \[-0\.5, .*divide by 255"),
        (with_pixel(255.0), CENTRE, ValueError, r", 255\]; divide by 255, or pass"),
        (rand(2, 8, 8), CENTRE[:1], ValueError, r"\(1, 2\); .* shape \(2, 2\)"),
        (rand(2, 8, 8), rand(2, 3), ValueError, r"\(2, 3\); .* shape \(2, 2\)"),
        (
            rand(2, 8, 8),
            rand(2),
            ValueError,
            r"locations have shape \(2,\); .*\(2, 2\)",
        ),
        (rand(8, 8), CENTRE, ValueError, r"\(2, 2\); .* locations of shape \(2,\)"),
        (rand(2, 8, 8), CENTRE * float("nan"), ValueError, r"NaN or infinity; give"),
        (rand(2, 8, 8), CENTRE + float("inf"), ValueError, r"NaN or infinity; give"),
    ],
)
def test_bad_input(images, locations, error, message):
    with pytest.raises(error, match=message):
        GlimpseSensor(4)(images, locations)


def test_one_channel_images_for_a_colour_sensor():
    with pytest.raises(ValueError, match=r"1 channel\(s\).* made for 3; give \(B, 3"):
        GlimpseSensor(4, num_channels=3)(rand(2, 8, 8), CENTRE)


def test_checks_by_themselves():
    check_count("copies", 3)
    with pytest.raises(ValueError, match=r"copies is 1; it must be at least 2"):
        check_count("copies", 1, least=2)
    with pytest.raises(TypeError, match=r"x is a list"):
        check_tensor("x", [1])
    assert check_images(rand(4, 5)).shape == (1, 1, 4, 5)
    assert check_images(rand(3, 4, 5)).shape == (3, 1, 4, 5)
    assert check_images(rand(2, 3, 4, 5), 3).shape == (2, 3, 4, 5)
    with pytest.raises(ValueError, match=r"divide by 255"):
        check_images(rand(4, 5) * 2)


def test_it_shows_its_sizes_and_has_no_parameters():
    sensor = GlimpseSensor(12, 3, 2)
    assert (
        repr(sensor) == "GlimpseSensor(glimpse_size=12, num_scales=3, num_channels=2)"
    )
    assert sensor.patch_size == 3 * 2 * 144
    assert not list(sensor.parameters())
    assert not sensor.state_dict()


# --- devices --------------------------------------------------------------------------


@needs_gpu
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_a_gpu_sees_the_same(dtype):
    images = random_images((7, 1, 31, 40), dtype)
    locations = rand(7, 2) * 4 - 2
    sensor = GlimpseSensor(5, 3)
    expected = sensor(images, locations)
    seen = sensor.cuda()(images.cuda(), locations.cuda())
    assert seen.is_cuda
    torch.testing.assert_close(seen.cpu(), expected, rtol=0, atol=2e-6)
