"""How the pages read: lines, figures, colours, terms, the keyboard, what they weigh."""

from __future__ import annotations

import gzip
import io
import re
import statistics
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from course import pages

PHONE = (390, 844)
PAGES = pages()
CHAPTERS = [name for name in PAGES if name.startswith("chapters/")]
INDEX = "book/index"

every_page = pytest.mark.parametrize("visited", PAGES, indirect=True)
every_chapter = pytest.mark.parametrize("visited", CHAPTERS, indirect=True)
themes = pytest.mark.parametrize("theme", ["light", "dark"])

IS_SET = """() => !window.MathJax || !MathJax.startup || !MathJax.startup.promise
    || MathJax.startup.promise.then(() => true)"""


def settle(page):
    """Wait for the formulas and the icons of a page."""
    page.wait_for_function(IS_SET)
    page.evaluate("() => document.fonts.ready.then(() => true)")


@pytest.fixture
def visit(new_page, book_html):
    """Open a page of the book as a file."""

    def open_page(name, **how):
        page = new_page(book_html / f"{name}.html", **how)
        settle(page)
        return page

    return open_page


@pytest.fixture(scope="module")
def visited(request, watched_pages, book_html):
    """A page of the book and the addresses that it asked for, for all tests of it.

    A page takes seconds to open. The tests that share it stand in an order: the first
    needs a fresh one, the last leaves it.
    """
    with watched_pages() as make:
        page, asked = make(), set()
        page.on("request", lambda sent: asked.add(sent.url))
        page.goto((book_html / f"{request.param}.html").as_uri())
        settle(page)
        yield page, asked


@pytest.fixture
def page(visited):
    """A page of the book, shared by the tests of it."""
    return visited[0]


# -- the keyboard ----------------------------------------------------------------------


@every_page
def test_the_first_stop_skips_to_the_text_and_no_formula_is_one(page):
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to main content"
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash === '#main-content'")
    formulas = page.locator("mjx-container")
    assert formulas.locator("xpath=descendant-or-self::*[@tabindex]").count() == 0
    spoken = formulas.locator("mjx-assistive-mml math")
    assert spoken.count() == formulas.count()


def test_every_stop_shows_that_it_has_the_focus(visit):
    page = visit(CHAPTERS[0])
    for _ in range(40):
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        if focus.locator("xpath=ancestor::*[contains(@class, 'ramlib')]").count():
            continue  # a widget shows it in its own way
        style = focus.evaluate("""e => {
            const {outlineStyle, outlineWidth, boxShadow} = getComputedStyle(e);
            return [outlineStyle, parseFloat(outlineWidth), boxShadow];
        }""")
        ring = style[0] != "none" and style[1] >= 2
        assert ring or style[2] != "none", focus.evaluate("e => e.outerHTML")


# -- what a page weighs ----------------------------------------------------------------

ICONS = """() => [...document.querySelectorAll(".fas, .fa-solid, .fab, .fa-brands")]
    .filter((icon) => icon.checkVisibility())
    .map((icon) => [icon.className, getComputedStyle(icon, "::before").content,
        getComputedStyle(icon).fontFamily, icon.getBoundingClientRect().width])"""


@every_page
def test_a_page_loads_only_what_it_shows(visited):
    page, asked = visited
    paths = [urlsplit(url).path for url in asked if url.startswith("file:")]
    files = {Path(unquote(path)) for path in paths}
    weight = sum(len(gzip.compress(file.read_bytes())) for file in files)
    formulas = page.locator(".math").count()
    assert weight <= (1_200_000 if formulas else 600_000)
    assert any("mathjax" in file.parts for file in files) == (formulas > 0)
    assert not [file for file in files if "vendor" in file.parts]
    icons = page.evaluate(ICONS)
    assert len(icons) >= 5
    fonts = page.evaluate("[...document.fonts].map((one) => [one.family, one.status])")
    for what, letter, family, width in icons:
        assert re.fullmatch('"[\ue000-\uf8ff]"', letter), what
        assert [family.strip('"'), "loaded"] in fonts and width > 6, what


# -- lines -----------------------------------------------------------------------------

# Of every paragraph of plain text: the letters of each line but the last.
LINES = """() => [...document.querySelectorAll("article p")].flatMap((p) => {
    const other = p.closest(".ramlib, figcaption, table");
    if (other || p.querySelector("mjx-container, img")) return [];
    const walker = document.createTreeWalker(p, NodeFilter.SHOW_TEXT);
    const lines = new Map();
    const range = document.createRange();
    for (let text; (text = walker.nextNode()); )
        for (let i = 0; i < text.length; i++) {
            range.setStart(text, i);
            range.setEnd(text, i + 1);
            const box = range.getClientRects()[0];
            const line = box && Math.round(box.bottom / 10); // code sits a bit lower
            if (box?.width) lines.set(line, (lines.get(line) ?? 0) + 1);
        }
    return [...lines].sort(([a], [b]) => a - b).map(([, count]) => count).slice(0, -1);
})"""
SIZE = "e => parseFloat(getComputedStyle(e).fontSize)"


