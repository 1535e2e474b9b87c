"""What every widget of the page shares: one HTML output that needs nothing else.

A widget is a single ``<div>``: its data in attributes, a static picture and a line of
text for places where scripts do not run, its style, and a script that builds the
controls.  It has no ids and asks for nothing from outside, so any number of them fit on
a page, in a notebook, or in a file opened from disk.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import io
import json
import re
import warnings
from collections.abc import Sequence
from importlib import resources

import numpy as np
import torch
from PIL import Image, ImageColor

QUOTED = re.compile("(" + "|".join(rf"{q}(?:\\.|[^{q}\\])*{q}" for q in "\"'`") + ")")

# Which of the shared styles and scripts each kind of widget needs.
PARTS = {"glimpses": ("stage", "time"), "retina": ("stage",), "samples": ("time",)}


@functools.cache
def asset(name: str) -> str:
    """Read a style or script of this package, without comments and needless spaces.

    The files beside this one keep to what makes that safe: comments stand on lines of
    their own, and no quotation mark stands in a regular expression, no template in
    another.
    """
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    text = re.sub(r"^\s*/\*.*?\*/\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = (line.strip() for line in text.splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("//"))
    if name.endswith(".css"):
        text = re.sub(r"\s*([{};])\s*", r"\1", text)
        return re.sub(r"([:,])\s+", r"\1", text)
    parts = re.split(QUOTED, text)  # every second one is quoted, and stays
    parts[::2] = [
        re.sub(r" *([-{}()[\],;:?=<>+*&|!/]) *", r"\1", p) for p in parts[::2]
    ]
    return "".join(parts)


def widget(
    kind: str,
    name: str,
    *,
    data: dict,
    images: str | None = None,
    picture: bytes,
    alt: str,
    caption: str,
) -> str:
    """Put a widget together.

    Args:
        kind: of the widget: ``kind.js`` and ``kind.css`` make it, with its `PARTS`.
        name: a word for this widget, the same in every run.
        data: what the script reads, of numbers, strings, lists and dictionaries.
        images: the pixels that the script reads, as a data address.
        picture: the PNG that stands in where scripts do not run.
        alt: says in words what the picture shows.
        caption: the line of text below the picture.

    Returns:
        The HTML.

    Raises:
        TypeError: if the name is no string.
        ValueError: if the name holds anything but letters, digits, - and _.
    """
    check_name(name)
    files = ["base", *PARTS[kind], kind]
    style = "\n".join(asset(f"{file}.css") for file in files)
    script = "\n".join(asset(f"{file}.js") for file in files)
    # A script starts only the widgets that were made with it, so that an old output
    # and a new one can share a page.
    version = hashlib.sha256((style + script).encode()).hexdigest()[:8]
    attributes = {
        "class": f"ramlib ramlib-{kind}",
        "data-ramlib": f"{kind}-{version}",
        "data-name": name,
        "data-value": json.dumps(data, ensure_ascii=False, separators=(",", ":")),
    }
    if images is not None:
        attributes["data-images"] = images
    script = script.replace("VERSION", version)
    opening = " ".join(f"{key}={quote(value)}" for key, value in attributes.items())
    return (
        f"<div {opening}>\n<style>{style}</style>\n"
        f'<figure class="ramlib-static"><img src="{png_address(picture)}" '
        f"alt={quote(alt)}><figcaption>{html.escape(caption)}</figcaption></figure>\n"
        f"<script>(() => {{\n{script}\n}})();</script>\n</div>"
    )


def quote(text: str) -> str:
    """Quote an attribute's value, in single quotes: JSON is full of double ones."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "'" + text.replace("'", "&#39;") + "'"


def display_html(text: str):
    """Wrap HTML so that a notebook shows it as the value of a cell."""
    from IPython.display import HTML  # only a notebook needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # IPython guesses about HTML and iframes
        return HTML(text)


def check_name(name: object) -> None:
    """Raise unless `name` is a plain word."""
    if not isinstance(name, str):
        raise TypeError(
            f"name is a {type(name).__name__}; give a word such as 'glimpses'"
        )
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ValueError(
            f"name is {name!r}; use letters, digits, - and _, beginning with a letter"
        )


def check_text(what: str, value: object) -> None:
    """Raise unless `value` is a string or None."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{what} is a {type(value).__name__}; give a string or None")


def to_bytes(images: torch.Tensor) -> np.ndarray:
    """Bring pixels to whole numbers: a tensor in [0, 1] or uint8 -> a uint8 array.

    Raises:
        ValueError: if a pixel is NaN or outside [0, 1].
    """
    if images.dtype == torch.uint8:
        return images.numpy()
    array = images.detach().double().numpy()  # numpy knows no bfloat16
    if not (array.min() >= 0 and array.max() <= 1):  # written so that NaN fails too
        raise ValueError(
            "float images must lie in [0, 1]; divide by 255, or pass uint8"
        )
    return np.round(array * 255).astype(np.uint8)


def picture_of(pixels: np.ndarray) -> Image.Image:
    """Make (C, H, W) uint8 with one or three channels a picture."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def sprite(images: np.ndarray) -> str:
    """Stack (B, C, H, W) uint8 images top to bottom as the address of one PNG."""
    C, W = images.shape[1], images.shape[3]
    tall = images.transpose(1, 0, 2, 3).reshape(C, -1, W)  # (C, B·H, W)
    return png_address(png(picture_of(tall)))


def drawn_png(picture: Image.Image, photo: Image.Image, colors: Sequence[str]) -> bytes:
    """Encode an RGB drawing in few colours: those of its strokes, and a photo's.

    A palette chosen from the drawing as a whole would lose the colour of a thin stroke.
    """
    palette = photo.convert("RGB").quantize(12).getpalette()[: 3 * 12]
    for color in ("white", *colors):
        palette.extend(ImageColor.getrgb(color))
    swatch = Image.new("P", (1, 1))
    swatch.putpalette(palette)
    return png(picture.quantize(palette=swatch, dither=Image.Dither.NONE))


def png(picture: Image.Image) -> bytes:
    """Encode a picture without loss, the same bytes every time."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def png_address(data: bytes) -> str:
    """Write a PNG as a data address."""
    return "data:image/png;base64," + base64.b64encode(data).decode()
