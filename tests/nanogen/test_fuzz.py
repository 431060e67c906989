"""Whatever the text: it compiles, or it is refused with diagnostics that can be drawn, within two seconds.

`NANOGEN_FUZZ=3000 pytest tests/nanogen/test_fuzz.py` tries more texts than the suite does, and benchmarks/fuzz.py
tries them within 500 MB. Seconds are of the processor: what a compiler takes, however busy the machine.
"""

import gc
import os
import random
import re
import time
from pathlib import Path

import pytest

from nanogen.compiler import compile_text
from nanogen.primitives import PRIMITIVES
from nanogen.text.diagnostics import Refusal
from nanogen.text.draw import as_json, draw
from tests.nanogen.conftest import SMALL

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "specs"
SPECS = sorted([*SHIPPED.glob("*.toml"), *(SHIPPED / "zoo").glob("*.toml"), *(HERE / "good").glob("*.toml")])
TEXTS = [path.read_text() for path in SPECS]
CASES = int(os.environ.get("NANOGEN_FUZZ", "150"))
SECONDS = 10.0  # none takes one; what grows without bound takes minutes, on any machine
TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?|\s+|.", re.DOTALL)

# what a slip, or malice, may put in place of a token
WORDS = [
    *("0", "1", "-1", "2", "10", "1000000000", "1e999", "0.5", "nan", "inf", "10**18", "9" * 40, "1/0"),
    *(
        "x",
        "y",
        "i",
        "h",
        "tokens",
        "positions",
        "turn",
        "true",
        "none",
        "layer",
        "now",
        "torch",
        "F",
        "self",
    ),
    *(
        "depth",
        "width",
        "heads",
        "vocab",
        "context",
        "mixer",
        "mix",
        "mlp",
        "attention",
        "slc2",
        "trunk",
        "model",
    ),
    *("linear", "embedding", "parameter", "rope", "split", "flatten", "outer", "concat", "attend", "shift"),
    *(
        "causal_conv",
        "rms_norm",
        "layer_norm",
        "softcap",
        "float32",
        "repeat",
        "softmax",
        "exp",
        "max",
        "ceil",
    ),
    *("inputs", "args", "layers", "rest", "kind", "use", "loop", "dial", "loss", "at", "choose", "weights"),
    *(
        "at(x, 0)",
        "at(mix, i - 1)",
        "weights=embed",
        "weights=at(x, 0)",
        "weights=model.embed",
        "model.embed",
    ),
    *("r", "times", "backprop", "think", "dropout", "noise", "einsum", "attn.v", "trunk.mix", "turn + 1"),
    *("import", "ignore", "{i}", "{e < 4}", ".T", "[:width]", "expect", "train", "draw", "exit"),
    *(
        "zeros",
        "eye",
        "normal(0.02)",
        "uniform(0, 1)",
        "init=",
        "role=",
        "bias=true",
        "gain=true",
        "window=4",
    ),
    *("if", "else", "and", "not", "in", "lambda", "for", "[", "]", "(", ")", "{", "}", '"', "'", '"""', "#"),
    *(
        "=",
        ",",
        ".",
        ":",
        "...",
        "[:2]",
        "[..., None]",
        "[0]",
        "+",
        "*",
        "//",
        "%",
        "**",
        "==",
        "\\",
        "\n",
        "日本",
        "é",
    ),
]


def mutate_bytes(text: str, draw_from: random.Random) -> str:
    data = bytearray(text.encode())
    for _ in range(draw_from.choice([1, 1, 2, 3, 8, 40])):
        place = draw_from.randrange(len(data))
        kind = draw_from.randrange(4)
        if kind == 0:
            data[place] = draw_from.randrange(256)
        elif kind == 1:
            del data[place : place + draw_from.choice([1, 2, 10, 200])]
        elif kind == 2:
            data[place:place] = bytes(
                draw_from.randrange(32, 127) for _ in range(draw_from.choice([1, 2, 6]))
            )
        else:
            data = data[:place] + data[place : place + 30] * 2 + data[place + 30 :]
        if not data:
            break
    return data.decode(errors="replace")


def mutate_tokens(text: str, draw_from: random.Random) -> str:
    tokens = TOKEN.findall(text)
    solid = [place for place, token in enumerate(tokens) if not token.isspace()]
    for _ in range(draw_from.choice([1, 1, 1, 2, 3, 6])):
        place, kind = draw_from.choice(solid), draw_from.randrange(5)
        if kind <= 1:
            tokens[place] = draw_from.choice(WORDS)
        elif kind == 2:
            tokens[place] = tokens[draw_from.choice(solid)]
        elif kind == 3:
            tokens[place] = ""
        else:
            tokens[place] += draw_from.choice(["", " ", ", ", " + "]) + draw_from.choice(WORDS)
    return "".join(tokens)


