"""`nanogen`, with a reward that a model which knows nothing gets now and then: `python -m tests.stages.running.rewarding`."""

from __future__ import annotations

from typing import Any

from nanogen.cli import main
from stages.rl import Question


def reward(self: Question, answer: Any) -> float:
    """By the letters of an answer: another answer, another reward."""
    return sum(map(ord, str(answer))) % 3 / 2


if __name__ == "__main__":
    Question.reward = reward
    main()
