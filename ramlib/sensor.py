"""The retina: what the model sees when it looks at one place.

The coordinates, said once for the whole course.  An image has H rows and W columns of
pixels, and a location (x, y) in [-1, 1]² names a point of it, not a pixel::

    (-1, -1)                     (1, -1)        pixel units:  px = (x + 1) / 2 · W
        +-----+-----+-----+-----+                             py = (y + 1) / 2 · H
        |  0  |  1  |  2  |  3  |
        +-----+-----+-----+-----+    pixel column j covers the interval [j, j + 1);
        |     |     |     |     |    the centre of the image, (0, 0), is px = W / 2
        +-----+-----+-----+-----+
    (-1, 1)                      (1, 1)

A patch of n pixels starts at the whole pixel nearest to px - n / 2 (a tie goes to the
right, and downwards).  At (0, 0) an even patch of an even image is exactly centred, and
so is an odd patch of an odd image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = [
    "GlimpseSensor",
    "Prepared",
    "check_count",
    "check_images",
    "check_tensor",
    "patch_corner",
    "retina_boxes",
    "to_locations",
    "to_pixels",
]


def to_pixels(locations: Tensor, height: int, width: int) -> Tensor:
    """Convert locations to continuous pixel coordinates.

    Args:
        locations: (..., 2), (x, y) with the image spanning [-1, 1]².
        height: H, in pixels.
        width: W, in pixels.

    Returns:
        (..., 2), (px, py) with the image spanning [0, W] × [0, H]; at least float32.
    """
    x, y = _precise(locations).unbind(-1)
    return torch.stack([(x + 1) * (width / 2), (y + 1) * (height / 2)], dim=-1)


def _precise(locations: Tensor) -> Tensor:
    """Half precision cannot name every pixel: bring it, and integers, to float32."""
    if locations.is_floating_point() and locations.dtype.itemsize >= 4:
        return locations
    return locations.float()


def to_locations(pixels: Tensor, height: int, width: int) -> Tensor:
    """Convert continuous pixel coordinates to locations: the inverse of `to_pixels`.

    Args:
        pixels: (..., 2), (px, py) with the image spanning [0, W] × [0, H].
        height: H, in pixels.
        width: W, in pixels.

    Returns:
        (..., 2), (x, y) with the image spanning [-1, 1]².
    """
    px, py = pixels.unbind(-1)
    return torch.stack([px / (width / 2) - 1, py / (height / 2) - 1], dim=-1)


def patch_corner(locations: Tensor, size: int, height: int, width: int) -> Tensor:
    """Find the top-left pixel of the patch of `size` pixels around each location.

    Args:
        locations: (..., 2), (x, y); any finite value.
        size: the side of the patch, in pixels.
        height: H, in pixels.
        width: W, in pixels.

    Returns:
        (..., 2) whole numbers (left, top) as floats, at least float32; they may lie
        outside the image.
    """
    return torch.floor(to_pixels(locations, height, width) - (size / 2 - 0.5))


def retina_boxes(
    locations: Tensor, glimpse_size: int, num_scales: int, height: int, width: int
) -> Tensor:
    """Give the square that every scale covers, in pixels, for figures and players.

    Args:
        locations: (..., 2), (x, y).
        glimpse_size: g, the side of the finest patch, in pixels.
        num_scales: S; scale s covers g·2^s pixels.
        height: H, in pixels.
        width: W, in pixels.

    Returns:
        (..., S, 3): left, top and side of each square, finest first.
    """
    sizes = [glimpse_size * 2**s for s in range(num_scales)]
    boxes = [
        torch.cat([corner, torch.full_like(corner[..., :1], size)], dim=-1)
        for size in sizes
        for corner in [patch_corner(locations, size, height, width)]
    ]
    return torch.stack(boxes, dim=-2)


class Prepared(NamedTuple):
    """A batch of images made ready to be looked at: one summed-area table per image.

    `table[b, c, i, j]` is the sum of all pixels above row i and left of column j.
    """

    table: Tensor  # (B, C, H+1, W+1) int32, int64 or float64
    dtype: torch.dtype  # of the patches to come
    white: float  # the pixel value that stands for 1.0

    def __getitem__(self, key):
        """Select images by slice or index tensor; a tuple's own fields by number."""
        if isinstance(key, int):
            return tuple.__getitem__(self, key)
        return self._replace(table=self.table[key])

    @property
    def height(self) -> int:
        """H, in pixels."""
        return self.table.shape[-2] - 1

    @property
    def width(self) -> int:
        """W, in pixels."""
        return self.table.shape[-1] - 1


