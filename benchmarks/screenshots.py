"""Take the README's pictures of the chat page: docs/chat-light.png, docs/chat-dark.png, docs/chat-phone.png.

    python benchmarks/screenshots.py

The page and the server are the real ones; the model is a script, so the pictures show the page and measure nothing.
Needs Debian's chromium and the developer tools (`pip install -e '.[dev]'`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from PIL import Image

from runtime.chat.conversation import Chat
from tests.web.page.browsing import CHROMIUM, Browsing, browsing
from tests.web.scripted import ScriptedEngine, on_loopback, small_tokenizer
from web.app import make_app
from web.replica import Replica
from web.service import Service

DOCS = Path(__file__).parents[1] / "docs"
LARGEST = 200_000  # bytes of a picture
DIALS = {"r": {"default": 4, "least": 1, "most": 16}}
FACTS = {"step": 21_400, "trained": "2026-10-03", "parameters": 542_035_200}

TILES = "A wall is 3.6 m wide and 2.1 m high. How many tiles of 15 cm do I need?"
RECURSION = "Explain recursion with a small example in Python"
ANSWERS = {
    "tiles": """Count the tiles in both directions:

| direction | wall | tiles |
|:--|--:|--:|
| across | 360 cm | 24 |
| down | 210 cm | 14 |

That makes <|python_start|>24*14<|python_end|> tiles. Take a tenth more for cuts, so **370**. The same as a function:

```python
from math import ceil

def tiles(width, height, side=15, spare=0.1):
    # all lengths in centimetres
    count = ceil(width / side) * ceil(height / side)
    return ceil(count * (1 + spare))

print(tiles(360, 210))  # 370
```""",
    "recursion": """A function is *recursive* when it calls itself on a smaller problem, until the problem is so small
that the answer is plain.

```python
def factorial(n: int) -> int:
    if n <= 1:
        return 1  # the plain case
    return n * factorial(n - 1)

print(factorial(5))
```

1. `factorial(5)` asks for `factorial(4)`, and so on down to 1.
2. Then the products are made on the way back: <|python_start|>5*4*3*2*1<|python_end|>.

> Without the plain case it would never stop.""",
    "": "Sunlight is scattered by the air, and blue is scattered most.",
}
EARLIER = (
    "Why is the sky blue?",
    "俳句を一つ作ってください",
    "A name for a grey cat",
    "Who was Ada Lovelace?",
)


@contextmanager
def server() -> Iterator[str]:
    tokenizer = small_tokenizer()
    engine = ScriptedEngine(tokenizer, ANSWERS, delay=0.006, dials=DIALS)
    service = Service(
        "saint_iberis_d20/sft", Chat(tokenizer), tokenizer, (Replica(engine),), FACTS, tokens=2_048
    )
    with on_loopback(make_app(service)) as url:
        yield url


def ask(page: Any, question: str) -> None:
    page.fill("#composer", question)
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector(".answer:last-child .figures", timeout=30_000)


def fill(page: Any) -> None:
    """Conversations of some days, the newest of them shown."""
    for question in (*EARLIER, RECURSION, TILES):
        page.evaluate("location.hash = ''")
        page.wait_for_selector(".beginning")
        ask(page, question)
    page.evaluate(
        """() => Object.keys(localStorage).filter((name) => name.startsWith("nanogen:conversation:")).map((name) =>
            [name, JSON.parse(localStorage[name])]).sort(([, one], [, other]) => other.changed - one.changed).forEach(
            ([name, kept], days) => localStorage.setItem(name, JSON.stringify({ ...kept, changed: kept.changed -
              Math.max(0, days - 1) * 86400000 })))"""
    )


def shoot(page: Any, name: str) -> None:
    path = DOCS / f"chat-{name}.png"
    page.wait_for_timeout(400)
    page.screenshot(path=path)
    with Image.open(path) as taken:
        taken.convert("RGB").save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path}: {size:,} bytes")
    assert size < LARGEST, path


def take(browser: Browsing, url: str) -> None:
    with browser.pages(url) as opened:
        page = opened(viewport={"width": 1160, "height": 860}, device_scale_factor=1.5)
        fill(page)
        page.reload()
        shoot(page, "light")
        state = page.context.storage_state()
        dark = opened(
            viewport={"width": 1160, "height": 860},
            device_scale_factor=1.5,
            color_scheme="dark",
            storage_state=state,
        )
        dark.get_by_role("link", name=RECURSION).click()
        dark.locator("#composer").click()
        shoot(dark, "dark")
        phone = opened(
            viewport={"width": 390, "height": 780},
            device_scale_factor=2,
            is_mobile=True,
            has_touch=True,
            storage_state=state,
        )
        phone.evaluate("document.querySelector('.conversations a').click()")
        shoot(phone, "phone")


def main() -> int:
    if CHROMIUM is None:
        print("chromium or playwright is not there", file=sys.stderr)
        return 1
    with browsing() as browser, server() as url:
        take(browser, url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
