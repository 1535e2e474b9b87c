"""A browser, pages that are watched, and the book served on this machine.

``new_page`` opens a page in a fresh context and returns a ``Visit``: it has the
playwright ``page``, what went wrong on it (``errors``) and every request that would
have left this machine (``outside``; such requests are refused).
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

LAUNCH = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
LOCAL_SCHEMES = {"file", "data", "blob", "about", "chrome", "chrome-extension"}
LOCAL_HOSTS = {"127.0.0.1", "localhost"}

DESKTOP = (1280, 900)
PHONE = (390, 844)


def is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in LOCAL_SCHEMES or parts.hostname in LOCAL_HOSTS


@dataclass
class Visit:
    """One page in one fresh browser context, and what was seen while it was open."""

    page: object
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def open(self, target: str | Path, *, wait: str = "load") -> Visit:
        """Go to an address, or to a file, and wait until it has loaded."""
        url = target.resolve().as_uri() if isinstance(target, Path) else target
        self.page.goto(url, wait_until=wait)
        return self

    def assert_clean(self) -> None:
        """Nothing went wrong on the page and nothing was asked of another machine."""
        assert not self.errors, "\n".join(self.errors)
        assert not self.outside, "\n".join(self.outside)

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return self.page.evaluate(
            "() => document.scrollingElement.scrollWidth - window.innerWidth"
        )

    def close(self) -> None:
        self.page.context.close()


def chromium() -> str | None:
    """The system's Chromium, if there is one; otherwise playwright's own is tried."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; without one the tests are skipped, or fail if required."""
    required = os.environ.get("RAMLIB_REQUIRE_BROWSER") == "1"
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        reason = f"playwright cannot be imported: {error}"
        pytest.fail(reason) if required else pytest.skip(reason)

    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(
                executable_path=chromium(), args=LAUNCH
            )
        except Error as error:
            reason = (
                "no browser: install Chromium (`apt-get install chromium`, or "
                "`python -m playwright install chromium`), or name one in $CHROMIUM; "
                + str(error).splitlines()[0]
            )
            pytest.fail(reason) if required else pytest.skip(reason)
        yield launched
        launched.close()


@pytest.fixture
def new_page(browser):
    """Open watched pages; they are closed when the test ends.

    ``new_page(target=None, *, theme="light", viewport=(1280, 900), javascript=True,
    touch=False, reduced_motion=False, allow=())``: ``target`` is a Path or an address;
    ``allow`` lists pieces of text of console errors that are not ours.
    """
    visits: list[Visit] = []

    def make(
        target: str | Path | None = None,
        *,
        theme: str = "light",
        viewport: tuple[int, int] = DESKTOP,
        javascript: bool = True,
        touch: bool = False,
        reduced_motion: bool = False,
        allow: tuple[str, ...] = (),
    ) -> Visit:
        context = browser.new_context(
            color_scheme=theme,
            viewport={"width": viewport[0], "height": viewport[1]},
            java_script_enabled=javascript,
            has_touch=touch,
            is_mobile=touch,
            reduced_motion="reduce" if reduced_motion else "no-preference",
        )
        context.set_default_timeout(15_000)
        visit = Visit(context.new_page())
        visits.append(visit)

        def refuse(route):
            visit.outside.append(route.request.url)
            route.abort()

        def note_error(text: str) -> None:
            if not any(piece in text for piece in allow):
                visit.errors.append(text)

        def note_console(message) -> None:
            if message.type == "error":
                note_error(f"console: {message.text} {message.location}")

        context.route(lambda url: not is_local(url), refuse)
        visit.page.on("console", note_console)
        visit.page.on("pageerror", lambda error: note_error(f"page: {error}"))
        if target is not None:
            visit.open(target)
        return visit

    yield make
    for visit in visits:
        visit.close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass

    def send_error(self, code, message=None, explain=None) -> None:
        # A page may ask for an icon that nobody provides; that is no error of ours.
        if code == 404 and self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
            return
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
