"""A tokenizer small enough that most characters beyond ASCII are cut across several tokens."""

import pytest

from runtime.tokenizer import Tokenizer

TEXTS = ["the cat sat on the mat, 12+34", "日本語のテキスト 🙂 naïve café", "x = 1234567\n\n  y"] * 5


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, vocab=300)
