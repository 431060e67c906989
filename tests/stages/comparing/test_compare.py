"""Runs beside each other: found by their names, compared where each has spent as much, drawn, and told what keeps them apart."""

import csv
import io
from pathlib import Path

import pytest

from runtime.faults import Fault
from stages.comparing.gather import compare
from stages.comparing.table import standings, text
from stages.comparing.write import write
from tests.stages.watching.folders import make_done, make_open


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """`slow` costs a tenth of the FLOPs of `fast` and has made twice its steps; `fast` is 0.5 lower at every step."""
    folder = tmp_path / "runs"
    make_open(folder / "slow", "base", steps=80, flops=10**11)
    make_open(folder / "fast", "base", steps=40, drop=0.5)
    return folder


def test_which_is_ahead_depends_on_what_is_held_equal(runs):
    compared = compare(["slow", "fast"], runs, stage=None, figure="loss")
    found = {s.axis: (s.spent, s.ahead("loss")) for s in standings(compared.curves)}
    assert (found["step"][0], found["tokens"][0]) == (39, 40 * 64)
    for axis in ("step", "tokens", "time"):
        place, lead, share = found[axis][1]
        assert (place, round(lead, 6)) == (1, 0.5)
        assert share == pytest.approx(0.5 / compared.curves[0].at(axis, found[axis][0]))
    assert found["flops"][0] == 80 * 10**11  # where the cheap one ends the dear one has made 8 steps
    place, lead, _ = found["flops"][1]
    assert place == 0
    assert lead > 0.5


def test_the_table_says_last_best_and_who_is_ahead(runs):
    told = text(compare(["slow", "fast"], runs, stage=None, figure="loss"))
    assert told.startswith("loss, lower is better, smoothed\n")
    lines = {line.split()[0]: line for line in told.splitlines() if line}
    assert "fast by 0.5000" in lines["steps"]
    assert "slow by" in lines["FLOPs"]
    bars = [line.split()[1] for line in told.splitlines() if "▁" in line]
    assert len(bars[1]) == len(bars[0]) / 2  # the course of half as many tokens is half as long


def test_bits_per_byte_is_taken_where_all_have_it_and_a_lone_run_has_no_rival(runs):
    one = compare(["slow"], runs, stage=None, figure=None)
    assert one.figure == "loss"  # bits per byte was found once alone, which is no course
    assert standings(one.curves) == []
    assert "where each" not in text(one)


def test_runs_are_level_where_they_are_the_same(runs):
    assert "level" in text(compare(["slow", "slow"], runs, stage=None, figure="loss"))


def test_a_stage_is_named_with_its_run_or_for_all(runs):
    make_open(runs / "slow", "rl", steps=3)
    make_open(runs / "fast", "rl", steps=3)
    labels = [c.label for c in compare(["slow/rl", "slow/base"], runs, stage=None, figure=None).curves]
    assert labels == ["slow/rl", "slow/base"]
    both = compare(["slow", "fast"], runs, stage="rl", figure="loss")
    assert [c.most("step") for c in both.curves] == [2, 2]
    by_folder = compare([str(runs / "slow" / "rl"), "fast"], runs, stage=None, figure="loss")
    assert [c.most("step") for c in by_folder.curves] == [2, 39]
    assert "note: these are different stages: base, rl" in text(by_folder)


@pytest.mark.parametrize(
    ("named", "stage", "figure", "message"),
    [
        (["slow", "fsat"], None, None, "there is no run `fsat`"),
        (["slow", "fast/nothing"], None, None, "`fast/nothing` has no log of a stage `nothing`"),
        (["slow"], "sft", None, "`slow` has no log of a stage `sft`"),
        (["slow"], None, "reward", "the log of `slow` has no figure `reward`"),
        (["empty"], None, None, "no stage of `empty` has a log"),
    ],
)
def test_what_is_not_there_is_told(runs, named, stage, figure, message):
    make_done(runs / "empty", "corpus", "dataset", {})
    with pytest.raises(Fault) as caught:
        compare(named, runs, stage=stage, figure=figure)
    assert message in caught.value.message
    assert caught.value.help


def test_losses_of_different_tokenizers_are_said_not_to_compare(runs):
    """The tokenizer lies in the folder of a stage that is done, and before that in a stage that it needs."""
    notes = compare(["slow", "fast"], runs, stage=None, figure="loss").notes
    assert any("is not found" in note for note in notes)
    (runs / "slow" / "base" / "tokenizer.json").write_text("one")
    (runs / "fast" / "words").mkdir()
    (runs / "fast" / "words" / "tokenizer.json").write_text("another")
    (runs / "fast" / "base" / "work.json").write_text('{"identity": "x", "needs": {"words": "abc"}}')
    notes = compare(["slow", "fast"], runs, stage=None, figure="loss").notes
    assert any("tokenizers differ" in note and "bits per byte" in note for note in notes)
    assert compare(["slow", "fast"], runs, stage=None, figure="bits_per_byte").notes == ()
    (runs / "fast" / "words" / "tokenizer.json").write_text("one")
    assert compare(["slow", "fast"], runs, stage=None, figure="loss").notes == ()


@pytest.mark.parametrize("by", [None, "flops"])
def test_a_picture_has_a_line_for_each_run_and_the_same_bytes_each_time(runs, tmp_path, by):
    compared = compare(["slow", "fast"], runs, stage=None, figure="loss")
    files = [tmp_path / "one.svg", tmp_path / "two.svg", tmp_path / "one.png"]
    for file in files:
        write(compared, file, by)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[2].read_bytes().startswith(b"\x89PNG")
    picture = files[0].read_text()
    assert ("million" in picture, "TFLOPs" in picture) == (False, True)
    assert picture.count("<!-- loss -->") == (1 if by else 4)


def test_a_page_needs_nothing_from_elsewhere_and_a_name_is_never_markup(runs, tmp_path):
    make_open(runs / "$<b>_x$", "base", steps=5)
    compared = compare(["slow", "$<b>_x$"], runs, stage=None, figure="loss")
    write(compared, tmp_path / "page.html", None)
    page = (tmp_path / "page.html").read_text()
    assert "Where each has spent as much" in page
    assert "<b>" not in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_numbers_are_written_a_row_a_point(runs, tmp_path):
    write(compare(["slow", "fast"], runs, stage=None, figure="loss"), tmp_path / "out.csv", None)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [r["run"] for r in rows] == ["slow"] * 80 + ["fast"] * 40
    assert (rows[80]["step"], rows[80]["tokens"], rows[80]["seconds"], rows[80]["value"]) == (
        "0",
        "64",
        "0.5",
        "4.5",
    )


def test_an_axis_that_is_not_logged_cannot_be_drawn_over(runs, tmp_path):
    (runs / "slow" / "base" / "clock.jsonl").unlink()
    compared = compare(["slow", "fast"], runs, stage=None, figure="loss")
    assert [s.axis for s in standings(compared.curves)] == ["step", "tokens", "flops"]
    with pytest.raises(Fault, match="do not all say the time"):
        write(compared, tmp_path / "x.svg", "time")
