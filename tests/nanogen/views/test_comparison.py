"""The table, the records and the lines: the same numbers in each, under keys that stay."""

import csv
import io
from pathlib import Path

import pytest

from nanogen.answers.costs import costs
from nanogen.compiler import compile_file
from nanogen.planning.budget import purchase
from nanogen.planning.hardware import load_hardware
from nanogen.planning.match import match
from nanogen.shelf import find
from nanogen.views.comparison import Entry, as_csv, record, solved, spending, table

SPECS = Path(__file__).parents[3] / "specs"
KEYS = [
    "spec", "name", "dials", "rows", "tokens", "parameters", "training_flops_per_token", "attention_flops_per_token",
    "convention_flops_per_token", "convention_reached_flops_per_token", "prefill_flops", "decode_flops", "state_bytes_per_token", "state_bytes",
]  # fmt: skip


def entry(name: str, rows: int = 1, **more) -> Entry:
    graph = compile_file(SPECS / f"{name}.toml").graph
    return Entry(name, graph, costs(graph, 2048, rows), **more)


@pytest.fixture(scope="module")
def both() -> list[Entry]:
    return [entry("saint_iberis_d20"), entry("nanochat_2025")]


@pytest.fixture(scope="module")
def matched(both: list[Entry]) -> Entry:
    second = compile_file(SPECS / "nanochat_2025.toml")
    found = match(both[0].graph, second, "vocab", tokens=2048)
    return Entry("nanochat_2025", found.compiled.graph, costs(found.compiled.graph, 2048), match=found)


def test_a_row_a_spec(both: list[Entry]):
    lines = table(both).splitlines()
    assert lines[0] == "one row of 2,048 tokens"
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("saint", "nano"))}
    assert rows["saint_iberis_d20"] == [
        "542,035,200", "2,859,048,960", "3.9", "%", "2,969,095,680", "1,951,777,423,360", "989,698,560",
        "35", "KiB", "70.1", "MiB",
    ]  # fmt: skip
    assert rows["nanochat_2025"][1:5] == ["3,177,338,880", "9.9", "%", "3,491,758,080"]


def test_the_heads_stand_over_their_columns(both: list[Entry]):
    lines = table(both).splitlines()
    exact, convention = (line.rindex("2,859,048,960") + 13 for line in lines if "2,859,048,960" in line), 0
    heads = next(line for line in lines if "6N + 12LHQT" in line)
    row = next(line for line in lines if line.startswith("saint"))
    assert next(exact) == heads.index("FLOPs a token") + 13
    convention = row.index("2,969,095,680") + 13
    assert convention == heads.index("6N + 12LHQT") + 11


def test_rows_are_counted_together():
    shown = table([entry("nanochat_2025", rows=4)])
    assert shown.startswith("4 rows of 2,048 tokens")
    for wanted in (f"{4 * 2_169_063_342_080:,}", f"{4 * 1_163_919_360:,}", "800 MiB", "4 rows"):
        assert wanted in shown
    assert "3,177,338,880" in shown


def test_what_a_budget_buys_says_what_was_assumed():
    hardware = load_hardware(find("h100x8", "hardware"))
    bought = purchase(
        4e19, per_token=3_177_338_880, parameters=560_988_160, batch_tokens=2**19, hardware=hardware
    )
    shown = spending([entry("nanochat_2025", purchase=bought)], "exact", 2**19, hardware)
    for wanted in (
        "for 4e+19 FLOPs",
        "12,589,151,334",
        "22.4",
        "24,011",
        "3.265",
        "78.35",
        "43 % are assumed",
        "bfloat16",
    ):
        assert wanted in shown, wanted


def test_hours_stand_only_where_the_hardware_is_known():
    bought = purchase(1e18, per_token=1e9, parameters=10**8, batch_tokens=2**19)
    shown = spending([entry("nanochat_2025", purchase=bought)], "convention", 2**19, None)
    assert "hours" not in shown
    assert "dollars" not in shown
    assert "by the convention" in shown


def test_a_match_says_both_numbers(matched: Entry):
    assert matched.label == "nanochat_2025, vocab = 24092"
    assert matched.match is not None
    shown = solved(matched.match)
    assert shown.count("2,859,048,960") == 2
    assert "+0.000 %" in shown
    assert "was 65,536" in shown


def test_the_keys_stay(both: list[Entry], matched: Entry):
    assert list(record(both[0])) == KEYS
    bought = purchase(1e18, per_token=1e9, parameters=10**8, batch_tokens=2**19)
    assert list(record(entry("nanochat_2025", purchase=bought))) == [
        *KEYS, "budget_flops", "budget_tokens", "budget_tokens_per_parameter", "budget_steps", "budget_hours",
        "budget_dollars",
    ]  # fmt: skip
    found = record(matched)
    assert list(found) == [
        *KEYS, "match_dim", "match_value", "match_by", "match_wanted", "match_found", "match_percent", "match_spec",
    ]  # fmt: skip
    assert (found["match_dim"], found["match_value"], found["match_percent"]) == ("vocab", 24_092, 0)
    assert "vocab    = 24092" in found["match_spec"]


def test_records_have_the_numbers_whole(both: list[Entry]):
    found = record(both[1])
    assert found["training_flops_per_token"] == 3_177_338_880
    assert type(found["training_flops_per_token"]) is int
    assert (found["name"], found["state_bytes"]) == ("nanochat_2025", 2048 * 20 * 2 * 1280 * 2)


def test_lines_have_what_the_records_have(both: list[Entry], matched: Entry):
    entries = [*both, matched]
    lines = list(csv.DictReader(io.StringIO(as_csv(entries))))
    assert len(lines) == 3
    for line, e in zip(lines, entries, strict=True):
        kept = {key: str(value) for key, value in record(e).items() if key not in ("match_spec", "dials")}
        assert {key: line[key] for key in kept} == kept
    assert lines[0]["match_dim"] == ""
