"""What a model writes is read as the parts it was rendered from, whatever tokens it mixes in."""

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.chat.conversation import render
from runtime.chat.message import Message, Part
from runtime.chat.reader import Reader
from runtime.tokenizer import Tokenizer

KINDS = st.sampled_from(["text", "python", "output"])


def read(tokenizer: Tokenizer, ids: list[int]) -> list[Part]:
    """The parts of the ids; pieces of one kind are joined."""
    reader = Reader(tokenizer)
    pieces = [part for id in ids for part in reader.feed(id)] + reader.end()
    assert all(piece.text for piece in pieces)
    parts: list[Part] = []
    for piece in pieces:
        if parts and parts[-1].kind == piece.kind:
            piece = Part(piece.kind, parts.pop().text + piece.text)
        parts.append(piece)
    return parts


@settings(deadline=None)
@given(st.lists(st.builds(Part, KINDS, st.text("1+ 日🙂", min_size=1)), unique_by=lambda part: part.kind))
def test_rendered_parts_are_read_back(tokenizer: Tokenizer, parts: list[Part]):
    messages = [Message("user", ()), Message("assistant", tuple(parts))]
    assert read(tokenizer, render(messages, tokenizer).ids) == parts


@settings(deadline=None)
@given(st.data())
def test_any_ids_are_read_and_no_text_is_lost(tokenizer: Tokenizer, data: st.DataObject):
    ids = data.draw(st.lists(st.integers(250, tokenizer.vocab - 1)))
    special = frozenset(tokenizer.special.values())
    plain = "".join(part.text for part in read(tokenizer, ids))
    if special.isdisjoint(ids):
        assert plain == tokenizer.decode(ids)
    assert "<|" not in plain


def test_a_character_cut_by_a_special_token_stays_in_its_part(tokenizer: Tokenizer):
    cut = tokenizer.ranks.index(b"\xe2")
    ids = [cut, tokenizer.special["python_start"], 49, cut, tokenizer.special["python_end"], 50]
    assert read(tokenizer, ids) == [Part("text", "\ufffd"), Part("python", "1\ufffd"), Part("text", "2")]


def test_special_tokens_in_wrong_places_are_not_shown(tokenizer: Tokenizer):
    special, one = tokenizer.special, tokenizer.encode("1")
    ids = [special["python_end"], *one, special["user_end"], *one, special["python_start"], *one]
    ids += [special["assistant_start"], *one, special["python_start"], *one, special["output_end"], *one]
    assert read(tokenizer, ids) == [Part("text", "11"), Part("python", "111"), Part("text", "1")]


def test_special_tokens_written_as_text_divide_nothing(tokenizer: Tokenizer):
    text = "<|python_start|>1<|python_end|>"
    assert read(tokenizer, tokenizer.encode(text)) == [Part("text", text)]
