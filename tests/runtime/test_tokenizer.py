"""The tokenizer: exact round trips, strict files, and the ids that known models were trained with."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from runtime.faults import Fault
from runtime.tokenizer import LONGEST_BLANK, SPECIAL, Tokenizer, text_form

SHARED = Path(__file__).parents[3] / "shared"
GOLDEN = SHARED / "golden" / "text.public.json"
TEXTS = [
    "the cat sat on the mat, the dog sat on the log",
    "日本語のテキスト 🙂 naïve café",
    "x = 1234567\n\n\n  y",
] * 5


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, vocab=300)


@pytest.mark.parametrize(
    "text",
    [*TEXTS, "", " ", "\r\n\r\n \t x", "don't WE'LL", "\x00\x1f\x7f", "👩\u200d👩\u200d👧", "ａｂ　ｃ"],
)
def test_decoding_gives_back_the_text(tokenizer: Tokenizer, text: str):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_special_strings_in_text_are_plain_characters(tokenizer: Tokenizer):
    ids = tokenizer.encode("<|bos|> <|assistant_end|>")
    assert not set(ids) & set(tokenizer.special.values())
    assert tokenizer.decode(ids) == "<|bos|> <|assistant_end|>"


def test_special_tokens_follow_the_ranks_in_order(tokenizer: Tokenizer):
    assert [tokenizer.special[name] for name in SPECIAL] == list(range(291, 300))
    assert tokenizer.special["<|user_end|>"] == tokenizer.special["user_end"]
    assert (tokenizer.bos, tokenizer.vocab) == (291, 300)
    assert tokenizer.decode([291, 104, 105, 299]) == "<|bos|>hi<|output_end|>"


def test_a_cut_character_is_replaced_in_text_and_kept_in_bytes(tokenizer: Tokenizer):
    euro = "€".encode()
    assert tokenizer.decode_bytes(list(euro[:2])) == euro[:2]
    assert tokenizer.decode(list(euro[:2])) == "\ufffd"


def test_lone_surrogates_are_replaced(tokenizer: Tokenizer):
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"
    assert tokenizer.encode_batch(["a\ud800b"]) == [tokenizer.encode("a\ufffdb")]
    Tokenizer.train(["a\ud800b" * 9], vocab=266)


def test_a_million_blanks_are_encoded(tokenizer: Tokenizer):
    text = "a" + " " * 1_200_000 + "b"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.encode_batch([text, "a"]) == [ids, tokenizer.encode("a")]
    Tokenizer.train([text, "ab ab"], vocab=266)


def test_blanks_below_the_limit_are_not_cut(tokenizer: Tokenizer):
    text = "a" + " " * (LONGEST_BLANK - 1) + "b" + " " * 10
    assert tokenizer.encode(text) == tokenizer._encoding.encode_ordinary(text)


def test_a_batch_is_its_texts(tokenizer: Tokenizer):
    assert tokenizer.encode_batch(TEXTS, threads=3) == [tokenizer.encode(text) for text in TEXTS]


def test_token_bytes_count_the_bytes_of_the_text(tokenizer: Tokenizer):
    lengths = tokenizer.token_bytes()
    assert len(lengths) == tokenizer.vocab
    assert lengths[-9:] == [0] * 9
    for text in TEXTS:
        assert sum(lengths[token] for token in tokenizer.encode(text)) == len(text.encode())


def test_a_saved_tokenizer_is_the_same(tokenizer: Tokenizer, tmp_path: Path):
    tokenizer.save(tmp_path / "a.json")
    loaded = Tokenizer.load(tmp_path / "a.json")
    loaded.save(tmp_path / "b.json")
    assert loaded == tokenizer
    assert loaded.digest == tokenizer.digest
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


def test_digests_tell_tokenizers_apart(tokenizer: Tokenizer):
    assert Tokenizer.train(TEXTS, vocab=301).digest != tokenizer.digest
    assert Tokenizer(tokenizer.ranks, pattern=r"\s+|\S+").digest != tokenizer.digest


def test_too_little_text_is_a_fault_that_names_what_was_reached():
    with pytest.raises(Fault) as caught:
        Tokenizer.train(["ab ab ab"], vocab=300)
    assert (
        caught.value.message
        == "the text gives a vocabulary of 267, 300 asked for: no pairs are left to merge"
    )
    assert "267" in caught.value.help


def test_a_vocabulary_below_the_bytes_is_a_fault():
    with pytest.raises(Fault, match="256 bytes and 9 special"):
        Tokenizer.train(TEXTS, vocab=264)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "format"),
        ({"more": 1}, "keys"),
        ({"pattern": "("}, "regular expression"),
        ({"pattern": 7}, "pattern is not a string"),
        ({"special": {"<|bos|>": 3}}, "special tokens"),
        ({"ranks": ["zz"]}, "hexadecimal"),
        ({"ranks": [7]}, "hexadecimal"),
        ({"ranks": None}, "hexadecimal"),
        ({"ranks": ["00", "00"]}, "same"),
        ({"ranks": ["00", "01"]}, "single bytes"),
        ({"ranks": [f"{byte:02x}" for byte in range(256)] + [""]}, "empty"),
    ],
)
def test_a_file_of_another_structure_is_a_fault(
    tokenizer: Tokenizer, tmp_path: Path, change: dict, said: str
):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(Fault, match=said):
        Tokenizer.load(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_a_file_of_anything_else_is_a_fault(tmp_path: Path, content: bytes):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(Fault, match="is not a tokenizer"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def test_a_missing_file_is_a_fault(tmp_path: Path):
    with pytest.raises(Fault, match="no tokenizer at"):
        Tokenizer.load(tmp_path / "tokenizer.json")


@pytest.mark.skipif(not GOLDEN.exists(), reason="the golden vectors are not here")
def test_merges_and_encodings_equal_the_golden_ones():
    golden = json.loads(GOLDEN.read_text())
    tokenizer = Tokenizer.train(_golden_texts(), vocab=golden["vocab_size"])
    assert tokenizer.pattern == golden["pattern"]
    assert [[rank, token.hex()] for rank, token in enumerate(tokenizer.ranks)] == golden["ranks_hex"]
    assert {text_form(name): tokenizer.special[name] for name in SPECIAL} == golden["special"]
    for case in golden["encode"]:
        assert tokenizer.encode(case["text"]) == case["ids"]


def _golden_texts() -> list[str]:
    shakespeare = (SHARED / "data" / "tinyshakespeare.txt").read_text(encoding="utf-8")
    japanese = pq.read_table(SHARED / "data" / "base_data_ja" / "shard_00000.parquet").column("text")[:20]
    pieces = [shakespeare[start : start + 3000] for start in range(0, len(shakespeare), 3000)]
    return pieces[: len(pieces) // 4] + [document[:2000] for document in japanese.to_pylist()]
