"""A browser, pages that are watched, and the book served on this machine."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

LOCAL_SCHEMES = {"file", "data", "blob", "about", "chrome", "chrome-extension"}
LOCAL_HOSTS = {"127.0.0.1", "localhost"}
LIVE_PAGE = """<!doctype html><html lang="en" data-content_root="./">
<meta charset="utf-8"><title>Widgets</title>
<meta name="viewport" content="width=device-width, initial-scale=1">"""


def is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in LOCAL_SCHEMES or parts.hostname in LOCAL_HOSTS


def chromium() -> str | None:
    """The system's Chromium, if there is one; otherwise playwright's own is tried."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = (os.environ.get("CHROMIUM"), *map(shutil.which, names))
    return next(filter(None, found), None)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; without one the tests are skipped, or fail if required."""
    required = os.environ.get("RAMLIB_REQUIRE_BROWSER") == "1"
    give_up = pytest.fail if required else pytest.skip
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        give_up(f"playwright cannot be imported: {error}")

    with sync_playwright() as playwright:
        how = {"executable_path": chromium(), "args": ["--disable-gpu"]}
        try:
            launched = playwright.chromium.launch(**how)
        except Error as error:
            give_up(
                "no browser: install Chromium (`apt-get install chromium`, or "
                "`python -m playwright install chromium`), or name one in $CHROMIUM; "
                + str(error).splitlines()[0]
            )
        yield launched
        launched.close()


@contextlib.contextmanager
def watched(browser):
    """Open pages, each in a fresh context; in the end all must be clean.

    It gives ``make(target=None, *, viewport=(1280, 900), touch=False, allow=(),
    **options)``, which makes playwright's page of ``target``, a Path or an address.
    ``allow`` lists pieces of text of console errors that are not ours; the options are
    those of playwright's ``new_context``. Nothing may go wrong on a page, be wider than
    it, or be asked of another machine; such requests are refused.
    """
    pages, errors = [], []

    def make(target=None, *, viewport=(1280, 900), touch=False, allow=(), **options):
        size = dict(zip(("width", "height"), viewport, strict=True))
        options |= {"viewport": size, "has_touch": touch, "is_mobile": touch}
        context = browser.new_context(**options)
        context.set_default_timeout(15_000)
        page = context.new_page()
        pages.append(page)

        def refuse(route):
            errors.append(f"outside: {route.request.url}")
            route.abort()

        def note_error(text: str) -> None:
            if not any(piece in text for piece in allow):
                errors.append(text)

        def note_console(message) -> None:
            if message.type == "error":
                note_error(f"console: {message.text} {message.location}")

        context.route(lambda url: not is_local(url), refuse)
        page.on("console", note_console)
        page.on("pageerror", lambda error: note_error(f"page: {error}"))
        if target is not None:
            page.goto(target.resolve().as_uri() if isinstance(target, Path) else target)
        return page

    yield make
    for page in pages:
        width = page.viewport_size["width"]  # innerWidth grows with what is too wide
        across = page.evaluate("document.scrollingElement.scrollWidth")
        if (over := across - width) > 0:
            errors.append(f"{page.url} scrolls sideways, by {over} pixels")
        page.context.close()
    assert not errors, "\n".join(errors)


@pytest.fixture(scope="session")
def watched_pages(browser):
    """Open pages for longer than a test: ``with watched_pages() as make``."""
    return functools.partial(watched, browser)


@pytest.fixture
def new_page(watched_pages):
    """Open pages that must be clean when the test ends; see `watched`."""
    with watched_pages() as make:
        yield make


@pytest.fixture(scope="session")
def live_scripts():
    """The scripts that the book keeps for its live widgets, by name."""
    from live_scripts import scripts

    return scripts()


@pytest.fixture
def live_page(new_page, tmp_path, live_scripts):
    """Open a page of widgets that stands in a folder with the book's live scripts."""

    def open_page(*widgets, scripts=(), **how):
        folder = tmp_path / "_static/live"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {**live_scripts, **dict(scripts)}.items():
            (folder / f"{name}.js").write_text(text, encoding="utf-8")
        path, between = tmp_path / "page.html", "<p>Between.</p>"
        path.write_text(LIVE_PAGE + between.join(widgets), encoding="utf-8")
        page = new_page(path, **how)
        page.wait_for_function(
            f"document.querySelectorAll('.ramlib-ready').length == {len(widgets)}"
        )
        return page

    return open_page


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass

    def send_error(self, code, message=None, explain=None) -> None:
        # A page may ask for an icon that nobody provides; that is no error of ours.
        if code == 404 and self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().send_error(code, message, explain)


@pytest.fixture(scope="session")
def book_url(book_html) -> str:
    """The built book served on this machine: the address of its root, with a slash."""
    handler = functools.partial(QuietHandler, directory=str(book_html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
