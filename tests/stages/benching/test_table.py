"""What the table says of a change."""

import io

from rich.console import Console

from stages.benching.records import Record
from stages.benching.samples import Figure
from stages.benching.table import heading, machine_line, table, value_text

FACTS = {
    "what": "train",
    "spec": "nanochat_2025",
    "dims": {"depth": 4, "attends": [1, 4]},
    "sizes": {"rows": 8, "length": 256},
    "dtype": "bfloat16",
    "compiled": True,
    "machine": "2 x CPU, 16 GiB",
    "threads": 1,
    "torch": "2",
    "commit": "abc",
}


def drawn(now: dict[str, Figure], before: dict[str, Figure] | None) -> str:
    out = io.StringIO()
    last = Record(FACTS, before) if before is not None else None
    Console(file=out, width=140).print(table([(Record(FACTS, now, ("a note",)), last)]))
    return out.getvalue()


def rate(*values: float) -> dict[str, Figure]:
    return {"tokens": Figure.of(values, "tokens/s")}


def test_a_first_time_is_new():
    text = drawn(rate(1000, 1010), None)
    assert "new" in text
    assert "1,005 tokens/s" in text
    assert "a note" in text


def test_a_change_says_whether_it_is_noise():
    assert "+10.0%" in drawn(rate(110, 110), rate(100, 100))
    assert "beyond noise" in drawn(rate(110, 110), rate(100, 100))
    assert "within noise" in drawn(rate(90, 110), rate(85, 105))
    assert "same" in drawn(rate(100, 120), rate(100, 120))
    assert "measured once" in drawn(rate(110), rate(100, 100))


def test_the_share_of_the_limit_stands_beside_its_rate():
    both = {"batch 8": Figure.of([500], "tokens/s"), "batch 8, bandwidth": Figure.of([0.42], "of the limit")}
    text = drawn(both, None)
    assert [line.split() for line in text.splitlines() if "batch" in line] == [
        ["batch", "8", "500", "tokens/s", "42%", "once", "new"]
    ]
    assert text.count("batch 8") == 1


def test_headings_say_what_was_measured():
    record = Record(FACTS, {})
    assert heading(record) == "training nanochat_2025, depth=4, 8 x 256 tokens, bfloat16 compiled"
    assert machine_line(record) == "2 x CPU, 16 GiB, 1 thread, torch 2, commit abc"


def test_values_have_units():
    assert value_text(Figure.of([3 << 20], "bytes")) == "3 MiB"
    assert value_text(Figure.of([2.5e12], "FLOP/s")) == "2.5 TFLOP/s"
    assert value_text(Figure.of([1.234], "s")) == "1.23 s"
    assert value_text(Figure.of([12.34], "s")) == "12.3 s"
