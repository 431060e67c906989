"""A file of facts about a model to topics: questions to train and to test with, answers, and what a right one holds.

Knows nothing of conversations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import tomli
from attrs import frozen

from nanogen.text.diagnostics import nearest
from runtime.faults import Fault

PHRASES = Path(__file__).with_name("identity_phrases.toml")
LANGUAGES = ("en", "ja")
NEEDED = ("name", "maker")
OWN_KEYS = ("questions", "held_out", "answer", "says", "language")


@frozen
class Topic:
    """One fact in one language."""

    language: str
    questions: tuple[str, ...]  # to train with
    held_out: tuple[str, ...]  # to test with
    answers: tuple[str, ...]
    says: tuple[str, ...]  # what a right answer holds


@cache
def phrases() -> dict[str, Any]:
    return tomli.loads(PHRASES.read_text(encoding="utf-8"))


def read_topics(
    path: Path | None, values: Mapping[str, Any] | None, languages: Sequence[str]
) -> tuple[Topic, ...]:
    """Every topic that the facts give; raises Fault that names the file and the key."""
    for language in languages:
        if language not in LANGUAGES:
            raise Fault(f"`languages` holds `{language}`", nearest(language, LANGUAGES))
    where = f"`{path}`" if path is not None else "the facts"
    facts = dict(values) if values is not None else _read(path)
    own = facts.pop("fact", [])
    _check(facts, where)
    known = [t for language in languages for t in _known_topics(facts, language)]
    if not isinstance(own, list):
        raise Fault(f"`fact` of {where} is no list", "write a table `[[fact]]` for each")
    topics = (*known, *(_own_topic(table, f"fact {n} of {where}") for n, table in enumerate(own, 1)))
    kept = tuple(topic for topic in topics if topic.language in languages)
    _check_apart(kept, where)
    return kept


def _read(path: Path | None) -> dict[str, Any]:
    assert path is not None
    if not path.is_file():
        raise Fault(f"there is no file `{path}`", "name a file of facts, in TOML or JSON")
    text = path.read_text(encoding="utf-8")
    try:
        found = json.loads(text) if path.suffix == ".json" else tomli.loads(text)
    except ValueError as error:
        raise Fault(f"`{path}` cannot be read: {error}", "write it in TOML, or as .json in JSON") from None
    if not isinstance(found, dict):
        raise Fault(f"`{path}` is no table of facts", 'write `name = "..."` and `maker = "..."`')
    return found


def _check(facts: Mapping[str, Any], where: str) -> None:
    known = {key for table in phrases().values() for topic in table.values() for key in topic["needs"]}
    known |= {f"{key}_ja" for key in known}
    for key, value in facts.items():
        if key not in known:
            raise Fault(
                f"{where} has a fact `{key}`", f"{nearest(key, known)}; own ones are tables `[[fact]]`"
            )
        if not isinstance(value, str) or not value.strip():
            raise Fault(f"`{key}` of {where} is no text", f'write `{key} = "..."`')
    for key in NEEDED:
        if key not in facts:
            raise Fault(f"{where} does not say `{key}`", f'write `{key} = "..."`')


def _known_topics(facts: Mapping[str, str], language: str) -> Iterator[Topic]:
    def value(key: str) -> str:
        return facts.get(f"{key}_ja", facts[key]) if language == "ja" else facts[key]

    for topic in phrases()[language].values():
        if all(key in facts for key in topic["needs"]):
            values = {key: value(key) for key in topic["needs"]}
            yield Topic(
                language,
                tuple(topic["questions"]),
                tuple(topic["held_out"]),
                tuple(answer.format(**values) for answer in topic["answers"]),
                tuple(values[key] for key in topic["says"]),
            )


def _own_topic(table: Any, where: str) -> Topic:
    if not isinstance(table, dict):
        raise Fault(f"{where} is no table", "write a table `[[fact]]`")
    for key in table:
        if key not in OWN_KEYS:
            raise Fault(f"{where} has a key `{key}`", nearest(key, OWN_KEYS))
    answer, language = table.get("answer"), table.get("language", "en")
    questions = _texts(table.get("questions"), f"`questions` of {where}")
    if not isinstance(answer, str) or not answer or not questions:
        raise Fault(f"{where} lacks `questions` or an `answer`", 'write `answer = "..."`')
    if language not in LANGUAGES:
        raise Fault(f"`language` of {where} is `{language}`", nearest(str(language), LANGUAGES))
    says = _texts(table.get("says", []), f"`says` of {where}") or (answer,)
    if missing := [word for word in says if word.casefold() not in answer.casefold()]:
        raise Fault(
            f"{where} says `{missing[0]}`, which its answer does not hold", "let `says` be parts of it"
        )
    held_out = _texts(table.get("held_out", []), f"`held_out` of {where}")
    return Topic(language, questions, held_out, (answer,), says)


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise Fault(f"{what} is no list of texts", 'write `["...", "..."]`')
    return tuple(value)


def plain(question: str) -> str:
    """What is left of a question without capitals, blanks and marks."""
    return "".join(c for c in question.casefold() if c.isalnum())


def _check_apart(topics: Sequence[Topic], where: str) -> None:
    trained = {plain(q) for topic in topics for q in topic.questions}
    for question in (q for topic in topics for q in topic.held_out):
        if plain(question) in trained:
            raise Fault(
                f"{where} trains on `{question}`, which it tests with", "take it out of one of the lists"
            )