class GlimpseSensor(nn.Module):
    r"""Extract a retina-like glimpse: sharp where it looks, coarser further out.

    Scale s of S sees a patch of :math:`g \cdot 2^s` pixels around the location,
    averaged in blocks of :math:`2^s \times 2^s` pixels down to g × g: the paper's
    :math:`\rho(x_t, l_{t-1})`. What lies outside the image is black.

    Looking has two parts. `prepare` sums each image into a table once, in O(HW); `look`
    then reads S·C·(g+1)² corners per glimpse whatever the size of the image, since the
    sum over any rectangle is a combination of four corners of the table.

    Args:
        glimpse_size: g, the side of a patch in pixels, at least 1.
        num_scales: S, at least 1.
        num_channels: C of the images.

    Raises:
        TypeError: if a size is not an integer.
        ValueError: if a size is smaller than 1.
    """

    def __init__(
        self, glimpse_size: int = 8, num_scales: int = 1, num_channels: int = 1
    ):
        super().__init__()
        sizes = {
            "glimpse_size": glimpse_size,
            "num_scales": num_scales,
            "num_channels": num_channels,
        }
        for name, value in sizes.items():
            check_count(name, value)
        self.glimpse_size = glimpse_size
        self.num_scales = num_scales
        self.num_channels = num_channels
        g = glimpse_size
        scales = torch.arange(num_scales)
        steps = 2**scales  # (S,) side of a block, in pixels
        # (S, g+1): where the block boundaries lie, from the corner of the patch
        boundaries = steps[:, None] * torch.arange(g + 1)
        self.register_buffer("boundaries", boundaries, persistent=False)
        self.register_buffer("middle", steps * g / 2 - 0.5, persistent=False)  # (S,)
        self.reach = g * 2 ** (num_scales - 1)  # the coarsest patch's side, in pixels
        self.register_buffer("area", (steps**2).double(), persistent=False)  # (S,)

    @property
    def patch_size(self) -> int:
        """Numbers in one glimpse: S·C·g²."""
        return self.num_scales * self.num_channels * self.glimpse_size**2

    def extra_repr(self) -> str:
        """Show the sizes when the module is printed."""
        return (
            f"glimpse_size={self.glimpse_size}, num_scales={self.num_scales}, "
            f"num_channels={self.num_channels}"
        )

    def forward(self, images: Tensor, locations: Tensor) -> Tensor:
        """Look once at each image.

        Args:
            images: (H, W), or (B, H, W), or (B, C, H, W); uint8, or float in [0, 1].
            locations: (2,) for one image, else (B, 2); (x, y), any finite value.

        Returns:
            (S·C·g²,) or (B, S·C·g²) in [0, 1], ordered by scale, channel, row, column;
            float64 for float64 images, else float32.

        Raises:
            TypeError: if an argument is no tensor, or of an unsuitable dtype.
            ValueError: if a shape does not fit, a pixel is NaN or outside [0, 1], or a
                location is not finite.
        """
        batch = check_images(images, self.num_channels)
        check_tensor("locations", locations)
        single = images.dim() == 2
        expected = (2,) if single else (len(batch), 2)
        if tuple(locations.shape) != expected:
            raise ValueError(
                f"locations have shape {tuple(locations.shape)}; images of shape "
                f"{tuple(images.shape)} need locations of shape {expected}"
            )
        if not torch.isfinite(locations).all():
            raise ValueError(
                "locations hold NaN or infinity; give finite (x, y), with the image "
                "spanning [-1, 1] in both"
            )
        patches = self.look(self.prepare(batch), locations.reshape(-1, 2))
        return patches[0] if single else patches

    def prepare(self, images: Tensor) -> Prepared:
        """Sum each image into a table, once; unchecked (see `check_images`).

        Args:
            images: (B, C, H, W), uint8 or float in [0, 1].

        Returns:
            The tables, to be passed to `look`; exact for uint8 images.
        """
        if images.dtype == torch.uint8:
            height, width = images.shape[-2:]
            exact = 255 * height * width < 2**31  # up to 2,901 × 2,901 pixels
            kind = torch.int32 if exact else torch.int64
            dtype, white = torch.float32, 255.0
        else:
            # A float32 table would lose 1e-3 at 2,048 × 2,048: sums grow.
            kind, white = torch.float64, 1.0
            dtype = torch.promote_types(images.dtype, torch.float32)
        # Padding first, while pixels are bytes, and adding up in place: a table is four
        # times the size of its image, so every copy of it saved is time saved.
        padded = nn.functional.pad(images, (1, 0, 1, 0))  # (B, C, H+1, W+1)
        sums = padded.cumsum(dim=3, dtype=kind).cumsum_(dim=2)
        return Prepared(sums, dtype, white)

    def look(self, prepared: Prepared, locations: Tensor) -> Tensor:
        """Look at any number of places of each prepared image; unchecked.

        Args:
            prepared: what `prepare` made of (B, C, H, W) images.
            locations: (B, ..., 2), (x, y).

        Returns:
            (B, ..., S·C·g²) in [0, 1]: the patches, every scale.
        """
        B, C, H1, W1 = prepared.table.shape
        S, g = self.num_scales, self.glimpse_size
        places = _precise(locations.detach()).reshape(B, -1, 2)  # (B, K, 2)
        K = places.shape[1]
        xs = self._boundaries(places[..., 0], W1 - 1)  # (B, K, S, g+1)
        ys = self._boundaries(places[..., 1], H1 - 1)
        index = ys[..., :, None] * W1 + xs[..., None, :]  # (B, K, S, g+1, g+1)
        flat = prepared.table.reshape(B, C, H1 * W1)
        index = index.reshape(B, 1, -1).expand(B, C, -1)
        sums = flat.gather(2, index).reshape(B, C, K, S, g + 1, g + 1)
        sums = sums[..., 1:, :] - sums[..., :-1, :]
        sums = sums[..., 1:] - sums[..., :-1]  # (B, C, K, S, g, g) sum over each block
        scale = prepared.white * self.area  # (S,)
        patches = (sums / scale[:, None, None].to(prepared.dtype)).to(prepared.dtype)
        patches = patches.permute(0, 2, 3, 1, 4, 5)  # (B, K, S, C, g, g)
        return patches.reshape(*locations.shape[:-1], self.patch_size)

    def _boundaries(self, coordinate: Tensor, length: int) -> Tensor:
        """Find where blocks begin and end along one side: (B, K) -> (B, K, S, g+1)."""
        pixel = (coordinate + 1) * (length / 2)
        corner = torch.floor(pixel[..., None] - self.middle)  # (B, K, S)
        # Clamping a boundary to the image is all the padding there is: a block outside
        # it becomes empty, and its sum zero. The corner is clamped first, while it is
        # still a float, because a very far one would not fit an integer.
        corner = corner.clamp(-self.reach, length).long()
        return (corner[..., None] + self.boundaries).clamp(0, length)


