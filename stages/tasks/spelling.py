"""Spelling: count the letters of a word, letter by letter and then with the calculator; or only spell a word.

A row of `spelling_bee`: "How many r are in the word strawberry?" -> the word spelt, its letters counted,
python: 'strawberry'.count('r'), output: 3, "#### 3"
A row of `simple_spelling`: "Spell the word: apple" -> "apple:a,p,p,l,e"
"""

from __future__ import annotations

import random
import string
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from attrs import field, frozen

from runtime.chat.calculator import calculate
from runtime.chat.message import Message, Part
from runtime.faults import Fault
from stages.data.place import DataPlace, find_file
from stages.tasks.draws import check_index, check_split, draw, is_held_out, pick
from stages.tasks.task import SHUFFLED, Example, Kind, said, score_number

COMMON = Path(__file__).with_name("common_words.txt")
ROWS = {"spelling_bee": {"train": 80_000, "test": 256}, "simple_spelling": {"train": 200_000, "test": 256}}
ONE_IN = 10  # words, or pairs of a word and a letter, kept for testing
IN_WORD = 0.9  # share of questions about a letter that the word has
LOWER, MARKED = 0.3, 0.5  # shares of questions in lower case, and with a question mark
QUOTES = ("", "'", '"')
QUESTIONS = (
    "How many {letter} are in {word}",
    "How many {letter} are there in the word {word}",
    "How many times does {letter} appear in {word}",
    "How many times does the letter {letter} occur in {word}",
    "How often does {letter} come up in the word {word}",
    "How often is {letter} used in {word}",
    "Count the {letter} in {word}",
    "Count how many {letter} the word {word} has",
    "Count every {letter} you find in {word}",
    "Tell me how many {letter} {word} contains",
    "Tell me the number of {letter} in {word}",
    "What is the number of {letter} in {word}",
    "What's the count of {letter} in the word {word}",
    "In {word}, how many {letter} do you see",
    "In the word {word}, how many times is there {letter}",
    "Look at {word}: how many {letter} does it have",
    "Can you count the letter {letter} in {word}",
    "Could you say how many {letter} are in the word {word}",
    "Do you know how many {letter} the word {word} holds",
    "Does {word} have any {letter}, and how many",
    "I want to know how many {letter} stand in {word}",
    "Please find the number of {letter} in {word}",
    "{word}: number of {letter}",
    "{word} has how many {letter}",
    "Number of {letter} in {word}",
    "{word} には {letter} がいくつありますか",
    "{word} という単語に {letter} は何回出てきますか",
    "単語 {word} の中の {letter} を数えてください",
    "¿Cuántas {letter} hay en {word}",
    "Combien de {letter} y a-t-il dans {word}",
    "Wie viele {letter} hat das Wort {word}",
)


@frozen
class SpellingBee:
    split: str
    rows: int
    words: tuple[str, ...] = field(repr=False)
    words_apart: bool = False  # no word of a test question stands in a training question
    files: tuple[Path, ...] = ()
    name: ClassVar[str] = "spelling_bee"
    kind: ClassVar[Kind] = "generative"
    baseline: ClassVar[float] = 0.0

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> Example:
        check_index(index, self.rows)
        rng = draw(self.split, index)
        word, letter = self._question(rng)
        form = pick(rng, QUESTIONS)
        form = form.lower() if rng.random() < LOWER else form
        quoted = [f"{quote}{text}{quote}" for text in (letter, word) for quote in (pick(rng, QUOTES),)]
        question = form.format(letter=quoted[0], word=quoted[1]) + ("?" if rng.random() < MARKED else "")
        return Example((said("user", question), said("assistant", *_counted(word, letter))))

    def _question(self, rng: random.Random) -> tuple[str, str]:
        """A word and a letter, drawn until they belong to this split."""
        while True:
            word = pick(rng, self.words)
            letter = pick(rng, word if rng.random() < IN_WORD else string.ascii_lowercase)
            what = (word,) if self.words_apart else (word, letter)
            if is_held_out(*what, one_in=ONE_IN) == (self.split == "test"):
                return word, letter

    def score(self, example: Example, answer: Message) -> float:
        return score_number(example, answer)


