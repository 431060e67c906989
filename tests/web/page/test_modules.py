"""What is inside the page beside Markdown: its stream reader, its files, its strings, and what its source may hold."""

from __future__ import annotations

import json
import re
from urllib.request import urlopen

import pytest

from web.service import PAGE

FILES = sorted(PAGE.iterdir())
SCRIPTS = {path.name: path.read_text() for path in FILES if path.suffix == ".js"}
ALL_SCRIPTS = "\n".join(text for name, text in SCRIPTS.items() if name != "strings.js")
LONGEST_FILE = 450  # lines

# -- the stream

READ = """async (chunks) => {
  const { EventReader } = await import("/page/sse.js");
  const reader = new EventReader();
  return chunks.flatMap((bytes) => reader.feed(new Uint8Array(bytes)));
}"""

STREAMS = {
    "one": ("data: a\n\n", ["a"]),
    "without a blank": ("data:a\n\ndata:  b\n\n", ["a", " b"]),
    "crlf": ("data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
    "cr": ("data: a\r\rdata: b\r\r: end\r", ["a", "b"]),
    "several lines, crlf": ("data: a\r\ndata: b\r\n\r\n", ["a\nb"]),
    "several lines": ("data: a\ndata\ndata: b\n\n", ["a\n\nb"]),
    "comments and other fields": (": hello\nid: 7\nevent: x\ndata: a\nretry: 1\n\n\n\n", ["a"]),
    "characters": ('data: {"t": "日本語🙂é"}\r\n\r\n', ['{"t": "日本語🙂é"}']),
    "not ended": ("data: a\n\ndata: b\n", ["a"]),
    "byte order mark": ("\ufeffdata: a\n\n", ["a"]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_events_are_read_wherever_the_network_cuts_them(bench, name):
    text, events = STREAMS[name]
    sent = list(text.encode())
    assert bench.evaluate(READ, [sent]) == events
    assert bench.evaluate(READ, [[byte] for byte in sent]) == events
    for cut in range(len(sent)):
        assert bench.evaluate(READ, [sent[:cut], [], sent[cut:]]) == events


def test_a_long_line_in_many_pieces_is_read_once(bench):
    piece = list(b"x" * 1000)
    assert bench.evaluate(READ, [list(b"data: "), *[piece] * 2000, list(b"\n\n")]) == ["x" * 2_000_000]


# -- text, and files


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("\u0000\u0007\u001b[31m\u007f\u0085", "��\ufffd[31m��"),
        ("\u202eevil\u202c \u2066x\u2069", "�evil� �x�"),
        ("\U000f0001\U0010fffd", "��"),
        ("👩‍👩‍👧 é العربية", "👩‍👩‍👧 é العربية"),
    ],
)
def test_text_is_made_legible(bench, text, shown):
    made = bench.evaluate("async (t) => (await import('/page/legible.js')).legible(t)", text)
    assert re.sub("\ufffd[\udc00-\udfff]?", "\ufffd", made) == shown


def test_a_file_made_to_do_harm_is_read_as_data_or_refused(bench):
    message = {
        "id": "__proto__",
        "parent": "root",
        "role": "user",
        "parts": [{"type": "text", "text": "<b>"}],
    }
    chosen = {"root": "__proto__", "__proto__": "constructor", "constructor": "root"}
    file = {
        "format": "nanogen conversations 1",
        "conversations": [
            {"id": "../x", "title": 5, "messages": [message], "chosen": chosen, "created": "now"}
        ],
    }
    read = bench.evaluate("async (t) => (await import('/page/files.js')).fromJson(t)", json.dumps(file))
    assert re.fullmatch("[0-9a-f]{18}", read[0]["id"])
    assert [m["parts"][0]["text"] for m in read[0]["messages"]] == ["<b>"]
    assert list(read[0]["chosen"]) == ["root"]
    assert bench.evaluate("({}).root === undefined")


def test_messages_of_other_tools_are_read_too(bench):
    file = {
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "2+2?"},
            {
                "role": "assistant",
                "content": [{"type": "python", "text": "2+2"}, {"type": "python_output", "text": "4"}],
            },
        ]
    }
    (read,) = bench.evaluate("async (t) => (await import('/page/files.js')).fromJson(t)", json.dumps(file))
    assert [[part["type"] for part in message["parts"]] for message in read["messages"]] == [
        ["text"],
        ["python", "output"],
    ]
    assert read["title"] == "2+2?"


# -- strings


def table(language: str) -> dict[str, str]:
    text = SCRIPTS["strings.js"]
    body = text[text.index(f"const {language} = {{") :]
    pairs = re.findall(r'^  (\w+):\s+("(?:[^"\\]|\\.)*"),$', body[: body.index("\n};")], re.MULTILINE)
    return {key: json.loads(value) for key, value in pairs}


def test_both_languages_say_the_same_things():
    english, japanese = table("en"), table("ja")
    assert len(english) > 150
    assert {key for key in english if not key.endswith("_one")} == set(japanese)
    for key, text in japanese.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", english[key])), key


def test_every_string_that_is_said_is_there_and_every_one_there_is_said():
    said = set(re.findall(r'\bsay\(\s*"(\w+)"', ALL_SCRIPTS))
    assert said - set(table("en")) == set()
    begins = (*tuple(re.findall(r"\bsay\(`(\w+_)\$", ALL_SCRIPTS)), "begin_")
    quoted = set(re.findall(r'"(\w+)"', ALL_SCRIPTS))
    unsaid = [
        key for key in table("en") if key.removesuffix("_one") not in quoted and not key.startswith(begins)
    ]
    assert unsaid == []


# -- the source


def test_no_text_can_become_markup():
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|createContextualFragment|DOMParser|srcdoc ?="
    used = {name: set(re.findall(ways, text)) for name, text in SCRIPTS.items()}
    refused = used.pop("dom.js")  # it names two, to refuse them
    assert refused <= {"innerHTML", "outerHTML"}
    assert {name: ways for name, ways in used.items() if ways} == {}


def test_nothing_comes_from_elsewhere():
    named = {
        address
        for path in FILES
        for address in re.findall(r"""(?:https?:)?//[\w.-]+\.\w+""", path.read_text())
    }
    assert named == {"http://www.w3.org"}  # the namespace of SVG


def test_the_page_itself_holds_no_script_and_no_style():
    index = (PAGE / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", index) == []


def test_every_file_says_what_it_makes_and_is_no_longer_than_one_reading():
    texts = {path.name: path.read_text() for path in FILES if path.suffix != ".svg"}
    assert [
        name for name, text in texts.items() if not text.startswith(("/*", "<!doctype html>\n<!--"))
    ] == []
    assert [name for name, text in texts.items() if len(text.splitlines()) > LONGEST_FILE] == []


def test_every_file_is_served_as_what_it_is(url):
    kinds = {".js": "javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
    for path in FILES:
        with urlopen(f"{url}/page/{path.name}") as response:
            assert response.headers["Content-Type"].split(";")[0].endswith(kinds[path.suffix])
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_every_file_is_used():
    everything = "\n".join(path.read_text() for path in FILES)
    assert [
        path.name for path in FILES if path.name != "index.html" and f"/{path.name}" not in everything
    ] == []
