"""Good programs pass and wrong ones do not, the tests' way of calling is kept, and without isolation nothing is scored."""

from pathlib import Path

import pytest

from runtime.faults import Fault
from stages.sandbox import running
from stages.sandbox.isolation import Isolation, isolation
from stages.sandbox.program import Limits, Program, Verdict
from stages.sandbox.running import run_program

PROBLEMS = (
    Path(__file__).parents[4]
    / "shared/data/task_data/openai--openai_humaneval/openai_humaneval/test/00000.parquet"
)
STRIDE = 11  # prime to the 164 problems
CHECK = "def check(candidate):\n    "
PATIENT = Limits(seconds=60)
NEED_THEIR_PROMPT = ("HumanEval/32", "HumanEval/38", "HumanEval/50")

needs_isolation = pytest.mark.skipif(not isolation().enough, reason=isolation().why_not or "isolated")


def verdict(code: str, check: str, prompt: str = "") -> Verdict:
    return run_program(Program(code, CHECK + check, "f", prompt), PATIENT)


@needs_isolation
@pytest.mark.parametrize(
    ("code", "check"),
    [
        ("def f(x): return x + 1", "assert candidate(1) == 2"),
        ("def f(*, a): return [a]", "assert candidate(a=(1, 2)) == [(1, 2)]"),
        ("def f(x): return x", "assert candidate({1: {2.5}, 'a': None}) == {1: {2.5}, 'a': None}"),
        ("def f(x): return 3 ** x", "assert candidate(9999) == 3 ** 9999"),
        (
            "import math, re, collections, hashlib\ndef f(s): return hashlib.md5(s).hexdigest()[:4]",
            "assert candidate(b'x') == '9dd4'",
        ),
        (
            "from collections import Counter\ndef f(s): return Counter(s)",
            "assert candidate('aab') == {'a': 2, 'b': 1}",
        ),
        ("import os\ndef f(): return dict(os.environ)", "assert candidate() == {}"),
        ("def f(x):\n    x.append(1)\n    return x", "a = []\n    assert candidate(a) == [1]"),
        (
            "seen = []\ndef f(x):\n    seen.append(x)\n    return seen",
            "candidate(1)\n    assert candidate(2) == [1, 2]",
        ),
        (
            "def f(x): return open('note', 'w').write('x')\n"
            if isolation().way == "namespaces"
            else "def f(x): return 1",
            "assert candidate(0) == 1",
        ),
        (
            "def f(x):\n    print('x' * 5000)\n    return x",
            "assert [candidate(n) for n in range(9)] == [*range(9)]",
        ),
    ],
)
def test_a_right_program_passes(code, check):
    assert verdict(code, check).outcome == "passed", verdict(code, check).reason


@needs_isolation
def test_a_test_may_want_an_exception():
    check = "try:\n        candidate('x')\n    except ValueError as fault:\n        assert 'invalid literal' in str(fault)\n        return\n    assert False"
    assert verdict("def f(x): return int(x)", check).passed
    assert not verdict("def f(x): return 0", check).passed


@needs_isolation
def test_a_test_that_swallows_everything_does_not_hide_an_end():
    check = "try:\n        candidate(1)\n    except:\n        pass"
    assert verdict("import os\ndef f(x): os._exit(0)", check).outcome == "failed"
    assert verdict("def f(x): raise SystemExit", check).outcome == "failed"


@needs_isolation
def test_a_reason_names_the_line_and_the_output_is_kept():
    found = verdict("def f(x):\n    print('about to fail')\n    return 1 / x", "assert candidate(0) == 1")
    assert found == Verdict("failed", "ZeroDivisionError: division by zero (line 3)", "about to fail\n")
    assert (
        verdict("def f(x): return 2", "assert candidate(0) == 1").reason
        == "this did not hold: assert candidate(0) == 1"
    )


@needs_isolation
def test_tests_get_the_prompt_and_not_what_the_code_made_of_it():
    prompt = "def helper(x):\n    return 2 * x\n\ndef f(x):\n    '''Its half.'''\n"
    check = "assert helper(candidate(8)) == 8"
    assert verdict(prompt + "    return x // 2\n", check, prompt).passed
    assert not verdict(prompt + "    return 0\ndef helper(x): return 8\n", check, prompt).passed


@needs_isolation
@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("x = 1", "the test defines no `check`"),
        ("def check(", "the test cannot be run: SyntaxError"),
        ("import nowhere", "the test cannot be run: ModuleNotFoundError"),
    ],
)
def test_a_broken_test_is_nobodys_failure(test, said):
    with pytest.raises(Fault) as caught:
        run_program(Program("def f(x): return x", test, "f"), PATIENT)
    assert said in caught.value.message


@needs_isolation
def test_all_but_the_scratch_folder_is_read_only():
    if isolation().way != "namespaces":
        pytest.skip("rules hold files, and no mounts")
    code = (
        "import os\ndef f():\n"
        "    places = ['/', '/usr/lib', os.path.dirname(os.__file__), '.']\n"
        "    return [bool(os.statvfs(place).f_flag & os.ST_RDONLY) for place in places] + os.listdir('.')"
    )
    assert verdict(code, "assert candidate() == [True, True, True, False]").passed


@needs_isolation
def test_two_programs_share_nothing():
    code = "import os\ndef f():\n    seen = os.listdir('.')\n    open('left', 'w').close()\n    return seen"
    if isolation().way != "namespaces":
        pytest.skip("there is no folder to write in")
    for _ in range(2):
        assert run_program(Program(code, CHECK + "assert candidate() == []", "f"), PATIENT).passed


def test_without_isolation_nothing_is_run(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("it was run")

    monkeypatch.setattr(
        running, "isolation", lambda: Isolation(missing=("namespaces: none", "landlock: none"))
    )
    monkeypatch.setattr(running, "run_in_box", never)
    with pytest.raises(Fault) as caught:
        run_program(Program("def f(x): return x", CHECK + "pass", "f"))
    assert "namespaces: none; landlock: none" in caught.value.message


# -- the problems themselves


@pytest.fixture(scope="module")
def problems() -> list[dict[str, str]]:
    if not PROBLEMS.exists():
        pytest.skip("the problems are not here")
    import pyarrow.parquet as parquet

    rows = parquet.read_table(PROBLEMS).to_pylist()
    return [row for at, row in enumerate(rows) if at % STRIDE == 0 or row["task_id"] in NEED_THEIR_PROMPT]


def program(row: dict[str, str], body: str) -> Program:
    return Program(row["prompt"] + body, row["test"], row["entry_point"], row["prompt"])


@needs_isolation
def test_canonical_solutions_pass(problems):
    found = [run_program(program(row, row["canonical_solution"]), PATIENT) for row in problems]
    wrong = {row["task_id"]: one for row, one in zip(problems, found, strict=True) if not one.passed}
    assert wrong == {}


@needs_isolation
def test_empty_solutions_fail(problems):
    found = [run_program(program(row, "    return None\n"), PATIENT) for row in problems]
    assert {one.outcome for one in found} == {"failed"}
