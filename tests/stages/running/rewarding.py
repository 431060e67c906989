"""`nanogen`, with a reward that a model which knows nothing gets now and then: `python -m tests.stages.running.rewarding`."""

from __future__ import annotations

import os
from typing import Any

from nanogen.cli import main
from runtime.faults import Fault
from stages.rl import Question


def reward(self: Question, answer: Any) -> float:
    """By the letters of an answer: another answer, another reward. The rank of FAILING_RANK gives none."""
    if "RANK" in os.environ and os.environ.get("FAILING_RANK") == os.environ["RANK"]:
        raise Fault("there is no reward here", "ask another rank")
    return sum(map(ord, str(answer))) % 3 / 2


if __name__ == "__main__":
    Question.reward = reward
    main()
