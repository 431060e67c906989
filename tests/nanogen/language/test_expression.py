"""Equation text to a tree: what is on the list is read, the rest is refused at its characters."""

import time

import pytest

from nanogen.language.expression import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_TERMS,
    Attribute,
    Binary,
    Call,
    Compare,
    Conditional,
    Ellipsis_,
    List_,
    Logic,
    Name,
    NewAxis,
    Number,
    Slice,
    Subscript,
    SyntaxFault,
    Text,
    Unary,
    children,
    parse,
    walk,
)


def refusal(text: str) -> SyntaxFault:
    with pytest.raises(SyntaxFault) as fault:
        parse(text)
    start, end = fault.value.span
    assert 0 <= start < max(end, 1)
    assert end <= max(len(text), 1)
    assert fault.value.code == "NG011"
    assert fault.value.help
    return fault.value


def blamed(text: str) -> str:
    start, end = refusal(text).span
    return text[start:end]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("3", Number),
        ("2.5e-3", Number),
        ("width", Name),
        ("'nm,nd->md'", Text),
        ("attn.v", Attribute),
        ("-x", Unary),
        ("not x", Unary),
        ("a + b", Binary),
        ("a // b", Binary),
        ("0 <= i < 3", Compare),
        ("i not in [1, 2]", Compare),
        ("a and b or c", Logic),
        ("a if b else c", Conditional),
        ("linear(x, 8, init=zeros)", Call),
        ("x[..., None]", Subscript),
        ("[1, 2]", List_),
    ],
)
def test_what_equations_have(text, kind):
    assert isinstance(parse(text), kind)
    assert parse(text).span == (0, len(text))


def test_subscripts():
    found = parse("x[..., :8, 2:, None, -1, a:b]")
    assert isinstance(found, Subscript)
    kinds = [Ellipsis_, Slice, Slice, NewAxis, Unary, Slice]
    assert [type(item) for item in found.items] == kinds


def test_every_part_knows_its_characters():
    text = "linear(rms_norm(x), 4 * width, init=normal(0.02))"
    call = parse(text)
    assert isinstance(call, Call)
    names = [text[p.span[0] : p.span[1]] for p in walk(call) if isinstance(p, Name)]
    assert names == ["x", "width"]
    assert text[slice(*call.callee_span)] == "linear"
    assert text[slice(*call.keywords[0][2])] == "init"
    assert text[slice(*call.keywords[0][1].span)] == "normal(0.02)"


@pytest.mark.parametrize("lead", ["", " ", "\t", "\n", "\n  "])
def test_spans_over_lines_and_wide_letters(lead):
    text = lead + "concat(日本,\n  é + x,\n\n    last)"
    names = [text[p.span[0] : p.span[1]] for p in walk(parse(text)) if isinstance(p, Name)]
    assert names == ["日本", "é", "x", "last"]


def test_children_are_all_parts():
    text = "a if b < c else f(d, k=e)[g:h, ...] + -i.j * [1, not l]"
    assert {p.id for p in walk(parse(text)) if isinstance(p, Name)} == set("abcdeghil")
    assert list(children(Name((0, 1), "x"))) == []


@pytest.mark.parametrize(
    ("text", "message", "part"),
    [
        ("lambda x: x", "an equation has no `lambda`", "lambda x: x"),
        ("[n for n in y]", "an equation has no comprehension", "[n for n in y]"),
        ("sum(n for n in y)", "an equation has no comprehension", "(n for n in y)"),
        ("f'{x}'", "an equation has no text with values in it", "f'{x}'"),
        ("(a := 3)", "an equation has no `:=`", "a := 3"),
        ("f(*x)", "an equation has no `*` before a name", "*x"),
        ("f(**x)", "`**` unpacks nothing here", "**x"),
        ("x.view(3)", "only a name can be called", "x.view"),
        ("__import__('os').system('ls')", "only a name can be called", "__import__('os').system"),
        ("f(x)(y)", "only a name can be called", "f(x)"),
        ("a, b", "an equation has no commas outside of a call or a list", "a, b"),
        ("{1: 2}", "an equation has no table", "{1: 2}"),
        ("{1, 2}", "an equation has no set", "{1, 2}"),
        ("a @ b", "this operator has no meaning in an equation", "a @ b"),
        ("~a", "this sign has no meaning in an equation", "~a"),
        ("a is b", "`is` compares nothing here", "a is b"),
        ("x[::2]", "a slice has no step here", "::2"),
        ("x[()]", "this subscript names no axis", "x[()]"),
        ("1j", "this is not a number that an equation can hold", "1j"),
        ("1e999", "this is not a number that an equation can hold", "1e999"),
        ("b'a'", "this is not a number that an equation can hold", "b'a'"),
        ("None", "`None` is written `none` here", "None"),
        ("f(x, True)", "`True` is written `true` here", "True"),
        ("await x", "an equation has no `await`", "await x"),
        ("yield x", "an equation has no `yield`", "yield x"),
        ("import os", "`import` cannot stand here", "import"),
        ("f(x, pass)", "`pass` cannot stand here", "pass"),
        ("y = f(x)", "`=` has no meaning here", "="),
        ("f(x 8)", "something is missing between these", "x 8"),
        ("x if y", "this `if` has no `else`", "x if y"),
        ("a +", "this equation stops too early", "+"),
        ("f(x", "this bracket is not closed", "("),
        ("f(g(x)", "this bracket is not closed", "("),
        ("f(x))", "this bracket closes nothing", ")"),
        ("x) + (y", "this bracket closes nothing", ")"),
        ("(x]", "`]` closes a bracket of another kind", "]"),
        ("a ? b", "this is not an equation from here on", "?"),
        ("x # why", "`#` has no meaning in an equation", "# why"),
        ("a \\ b", "`\\` has no meaning in an equation", "\\"),
        ("a\rb", "`U+000D` has no meaning in an equation", "\r"),
        ("a\0", "`U+0000` has no meaning in an equation", "\0"),
    ],
)
def test_what_equations_do_not_have(text, message, part):
    assert str(refusal(text)) == message
    assert blamed(text) == part


def test_empty_and_blank():
    assert str(refusal("")) == "this equation is empty"
    assert str(refusal(" \n")) == "this equation is empty"


@pytest.mark.parametrize(
    "text",
    [
        "x" * (MAX_CHARACTERS + 1),
        "(" * 300 + "x" + ")" * 300,
        "-" * 500 + "x",
        "+".join("x" * 900),
        "x" + "[0]" * 400,
        "x" + ".a" * 400,
        "x if y else " * 150 + "x",
        "f(" * 200 + "x" + ")" * 200,
        "not " * 400 + "x",
        "**".join("9" * 400),
    ],
)
def test_long_and_deep_text_is_refused_at_once(text):
    begin = time.process_time()
    refusal(text)
    assert time.process_time() - begin < 5


def test_what_people_write_fits():
    assert parse("(" * (MAX_DEPTH // 2) + "x" + ")" * (MAX_DEPTH // 2))
    assert parse(" + ".join(["x"] * MAX_TERMS))


def test_nothing_is_evaluated():
    assert parse("9**9**9**9**9")  # the tree is read; no power is taken
