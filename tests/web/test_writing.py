"""What is shown of a sample: whole characters, nothing of a stop string, each part by its kind, each score once."""

import pytest

from runtime.chat.message import Part
from runtime.decoding.request import Token
from tests.web.scripted import small_tokenizer
from web.writing import Piece, Writing

TOKENIZER = small_tokenizer()


def written(text: str, *stops: str, scored: bool = False) -> tuple[Writing, list[Piece]]:
    writing, pieces = Writing(TOKENIZER, stops), []
    for id in TOKENIZER.encode(text):
        pieces.append(writing.feed(Token(1, 0, id, logprob=-0.5 if scored else None)))
        if writing.stopped:
            return writing, pieces
    return writing, [*pieces, writing.end()]


def text_of(pieces: list[Piece]) -> str:
    return "".join(part.text for piece in pieces for part in piece.parts)


@pytest.mark.parametrize("text", ["the cat sat", "日本語🙂", "naïve café"])
def test_pieces_are_whole_characters_and_joined_the_text(text):
    _, pieces = written(text)
    assert text_of(pieces) == text
    assert "\ufffd" not in text_of(pieces)


@pytest.mark.parametrize("stop", ["dog", "d", " and the dog", "g sat", "語"])
def test_nothing_of_a_stop_string_is_shown(stop):
    text = "the cat and the dog sat 日本語"
    writing, pieces = written(text, stop, "never there")
    assert writing.stopped
    assert text_of(pieces) == text[: text.index(stop)]


def test_what_began_like_a_stop_string_is_shown_in_the_end():
    writing, pieces = written("the cat", "cats")
    assert not writing.stopped
    assert text_of(pieces) == "the cat"


def test_parts_come_in_order_with_their_kinds():
    special = TOKENIZER.special
    ids = [
        *TOKENIZER.encode("the c"),
        special["python_start"],
        *TOKENIZER.encode("1 + 12"),
        special["python_end"],
        special["output_start"],
        *TOKENIZER.encode("13"),
        special["output_end"],
        *TOKENIZER.encode("at"),
    ]
    writing = Writing(TOKENIZER, ["cat"])
    pieces = [writing.feed(Token(1, 0, id)) for id in ids] + [writing.end()]
    joined: list[Part] = []
    for part in (part for piece in pieces for part in piece.parts):
        if joined and joined[-1].kind == part.kind:
            part = Part(part.kind, joined.pop().text + part.text)
        joined.append(part)
    assert joined == [
        Part("text", "the c"),
        Part("python", "1 + 12"),
        Part("output", "13"),
        Part("text", "at"),
    ]
    assert writing.tokens == len(ids)


def test_scores_come_once_each_with_the_place_of_their_text():
    text = "the 日本 cat"
    _, pieces = written(text, scored=True)
    scored = [scored for piece in pieces for scored in piece.scored]
    assert [s.token.id for s in scored] == TOKENIZER.encode(text)
    assert [s.offset for s in scored] == sorted(s.offset for s in scored)
    assert scored[0].offset == 0
    assert text[scored[-1].offset :] == TOKENIZER.decode([scored[-1].token.id])


def test_scores_of_a_stop_string_are_not_told():
    text = "the cat|||"
    _, pieces = written(text, "|||", scored=True)
    scored = [scored.token.id for piece in pieces for scored in piece.scored]
    assert TOKENIZER.decode(scored) == "the cat"


def test_scores_of_tool_calls_and_of_special_tokens_are_not_told():
    special = TOKENIZER.special
    writing = Writing(TOKENIZER, ())
    ids = [special["python_start"], *TOKENIZER.encode("1"), special["python_end"], *TOKENIZER.encode("x")]
    pieces = [writing.feed(Token(1, 0, id, logprob=-0.5)) for id in ids]
    assert [s.token.id for piece in pieces for s in piece.scored] == TOKENIZER.encode("x")


def test_scores_of_bytes_that_make_no_character_come_at_the_end():
    writing = Writing(TOKENIZER, ())
    euro = TOKENIZER.ranks.index(b"\xe2")
    assert writing.feed(Token(1, 0, euro, logprob=-0.5)).scored == ()
    end = writing.end()
    assert end.parts == (Part("text", "\ufffd"),)
    assert [s.token.id for s in end.scored] == [euro]
