"""Markdown as the page shows it: what each piece becomes, whole or as it grows, and in how much time."""

from __future__ import annotations

import pytest

SHOW = """async ([pieces, calls]) => {
  const { Prose } = await import("/page/prose.js");
  const prose = new Prose((number) => document.createTextNode(`{call ${number}}`));
  pieces.forEach((piece, place) => prose.append(piece, { writing: place < pieces.length - 1 }));
  return prose.element.innerHTML.replaceAll(/ (?:dir|target|rel|title)="[^"]*"/g, "");
}"""

CASES = {
    "paragraphs": ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
    "emphasis": (
        "*a* **b** ***c*** _d_ __e__ ~~f~~",
        "<p><em>a</em> <strong>b</strong> <em><strong>c</strong></em> <em>d</em> <strong>e</strong> <s>f</s></p>",
    ),
    "emphasis in emphasis": ("**a *b* c**", "<p><strong>a <em>b</em> c</strong></p>"),
    "emphasis that crosses": ("**a *b** c*", "<p><em><em>a <em>b</em></em> c</em></p>"),
    "no emphasis": (
        "2 * 3 * 4, snake_case_name, ** a **, ****, 5~6~7",
        "<p>2 * 3 * 4, snake_case_name, ** a **, ****, 5~6~7</p>",
    ),
    "emphasis in japanese": (
        "これは**「強調」**です。**太字**と*斜体*。",
        "<p>これは<strong>「強調」</strong>です。<strong>太字</strong>と<em>斜体</em>。</p>",
    ),
    "code": ("`a` ``b ` c`` `*d*` `e", "<p><code>a</code> <code>b ` c</code> <code>*d*</code> `e</p>"),
    "escapes": (r"\*a\* \`b\` \[c](d) \\ \q", r"<p>*a* `b` [c](d) \ \q</p>"),
    "entities": (
        "&lt;b&gt; &amp; &#65; &#x42; &nosuch; &#0;",
        "<p>&lt;b&gt; &amp; A B &amp;nosuch; \ufffd</p>",
    ),
    "html is text": (
        "<b>a</b> <br> <script>x</script>",
        "<p>&lt;b&gt;a&lt;/b&gt; <br> &lt;script&gt;x&lt;/script&gt;</p>",
    ),
    "link": (
        '[a *b*](https://e.org/x "t")',
        '<p><a href="https://e.org/x">a <em>b</em></a><span class="target"> (e.org)</span></p>',
    ),
    "link whose text says where": ("[e.org](https://e.org)", '<p><a href="https://e.org/">e.org</a></p>'),
    "link whose text lies": (
        "[bank.org](https://bank.org@e.org)",
        '<p><a href="https://bank.org@e.org/">bank.org</a><span class="target"> (e.org)</span></p>',
    ),
    "link with parentheses": (
        "[a](https://e.org/b_(c))",
        '<p><a href="https://e.org/b_(c)">a</a><span class="target"> (e.org)</span></p>',
    ),
    "bare address": (
        "See https://e.org/a_b_c(d), or http://f.org.",
        '<p>See <a href="https://e.org/a_b_c(d)">https://e.org/a_b_c(d)</a>, or <a href="http://f.org/">http://f.org</a>.</p>',
    ),
    "bare address in japanese": (
        "詳しくはhttps://e.org/xを参照",
        '<p>詳しくは<a href="https://e.org/x">https://e.org/x</a>を参照</p>',
    ),
    "address in angles": (
        "<https://e.org> <a@b.org>",
        '<p><a href="https://e.org/">https://e.org</a> <a href="mailto:a@b.org">a@b.org</a></p>',
    ),
    "picture": (
        "![cat](https://e.org/c.png)",
        '<p><a href="https://e.org/c.png">cat</a><span class="target"> (e.org)</span></p>',
    ),
    "no link": (
        "[a](javascript:x) [b](/c) [d](data:e) [f] (g) [h](https://)",
        "<p>[a](javascript:x) [b](/c) [d](data:e) [f] (g) [h](https://)</p>",
    ),
    "no link in a link": (
        "[a https://b.org](https://c.org)",
        '<p><a href="https://c.org/">a https://b.org</a><span class="target"> (c.org)</span></p>',
    ),
    "math": (
        r"$a_1 * b_2$, \(c_d\), $$e*f*g$$, $5 and $6*7*",
        r'<p><span class="math">$a_1 * b_2$</span>, <span class="math">\(c_d\)</span>, <span class="math">$$e*f*g$$</span>, $5 and $6<em>7</em></p>',
    ),
    "math block": ("$$\n- a_b\n+ c\n$$\nafter", '<p class="math">$$\n- a_b\n+ c\n$$</p><p>after</p>'),
    "headings": (
        "# a\n## b ##\n####### c\n#d",
        '<h3 class="level-1">a</h3><h4 class="level-2">b</h4><p>####### c<br>#d</p>',
    ),
    "rules": ("a\n\n---\n***\n_ _ _\n--", "<p>a</p><hr><hr><hr><p>--</p>"),
    "quote": (
        "> a\n> - b\n>\n> > c\nd",
        "<blockquote><p>a</p><ul><li><div><p>b</p></div></li></ul><blockquote><p>c</p></blockquote></blockquote><p>d</p>",
    ),
    "list": (
        "- a\n- b\n\n  c\n* d",
        "<ul><li><div><p>a</p></div></li><li><div><p>b</p><p>c</p></div></li></ul><ul><li><div><p>d</p></div></li></ul>",
    ),
    "loose list": (
        "- a\n\n- b",
        '<ul class="loose"><li><div><p>a</p></div></li><li><div><p>b</p></div></li></ul>',
    ),
    "numbered list": (
        "7. a\n8) b\n",
        '<ol start="7"><li><div><p>a</p></div></li></ol><ol start="8"><li><div><p>b</p></div></li></ol>',
    ),
    "nested list, as models indent": (
        "1. a\n  - b\n    - c\n2. d",
        "<ol><li><div><p>a</p><ul><li><div><p>b</p><ul><li><div><p>c</p></div></li></ul></div></li></ul></div></li><li><div><p>d</p></div></li></ol>",
    ),
    "list that interrupts": (
        "Things:\n- a\nb\n1984. No list",
        '<p>Things:</p><ul><li><div><p>a<br>b</p></div></li></ul><ol start="1984"><li><div><p>No list</p></div></li></ol>',
    ),
    "code in a list": ("1. a\n   ```py\n   x\n\n     y\n   ```\n2. b", None),
    "tasks": (
        "- [ ] a\n- [x] b",
        '<ul><li class="task"><input type="checkbox" disabled="" aria-label="open"><div><p>a</p></div></li><li class="task"><input type="checkbox" disabled="" checked="" aria-label="done"><div><p>b</p></div></li></ul>',
    ),
    "table": ("|a|b|\n|-|:-:|\n|1 \\| 2|`c`|extra|\n|d\nend", None),
    "no table": ("a | b\n--\n| c |\n|-x-|", "<p>a | b<br>--<br>| c |<br>|-x-|</p>"),
    "half a fence": ("``a\n```b`c\nd", "<p>``a<br>```b`c<br>d</p>"),
    "tool calls": (
        "a \U000f0000 **\U000f0001** `\U000f0002`",
        "<p>a {call 0} <strong>{call 1}</strong> <code>{call 2}</code></p>",
    ),
    "ideographic blank": ("　段落です", "<p>　段落です</p>"),
    "nothing": ("\n \n", ""),
}

