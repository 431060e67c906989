"""The picture of a model: everything of the model is in it, nothing leaves its panel, the same text every time."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nanogen.compiler import compile_file, compile_text
from nanogen.views.picture import picture
from nanogen.views.svg import width_of

ROOT = Path(__file__).parents[3]
SPECS = [*sorted((ROOT / "specs").glob("*.toml")), *sorted((ROOT / "tests/nanogen/good").glob("*.toml"))]


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("}text")]


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_a_picture_is_well_formed_and_the_same_every_time(path):
    svg = picture(compile_file(path).graph)
    assert svg == picture(compile_file(path).graph)
    assert len(svg) < 150_000
    assert "nan" not in re.findall(r'="([^"]*)"', svg)


def test_saint_iberis_as_a_newcomer_sees_it():
    found = texts(picture(compile_file(ROOT / "specs/saint_iberis_d20.toml").graph))
    for title in (
        "saint_iberis_d20",
        "the model",
        "trunk, layers A",
        "trunk, layers B",
        "module slc2",
        "module attention",
        "module mlp",
        "542,035,200 parameters · vocabulary 65,536 · context 2,048",
    ):
        assert found.count(title) == 1, title
    cells = [text for text in found if text.isdecimal() and int(text) < 20]
    assert cells == [str(n) for n in range(20)]
    for equation in ("causal_conv(gate * v, 3)", "attend(qn, kn, split(v, 10))", "x + mix", "B T 10 128"):
        assert equation in found


def test_layers_that_differ_in_numbers_share_a_panel():
    found = texts(picture(compile_file(ROOT / "tests/nanogen/good/hybrid.toml").graph))
    assert [t for t in found if t.startswith("trunk, layers")] == [
        "trunk, layers A, B, E",
        "trunk, layers C, F",
        "trunk, layers D",
    ]
    assert "linear(x, 96|64)" in found


def test_the_residual_stream_is_thick(small):
    tables = '[stack.t]\nlayers = 2\nlow = "relu(x)"\nx = "x + low"\n'
    svg = picture(compile_text(small(tables=tables, model='t = "t(embed)"', last="t")).graph)
    assert svg.count('class="arrow thick"') == 2  # from x to the sum, and on to the next layer
    tables = tables.replace("x + low", "low")
    svg = picture(compile_text(small(tables=tables, model='t = "t(embed)"', last="t")).graph)
    assert 'class="arrow thick"' not in svg


def test_a_long_stack_is_a_strip_of_rows(small):
    tables = '[stack.t]\nlayers = 50\nx = "relu(x)"\n'
    svg = picture(compile_text(small(tables=tables, model='t = "t(embed)"', last="t")).graph)
    assert "50 layers, all alike · no parameters each" in svg
    assert svg.count('class="cell"') == 50


def test_where_each_layer_has_numbers_of_its_own_they_are_one_kind(small):
    tables = '[stack.t]\nlayers = 12\nx = "x * (i + 2)"\n'
    found = texts(picture(compile_text(small(tables=tables, model='t = "t(embed)"', last="t")).graph))
    assert "t, every layer" in found
    assert "x * 2|3|4|.." in found


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_no_text_leaves_the_page_or_its_panel(path):
    root = ElementTree.fromstring(picture(compile_file(path).graph))
    page = float(root.attrib["width"])
    panels = [g for g in root if g.tag.endswith("}g")]
    assert panels
    for panel in panels:
        rim = next(iter(panel))
        check(panel, 0.0, float(rim.attrib["width"]))
    check([e for e in root if e.tag.endswith("}text")], 0.0, page)


def check(elements, shift: float, width: float) -> None:
    """Texts end before the right edge; groups are moved by their own shift."""
    for element in elements:
        if element.tag.endswith("}g"):
            moved = float(re.findall(r"translate\(([-\d.]+)", element.attrib["transform"])[0])
            check(element, shift + moved, width)
        elif element.tag.endswith("}text"):
            classes = element.attrib["class"].split()
            left = shift + float(element.attrib["x"])
            size = float(element.attrib["font-size"])
            room = width_of(element.text or "", size, mono="mono" in classes)
            if "end" in classes:
                left -= room
            assert left >= 0, element.text
            assert left + room * ("end" not in classes) <= width + 1, element.text


def test_what_a_layer_hands_to_later_ones_is_told_apart_from_what_enters_the_next():
    found = texts(picture(compile_file(ROOT / "tests/nanogen/good/unet.toml").graph))
    assert found.count("read elsewhere") == 1  # the values of the first layer
    assert "at(mix.values, ..)" in found
