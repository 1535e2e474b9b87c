"""Of the theme's icon font only the icons that the pages show.

The theme asks for the whole of Font Awesome twice, as fonts and as a script that draws:
0.8 MB on each page. When the pages are written, this cuts the fonts down to what pages
and styles name, about thirty icons, and puts them into a style sheet of their own. In
there they also work on a page that is a file, where a browser reads no other font.
"""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

from fontTools import subset

WHOLE = "vendor/fontawesome"  # the theme's, in the folder _static
STYLE_SHEET = "icons.css"  # what is left of it, there too

FONTS = {"fa-solid-900": ("Solid", 900), "fa-brands-400": ("Brands", 400)}
FACE = """\
@font-face {{ font-family: "Icons {name}"; font-weight: {weight};
  src: url(data:font/woff;base64,{data}); }}
"""
STYLE = """\
:root {
  --fa-font-solid: 900 1em/1 "Icons Solid";
  --fa-font-brands: 400 1em/1 "Icons Brands";
}
.fas, .fa-solid, .fab, .fa-brands { display: inline-block; font: var(--fa-font-solid); }
.fab, .fa-brands { font: var(--fa-font-brands); }
.fa-lg { font-size: 1.25em; line-height: 0.05em; vertical-align: -0.075em; }
"""


def leave_whole_out(app, pagename, templatename, context, doctree) -> None:
    """Let the layout, in ``_templates``, take the theme's icon font out of its head."""
    tag = rf"<(?:link|script)\b[^>]*{WHOLE}[^>]*>(?:</script>)?"
    context["without_icon_font"] = lambda head: re.sub(tag, "", str(head))


def write_style_sheet(app, error) -> None:
    """Write the icons that pages and styles name, and remove the theme's fonts."""
    static = Path(app.outdir) / "_static"
    if error or app.builder.format != "html" or not (static / WHOLE).is_dir():
        return
    (folder,) = (static / WHOLE).iterdir()  # of the version
    whole = (folder / "css/all.min.css").read_text(encoding="utf-8")
    # Styles name an icon by its letter, pages by a class, which has a letter.
    styles = "".join(path.read_text("utf-8") for path in static.glob("styles/*.css"))
    pages = "".join(path.read_text("utf-8") for path in static.parent.rglob("*.html"))
    letters = {ord(letter) for letter in re.findall("[\ue000-\uf8ff]", styles)}
    letters |= {int(number, 16) for number in re.findall(r'"\\(f\w{3})"', styles)}
    rules = []
    for name in sorted(set(re.findall(r"\bfa-[a-z0-9-]+", pages))):
        if found := re.search(rf'\.{name}:before[^{{}}]*{{content:"\\(\w+)"', whole):
            letters.add(int(found[1], 16))
            rules.append(f'.{name}::before {{ content: "\\{found[1]}"; }}\n')
    faces = []
    for file, (name, weight) in FONTS.items():
        data = cut(folder / f"webfonts/{file}.ttf", sorted(letters))
        faces.append(FACE.format(name=name, weight=weight, data=data))
    text = "".join([*faces, STYLE, *rules])
    (static / STYLE_SHEET).write_text(text, encoding="utf-8")
    shutil.rmtree(static / "vendor")


def cut(path: Path, letters: list[int]) -> str:
    """Cut a font down to some letters; give it in base64."""
    options, file = subset.Options(flavor="woff", desubroutinize=True), io.BytesIO()
    font = subset.load_font(path, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=letters)
    subsetter.subset(font)
    subset.save_font(font, file, options)
    return base64.b64encode(file.getvalue()).decode()


def setup(app) -> None:
    """Connect the pieces."""
    app.add_css_file(STYLE_SHEET)
    app.connect("html-page-context", leave_whole_out)
    app.connect("build-finished", write_style_sheet)
