"""Tables as people see them."""

import io

import attrs
import pytest
from rich.console import Console

from stages.profiling.drawing import draw, heading
from stages.profiling.places import Line
from stages.profiling.table import Row, Table

ROWS = (
    Row(Line("trunk, slc2"), 0.010, 0.020, 0.60, 5e9, 0.25),
    Row(Line("trunk, slc2", "mix"), 0.004, 0.008, 0.24),
    Row(Line("optimizer"), 0.015, 0.0, 0.30),
    Row(Line("loader"), 0.00001, 0.0, 0.0002),
)
TABLE = Table("eager", "cpu", "bfloat16", "", 5, 0.05, 0.055, ROWS)


def drawn(table: Table) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=120).print(draw(table))
    return out.getvalue().splitlines()


def test_every_row_has_its_times():
    lines = {line.strip().partition("  ")[0]: line for line in drawn(TABLE)}
    assert "10.0 ms" in lines["trunk, slc2"]
    assert "20.0 ms" in lines["trunk, slc2"]
    assert "30.0 ms" in lines["trunk, slc2"]
    assert "60.0%" in lines["trunk, slc2"]
    assert "5 GFLOP/s" in lines["trunk, slc2"]
    assert "25%" in lines["trunk, slc2"]
    assert "█" not in lines["mix"]
    assert lines["optimizer"].count(" ms") == 1  # it has no ways
    assert "< 0.1 ms" in lines["loader"]


def test_what_nobody_knows_has_no_column():
    plain = attrs.evolve(TABLE, rows=tuple(attrs.evolve(row, flops=None, least=None) for row in ROWS))
    text = "\n".join(drawn(plain))
    assert "roofline" not in text
    assert "matmuls" not in text


@pytest.mark.parametrize(
    ("hardware", "least", "said"),
    [
        ("", None, "peak unknown"),
        ("laptop_cpu", None, "laptop_cpu has no peak in bfloat16"),
        ("h100x8", 0.2, "roofline of h100x8"),
    ],
)
def test_a_heading_says_what_is_known(hardware, least, said):
    rows = (attrs.evolve(ROWS[0], least=least),)
    told = heading(attrs.evolve(TABLE, hardware=hardware, rows=rows))
    assert said in told
    assert "a step takes 50 ms, 55 under the profiler (+10%), 5 steps" in told