@every_page
def test_lines_are_no_longer_than_an_eye_follows(page):
    for width in (1280, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        letters = page.evaluate(LINES)
        assert statistics.median(letters) <= 75
        assert statistics.quantiles(letters, n=10)[-1] <= 78


@every_chapter
def test_code_and_figures_are_wider_than_the_lines(page):
    page.set_viewport_size({"width": 1280, "height": 900})
    wide = "all => Math.max(...all.map((one) => one.getBoundingClientRect().width))"
    lines, code, papers, captions = (
        page.locator(f"article {part}").evaluate_all(wide)
        for part in ("section > p", ".cell_input", ".book-paper", "figcaption > p")
    )
    assert captions <= lines < papers <= code
    size = page.locator(".cell_input pre").first.evaluate(SIZE)
    assert 13 <= size <= 13.5
    assert code >= 88 * 0.6 * size + 2 * 16  # no letter of a line of 88 is hidden


@every_chapter
def test_captions_stand_apart_from_the_text(page):
    color = "e => getComputedStyle(e).color"
    text, captions = (
        page.locator("section > p").first,
        page.locator("figure.align-default"),
    )
    assert captions.count() > 0
    for caption in captions.locator("figcaption p").all():
        assert caption.evaluate(SIZE) < 0.9 * text.evaluate(SIZE)
        assert caption.evaluate(color) != text.evaluate(color)


# -- figures ---------------------------------------------------------------------------

SMALLEST = 6.5 * 110 / 72  # pixels: the digits below a bar chart, as figures.py draws
SHOWN = "image => image.getBoundingClientRect().width / image.naturalWidth"


@pytest.mark.parametrize("name", CHAPTERS)
def test_figures_are_legible_on_a_phone_and_scroll_by_themselves(visit, name):
    page = visit(name, viewport=PHONE, touch=True)
    papers = page.locator(".book-paper").all()
    assert papers
    for paper in papers:
        assert SMALLEST * paper.locator("img").evaluate(SHOWN) >= 9
        edges = "e => [e.scrollWidth - e.clientWidth, e.getBoundingClientRect().right]"
        beyond, right = paper.evaluate(edges)
        assert right <= PHONE[0]
        if paper.locator("img").bounding_box()["width"] > right:
            assert beyond > 0
            paper.evaluate("paper => paper.scrollBy(1e4, 0)")
            assert paper.locator("img").bounding_box()["x"] < 0
        caption = paper.locator("xpath=following-sibling::figcaption").bounding_box()
        assert caption["x"] >= 0  # it stays where it is


def seen(locator) -> np.ndarray:
    """Look at a part of a page: (H, W, 3) of numbers from 0 to 255."""
    return np.array(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(
        int
    )


@themes
def test_a_figure_keeps_its_colours_and_dims_its_white(visit, book_html, theme):
    page = visit("chapters/07_reinforce", viewport=PHONE, color_scheme=theme)
    paper = page.locator("#fig-07-surface .book-paper")
    source = paper.locator("img").get_attribute("src")
    file = (book_html / "chapters" / source).resolve()
    left = np.array(Image.open(file).convert("RGB"))[:, :250]  # what can be seen
    colors, counts = np.unique(left.reshape(-1, 3), axis=0, return_counts=True)
    found = seen(paper)
    ground = found[4, 100]
    assert (ground == 255).all() if theme == "light" else 150 < ground.min() < 225
    shown = set(map(tuple, found.reshape(-1, 3).tolist()))
    for color in colors[counts > 20].tolist():
        assert tuple(np.minimum(color, ground).tolist()) in shown
    beside = found[100:, -2].max(-1)  # the shadow says that there is more
    assert beside.min() < 60 or beside.max() < ground.min() - 20


# -- colours ---------------------------------------------------------------------------

# Every visible text whose contrast to what is behind it is too low.
TOO_FAINT = """() => {
    const canvas = document.createElement("canvas").getContext("2d");
    const known = new Map();
    const parse = (color) => {
        if (!known.has(color)) {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = color;
            canvas.fillRect(0, 0, 1, 1);
            const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
            known.set(color, [r, g, b, a / 255]);
        }
        return known.get(color);
    };
    const over = ([r, g, b, a], [R, G, B, A]) => {
        const alpha = a + A * (1 - a);
        const mix = (x, X) => (alpha ? (x * a + X * A * (1 - a)) / alpha : 0);
        return [mix(r, R), mix(g, G), mix(b, B), alpha];
    };
    const linear = (x) =>
        x <= 10 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) =>
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const bad = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    for (let text; (text = walker.nextNode()); ) {
        const own = text.parentElement;
        const unread = "svg, script, style, mjx-container, option";
        if (!text.data.trim() || own.closest(unread)) continue;
        if (!own.checkVisibility({opacityProperty: true, visibilityProperty: true}))
            continue;
        range.selectNodeContents(text);
        const box = range.getBoundingClientRect();
        if (box.width < 2 || box.height < 2) continue;
        const style = getComputedStyle(own);
        let [behind, opacity] = [[0, 0, 0, 0], 1];
        for (let node = own; node && behind[3] < 1; node = node.parentElement) {
            behind = over(behind, parse(getComputedStyle(node).backgroundColor));
            opacity *= getComputedStyle(node).opacity;
        }
        behind = over(behind, [255, 255, 255, 1]);
        const [r, g, b, a] = parse(style.color);
        const [x, y] = [over([r, g, b, a * opacity], behind), behind].map(luminance);
        const contrast = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        if (contrast < (large ? 3 : 4.5))
            bad.push(`${contrast.toFixed(2)}: ${text.data.trim().slice(0, 60)}`);
    }
    return [...new Set(bad)];
}"""


@every_page
def test_every_text_stands_out_from_its_ground(page):
    page.add_style_tag(content="* { transition: none !important; }")
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function(f"document.documentElement.dataset.theme == '{theme}'")
        assert page.evaluate(TOO_FAINT) == [], theme


def test_the_measure_of_contrast_is_right(new_page, tmp_path):
    """Against numbers that are known: black on white is 21, #767676 on white 4.54."""
    texts = {
        "fine": "color: #767676",
        "faint": "color: #777",
        "pale": "color: #000; opacity: 0.5",
        "large": "color: #949494; font-size: 24px",
        "dark": "color: #fff; background: #0008",
    }
    body = "".join(f'<p style="{how}">{name}</p>' for name, how in texts.items())
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><title>x</title><body>{body}", encoding="utf-8")
    found = new_page(path).evaluate(TOO_FAINT)
    assert found == ["4.48: faint", "3.98: pale", "4.48: dark"]


@themes
def test_chosen_colours_leave_figures_terms_and_focus(visit, theme):
    page = visit("chapters/07_reinforce", forced_colors="active", color_scheme=theme)
    assert seen(page.locator("#fig-07-surface .book-paper")).mean() > 100
    term = page.locator(".book-term").first
    link, text = (
        one.evaluate("e => getComputedStyle(e).color")
        for one in (term, page.locator("section > p").first)
    )
    assert link != text
    term.evaluate("term => term.focus({focusVisible: true})")
    style = term.evaluate(
        "e => (({outlineStyle, outlineWidth}) => [outlineStyle, "
        "parseFloat(outlineWidth)])(getComputedStyle(e))"
    )
    assert style[0] == "solid" and style[1] >= 2


# -- terms -----------------------------------------------------------------------------

POPPED = """term => {
    const style = getComputedStyle(term, "::after");
    return [style.display, style.content];
}"""


@every_chapter
def test_a_term_leads_to_its_definition_and_brings_it(page):
    mentions = page.locator("article .book-term").evaluate_all(
        "all => all.map((one) => [one.textContent, one.hash, one.ariaDescription])"
    )
    assert len(mentions) == len({place for _, place, _ in mentions}) >= 8  # each once
    odd = page.locator(":is(h1, h2, h3, pre, code, a, figcaption) .book-term")
    assert odd.count() == 0
    page.locator("article .book-term:visible").first.click()
    page.wait_for_url("**/glossary.html" + mentions[0][1])
    entries = page.locator("dl.glossary > dt").evaluate_all(
        "all => all.map((dt) => ['#' + dt.id, [dt.firstChild.textContent,"
        " dt.parentElement.querySelector(`#${dt.id} ~ dd`).innerText]])"
    )
    for word, place, said in mentions:
        term, text = dict(entries)[place]
        stem = re.sub("y$", "", term.lower()).replace(" ", "[ -]")
        assert re.fullmatch(f"{stem}(y|ies|e?s)?", word.lower().replace("\n", " "))
        assert text.startswith(said) and said.endswith(".")


def test_a_definition_comes_to_a_mouse_and_to_the_keyboard(visit):
    page = visit(CHAPTERS[0], viewport=(400, 800))
    for term in page.locator(".book-term:visible").all()[:6]:
        definition = term.get_attribute("aria-description")
        assert term.evaluate(POPPED) == ["none", f'"{definition}" / ""']
        term.evaluate("term => term.focus({focusVisible: true})")
        assert term.evaluate(POPPED)[0] == "block"
        page.keyboard.press("Escape")
        assert term.evaluate(POPPED)[0] == "none"
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 400
        term.evaluate("term => term.blur()")
        term.hover()
        assert term.evaluate(POPPED)[0] == "block"
        page.mouse.move(1, 1)
