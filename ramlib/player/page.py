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
from collections.abc import Sequence
from importlib import resources

import torch
from PIL import Image

from ramlib.checks import check

# Which of the shared styles and scripts each kind of widget needs.
PARTS = {
    "glimpses": ("stage", "time"),
    "retina": ("stage", "controls"),
    "playground": ("stage", "controls", "handle", "policy"),
    "game": ("stage", "controls", "live"),
    "learn": ("stage", "controls", "live", "learner"),
}

# Comments that have lines of their own, and what stands before a line.
NEEDLESS = re.compile(r"^(?:\s+|//.*|/\*[\s\S]*?\*/)+", re.MULTILINE)


@functools.cache
def asset(name: str) -> str:
    """Read a style or script of this package, without comments and needless spaces."""
    file = resources.files(__package__).joinpath(name)
    text = file.read_text(encoding="utf-8") if file.is_file() else ""  # not every style
    text = NEEDLESS.sub("", text)
    return re.sub(r"\s*([{};:,])\s+", r"\1", text) if name.endswith("css") else text


def widget(
    kind: str,
    data: dict,
    picture: Image.Image,
    alt: str,
    caption: str,
    images=None,
    more: Sequence[str] = (),
) -> str:
    """Put a widget together.

    Args:
        kind: of the widget: ``kind.js`` and ``kind.css`` make it, with its `PARTS`.
        data: what the script reads, of numbers, strings, lists and dictionaries.
        picture: stands in where scripts do not run.
        alt: says in words what the picture shows.
        caption: the line of text below the picture.
        images: (B, C, H, W) uint8, the pixels that the script reads, or None.
        more: parts that this one needs beside those of its kind.

    Returns:
        The HTML.
    """
    files = ["base", *PARTS[kind], *more, kind]
    style = "".join(asset(f"{file}.css") for file in files)
    script = "".join(asset(f"{file}.js") for file in files)
    # A script starts only the widgets that were made with it, so that an old output
    # and a new one can share a page.
    version = hashlib.sha256((style + script).encode()).hexdigest()[:8]
    name, pixels = data.pop("name"), "" if images is None else sprite(images)
    value = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return (
        f'<div class="ramlib ramlib-{kind}" data-ramlib="{kind}-{version}" '
        f'data-name="{name}" data-images="{pixels}" '
        f"data-value={quote(value)}>\n<style>{style}</style>\n"
        f'<figure class="ramlib-static"><img src="{address(picture)}" '
        f"alt={quote(alt)}><figcaption>{html.escape(caption)}</figcaption></figure>\n"
        f"<script>(() => {{\n{script.replace('VERSION', version)}}})();</script>\n"
        "</div>"
    )


def quote(text: str) -> str:
    """Quote an attribute's value, in single quotes: JSON is full of double ones."""
    return "'" + html.escape(text, quote=False).replace("'", "&#39;") + "'"


def heading(name: object, title: object) -> dict:
    """Check what every widget is called: a word, and a heading or None.

    Raises:
        TypeError: if one is no text.
        ValueError: if the name is no plain word.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", text("name", name)):
        raise ValueError(
            f"name is {name!r}; use letters, digits, - and _, beginning with a letter"
        )
    return {"name": name, "title": "" if title is None else text("title", title)}


def text(name: str, value: object) -> str:
    """Check a text; half of a surrogate pair, which nothing stores, becomes a "?"."""
    return check(name, value, str).encode(errors="replace").decode()


def place(start: object) -> list[float]:
    """Read (x, y) in [-1, 1]², in steps of 0.01, without a minus before a zero.

    Raises:
        TypeError: if it is no pair of numbers.
        ValueError: if one is out of range.
    """
    wanted = f"start is {start!r}; give (x, y), two numbers from -1 to 1"
    try:
        x, y = torch.as_tensor(start, dtype=torch.float64).tolist()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(wanted) from None
    if not (abs(x) <= 1 and abs(y) <= 1):  # written so that NaN fails too
        raise ValueError(wanted)
    return [round(x, 2) + 0.0, round(y, 2) + 0.0]


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Bring checked pixels, uint8 or float in [0, 1], to uint8 on the CPU."""
    images = images.detach().cpu()
    if images.dtype == torch.uint8:
        return images
    return (images.double() * 255).round().byte()


def sprite(images: torch.Tensor) -> str:
    """Stack (B, C, H, W) uint8 images top to bottom as the address of one PNG."""
    B, C, H, W = images.shape
    tall = images.movedim(1, -1).reshape((B * H, W, C) if C > 1 else (B * H, W))
    return address(Image.fromarray(tall.numpy()))


def address(picture: Image.Image) -> str:
    """Write a picture without loss as a data address, the same bytes every time."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