def mutate_lines(text: str, draw_from: random.Random) -> str:
    lines = text.split("\n")
    for _ in range(draw_from.choice([1, 1, 2, 4])):
        place, other = draw_from.randrange(len(lines)), draw_from.randrange(len(lines))
        kind = draw_from.randrange(3)
        if kind == 0:
            del lines[place]
        elif kind == 1:
            lines.insert(place, lines[other])
        else:
            lines[place], lines[other] = lines[other], lines[place]
        lines = lines or [""]
    return "\n".join(lines)


def expression(names: list[str], draw_from: random.Random, depth: int = 3) -> str:
    """An equation that parses; whether it means anything is another matter."""
    if depth == 0 or draw_from.random() < 0.3:
        return draw_from.choice(
            [*names, "x", "i", "none", "true", "0", "1", "3", "2.5", "tokens", "[1, 2]", "1e300"]
        )
    part = [expression(names, draw_from, depth - 1) for _ in range(3)]
    call = draw_from.choice([*PRIMITIVES, *names, "max", "ceil", "sqrt", "log", "at", "round"])
    setting = draw_from.choice(
        ["init", "bias", "window", "role", "n", "eps", "table", "kernel", "weights", *names]
    )
    law = draw_from.choice(
        ["zeros", "eye", "normal(0.1)", "normal", "uniform(2, 1)", "c / fan_in", "exp", part[0]]
    )
    return draw_from.choice(
        [
            f"{call}({part[0]})",
            f"{call}({part[0]}, {part[1]})",
            f"{call}({part[0]}, {part[1]}, {setting}={part[2]})",
            f"{call}({part[0]}, {part[1]}, init={law})",
            f"({part[0]} {draw_from.choice(['+', '-', '*', '/', '**', '//', '%', '==', '<', 'in', 'and', 'or'])} {part[1]})",
            f"({part[0]} if {part[1]} else {part[2]})",
            f"{part[0]}[{draw_from.choice(['0', ':2', '..., None', '-1', '3:', 'i', '..., :1', part[1]])}]",
            f"-{part[0]}",
            f"not {part[0]}",
            f"[{part[0]}, {part[1]}]",
            f"{part[0]}.y",
        ]
    )


def mutate_equations(text: str, draw_from: random.Random) -> str:
    """Put other equations in place of some, of names that are known there: nothing that a parser would stop."""
    parts = re.split(r"(?m)^(?=\[)", text)
    names = {part: re.findall(r"(?m)^(\w+) *=", part) for part in parts}
    common = [n for part in parts if part.startswith("[dims]") for n in names[part]]
    common += re.findall(r"(?m)^\[(?:module|stack)\.(\w+)\]", text)
    for _ in range(draw_from.choice([1, 1, 1, 2, 3])):
        place = draw_from.randrange(1, len(parts))
        part, known = parts[place], [*names.get(parts[place], []), *common]
        spans = [m.span(1) for m in re.finditer(r'"([^"\n]+)"', part)]
        if spans:
            start, end = draw_from.choice(spans)
            parts[place] = part[:start] + another(part[start:end], known, draw_from) + part[end:]
    return "".join(parts)


def another(old: str, names: list[str], draw_from: random.Random) -> str:
    new = expression(names, draw_from, draw_from.choice([1, 1, 2, 3]))
    kind = draw_from.randrange(3)
    if kind == 0:
        return re.sub(r"[a-z_]\w*", lambda m: draw_from.choice([m[0], m[0], m[0], *names]), old)[:400]
    if kind == 1:
        return re.sub(r"\b\w+\b", lambda m: f"({new})" if draw_from.random() < 0.2 else m[0], old)[:400]
    return new[:400]


MUTATORS = (mutate_bytes, mutate_tokens, mutate_lines, mutate_equations, mutate_equations)


def overrides(draw_from: random.Random) -> dict:
    if draw_from.random() < 0.8:
        return {}
    values = [
        0,
        1,
        7,
        12,
        10**9,
        10**18,
        -3,
        2.5,
        True,
        "depth",
        "2 *",
        "64 * depth",
        [1, 2],
        [],
        [[1]],
        float("nan"),
    ]
    names = ["depth", "width", "heads", "head_dim", "vocab", "context", "nothing"]
    return {draw_from.choice(names): draw_from.choice(values) for _ in range(draw_from.choice([1, 2]))}


def outcome(text: str, given: dict) -> float:
    """Compile, draw what is wrong, and return the seconds it took; anything but a Refusal is a bug and rises.

    Counted are this thread and its own garbage: other tests leave threads that spin and a heap that is slow to search.
    """
    gc.freeze()
    begin = time.thread_time()
    try:
        compiled = compile_text(text, given)
        found, document = compiled.warnings, compiled.document
    except Refusal as refusal:
        found, document = refusal.diagnostics, refusal.document
        assert any(d.severity == "error" for d in found)
    finally:
        seconds = time.thread_time() - begin
        gc.unfreeze()
    assert draw(document, found) or not found
    assert as_json(document, found) or not found
    return seconds


