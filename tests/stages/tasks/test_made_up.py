"""Spelling, arithmetic and identity: right by construction, the same each time, training and test apart."""

import json
import re
from pathlib import Path

import pytest

from runtime.chat.calculator import calculate
from runtime.faults import Fault
from stages.data.place import DataPlace
from stages.tasks.catalogue import make_task
from stages.tasks.identity_facts import plain
from stages.tasks.spelling import COMMON, read_words
from stages.tasks.task import Example, Task, marked_number, said

FACTS = {"name": "Iberis", "maker": "the Iberis project", "year": "2026", "size": "5 million parameters"}
MADE = {
    "spelling_bee": {},
    "spelling_bee, words apart": {"words_apart": True},
    "simple_spelling": {},
    "arithmetic": {},
    "arithmetic of one digit": {"digits": 1},
    "identity": {"values": FACTS},
}


def made(which: str, split: str, rows: int | None = None) -> Task:
    name = re.split(",| of", which)[0]
    return make_task(name, split, DataPlace(), rows=rows, **MADE[which])


def examples(task: Task) -> list[Example]:
    return [task[i] for i in range(len(task))]


def asked(example: Example) -> str:
    return example.asked[-1].text


@pytest.mark.parametrize("which", MADE)
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_right_answer_is_right_and_another_is_not(which: str, split: str):
    task = made(which, split, 200)
    found = examples(task)
    assert [task.score(e, e.gold) for e in found] == [1.0] * 200
    assert [task.score(e, said("assistant", "#### x")) for e in found] == [0.0] * 200
    assert [task.score(e, said("assistant", "")) for e in found] == [0.0] * 200


@pytest.mark.parametrize("which", MADE)
def test_no_test_question_is_a_training_question(which: str):
    train = {
        plain(m.text) for e in examples(made(which, "train", 4000)) for m in e.messages if m.role == "user"
    }
    assert train.isdisjoint(plain(asked(e)) for e in examples(made(which, "test", 200)))


@pytest.mark.parametrize("which", MADE)
def test_the_same_number_gives_the_same_example_whatever_the_rows(which: str):
    assert examples(made(which, "train", 50)) == examples(made(which, "train", 300))[:50]
    assert len({str(e) for e in examples(made(which, "train", 50))}) > 20
    with pytest.raises(IndexError):
        made(which, "train", 50)[50]


@pytest.mark.parametrize("which", MADE)
def test_there_is_no_other_split(which: str):
    with pytest.raises(Fault, match="has no split `valid`"):
        made(which, "valid")


# -- spelling


def test_letters_are_counted_and_checked_by_the_calculator():
    for example in examples(made("spelling_bee", "train", 300)):
        expression, output = (
            next(p.text for p in example.gold.parts if p.kind == kind) for kind in ("python", "output")
        )
        word, letter = re.fullmatch(r"'([a-z]+)'\.count\('([a-z])'\)", expression).groups()  # type: ignore
        assert word in asked(example)
        assert output == calculate(expression) == str(word.count(letter)) == marked_number(example.gold.text)
        assert f"{word}:{','.join(word)}" in example.gold.text
        assert len(re.findall(rf"^\d+:{letter} yes", example.gold.text, re.MULTILINE)) == word.count(letter)


def test_words_can_be_apart():
    def words(split: str, rows: int) -> set[str]:
        parts = (p for e in examples(made("spelling_bee, words apart", split, rows)) for p in e.gold.parts)
        return {p.text.split("'")[1] for p in parts if p.kind == "python"}

    assert words("train", 3000).isdisjoint(words("test", 300))


def test_the_words_that_ship_are_common_and_many():
    words = read_words(COMMON)
    assert len(words) >= 2000
    assert list(words) == sorted(set(words))
    assert all(3 <= len(word) <= 12 for word in words)
    assert {"water", "school", "because"} <= set(words)


def test_other_words_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    alphabet = [f"{a}{b}{a}" for a in "abcdef" for b in "uvwxyz"]
    (tmp_path / "words_alpha.txt").write_text("\n".join([*alphabet, "Not", "it's", "42"]))
    place = DataPlace(tmp_path)
    task = make_task("simple_spelling", "train", place, words="words_alpha", rows=100)
    assert {task[i].gold.text.split(":")[0] for i in range(100)} <= set(alphabet)
    assert task.files == (tmp_path / "words_alpha.txt",)
    by_path = make_task("simple_spelling", "train", place, path=str(tmp_path / "words_alpha.txt"), rows=100)
    assert examples(by_path) == examples(task)


def test_a_word_list_that_is_missing_or_too_short_is_a_fault(tmp_path: Path):
    with pytest.raises(Fault, match=r"looked in `.*words_alpha\.txt`"):
        make_task("spelling_bee", "train", DataPlace(tmp_path), words="words_alpha")
    (tmp_path / "few.txt").write_text("one two three")
    with pytest.raises(Fault, match="holds 3 words"):
        make_task("spelling_bee", "train", DataPlace(), path=str(tmp_path / "few.txt"))
    with pytest.raises(Fault, match="no word list `latin`"):
        make_task("spelling_bee", "train", DataPlace(), words="latin")


