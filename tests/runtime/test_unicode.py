"""Text that UTF-8 can hold."""

import pytest

from runtime.unicode import well_formed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("日本 🙂", "日本 🙂"),
        ("a\udc80", "a\ufffd"),
        ("\ud83d\ude42", "🙂"),
        ("\ude42\ud83d", "\ufffd\ufffd"),
    ],
)
def test_lone_surrogates_are_replaced_and_pairs_joined(text: str, expected: str):
    assert well_formed(text) == expected
