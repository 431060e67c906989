"""Text to a compiled model, or to every fault of it at once."""

from pathlib import Path

import pytest

from nanogen.answers.flops import convention_per_token
from nanogen.compiler import compile_file, compile_text
from nanogen.text.diagnostics import Refusal
from nanogen.text.draw import draw, find, ordered

SPECS = Path(__file__).parents[2] / "specs"

FAULTY = """\
kind     = "model"
language = 1

[dims]
depth   = 12
width   = 768
heads   = 10
vocab   = 50304
context = 1024

[module.attention]
q   = "linear(x, width)"
k   = "linear(x, width)"
v   = "linear(x, width)"
qn  = "split(q, heads)"
kn  = "rms_norm(k)"
mix = "attend(qn, kn, v)"
y   = "linear(flatten(mix), width)"

[stack.trunk]
layrs = "depth"
attn  = "attnetion(rms_norm(x))"
x     = "x + attn"

[model]
embed  = "embedding(tokens, vocab, width)"
trunk  = "trunk(embed)"
logits = "linear(trunk, vocab)"
"""


def refused(text: str, given: dict | None = None) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        compile_text(text, given)
    return refusal.value


def told(text: str) -> list[tuple[str, int, int, str, str]]:
    fault = refused(text)
    found = ordered(fault.document, fault.diagnostics)
    spots = [find(fault.document, d.place) for d in found]
    return [(d.code, s.line, s.column, d.message, d.help) for d, s in zip(found, spots, strict=True)]


def test_three_slips_are_three_diagnostics_at_once():
    assert told(FAULTY) == [
        ("NG301", 15, 17, "768 channels do not split into 10 equal parts", "6, 8 or 12 would divide them"),
        ("NG103", 21, 1, "`layrs` is not a key of stacks, and `layers` is missing", "did you mean `layers`?"),
        ("NG202", 22, 10, "no primitive, module or stack is called `attnetion`", "did you mean `attention`?"),
    ]


def test_a_missing_quote_is_one_diagnostic_alone():
    text = FAULTY.replace('"split(q, heads)"', '"split(q, heads)')
    help = 'close it with `"` on the same line'
    assert told(text) == [("NG002", 15, 7, "this string is not closed", help)]


def test_a_drawing_of_the_three():
    fault = refused(FAULTY)
    drawn = draw(fault.document, fault.diagnostics)
    assert drawn.count("error[NG") == drawn.count("= help:") == 3
    assert '15 | qn  = "split(q, heads)"\n   |                 ^^^^^\n' in drawn
    assert "7 | heads   = 10\n   |           -- `heads` is 10\n" in drawn


@pytest.mark.parametrize(
    ("name", "given", "count"),
    [
        ("saint_iberis_d20", {}, 542_035_200),
        ("saint_iberis_jp", {}, 376_240_128),
        ("nanochat_2025", {}, 560_988_160),
        ("nanochat_2025", {"depth": 12}, 185_597_952),
        ("nanochat_2025", {"depth": 26}, 1_081_999_360),
        ("nanochat_2025", {"depth": 32}, 1_879_048_192),
        ("nanochat_2026", {"depth": 4}, 36_700_242),
        ("nanochat_2026", {"depth": 12}, 286_261_730),
        ("nanochat_2026", {"depth": 20}, 896_533_746),
        ("nanochat_2026", {}, 1_384_122_122),
        ("nanochat_2026", {"depth": 26}, 1_681_786_938),
        ("looped", {"size": 12}, 158_492_928),
        ("looped", {"size": 16}, 237_014_016),
        ("looped", {}, 328_380_160),
        ("looped", {"size": 24}, 432_591_360),
        ("trelis_recursive", {}, 328_335_360),
        ("huginn", {}, 3_564_976_800),
    ],
)
def test_published_counts(name, given, count):
    compiled = compile_file(SPECS / f"{name}.toml", given)
    assert compiled.blueprint["count"] == count
    assert [d for d in compiled.warnings if d.code != "NG403"] == []


@pytest.mark.parametrize(
    ("name", "flops"), [("saint_iberis_d20", 2_969_095_680), ("nanochat_2025", 3_491_758_080)]
)
def test_published_flops(name, flops):
    graph = compile_file(SPECS / f"{name}.toml").graph
    assert convention_per_token(graph, graph.context) == flops


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_specs_are_clean(path):
    compiled = compile_file(path)
    assert compiled.warnings == ()
    assert compiled.name == path.stem


def test_an_expected_count_must_hold_for_the_file_as_written():
    text = (SPECS / "nanochat_2025.toml").read_text()
    wrong = text.replace("560988160", "560988161")
    fault = refused(wrong).diagnostics
    assert [(d.code, d.message) for d in fault] == [
        ("NG401", "560,988,161 parameters are expected, and the graph has 560,988,160: 1 fewer")
    ]
    assert compile_text(wrong, {"depth": 12}).blueprint["count"] == 185_597_952


def test_a_list_of_layers_is_refused_for_another_depth():
    fault = refused((SPECS / "saint_iberis_d20.toml").read_text(), {"depth": 12})
    assert [d.code for d in fault.diagnostics] == ["NG324"]


def test_a_file_that_is_absent(tmp_path):
    with pytest.raises(Refusal) as refusal:
        compile_file(tmp_path / "absent.toml", name="absent.toml")
    assert [d.message for d in refusal.value.diagnostics] == ["there is no file `absent.toml`"]
    assert str(refusal.value) == "there is no file `absent.toml`"


def test_a_fault_hides_what_it_may_have_cut_off():
    """`mlp` is called by no equation that could be read: that is no second fault."""
    text = (SPECS / "nanochat_2025.toml").read_text().replace('"mlp(rms_norm(h))"', '"mlp(rms_norm(h)"')
    assert [d.code for d in refused(text).diagnostics] == ["NG011"]


def test_chains_may_be_long_and_have_an_end():
    head = 'kind = "model"\nlanguage = 1\n[dims]\nvocab = 8\ncontext = 4\n[model]\nh0 = "embedding(tokens, vocab, 8)"\n'

    def chain(n: int) -> str:
        return (
            head
            + "\n".join(f'h{k} = "h{k - 1} + 1"' for k in range(1, n))
            + f'\nlogits = "linear(h{n - 1}, vocab)"\n'
        )

    assert compile_text(chain(1500)).blueprint["count"] == 128
    assert [d.code for d in refused(chain(6000)).diagnostics] == ["NG404"]


def test_what_is_computed_does_not_depend_on_the_order_of_the_file():
    text = (SPECS / "saint_iberis_tiny.toml").read_text()
    blocks = text.split("\n\n")
    turned = "\n\n".join([blocks[0], *reversed(blocks[1:])])
    one, two = compile_text(text), compile_text(turned)
    assert one.blueprint == two.blueprint