DOCUMENT = "\n\n".join(text for text, _ in CASES.values()) + "\n\n```python\nx = 1\n\ny = 2\n```\n\nthe end"

LIST = "".join(f"- item {n} with **some** words\n" for n in range(200))

# each would take long in a parser that searches again and again
SLOW = {
    "stars": "*" * 30_000,
    "open stars": "*a " * 10_000,
    "mixed runs": "*a _b ~~c **d " * 2_500,
    "emphasis in emphasis": "*a _b " * 3_000 + "c_ c* " * 3_000,
    "closing stars": "a* " * 10_000,
    "backticks": "".join("`" * n + "a" for n in range(1, 240)),
    "single backticks": "` " * 15_000,
    "brackets": "[" * 30_000,
    "brackets that close": "[" * 15_000 + "]" * 15_000,
    "links": "[a](" * 7_500,
    "blank targets": "[a](" + " " * 30_000,
    "titles": '[a](b "' * 4_000,
    "angles": "<" * 30_000,
    "mails": "<a@" * 10_000,
    "dollars": "$a " * 10_000,
    "ands": "&" * 30_000,
    "addresses": "https://a" + ")" * 30_000,
    "many addresses": "http://" * 4_000,
    "quotes": "> " * 15_000 + "a",
    "lists": "- " * 15_000 + "a",
    "numbers": "1. " * 10_000,
    "indented list": "\n".join(" " * (2 * n) + "- a" for n in range(170)),
    "many items": "- a\n" * 7_500,
    "bars": "|" * 15_000 + "\n" + "|-" * 7_500,
    "table": "|a|b|\n|-|-|\n" + "|c|d|\n" * 5_000,
    "hashes": "# " + "#" * 30_000,
    "rules": "- " * 15_000 + "-a",
    "blanks": " " * 30_000 + "a",
    "fences": "```\n" * 3_000,
    "math": "\n".join(["$$ a", "- b"] * 5_000),
    "hs": "h" * 30_000,
}


def show(bench, *pieces: str) -> str:
    return bench.evaluate(SHOW, [pieces, []])


@pytest.mark.parametrize("name", [name for name, (_, html) in CASES.items() if html is not None])
def test_a_text_is_shown_as(bench, name):
    text, html = CASES[name]
    assert show(bench, text) == html