def _counted(word: str, letter: str) -> list[Part | str]:
    """The word letter by letter with a running count, and the calculator's word on it."""
    lines, count = [], 0
    for place, found in enumerate(word, 1):
        count += found == letter
        lines.append(f"{place}:{found}" + (f" yes, {count}" if found == letter else ""))
    listed = "\n".join(lines)
    expression = f"'{word}'.count('{letter}')"
    result = calculate(expression)
    return [
        f"Let me find every '{letter}' in '{word}'. First I spell it:\n\n{spelt(word)}\n\n"
        f"Then I go through its letters:\n\n{listed}\n\nThat makes {count}. Now with Python:\n\n",
        Part("python", expression),
        Part("output", result),
        f"\n\nPython says {result}. So the answer is:\n\n#### {result}",
    ]


def spelt(word: str) -> str:
    return f"{word}:{','.join(word)}"


@frozen
class SimpleSpelling:
    split: str
    rows: int
    words: tuple[str, ...] = field(repr=False)  # of this split, mixed
    files: tuple[Path, ...] = ()
    name: ClassVar[str] = "simple_spelling"
    kind: ClassVar[Kind] = "generative"
    baseline: ClassVar[float] = 0.0

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> Example:
        check_index(index, self.rows)
        word = self.words[index % len(self.words)]
        return Example((said("user", f"Spell the word: {word}"), said("assistant", spelt(word))))

    def score(self, example: Example, answer: Message) -> float:
        return float(answer.text.strip() == example.gold.text)


def make(
    name: str,
    split: str,
    place: DataPlace,
    *,
    rows: int | None = None,
    path: str | None = None,
    words: str | None = None,
    words_apart: bool | None = None,
) -> SpellingBee:
    check_split(name, split)
    file = _word_file(words, path, place)
    found, apart = read_words(file), bool(words_apart)
    if apart:
        _of_split(found, split, file)  # or no question would ever be drawn
    return SpellingBee(split, rows or ROWS[name][split], found, apart, (file,))


def make_simple(
    name: str,
    split: str,
    place: DataPlace,
    *,
    rows: int | None = None,
    path: str | None = None,
    words: str | None = None,
) -> SimpleSpelling:
    check_split(name, split)
    file = _word_file(words, path, place)
    mixed = list(_of_split(read_words(file), split, file))
    random.Random(SHUFFLED).shuffle(mixed)
    return SimpleSpelling(split, rows or ROWS[name][split], tuple(mixed), (file,))


def _word_file(words: str | None, path: str | None, place: DataPlace) -> Path:
    if path is not None:
        return Path(path)
    if words in (None, "common"):
        return COMMON
    if words != "words_alpha":
        raise Fault(f"there is no word list `{words}`", "name `common` or `words_alpha`, or give a `path`")
    return find_file("words_alpha", "words_alpha.txt", place)


def read_words(path: Path) -> tuple[str, ...]:
    """Words of the letters a to z, one a line; others are left out. Raises Fault where there are too few."""
    if not path.is_file():
        raise Fault(f"there is no file `{path}`", "name a file with a word a line")
    lines = path.read_text(encoding="utf-8").split()
    found = tuple(
        dict.fromkeys(word for word in lines if word.isascii() and word.isalpha() and word.islower())
    )
    if len(found) < ONE_IN:
        raise Fault(f"`{path}` holds {len(found)} words of the letters a to z", "name a longer list")
    return found


@lru_cache(maxsize=8)  # several tasks of a run draw from the same words
def _of_split(words: tuple[str, ...], split: str, file: Path) -> tuple[str, ...]:
    found = tuple(word for word in words if is_held_out(word, one_in=ONE_IN) == (split == "test"))
    if not found:
        raise Fault(f"of the words of `{file}`, none is kept for the {split} split", "name a longer list")
    return found
