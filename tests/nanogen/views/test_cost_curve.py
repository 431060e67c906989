"""The picture of cost over row length: its bytes, its labels, its scales."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from nanogen.compiler import compile_file, compile_text
from nanogen.graph import Graph
from nanogen.views.cost_curve import draw, flops_text, round_numbers, row_lengths

SPECS = Path(__file__).parents[3] / "specs"


@pytest.fixture(scope="module")
def models() -> list[tuple[str, Graph]]:
    names = ("saint_iberis_d20", "nanochat_2025")
    return [(name, compile_file(SPECS / f"{name}.toml").graph) for name in names]


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_same_models_draw_the_same_bytes(models, ending: str, tmp_path: Path):
    first, second = (tmp_path / f"{name}.{ending}" for name in ("a", "b"))
    draw(models, first)
    draw(models, second)
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size > 5_000


def test_the_picture_names_its_lines_and_no_date(models, tmp_path: Path):
    draw(models, tmp_path / "cost.svg")
    text = (tmp_path / "cost.svg").read_text()
    # matplotlib draws letters, and leaves the words as comments
    said = re.findall(r"<!-- (.*?) -->", text)
    for wanted in ("saint_iberis_d20", "nanochat_2025", "Training FLOPs a token, exact", "256", "8,192"):
        assert wanted in said
    assert "dc:date" not in text


def test_lines_that_end_together_have_labels_apart(models, tmp_path: Path):
    draw([models[0], (models[0][0] + " again", models[0][1])], tmp_path / "cost.svg")
    text = (tmp_path / "cost.svg").read_text()
    places = dict(re.findall(r"<!-- (saint\S*(?: again)?) -->\s*<g [^>]*translate\([\d.]+ ([\d.]+)\)", text))
    assert len(places) == 2
    assert abs(float(places["saint_iberis_d20"]) - float(places["saint_iberis_d20 again"])) > 8


def test_a_small_context_is_drawn(small, tmp_path: Path):
    draw([("small", compile_text(small()).graph)], tmp_path / "small.png")
    assert (tmp_path / "small.png").read_bytes().startswith(b"\x89PNG")


def test_row_lengths_go_from_end_to_end_at_even_ratios():
    lengths = row_lengths(256, 8192)
    assert (lengths[0], lengths[-1], len(lengths)) == (256, 8192, 49)
    ratios = [b / a for a, b in pairwise(lengths)]
    assert max(ratios) / min(ratios) < 1.02
    assert row_lengths(64, 64) == [64]


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (2.52e9, 4.3e9, [2.6e9, 2.8e9, 3e9, 3.2e9, 3.4e9, 3.6e9, 3.8e9, 4e9, 4.2e9]),
        (8e8, 3e10, [1e9, 2e9, 5e9, 1e10, 2e10]),
        (5e5, 2e10, [1e6, 1e7, 1e8, 1e9, 1e10]),
    ],
)
def test_scales_stand_at_round_numbers(low: float, high: float, wanted: list[float]):
    assert round_numbers(low, high) == pytest.approx(wanted)


def test_a_scale_that_hardly_moves_has_numbers_too():
    assert len(round_numbers(3.00e9, 3.05e9)) >= 4


def test_flops_as_people_read_them():
    shown = [flops_text(n) for n in (12, 1e3, 2.5e6, 3.2e9, 999.9e9, 4e12, 1.5e15)]
    assert shown == ["12", "1 k", "2.5 M", "3.2 G", "1 T", "4 T", "1.5 P"]
