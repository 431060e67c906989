"""How source is spelt: statements that are too long for a line."""

from nanogen.emission.spelling import broken


def test_a_long_call_has_its_arguments_below_it():
    statement = 'mix = attend(rope(split(q, 8), t["a, b"]), k[:, 1:], scale=(1, 2))'
    assert broken(statement, 80) == [statement]
    assert broken(statement, 40) == [
        "mix = attend(",
        '    rope(split(q, 8), t["a, b"]),',
        "    k[:, 1:], scale=(1, 2),",
        ")",
    ]


def test_what_is_no_single_call_stays_as_it_is():
    for statement in ("y = first(x) + second(x)", "y = a + b + c", "y = f(x)[0]"):
        assert broken(statement, 10) == [statement]
