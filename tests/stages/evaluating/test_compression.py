"""What counts as a word, and a text that an encoding does not give back."""

import pytest

from stages.evaluating.compression import Encoding, Text, measure

LATIN1 = Encoding("latin1", 256, lambda text: list(text.encode("latin-1", "replace")), bytes)
PAIRS = Encoding(  # two bytes a token, the last one alone
    "pairs",
    1000,
    lambda text: [int.from_bytes(text.encode()[i : i + 2]) for i in range(0, len(text.encode()), 2)],
    lambda ids: b"".join(token.to_bytes(2 if token > 255 else 1) for token in ids),
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat – 3 cats' mats.", 4),
        ("도서관이 문을 열었다.", 3),
        ("港町の朝は早い。", None),
        ("ภาษาไทยไม่มีช่องว่าง", None),
        ("she read 港町 by the sea, and all else was written in letters of another script", 16),
        ("17 + 25 = 42", None),
        ("two\n\tlines", 2),
    ],
)
def test_words_stand_between_blanks_and_hold_letters(text, words):
    assert Text("a", (text,)).facts()["words"] == words


def test_figures_of_tokens_that_can_be_counted_by_hand():
    found = measure(PAIRS, [Text("a", ("abab", "abc")), Text("b", ("x",))])
    first, second = found["texts"]
    assert (first["tokens"], second["tokens"]) == (4, 1)
    assert first["bytes_per_token"] == 7 / 4
    assert first["words_per_token"] == 2 / 4
    assert first["ids_share"] == 2 / 1000
    assert (first["single_byte_share"], second["single_byte_share"]) == (1 / 4, 1)
    assert found["bytes_per_second"] > 0


def test_a_text_that_does_not_come_back_is_an_error_of_ours():
    with pytest.raises(AssertionError, match="latin1 does not give a back"):
        measure(LATIN1, [Text("a", ("é",))])
