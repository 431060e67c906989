"""Import tables held against the names and shapes of a checkpoint: every fault, at its line, told once."""

import pytest

from nanogen.compiler import compile_text
from nanogen.importing.fitting import Stored, hold
from nanogen.importing.mapping import settle
from nanogen.text.draw import find
from tests.nanogen.published import shapes, spec

Changes = dict[str, tuple[int, ...] | None]


def held(
    changes: Changes, text: str = "", dtype: str = "F32", **dims: int
) -> list[tuple[str, str, str, str]]:
    """Code, key of the line, message and help of each fault."""
    compiled = compile_text(text or spec(), dims)
    (table,) = compiled.spec.imports.values()
    settled, faults = settle(table, compiled.spec, compiled.graph)
    assert faults == []
    published = {name: shape for name, shape in {**shapes(), **changes}.items() if shape is not None}
    found = hold(settled, {name: Stored(shape, dtype) for name, shape in published.items()})
    lines = [find(compiled.document, d.place).text.split(" =")[0].strip('" ') for d in found]
    return [(d.code, line, d.message, d.help) for d, line in zip(found, lines, strict=True)]


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16", "F64"])
def test_a_checkpoint_that_fits(dtype):
    assert held({}, dtype=dtype) == []


def test_axes_of_one_do_not_count():
    assert held({"smear_lambda": (), "lm_head.weight": (11, 1, 8)}) == []


def test_names_that_are_missing_are_told_a_line_at_a_time():
    changes: Changes = {f"h.{i}.down.weight": None for i in range(3)}
    ((code, line, message, help),) = held({**changes, **{f"h.{i}.dwn.weight": (8, 16) for i in range(3)}})
    assert (code, line) == ("NG511", "trunk.{i}.down.weight")
    assert message == "the file has no `h.0.down.weight`, nor 2 more that this line names"
    assert help == "did you mean `h.0.dwn.weight`?"


def test_what_no_line_reads():
    ((code, line, message, help),) = held({f"h.{i}.value.weight": (8,) for i in range(3)})
    assert (code, line) == ("NG512", "[import.theirs]")
    assert message == "the file has `h.0.value.weight` and 2 more like it, and no line reads them"
    assert help == 'a line reads it, or `ignore = ["h.*.value.weight"]` leaves it out'


def test_a_model_of_another_depth():
    found = held({}, depth=4)
    assert {code for code, *_ in found} == {"NG511", "NG309"}
    assert all("--set" in help for *_, help in found)
    found = held({}, depth=2)
    assert {code for code, *_ in found} == {"NG512", "NG514"}
    assert all("--set" in help for *_, help in found)
    assert [m for c, _, m, _ in found if c == "NG514"] == [
        "2 of the 3 numbers of `resid_lambdas` are read, which has shape 3"
    ]


@pytest.mark.parametrize(
    ("changes", "line", "message", "help"),
    [
        (
            {"wte.weight": (12, 8)},
            "embed.weight",
            "`embed.weight` has shape 11 x 8, and `wte.weight` has 12 x 8",
            "--set",
        ),
        (
            {"h.1.down.weight": (16, 8)},
            "trunk.{i}.down.weight",
            "`trunk.1.down.weight` has shape 8 x 16, and `h.1.down.weight` has 16 x 8",
            "`.T`",
        ),
        (
            {"h.0.gate.weight": (8, 4)},
            "trunk.{i}.up.weight",
            "parts of shape 8 x 4 and 8 x 8 do not join to `trunk.0.up.weight`",
            "all axes but the first",
        ),
        (
            {"h.0.gate.weight": (9, 8)},
            "trunk.{i}.up.weight",
            "`trunk.0.up.weight` has shape 16 x 8, and `h.0.gate.weight` with what is joined to it has 17 x 8",
            "--set",
        ),
    ],
)
def test_shapes_that_differ(changes, line, message, help):
    ((code, where, said, advice),) = held(changes)
    assert (code, where, said) == ("NG513", line, message)
    assert help in advice


def test_cuts_outside_of_a_tensor():
    found = held({"h.0.c_attn.weight": (8, 12)})
    assert found[0][:3] == (
        "NG309",
        "trunk.{i}.k.weight",
        "[8:16] is outside an axis of 12: `h.0.c_attn.weight` has shape 8 x 12",
    )
    assert len(found) == 1
    assert held({"resid_lambdas": ()})[0][2] == "1 subscript for `resid_lambdas`, which has shape ()"
    assert (
        held({"h.0.c_attn.weight": (8,)})[0][2] == "`.T` turns a matrix, and `h.0.c_attn.weight` has shape 8"
    )


def test_a_split_that_leaves_a_rest():
    ((code, line, message, _),) = held({"h.2.c_attn.weight": (8, 24)})
    assert (code, line) == ("NG514", "trunk.{i}.q.weight")
    assert message == "128 of the 192 numbers of `h.2.c_attn.weight` are read, which has shape 8 x 24"


@pytest.mark.parametrize("new", ["h.{i}.c_attn.weight.T[:width]", "h.{i}.c_attn.weight.T[4:4 + width]"])
def test_numbers_that_are_read_twice(new):
    text = spec(("h.{i}.c_attn.weight.T[width:2 * width]", new))
    ((code, line, message, _),) = held({}, text)
    assert (code, line) == ("NG514", "trunk.{i}.k.weight")
    assert message == "`trunk.0.q.weight` and `trunk.0.k.weight` read the same numbers of `h.0.c_attn.weight`"


def test_a_tied_head_is_not_read_twice():
    ((code, line, message, _),) = held({"lm_head.weight": None}, spec(head="wte.weight"))
    assert (code, line) == ("NG514", "logits.weight")
    assert message == "`embed.weight` and `logits.weight` read the same numbers of `wte.weight`"


def test_a_scalar_is_read_once():
    text = spec(('"resid_lambdas[{i}]"', '"smear_lambda"'))
    assert [d[:2] for d in held({"resid_lambdas": None}, text)] == [("NG514", "trunk.{i}.keep")]


def test_numbers_that_are_no_weights():
    found = held({}, dtype="I8")
    assert {code for code, *_ in found} == {"NG515"}
    assert found[0][2] == "`wte.weight` holds I8 numbers"


def test_all_faults_at_once():
    changes: Changes = {
        "wte.weight": (12, 8),
        "extra": (3,),
        "smear_lambda": None,
        "h.1.c_attn.weight": (8, 24),
    }
    assert sorted(code for code, *_ in held(changes)) == ["NG511", "NG512", "NG513", "NG514"]
