"""A stage's figures in a line."""

import pytest

from stages.logs.headline import headline


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        ({"train": {"documents": 1200, "bytes": 3400}}, "1,200 documents, 3,400 bytes"),
        ({"vocab": 512, "bytes_per_token": 1.9}, "512 ids, 1.900 bytes a token"),
        ({"bits_per_byte": {"start": 4.5, "end": 2.25}}, "4.5000 to 2.2500 bits per byte"),
        ({"pass_1": {"start": 0.26, "end": 0.59}}, "26.0% to 59.0% pass@1"),
        ({"bits_per_byte": 2.5, "core": {"core": 0.25}}, "2.5000 bits per byte, CORE 0.2500"),
        ({"chatcore": None, "core": None}, ""),
        ({"chatcore": 0.5}, "ChatCORE 0.5000"),
        ({}, ""),
    ],
)
def test_a_result_in_a_line(result, wanted):
    assert headline(result) == wanted
