"""A retina to drag over an image, with what it sees at every scale."""

from __future__ import annotations

import math

import torch
from PIL import Image, ImageDraw

from ramlib.figures import SURROUND, glimpse_color
from ramlib.player import page
from ramlib.sensor import GlimpseSensor, check_images, retina_boxes


def retina(
    image,
    *,
    glimpse_size: int = 8,
    num_scales: int = 1,
    start: tuple[float, float] = (0.0, 0.0),
    name: str = "retina",
    title: str | None = None,
):
    """Show an image with a retina that the reader drags, or moves with the keys.

    What each scale sees is computed on the page, in single precision and rounded as
    `ramlib.sensor.patch_corner` rounds, so it equals what the sensor gives for the
    location that is shown (in steps of 0.01).

    Args:
        image: (H, W), (1, H, W) or (3, H, W), uint8 or float in [0, 1]; a tensor or an
            array.
        glimpse_size: g, the side of the finest patch, in pixels.
        num_scales: S.
        start: (x, y) in [-1, 1]², where the retina is at first.
        name: a word that tells this widget from others, the same in every run.
        title: a heading, or None.

    Returns:
        An `IPython.display.HTML`; its `data` is the HTML.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if the image has another shape or a size is smaller than 1, or
            `start` lies outside the image.
    """
    page.check_name(name)
    page.check_text("title", title)
    image = torch.as_tensor(image).detach().cpu()
    if image.dim() == 2:
        image = image[None]
    if image.dim() != 3 or len(image) not in (1, 3):
        raise ValueError(
            f"the image has shape {tuple(image.shape)}; give (H, W), (1, H, W) or "
            "(3, H, W)"
        )
    sensor = GlimpseSensor(glimpse_size, num_scales, len(image))
    pixels = page.to_bytes(check_images(image[None], len(image)))  # (1, C, H, W)
    place = check_start(start)
    height, width = pixels.shape[-2:]
    data = {
        "width": width,
        "height": height,
        "size": glimpse_size,
        "scales": num_scales,
        "start": place,
    }
    if title:
        data["title"] = title
    sides = [glimpse_size * 2**s for s in range(num_scales)]
    covered = ", ".join(f"{side} × {side}" for side in sides)
    html = page.widget(
        "retina",
        name,
        data=data,
        images=page.sprite(pixels),
        picture=draw_picture(torch.from_numpy(pixels), place, sensor),
        alt=(
            f"On the left, an image of {height} × {width} pixels with the squares that "
            f"the retina covers at ({place[0]:g}, {place[1]:g}); on the right, what it "
            "sees at each scale"
        ),
        caption=(
            f"The retina at ({place[0]:g}, {place[1]:g}) covers {covered} pixels. "
            "Where scripts run, you can drag it."
        ),
    )
    return page.display_html(html)


def check_start(start) -> list[float]:
    """Bring a location to two numbers in steps of 0.01, in [-1, 1]²."""
    x, y = (float(value) for value in start)
    if not (math.isfinite(x) and math.isfinite(y) and max(abs(x), abs(y)) <= 1):
        raise ValueError(f"start is {(x, y)}; give (x, y) with both in [-1, 1]")
    return [round(x, 2), round(y, 2)]


def draw_picture(images: torch.Tensor, place: list[float], sensor: GlimpseSensor):
    """Draw the image with the retina's squares, and the patches, as a small PNG.

    Args:
        images: (1, C, H, W) uint8.
        place: [x, y].
        sensor: the retina.

    Returns:
        The PNG.
    """
    C, height, width = images.shape[1:]
    g, S = sensor.glimpse_size, sensor.num_scales
    location = torch.tensor([place])
    boxes = retina_boxes(location[0], g, S, height, width)  # (S, 3)
    patches = sensor.look(sensor.prepare(images), location).reshape(S, C, g, g)
    tall, gap = 180, 10
    unit = tall / height
    wide = max(round(width * unit), 1)
    seen = min(tall, 120)
    picture = Image.new("RGB", (wide + S * (seen + gap), tall), "white")
    view = page.picture_of(images[0].numpy()).convert("RGB")
    view = view.resize((wide, tall), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(view)
    for s, (left, top, side) in enumerate((boxes * unit).tolist()):
        square = [round(v) for v in (left, top, left + side - 1, top + side - 1)]
        pen.rectangle(square, outline=glimpse_color(0), width=3 if s == 0 else 2)
    picture.paste(view, (0, 0))
    for s in range(S):
        patch = page.picture_of(page.to_bytes(patches[s].clamp(0, 1)))
        patch = patch.resize((seen - 2, seen - 2), Image.Resampling.NEAREST)
        left = wide + gap + s * (seen + gap)
        ImageDraw.Draw(picture).rectangle(
            [left, 0, left + seen - 1, seen - 1], outline=SURROUND
        )
        picture.paste(patch, (left + 1, 1))
    return page.drawn_png(picture, picture, [SURROUND, glimpse_color(0)])
