"""The calculator answers what Python would, refuses the rest at once, and says so in text."""

import re
import threading
import warnings
from pathlib import Path
from time import thread_time

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.chat.calculator import LONGEST, MOST_DIGITS, calculate

GSM8K = Path(__file__).parents[4] / "shared" / "data" / "task_data" / "openai--gsm8k" / "main"
UNREADABLE = "error: not an arithmetic expression"
TOO_LARGE = "error: number too large"
SECONDS = 2.0  # a hundred times what any takes


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("48//2", "24"),
        ("48/2", "24.0"),
        ("1/2", "0.5"),
        (" (1 + 2) * -3 ", "-9"),
        ("7 % 4 - +.5", "2.5"),
        ("2**10", "1024"),
        ("2**-1", "0.5"),
        ("2**0.5", "1.4142135623730951"),
        ("-2**2", "-4"),
        ("2**3**2", "512"),
        ("0.1+0.2", "0.30000000000000004"),
        ("1e3*2", "2000.0"),
        ("1,234,567+1", "1234568"),
        ("1,234.5*2", "2469.0"),
        ("1**(10**399)", "1"),
        ("'strawberry'.count('r')", "3"),
        ('"a,b".count(",")', "1"),
        ("'1,000'.count(',') + 1,000", "1001"),
        ('"日本日".count("日")', "2"),
        ("'say \"\"'.count('\"')", "2"),
    ],
)
def test_answers_are_printed_as_python_prints_them(expression: str, answer: str):
    assert calculate(expression) == answer


@pytest.mark.parametrize(
    "expression",
    [
        "", " ", "1+", "05", "1 2", "1,5", "1,00", "1,2345", "12,", ",", "(1,2)", "1.2.3", "1_000", "0x10", "1j",
        "True", "x", "1 if 1 else 2", "1 or 2", "1<2", "~1", "[1]", "(1)(2)", "12+3=15", "20%", "1\n+1",
        "__import__('os').system('ls')", "().__class__", "'a'", "'a'*9", "'a'+'b'", "'a%s'%'b'", "'a'.upper()",
        "'a'.count", "'a'.count()", "'a'.count('a',0)", "'a'.count(1)", "5 .count('5')", "'a'.count('a').count('a')",
        "f'{1}'.count('1')", "b'a'.count(b'a')", "'\\x41'.count('A')", '"\\x41".count("A")', "'a\n'.count('a')", "'\0'.count('a')", "\0",
        "１+２", "lambda: 1", "(" * 300, "(" * 300 + "1" + ")" * 300,
    ],
)  # fmt: skip
def test_anything_else_is_refused(expression: str):
    assert calculate(expression) == UNREADABLE


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("1/0", "error: division by zero"),
        ("1//0", "error: division by zero"),
        ("1%0", "error: division by zero"),
        ("0**-1", "error: division by zero"),
        ("(-8)**0.5", "error: not a real number"),
        ("9**9**9", TOO_LARGE),
        ("9**9**9**9**9", TOO_LARGE),
        ("(-9)**999999999", TOO_LARGE),
        (f"10**{MOST_DIGITS}", TOO_LARGE),
        ("1" * (MOST_DIGITS + 1), TOO_LARGE),
        ("(10**300)*(10**300)", TOO_LARGE),
        ("10**399/3", TOO_LARGE),
        ("1e308*10", TOO_LARGE),
        ("1e999-1e999", TOO_LARGE),
        ("2.0**9999", TOO_LARGE),
        ("1" * (LONGEST + 1), "error: expression too long"),
        ("-" * (LONGEST - 1) + "1", "error: nested too deep"),
        ("+".join("1" * 200), "error: nested too deep"),
        ("+".join(["(1+1+1)"] * 75), "error: too many operations"),
    ],
)
def test_errors_are_answers_and_come_at_once(expression: str, answer: str):
    begin = thread_time()
    assert calculate(expression) == answer
    assert thread_time() - begin < SECONDS


def test_numbers_up_to_the_limit_are_answered():
    assert calculate(f"10**{MOST_DIGITS - 1}") == "1" + "0" * (MOST_DIGITS - 1)
    assert calculate("+".join("1" * 100)) == "100"


def test_time_runs_out_in_any_thread():
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend([calculate("1+1", seconds=-1), calculate("1+1")]))
    thread.start()
    thread.join()
    assert found == ["error: out of time", "2"]


NUMBERS = st.one_of(st.integers(0, 99_999).map(str), st.decimals(0, 999, places=2).map(str))
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-{}".format),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(EXPRESSIONS)
def test_answers_are_those_of_python(expression: str):
    try:
        expected = str(eval(expression))
    except ZeroDivisionError:
        expected = "error: division by zero"
    assert calculate(expression) == expected


@settings(deadline=None)
@given(st.text("'\"abé,. ", max_size=12), st.sampled_from(["a", ",", ". ", "é", ""]))
def test_characters_are_counted_as_python_counts_them(text: str, counted: str):
    text = text.replace('"', "")
    assert calculate(f'"{text}".count("{counted}")') == str(text.count(counted))


PIECES = st.sampled_from(
    [*"0123456789.,+-*/%() eE'\"\\#=_", "**", "9**", ".count(", "or", "if", "''", "1e9", "\n"]
)


@settings(deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=2)), max_size=60).map("".join))
def test_any_text_has_an_answer_at_once_and_no_warning(expression: str):
    begin = thread_time()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        answer = calculate(expression)
    assert len(answer) <= MOST_DIGITS + 1
    assert answer.startswith("error: ") or str(float(answer)) != "nan"
    assert not warned
    assert thread_time() - begin < SECONDS


@pytest.mark.skipif(not GSM8K.exists(), reason="GSM8K is not here")
def test_every_call_of_gsm8k_has_the_answer_of_the_data():
    answers = [
        a for file in sorted(GSM8K.rglob("*.parquet")) for a in pq.read_table(file)["answer"].to_pylist()
    ]
    calls = {mark for answer in answers for mark in re.findall(r"<<(.*)=(.*?)>>", answer)}
    assert len(calls) > 10_000
    wrong = [(asked, said) for asked, said in calls if not close(calculate(asked), calculate(said))]
    assert wrong == []


def close(answer: str, said: str) -> bool:
    """The data rounds, now and then to a whole number."""
    return float(answer) == pytest.approx(float(said), rel=0.01, abs=0.01)