def test_a_table_has_sides_and_no_more_columns_than_its_head(bench):
    html = show(bench, CASES["table"][0])
    assert '<thead><tr><th scope="col">a</th><th scope="col" class="side-center">b</th></tr></thead>' in html
    assert '<tr><td>1 | 2</td><td class="side-center"><code>c</code></td></tr><tr><td>d</td></tr>' in html
    assert html.endswith("<p>end</p>")


def test_code_keeps_its_lines_and_tells_its_language(bench):
    html = show(bench, CASES["code in a list"][0])
    assert html.count("<li>") == 2
    assert '<span class="code-language">py</span>' in html
    assert "<code>x\n\n  y</code>" in html


def test_an_open_fence_is_code_to_the_end(bench):
    assert "<code>a\n\n# b\n</code>" in show(bench, "```\na\n\n# b\n")


def test_grown_in_pieces_a_text_looks_as_if_it_had_come_whole(bench):
    """Every prefix, one character at a time; and texts that are made of everything that marks something."""
    assert (
        bench.evaluate(
            """async ([texts, seed]) => {
          const { Prose } = await import("/page/prose.js");
          const call = () => document.createTextNode("{call}");
          const made = (pieces) => {
            const prose = new Prose(call);
            for (const piece of pieces) prose.append(piece, { writing: true });
            prose.append("", { writing: false });
            return prose.element.innerHTML;
          };
          let state = seed;
          const draw = (n) => (state = (state * 1103515245 + 12345) % 2147483648) % n;
          const marks = ["*", "**", "_", "`", "```", "~~", "[a](", "https://e.org", ")", "]", "# ", "- ", "1. ", "> ", "|", "|-|-|", "a|b",
            "\\n", "\\n", "\\n\\n", "  ", "    ", "\\t", "$$", "\\\\[", "---", "word", " ", "日本", "(", "[ ] ", "\\\\"];
          for (let n = 0; n < 400; n++) texts.push(Array.from({ length: 4 + draw(24) }, () => marks[draw(marks.length)]).join(""));
          const wrong = [];
          for (const text of texts) {
            const whole = made([text]);
            if (made(Array.from(text)) !== whole) wrong.push(["by character", text]);
            const at = draw(text.length + 1);
            if (made([text.slice(0, at), text.slice(at)]) !== whole) wrong.push([`cut at ${at}`, text]);
          }
          return wrong.slice(0, 3);
        }""",
            [[DOCUMENT], 7],
        )
        == []
    )


@pytest.mark.parametrize("text", [DOCUMENT * 3, LIST], ids=["document", "list"])
def test_what_is_shown_already_is_not_built_again(bench, text):
    built = bench.evaluate(
        """async (text) => {
          const { Prose } = await import("/page/prose.js");
          const prose = new Prose(() => "");
          const seen = new Set();
          let built = 0;
          for (let at = 0; at < text.length; at += 7) {
            prose.append(text.slice(at, at + 7), { writing: true });
            for (const e of prose.element.querySelectorAll("*")) if (!seen.has(e)) { seen.add(e); built++; }
          }
          return [built, prose.element.querySelectorAll("*").length, text.length / 7];
        }""",
        text,
    )
    made, kept, appends = built
    assert made < kept + 12 * appends  # a few at the end, each time


def test_a_piece_of_a_long_answer_takes_no_longer_than_one_of_a_short_one(bench):
    """The middle time of a hundred pieces, after 10,000 characters and after 200,000."""
    late, early = bench.evaluate(
        """async (text) => {
          const { Prose } = await import("/page/prose.js");
          const prose = new Prose(() => "");
          const spent = [];
          for (let at = 0; at < text.length; at += 200) {
            const begin = performance.now();
            for (let part = 0; part < 200; part += 20) prose.append(text.slice(at + part, at + part + 20), { writing: true });
            spent.push(performance.now() - begin);
          }
          const middle = (times) => times.sort((one, other) => one - other)[times.length >> 1];
          return [middle(spent.slice(-100)), middle(spent.slice(50, 150))];
        }""",
        "".join(f"Paragraph {n} of *many*, with `code` in it.\n\n- and\n- a list\n\n" for n in range(3_400)),
    )
    assert late < 4 * early + 1


@pytest.mark.parametrize("name", SLOW)
def test_no_text_keeps_the_page_busy(bench, name):
    """The best of five, for machines that do other work too."""
    seconds, depth = bench.evaluate(
        """async (text) => {
          const { Prose } = await import("/page/prose.js");
          let [best, depth] = [Infinity, 0];
          for (let n = 0; n < 5 && best >= 5; n++) {
            const prose = new Prose(() => "");
            const begin = performance.now();
            prose.append(text, { writing: true });
            best = Math.min(best, (performance.now() - begin) / 1000);
            depth = 0;
            for (let level = [prose.element]; level.length; depth++) level = level.flatMap((e) => [...e.children]);
          }
          return [best, depth];
        }""",
        SLOW[name],
    )
    assert seconds < 5
    assert depth < 80
