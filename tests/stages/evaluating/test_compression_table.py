"""The tables as they are shown."""

from stages.evaluating.compression_table import against, ids, missing, ours, ran, speed


def figures(rate: float, words: float | None) -> dict:
    shares = {"ids_share": 0.25, "single_byte_share": 0.5}
    return {
        "tokens": 1000,
        "bytes_per_token": rate,
        "characters_per_token": rate / 2,
        "words_per_token": words,
        **shares,
    }


def encoding(name: str, speed: int, *rates: float) -> dict:
    texts = [figures(rate, None) for rate in rates]
    return {"encoding": name, "vocab": 50_257, "bytes_per_second": speed, "texts": texts}


RESULT = {
    "texts": [{"text": "train", "bytes": 1_000_000}, {"text": "japanese", "bytes": 900}],
    "encodings": [
        {
            "encoding": "tokenizer",
            "vocab": 1024,
            "bytes_per_second": 9_100_000,
            "texts": [figures(4.0, 0.75), figures(3.0, None)],
        },
        encoding("gpt2", 8_000_000, 5.0, 1.0),
        {"encoding": "cl100k_base", "not_run": "it is not here"},
        encoding("o200k_base", 7_000_000, 4.0, 2.4),
    ],
}


def test_ours_stands_beside_those_that_were_run():
    assert against(RESULT).split("\n") == [
        "bytes a token      bytes  ours          gpt2    o200k_base",
        "train          1,000,000  4.00  5.00  -20.0%  4.00   +0.0%",
        "japanese             900  3.00  1.00 +200.0%  2.40  +25.0%",
    ]
    assert [found["encoding"] for found in ran(RESULT)] == ["tokenizer", "gpt2", "o200k_base"]
    assert missing(RESULT) == [("cl100k_base", "not run: it is not here")]
    assert ids(RESULT) == "1,024; gpt2 50,257; o200k_base 50,257"
    assert speed(RESULT) == "9.1 MB a second on one thread; gpt2 8.0; o200k_base 7.0"


def test_what_was_measured_of_ours():
    assert ours(RESULT).split("\n") == [
        "ours      tokens  characters a token  words a token  ids that occur  tokens of one byte",
        "train      1,000                2.00           0.75           25.0%               50.0%",
        "japanese   1,000                1.50              -           25.0%               50.0%",
    ]
