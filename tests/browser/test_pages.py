"""Every built page, as a reader's browser shows it."""

from __future__ import annotations

import re

import pytest

from course import ROOT, address, colab_address, pages

DESKTOP, PHONE = (1280, 900), (390, 844)
PAGES = pages()
CHAPTERS = [name for name in PAGES if name.startswith("chapters/")]

every_page = pytest.mark.parametrize("name", PAGES)
every_chapter = pytest.mark.parametrize("name", CHAPTERS)

MATH = """() => ({
    written: document.querySelectorAll(".math").length,
    set: document.querySelectorAll(".math mjx-container").length,
    wrong: [...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(
        (node) => node.textContent),
})"""

ACROSS = "() => document.scrollingElement.scrollWidth"
THEME = "() => document.documentElement.dataset.theme"
UNSEEN = """() => [...document.querySelectorAll("main img")]
    .filter((image) => !image.complete || image.naturalWidth === 0)
    .map((image) => image.src.slice(0, 100))"""


def assert_math_is_set(page) -> None:
    """Wait until the formulas are set: every one, and none in error."""
    page.wait_for_function(
        "() => !window.MathJax || !MathJax.startup || !MathJax.startup.promise"
        " || MathJax.startup.promise.then(() => true)"
    )
    math = page.evaluate(MATH)
    assert math["written"] == math["set"] and not math["wrong"], math


@every_page
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_is_sound(new_page, book_url, name, theme):
    page = new_page(f"{book_url}{name}.html", color_scheme=theme, touch=True)
    assert_math_is_set(page)
    assert page.evaluate(THEME) == theme
    assert page.evaluate(UNSEEN) == [], "pictures that do not show"
    for width, height in (DESKTOP, PHONE):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(ACROSS) <= width, f"scrolls sideways at {width} pixels"


@every_page
def test_page_opens_as_a_file(new_page, book_html, name):
    page = new_page(book_html / f"{name}.html")
    assert_math_is_set(page)


@every_page
def test_page_reads_without_scripts(new_page, book_url, name):
    page = new_page(f"{book_url}{name}.html", java_script_enabled=False)
    assert page.locator("article h1").first.is_visible()
    assert len(page.locator("article").first.inner_text()) > 500


def test_the_first_page_leads_to_the_book(new_page, book_url):
    page = new_page(book_url)
    page.wait_for_url("**/book/index.html")
    assert "Where to Look" in page.title()


def test_search_finds_a_term(new_page, book_url):
    page = new_page(f"{book_url}book/index.html")
    page.keyboard.press("Control+k")
    field = page.locator("input[type=search]:visible").first
    field.fill("summed-area")
    field.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    results = page.locator("#search-results li a")
    results.first.wait_for()
    found = results.evaluate_all("links => links.map((link) => link.href)")
    assert any("glossary" in link for link in found), found


def test_copy_button_copies(new_page, book_url):
    page = new_page(f"{book_url}book/index.html")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block = page.locator("div.highlight").first
    block.hover()
    block.locator("button.copybtn").click()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied.strip() == block.locator("pre").inner_text().strip()


@every_chapter
def test_buttons_copy_every_code_cell_and_open_colab(new_page, book_url, name):
    page = new_page(f"{book_url}{name}.html")
    cells = page.locator(".cell_input div.highlight")
    buttons = page.locator(".cell_input button.copybtn")
    assert cells.count() == buttons.count() > 0
    page.locator(".dropdown-launch-buttons > button").click()
    button = page.locator(".dropdown-launch-buttons a", has_text="Colab")
    assert button.is_visible()
    assert button.get_attribute("href") == colab_address(f"{name}.ipynb")
    badge = page.get_by_role("img", name="Open in Colab", exact=True).first
    assert badge.evaluate("image => image.naturalWidth") > 0


@every_page
def test_edit_link(new_page, book_url, name):
    page = new_page(f"{book_url}{name}.html")
    page.locator(".dropdown-source-buttons > button").click()
    link = page.locator(".dropdown-source-buttons a", has_text=re.compile("edit", re.I))
    assert link.is_visible()
    suffix = next(ROOT.glob(f"{name}.*")).suffix
    assert link.get_attribute("href") == f"{address()}/edit/main/{name}{suffix}"


def test_theme_can_be_switched(new_page, book_url):
    page = new_page(f"{book_url}book/index.html")
    seen = set()
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").first.click()
        seen.add(page.evaluate(THEME))
    assert seen == {"light", "dark"}


@every_chapter
def test_questions_unfold(new_page, book_url, name):
    page = new_page(f"{book_url}{name}.html", viewport=PHONE, touch=True)
    answers = page.locator("main details:not([class]):visible")
    assert answers.count() >= 3
    answers.first.locator("summary").tap()
    assert answers.first.evaluate("details => details.open")
