"""One browser for the tests of a file, and pages of a server of scripted engines. Skipped where none is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.web.page.browsing import CHROMIUM, Browsing, browsing
from tests.web.page.chatting import ANSWERS, DIALS
from tests.web.scripted import on_loopback, scripted_app


@pytest.fixture(scope="module")  # not longer: while it runs, this thread runs no other event loop
def browser() -> Iterator[Browsing]:
    if CHROMIUM is None:
        pytest.skip("chromium or playwright is not there")
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with on_loopback(scripted_app(ANSWERS, dials=DIALS)) as url:
        yield url


@pytest.fixture(scope="module")
def slow_url() -> Iterator[str]:
    """Of a server that writes the words in two seconds, for what happens meanwhile."""
    with on_loopback(scripted_app(ANSWERS, dials=DIALS, delay=0.003)) as url:
        yield url


@pytest.fixture
def open_page(browser, url) -> Iterator[Callable[..., Any]]:
    """Open the page in a fresh context; at the end nothing may have gone wrong in it, nor left this machine."""
    with browser.pages(url) as opened:
        yield opened


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def slow_page(browser, slow_url):
    with browser.pages(slow_url) as opened:
        yield opened()


@pytest.fixture(scope="module")
def bench(browser, url):
    """A page whose modules are called one by one."""
    with browser.pages(url) as opened:
        yield opened()