# -- arithmetic


@pytest.mark.parametrize("operation", list("+-*/"))
@pytest.mark.parametrize("digits", [1, 2, 4])
@pytest.mark.parametrize("split", ["train", "test"])
def test_results_are_the_calculators_and_whole(operation: str, digits: int, split: str):
    task = make_task("arithmetic", split, DataPlace(), digits=digits, operations=operation, rows=40)
    lengths = set()
    for example in examples(task):
        expression, output = (p.text for p in example.gold.parts if p.kind != "text")
        a, b = map(int, re.fullmatch(r"(\d+)[-+*/]+(\d+)", expression).groups())  # type: ignore
        wanted = {"+": a + b, "-": a - b, "*": a * b, "/": a / max(b, 1)}[operation]
        assert float(output) == wanted
        assert marked_number(example.gold.text) == output
        assert str(a) in asked(example)
        assert str(b) in asked(example)
        lengths |= {len(str(a)), len(str(b))}
    assert max(lengths) == digits


def test_operands_are_apart_in_either_order():
    def pairs(split: str) -> set[frozenset[str]]:
        found = (
            p.text
            for e in examples(made("arithmetic", split, 3000))
            for p in e.gold.parts
            if p.kind == "python"
        )
        return {frozenset(re.findall(r"\d+", text)) for text in found}

    assert pairs("train").isdisjoint(pairs("test"))


@pytest.mark.parametrize(
    ("options", "said"), [({"digits": 99}, "`digits` is at most"), ({"operations": "+^"}, "holds '\\^'")]
)
def test_what_cannot_be_computed_is_a_fault(options: dict, said: str):
    with pytest.raises(Fault, match=said):
        make_task("arithmetic", "train", DataPlace(), **options)


# -- identity


def test_questions_are_of_both_languages_and_some_go_on():
    found = examples(made("identity", "train", 400))
    texts = [asked(e) for e in found]
    assert 50 < sum(not text.isascii() for text in texts) < 350
    assert any(len(e.messages) > 2 for e in found)
    assert len(set(texts)) > 100


def test_there_are_two_hundred_questions_to_test_with_from_name_and_maker_alone():
    task = make_task("identity", "test", DataPlace(), values={"name": "Iberis", "maker": "us"})
    assert len({asked(e) for e in examples(task)}) == len(task) >= 200


def test_an_answer_is_right_when_it_says_the_fact():
    task = made("identity", "test", 1)
    right = ("I am Iberis.", "my name is IBERIS!")
    assert [task.score(task[0], said("assistant", t)) for t in (*right, "I am ChatGPT.")] == [1, 1, 0]


OWN = {
    "questions": ["Which flower do you like?"],
    "held_out": ["What is your favourite flower?"],
    "answer": "Candytuft.",
    "says": ["candytuft"],
}


@pytest.mark.parametrize("form", ["toml", "json"])
def test_facts_are_read_from_a_file(tmp_path: Path, form: str):
    path = tmp_path / f"facts.{form}"
    own = "\n".join(f"{key} = {json.dumps(value)}" for key, value in OWN.items())
    toml = f'name = "Iberis"\nname_ja = "イベリス"\nmaker = "us"\n[[fact]]\n{own}\n'
    data = {"name": "Iberis", "name_ja": "イベリス", "maker": "us", "fact": [OWN]}
    path.write_text(toml if form == "toml" else json.dumps(data))
    train = make_task("identity", "train", DataPlace(), path=str(path), rows=300)
    said_ = {e.gold.text for e in examples(train)}
    assert "Candytuft." in said_
    assert any("イベリス" in text for text in said_)
    test = make_task("identity", "test", DataPlace(), path=str(path))
    assert "What is your favourite flower?" in {asked(e) for e in examples(test)}
    english = make_task("identity", "train", DataPlace(), path=str(path), languages=("en",), rows=100)
    assert all(asked(e).isascii() for e in examples(english))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"name": "x"}, "does not say `maker`"),
        ({**FACTS, "nmae": "x"}, "has a fact `nmae`"),
        ({**FACTS, "year": 2026}, "`year` of the facts is no text"),
        ({**FACTS, "fact": [{**OWN, "says": ["rose"]}]}, "says `rose`, which its answer does not hold"),
        ({**FACTS, "fact": [{**OWN, "held_out": ["which flower do you like"]}]}, "trains on `which flower"),
        ({**FACTS, "fact": [{"answer": "x"}]}, "`questions` of fact 1"),
        ({**FACTS, "fact": [{**OWN, "anwser": "x"}]}, "has a key `anwser`"),
    ],
)
def test_a_mistake_in_the_facts_is_a_fault(facts: dict, said: str):
    with pytest.raises(Fault, match=said):
        make_task("identity", "train", DataPlace(), values=facts)


def test_more_test_questions_than_there_are_is_a_fault():
    with pytest.raises(Fault, match="test questions"):
        made("identity", "test", 100_000)
