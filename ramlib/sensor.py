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

import torch
from torch import Tensor, nn

from ramlib import checks

__all__ = ["GlimpseSensor", "corner", "retina_boxes", "to_locations", "to_pixels"]


@checks.checked
def to_pixels(locations: Tensor, height: checks.Count, width: checks.Count) -> Tensor:
    """Convert locations (..., 2) to continuous pixel coordinates (..., 2).

    The image spans [-1, 1]² in locations (x, y), and [0, W] × [0, H] in (px, py).
    """
    return (locations + 1) * (locations.new_tensor([width, height]) / 2)


@checks.checked
def to_locations(pixels: Tensor, height: checks.Count, width: checks.Count) -> Tensor:
    """Convert pixel coordinates (..., 2) to locations: the inverse of `to_pixels`."""
    return pixels / (pixels.new_tensor([width, height]) / 2) - 1


def corner(coordinate: Tensor, size: int | Tensor, length: int) -> Tensor:
    """Find the first pixel of a patch around a coordinate, along one side of an image.

    Args:
        coordinate: (...), x or y; any finite value.
        size: n, the side of the patch, in pixels.
        length: the side of the image, in pixels: W for x, H for y.

    Returns:
        (...), whole numbers as floats; they may lie outside the image.
    """
    pixel = (coordinate + 1) * (length / 2)  # a point
    return torch.floor(pixel - (size - 1) / 2)


@checks.checked
def retina_boxes(
    locations: Tensor,
    glimpse_size: checks.GlimpseSize,
    num_scales: checks.NumScales,
    height: checks.Count,
    width: checks.Count,
) -> Tensor:
    """Give the square that every scale covers, for figures and players.

    Args:
        locations: (..., 2), (x, y).
        glimpse_size: g, the side of the finest patch, in pixels.
        num_scales: S; scale s covers g·2^s pixels.
        height: H, in pixels.
        width: W, in pixels.

    Returns:
        (..., S, 3): left, top and side of each square in pixels, finest first.
    """
    if locations.dtype != torch.float64:  # as the sensor does: half cannot count pixels
        locations = locations.float()
    sides = glimpse_size * 2 ** torch.arange(num_scales, device=locations.device)
    left = corner(locations[..., :1], sides, width)  # (..., S)
    top = corner(locations[..., 1:], sides, height)
    return torch.stack([left, top, sides.to(left).expand_as(left)], dim=-1)


class GlimpseSensor(nn.Module):
    r"""Extract a retina-like glimpse: sharp where it looks, coarser further out.

    Scale s of S sees a patch of :math:`g \cdot 2^s` pixels around the location,
    averaged in blocks of :math:`2^s \times 2^s` pixels down to g × g: the paper's
    :math:`\rho(x_t, l_{t-1})`. What lies outside the image is black.

    Looking has two parts. `prepare` sums each image into a table once, in O(HW); `look`
    then reads S·C·(g+1)² corners per glimpse whatever the size of the image, since the
    sum over any rectangle is a combination of four corners of the table.

    Args:
        glimpse_size: g, the side of a patch in pixels, 1 to 512.
        num_scales: S, 1 to 12.
        num_channels: C of the images, 1 to 512.

    Raises:
        TypeError: if a size is not a whole number.
        ValueError: if a size is out of range.
    """

    @checks.checked
    def __init__(
        self,
        glimpse_size: checks.GlimpseSize = 8,
        num_scales: checks.NumScales = 1,
        num_channels: checks.NumChannels = 1,
    ):
        super().__init__()
        self.glimpse_size, self.num_scales = glimpse_size, num_scales
        self.num_channels = num_channels
        step = 2 ** torch.arange(self.num_scales)[:, None]  # (S, 1): side of a block
        offsets = step * torch.arange(self.glimpse_size + 1)  # (S, g+1): its edges
        self.register_buffer("step", step, persistent=False)
        self.register_buffer("offsets", offsets, persistent=False)

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
        batch = checks.check_images(images, self.num_channels)  # (B, C, H, W)
        shape = (2,) if images.dim() == 2 else (len(batch), 2)
        finite = torch.finfo(torch.float32).max
        checks.check_locations("locations", locations, [shape], images.device, finite)
        patches = self.look(self.prepare(batch), locations.reshape(-1, 2))
        patches = patches if images.dtype == torch.float64 else patches.float()
        return patches[0] if images.dim() == 2 else patches

    def prepare(self, images: Tensor) -> Tensor:
        """Sum each image into a table, once; unchecked.

        Args:
            images: (B, C, H, W), uint8 or float in [0, 1].

        Returns:
            (B, C, H+1, W+1): entry (i, j) is the sum of all pixels above row i and left
            of column j. Whole numbers for uint8 images, so exact; float64 for others,
            since in float32 the sums of a large image would lose what a glimpse sees.
        """
        B, C, H, W = images.shape
        dtype = torch.float64
        if images.dtype == torch.uint8:
            dtype = torch.int32 if 255 * H * W < 2**31 else torch.int64
        table = torch.zeros(B, C, H + 1, W + 1, dtype=dtype, device=images.device)
        table[:, :, 1:, 1:] = images
        return table.cumsum_(dim=3).cumsum_(dim=2)

    def look(self, table: Tensor, locations: Tensor) -> Tensor:
        """Look at any number of places of each prepared image; unchecked.

        Args:
            table: (B, C, H+1, W+1), what `prepare` made of B images.
            locations: (B, ..., 2), (x, y).

        Returns:
            (B, ..., S·C·g²) in [0, 1]: the patches, every scale; float32, or float64
            from a table of that kind.
        """
        (B, C, H1, W1), S, g1 = table.shape, self.num_scales, self.glimpse_size + 1
        places = locations.detach().reshape(B, -1, 1, 1, 2)  # (B, K, 1, 1, 2)
        places = places if places.dtype == torch.float64 else places.float()
        x = self.edges(places[..., 0], W1 - 1)  # (B, K, S, g+1)
        y = self.edges(places[..., 1], H1 - 1)
        corners = y[..., :, None] * W1 + x[..., None, :]  # (B, K, S, g+1, g+1)
        corners = corners.reshape(B, 1, -1).expand(B, C, -1)
        sums = table.flatten(2).gather(2, corners).reshape(B, C, -1, S, g1, g1)
        sums = sums.diff(dim=-2).diff(dim=-1)  # (B, C, K, S, g, g): over each block
        white = 1 if table.is_floating_point() else 255
        means = sums / (white * self.step[..., None] ** 2)
        means = means.permute(0, 2, 3, 1, 4, 5)  # (B, K, S, C, g, g)
        return means.reshape(*locations.shape[:-1], -1)

    def edges(self, coordinate: Tensor, length: int) -> Tensor:
        """Find where blocks begin and end along one side: (B, K, 1, 1) to (…, S, g+1).

        Clamping an edge to the image is all the padding there is: a block outside it
        becomes empty, and its sum zero.
        """
        start = corner(coordinate, self.glimpse_size * self.step, length)
        return (start + self.offsets).clamp(0, length).long()
