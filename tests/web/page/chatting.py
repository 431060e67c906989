"""What the script of the tests answers, and how a test asks the page and reads what came."""

from __future__ import annotations

from typing import Any

from tests.web.page.browsing import expect

WORDS = " ".join(f"word{n}" for n in range(70))
LONG = "\n\n".join(f"Paragraph {n} " + "goes on and on. " * 12 for n in range(40))
HOSTILE = """<script>window.hacked = 1</script><img src="https://evil.example/a.png" onerror="window.hacked = 2">
<svg onload="window.hacked = 3"></svg> <iframe src="https://evil.example"></iframe>

[click](javascript:window.hacked=4) [data](data:text/html,<script>window.hacked=5</script>) [x](JaVaScRiPt:alert(1))
![picture](https://evil.example/b.png) ![x](javascript:alert(1)) [tab](java\tscript:alert(1)) <javascript:alert(1)>
[break](https://ok.example/"onmouseover="window.hacked=6) [//](//evil.example) [rel](/v1/models) &lt;b&gt; &#106;avascript:

```html" onclick="window.hacked=7
<script>window.hacked = 8</script>
```

| a | <img src=x onerror="window.hacked=9"> |
|---|---|
| `<b>` | **<script>window.hacked = 10</script>** |

# <a href="javascript:window.hacked=11">head</a>
- [ ] <input autofocus onfocus="window.hacked=12">
<style>@import "https://evil.example/c.css"; body { display: none }</style>
<base href="https://evil.example/"><meta http-equiv="refresh" content="0;url=https://evil.example">
\u202egnp.exe\u202c \u0007bell \ufffc [right\u202eleft](https://rtl.example/\u202e)
"""
HOSTILE_DEEP = "> " * 3000 + "deep\n\n" + "- " * 3000 + "x\n\n" + "**a _b " * 2000 + "\n\n" + "[" * 5000

ANSWERS = {
    "many words": WORDS,
    "long text": LONG,
    "hostile": HOSTILE,
    "deep": HOSTILE_DEEP,
    "dial": "r is {r}",
    "draw": "drawn with {seed}",
    "calculate": "So 2 and 2 is <|python_start|>2+2<|python_end|>, that is **four**.",
    "in vain": "<|python_start|>1/0<|python_end|> is nothing.",
    "japanese": "はい、**「強調」**です。🙂",
    "code": "Look:\n\n```python\nprint(1)  # one\n```\n",
}
DIALS = {"r": {"default": 4, "least": 1, "most": 16}}


def ask(page, text: str, *, wait: bool = True) -> None:
    page.fill("#composer", text)
    page.keyboard.press("Enter")
    if wait:
        wait_for_answer(page)


def wait_for_answer(page) -> None:
    expect(page.locator(".answer").last).to_have_attribute("aria-busy", "false")


def answer(page):
    return page.locator(".answer").last


def prose(page):
    return page.locator(".answer .prose").last


def requests_of(page) -> list[dict[str, Any]]:
    """Bodies of the requests for answers, as they are sent from now on."""
    bodies: list[dict[str, Any]] = []
    page.on("request", lambda r: bodies.append(r.post_data_json) if r.url.endswith("/completions") else None)
    return bodies
