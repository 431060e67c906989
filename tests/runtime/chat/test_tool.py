"""The calculator answers each block that ends, once, whatever sequence of tokens it is shown."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.chat.conversation import render
from runtime.chat.message import Message, Part
from runtime.chat.tool import MOST_TOKENS, Calculator
from runtime.tokenizer import Tokenizer


def run(tokenizer: Tokenizer, drawn: Sequence[int | str]) -> str:
    """What the row becomes when these are drawn: names are special tokens; forced tokens come first."""
    tool, row = Calculator(tokenizer), []
    for token in drawn:
        coming = [tokenizer.special[token] if isinstance(token, str) else token]
        while coming:
            row.append(coming.pop(0))
            forced = tool.see(row[-1])
            assert not (coming and forced), "forced tokens trigger nothing"
            coming += forced
    return tokenizer.decode(row)


def written(tokenizer: Tokenizer, text: str) -> list[int | str]:
    """Ids of a text, with `[` and `]` around what is asked."""
    ids: list[int | str] = []
    for piece in text.replace("[", "\0[\0").replace("]", "\0]\0").split("\0"):
        ids += {"[": ["python_start"], "]": ["python_end"]}.get(piece, tokenizer.encode(piece))
    return ids


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("It is [48//2] clips", "It is [48//2]{24} clips"),
        ("[1/2][1/0]", "[1/2]{0.5}[1/0]{error: division by zero}"),
        ("['a,b'.count(',')]", "['a,b'.count(',')]{1}"),
        ("[]", "[]{error: not an arithmetic expression}"),
        ("[[1+1]", "[[1+1]{2}"),
        ("[9[1+1]", "[9[1+1]{2}"),
        ("[1+1]]2]", "[1+1]{2}]2]"),
        ("]1+1]", "]1+1]"),
        ("[1+1", "[1+1"),
        ("no block 1+1", "no block 1+1"),
        ("['<|python_end|>'.count('p')]", "['<|python_end|>'.count('p')]{1}"),
    ],
)
def test_a_block_is_answered_when_it_ends(tokenizer: Tokenizer, text: str, row: str):
    found = run(tokenizer, written(tokenizer, text))
    names = {"[": "python_start", "]": "python_end", "{": "output_start", "}": "output_end"}
    assert found == "".join(f"<|{names[c]}|>" if c in names else c for c in row)


def test_what_is_forced_is_what_training_renders(tokenizer: Tokenizer):
    parts = Part("text", "It is "), Part("python", "48//2"), Part("output", "24"), Part("text", " clips")
    ids = render([Message("user", ()), Message("assistant", parts)], tokenizer).ids
    end = ids.index(tokenizer.special["python_end"]) + 1
    tool = Calculator(tokenizer)
    *before, forced = [tool.see(id) for id in ids[:end]]
    assert not any(before)
    assert forced == ids[end : end + len(forced)]
    assert forced[-1] == tokenizer.special["output_end"]


@pytest.mark.parametrize("name", ["bos", "user_start", "assistant_end", "output_start", "output_end"])
def test_a_special_token_in_a_block_makes_an_error(tokenizer: Tokenizer, name: str):
    row = run(tokenizer, ["python_start", *tokenizer.encode("1+1"), name, "python_end"])
    assert row.endswith("<|output_start|>error: not an arithmetic expression<|output_end|>")


def test_a_block_cut_within_a_character_makes_an_error(tokenizer: Tokenizer):
    row = run(tokenizer, ["python_start", tokenizer.ranks.index(b"\xe2"), "python_end"])
    assert row.endswith("<|output_start|>error: not an arithmetic expression<|output_end|>")


def test_of_a_huge_block_only_the_begin_is_kept(tokenizer: Tokenizer):
    tool = Calculator(tokenizer)
    tool.see(tokenizer.special["python_start"])
    for _ in range(20_000):
        assert tool.see(49) == []
    assert tool._block is not None
    assert len(tool._block) == MOST_TOKENS
    answer = tokenizer.decode(tool.see(tokenizer.special["python_end"]))
    assert answer == "<|output_start|>error: expression too long<|output_end|>"
    assert tool.see(tokenizer.special["python_end"]) == []


def test_a_huge_block_of_wide_characters_is_too_long_too(tokenizer: Tokenizer):
    text = "'" + "🙂" * 1_500 + "'.count('🙂')"
    row = run(tokenizer, ["python_start", *tokenizer.encode(text), "python_end"])
    assert row.endswith("<|output_start|>error: expression too long<|output_end|>")


@settings(deadline=None)
@given(st.data())
def test_any_row_is_answered_as_often_as_blocks_end(tokenizer: Tokenizer, data: st.DataObject):
    marks = st.sampled_from(["python_start", "python_end", "output_start", "output_end", 49, 43, 200])
    drawn = data.draw(st.lists(marks))
    ended, inside = 0, False
    for token in drawn:
        ended += inside and token == "python_end"
        inside = token == "python_start" or (inside and token != "python_end")
    row = run(tokenizer, drawn)
    assert row.count("<|output_start|>") == ended + drawn.count("output_start")
