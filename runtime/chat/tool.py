"""Answer the python blocks of one sample: when a block ends, its value is what comes next. Speaks ids."""

from __future__ import annotations

from runtime.chat.calculator import LONGEST, calculate
from runtime.tokenizer import Tokenizer

# A token is a byte or more, and a character four bytes or fewer: with so many tokens, a block is too long for the
# calculator, and the rest of it can be forgotten.
MOST_TOKENS = 4 * LONGEST + 1


class Calculator:
    """The tool of a sample, as the engine knows tools."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._block: list[int] | None = None  # None: not in a block

    def see(self, token: int) -> list[int]:
        """Told every token, drawn or forced; returns those to force.

        A block that begins again is begun anew, an end without a begin is nothing. Forced tokens begin no
        block: they hold the special tokens of outputs and text that was encoded as text.
        """
        special = self._tokenizer.special
        if token == special["python_start"]:
            self._block = []
        elif self._block is not None and token == special["python_end"]:
            block, self._block = self._block, None
            answer = calculate(self._tokenizer.decode(block))
            return [special["output_start"], *self._tokenizer.encode(answer), special["output_end"]]
        elif self._block is not None and len(self._block) < MOST_TOKENS:
            self._block.append(token)
        return []
