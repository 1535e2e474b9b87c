"""Make the picture that a link to the book brings along, from the README's picture.

    python tools/share.py        (`make landing` runs it after tools/landing.py)

Networks that show a link want 1200 × 630 pixels, and not too many bytes.
"""

from __future__ import annotations

import io
import sys

from landing import PICTURE
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from course import ROOT

SHARE = ROOT / "book/images/share.png"
SIZE, EDGE, COLORS = (1200, 630), 64, 256
INK, MUTED, PAPER = "#1d2430", "#59616e", "#ffffff"
TITLE = "Where to Look"
SAYS = "Networks that see through a few small glimpses,\nand learn where to look next."


def font(size: int, weight: str = "normal") -> ImageFont.FreeTypeFont:
    """Take the font of the course's figures, which comes with matplotlib."""
    name = font_manager.FontProperties(family="DejaVu Sans", weight=weight)
    return ImageFont.truetype(font_manager.findfont(name), size)


def share(picture: Image.Image) -> bytes:
    """Set the title and a line of text above the picture, as a small PNG."""
    page = Image.new("RGB", SIZE, PAPER)
    wide = SIZE[0] - 2 * EDGE
    tall = round(picture.height * wide / picture.width)
    small = picture.convert("RGB").resize((wide, tall), Image.Resampling.LANCZOS)
    page.paste(small, (EDGE, SIZE[1] - tall - 4))
    draw = ImageDraw.Draw(page)
    draw.text((EDGE, 56), TITLE, INK, font(50, "bold"), anchor="lm")
    draw.text((SIZE[0] - EDGE, 56), SAYS, MUTED, font(21), anchor="rm", spacing=8)
    file = io.BytesIO()
    page.quantize(COLORS, Image.Quantize.FASTOCTREE).save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> int:
    """Make the picture, and say how large it is."""
    SHARE.write_bytes(share(Image.open(PICTURE)))
    print(f"{SHARE.name}: {SHARE.stat().st_size / 1024:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
