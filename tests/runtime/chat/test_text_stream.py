"""Streams show whole characters, and nothing of a stop string, however they are cut."""

from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.chat.text_stream import StopText, TextStream
from runtime.tokenizer import Tokenizer

WRITTEN = st.text(st.sampled_from("the mat日本語テ、🙂👩\u200d👧é\u0301\ufeff\n\x00"), max_size=20)


def fed(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    stream = TextStream(tokenizer)
    return [*map(stream.feed, ids), stream.end()]


@settings(deadline=None)
@given(st.data())
def test_any_ids_joined_are_the_decoded_text(tokenizer: Tokenizer, data: st.DataObject):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab - 1)))
    assert "".join(fed(tokenizer, ids)) == tokenizer.decode(ids)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0x41, 0x80, 0xBF, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xF8, 0xFF, 0x9F, 0xA0])))
def test_hostile_bytes_joined_are_the_decoded_text(tokenizer: Tokenizer, values: list[int]):
    ids = [tokenizer.ranks.index(bytes([value])) for value in values]
    assert "".join(fed(tokenizer, ids)) == tokenizer.decode(ids)


@settings(deadline=None)
@given(WRITTEN)
def test_written_text_comes_in_whole_characters(tokenizer: Tokenizer, text: str):
    deltas = fed(tokenizer, tokenizer.encode(text))
    assert "".join(deltas) == text
    assert "\ufffd" not in "".join(deltas)


@settings(deadline=None)
@given(st.data())
def test_at_most_one_unfinished_character_waits(tokenizer: Tokenizer, data: st.DataObject):
    ids = data.draw(st.lists(st.integers(0, 255), min_size=1))
    shown = "".join(map(TextStream(tokenizer).feed, ids))
    rest = tokenizer.decode(ids).removeprefix(shown)
    assert rest in ("", "\ufffd")


def test_bytes_that_begin_no_character_are_shown_at_once(tokenizer: Tokenizer):
    stray = tokenizer.ranks.index(b"\x80")
    stream = TextStream(tokenizer)
    assert [stream.feed(stray) for _ in range(100)] == ["\ufffd"] * 100


def test_a_cut_character_ends_as_a_replacement_and_the_stream_is_new(tokenizer: Tokenizer):
    stream = TextStream(tokenizer)
    euro = [tokenizer.ranks.index(bytes([byte])) for byte in "€".encode()]
    assert [*map(stream.feed, euro[:2]), stream.end(), stream.end()] == ["", "", "\ufffd", ""]
    assert [*map(stream.feed, euro)] == ["", "", "€"]


def test_each_id_is_decoded_once(tokenizer: Tokenizer):
    class Counted:
        decoded = 0

        def decode_bytes(self, ids: list[int]) -> bytes:
            self.decoded += len(ids)
            return tokenizer.decode_bytes(ids)

    counted = Counted()
    ids = tokenizer.encode("日本語のテキスト 🙂" * 50)
    fed(cast(Any, counted), ids)
    assert counted.decoded == len(ids)


# -- stop strings


def naive(text: str, stops: list[str]) -> str:
    return text[: min((text.find(stop) for stop in stops if stop in text), default=len(text))]


@settings(deadline=None)
@given(
    st.lists(st.text("abc", min_size=1, max_size=5), max_size=4),
    st.lists(st.text("abc", max_size=4), max_size=12),
)
def test_what_is_shown_ends_where_the_first_stop_string_begins(stops: list[str], pieces: list[str]):
    text = "".join(pieces)
    expected, longest = naive(text, stops), max(map(len, stops), default=0)
    watch, shown, given_text = StopText(stops), "", ""
    for piece in pieces:
        delta, stopped = watch.feed(piece)
        shown, given_text = shown + delta, given_text + piece
        assert expected.startswith(shown)
        assert stopped == watch.stopped
        assert stopped or len(given_text) - len(shown) < max(longest, 1), "no more waits than may be a begin"
    assert shown + watch.end() == expected
    assert watch.stopped == (expected != text)
    assert watch.end() == ""


@pytest.mark.parametrize(
    ("stops", "pieces", "expected"),
    [
        (["\n\n"], ["a\n", "b\n", "\nc"], [("a", False), ("\nb", False), ("", True)]),
        (["END", "E"], ["aE", "ND"], [("a", True), ("", True)]),
        (["abcd", "c"], ["abc", "x"], [("", False), ("ab", True)]),
        (["abcd", "c"], ["abc", "d"], [("", False), ("", True)]),
        (["です"], ["猫で", "す"], [("猫", False), ("", True)]),
        ([""], ["ab"], [("ab", False)]),
        ([], ["ab", ""], [("ab", False), ("", False)]),
    ],
)
def test_a_begin_of_a_stop_string_waits(stops, pieces, expected):
    watch = StopText(stops)
    assert [watch.feed(piece) for piece in pieces] == expected


def test_a_begin_that_stays_one_is_shown_at_the_end():
    watch = StopText(["END"])
    assert (watch.feed("the EN"), watch.end(), watch.stopped) == (("the ", False), "EN", False)


def test_a_stop_string_within_what_waits_counts_at_the_end():
    watch = StopText(["abcd", "c"])
    assert (watch.feed("abc"), watch.end(), watch.stopped) == (("", False), "ab", True)