def check_count(name: str, value: object, least: int = 1) -> None:
    """Raise unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}; give a whole number, at least {least}")
    if value < least:
        raise ValueError(f"{name} is {value}; it must be at least {least}")


def check_tensor(name: str, value: object) -> None:
    """Raise unless `value` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name} is a {type(value).__name__}; give a torch.Tensor, "
            "for instance with torch.as_tensor"
        )


def check_images(images: Tensor, num_channels: int = 1) -> Tensor:
    """Check images at a public entry point and bring them to one shape.

    Args:
        images: (H, W), (B, H, W) or (B, C, H, W); uint8, or float in [0, 1].
        num_channels: C.

    Returns:
        The same images as (B, C, H, W).

    Raises:
        TypeError: if `images` is no tensor, or neither uint8 nor float.
        ValueError: if the shape does not fit, or a pixel is NaN or outside [0, 1].
    """
    check_tensor("images", images)
    shape = tuple(images.shape)
    if images.dim() not in (2, 3, 4):
        raise ValueError(
            f"images have shape {shape}; give (H, W), (B, H, W) or (B, C, H, W)"
        )
    if images.numel() == 0:
        raise ValueError(f"images have shape {shape}: there is nothing to look at")
    if images.dim() == 2:
        images = images[None]
    if images.dim() == 3:
        images = images[:, None]
    if images.shape[1] != num_channels:
        raise ValueError(
            f"images of shape {shape} have {images.shape[1]} channel(s), but this "
            f"model was made for {num_channels}; give (B, {num_channels}, H, W)"
        )
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise TypeError(
            f"images are {images.dtype}; give uint8 in [0, 255] or float in [0, 1]"
        )
    low, high = images.detach().aminmax()
    if not (low >= 0 and high <= 1):  # written so that NaN fails too
        raise ValueError(
            f"float images must lie in [0, 1], but these span [{low:g}, {high:g}]; "
            "divide by 255, or pass uint8"
        )
    return images
