"""A browser for tests of the page: Debian's chromium, and a watch on everything that goes wrong in it.

Knows nothing of what the page shows.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

try:
    from playwright.sync_api import Browser, Page, expect, sync_playwright
except ImportError:  # then CHROMIUM is None, and who would browse is skipped
    Browser = Page = expect = sync_playwright = None  # type: ignore

CHROMIUM = shutil.which("chromium") if sync_playwright else None
SECONDS = 10.0  # for anything that is waited for
EXPECTED = ("Failed to load resource",)  # the console tells of refused requests, and tests ask for those


class Browsing:
    """A browser that was started."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._idle: dict[
            str, Any
        ] = {}  # a page of each server; to begin anew in it takes half as long as a new one

    @contextmanager
    def pages(self, url: str) -> Iterator[Callable[..., Any]]:
        """Opens pages that know nothing of each other; fails at the end where something went wrong in one of them."""
        used, wrong = [], list[str]()

        def opened(*, ready: bool = True, **options: Any) -> Any:
            page = None if options else self._idle.pop(url, None)
            page = page or self._browser.new_context(**{"locale": "en-GB", **options}).new_page()
            used.append((page, not options))
            page.set_default_timeout(SECONDS * 1000)
            watch(page, url, wrong)
            page.goto(url)
            if ready:
                page.wait_for_selector(".beginning")
            return page

        try:
            yield opened
        finally:
            for page, reusable in used:
                self._put_away(page, url) if reusable and url not in self._idle else page.context.close()
        assert wrong == []

    def _put_away(self, page: Any, url: str) -> None:
        """Nothing of what was done in it is left."""
        page.unroute_all()
        page.goto(f"{url}/page/icon.svg")
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        for event, listener in page.watching.items():
            page.remove_listener(event, listener)
        page.set_viewport_size({"width": 1280, "height": 720})
        self._idle[url] = page


def watch(page: Any, url: str, wrong: list[str]) -> None:
    """Script errors, what the console warns of (the policy among it), and requests to anywhere else."""

    def said(message: Any) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(EXPECTED):
            wrong.append(f"console: {message.text}")

    def failed(error: Any) -> None:
        wrong.append(f"script: {error}")

    def requested(request: Any) -> None:
        if not request.url.startswith((url, "blob:", "data:")):
            wrong.append(f"request: {request.url}")

    page.watching = {"console": said, "pageerror": failed, "request": requested}
    for event, listener in page.watching.items():
        page.on(event, listener)


@contextmanager
def browsing() -> Iterator[Browsing]:
    assert CHROMIUM is not None
    assert sync_playwright is not None
    assert expect is not None
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield Browsing(browser)
        finally:
            browser.close()