@pytest.mark.parametrize("block", range(10))
def test_no_text_breaks_the_compiler(block):
    draw_from = random.Random(1000 + block)
    for _ in range(max(1, CASES // 10)):
        text = draw_from.choice(TEXTS)
        for _ in range(draw_from.choice([1, 1, 2])):
            text = draw_from.choice(MUTATORS)(text, draw_from)
        given = overrides(draw_from)
        try:
            seconds = outcome(text, given)
        except BaseException as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n--set {given}\n{text}") from error
        assert seconds < SECONDS, f"{seconds:.1f} s\n--set {given}\n{text}"


def modules(first: str, then: str, count: int) -> str:
    """Modules m0 .. that call one another, each the one before."""
    rest = "\n".join(f"[module.m{k}]\n" + then.format(k=k - 1) for k in range(1, count))
    return f"[module.m0]\n{first}\n{rest}\n"


STACK = '[stack.t]\nlayers = "depth"\n{body}\n'
ALTERNATIVES = '[module.a]\ny = "relu(x)"\n[module.b]\ny = "silu(x)"\n'
HOSTILE = {  # parts of a small spec, and what is overridden
    "a billion layers": ({"tables": STACK.format(body='x = "relu(x)"')}, {"depth": 10**9}),
    "many layers": ({"tables": STACK.format(body='k = "parameter(init=i)"\nx = "k * x"')}, {"depth": 2000}),
    "a long rule in many layers": (
        {
            "tables": ALTERNATIVES
            + STACK.format(body=f'c = {{ a = "{" + ".join(["i"] * 190)} > 3", b = "rest" }}\nx = "c(x)"')
        },
        {"depth": 2000},
    ),
    "a wide model": ({}, {"width": 10**18}),
    "a power": ({"dims": 'p = "9**9**9**9"'}, {}),
    "modules that double": (
        {"tables": modules('y = "linear(x, width)"', 'a = "m{k}(x)"\ny = "m{k}(a)"', 40), "model": 'h = "m39(embed)"'},
        {},
    ),
    "modules that double, owning nothing": (
        {"tables": modules('y = "x + 1"', 'y = "m{k}(m{k}(x))"', 40), "model": 'h = "m39(embed)"'},
        {},
    ),
    "modules in a circle": (
        {"tables": modules('y = "m9(x)"', 'y = "m{k}(x)"', 10), "model": 'h = "m9(embed)"'},
        {},
    ),
    "stacks in stacks": (
        {"tables": '[stack.a]\nlayers = 1000\nx = "t(x)"\n' + STACK.format(body='x = "relu(x)"'), "model": 'h = "a(embed)"'},
        {"depth": 1000},
    ),
    "many climbs": (
        {
            "tables": STACK.format(body='x = "relu(x)"'),
            "model": 'h0 = "t(embed)"\n' + "\n".join(f'h{k + 1} = "t(h{k})"' for k in range(400)),
            "last": "h400",
        },
        {"depth": 2000},
    ),
    "a long chain": ({"model": 'h0 = "embed"\n' + "\n".join(f'h{k + 1} = "h{k} + 1"' for k in range(6000)), "last": "h6000"}, {}),
    "many unknown names": ({"model": "\n".join(f'h{k} = "qwerty{k}"' for k in range(3000))}, {}),
    "many equations that wait for none": (
        {"model": "\n".join(f'h{k} = "embed + {k}"' for k in range(3000)) + '\nall = "concat(h0, h2999)"', "last": "all"},
        {},
    ),
    "copies of copies": ({"model": f'h = "{"repeat(" * 30}embed{", 1000000000)" * 30}"\nf = "flatten(h)"', "last": "f"}, {}),
    "a huge list": ({"dims": f"attn = {list(range(20000))}"}, {}),
    "many terms": ({"dims": f'p = "{"<".join(["1"] * 600)}"\nq = "[{",".join(["1"] * 900)}]"'}, {}),
    "many brackets": ({"dims": f'p = "{"(" * 900}1{")" * 900}"'}, {}),
    "not a number": ({"dims": "p = nan\nq = inf\nr = 1e400"}, {"width": float("inf")}),
}  # fmt: skip


def hostile(parts: dict[str, str]) -> str:
    if "[stack.t]" in parts.get("tables", "") or "model" in parts:
        parts = {"model": 'h = "t(embed)"', "last": "h", **parts}  # what is not read is not built
    empty = {"dims": "", "tables": "", "model": "", "last": "embed"}
    return SMALL.format(**(empty | parts))


@pytest.mark.parametrize("name", HOSTILE)
def test_malice_is_answered_in_time(name):
    parts, given = HOSTILE[name]
    assert outcome(hostile(parts), given) < SECONDS


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a = " + "[" * 390 + "]" * 390,
        ".".join("a" * 900) + " = 1",
        '"' * 9999,
        "\n" * 200_000,
        'a = """x',
    ],
    ids=["open", "deep", "dotted", "quotes", "blank", "text"],
)
def test_text_that_is_no_spec(text):
    assert outcome(text, {}) < SECONDS
