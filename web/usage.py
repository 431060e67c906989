"""What an answer took: OpenAI's `usage`, and figures of ours."""

from __future__ import annotations

from typing import Any

from web.answering import Answer, Finish


def usage(answer: Answer) -> dict[str, int]:
    """Each prompt counts once, however many samples it has; tokens that a tool put there count as written."""
    prompt, written = answer.ask.prompt_tokens, answer.tokens
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def figures(*finishes: Finish) -> dict[str, Any]:
    """Of samples together: tokens, seconds since the request came, and the rate at which they were written."""
    return {
        "tokens": sum(finish.tokens for finish in finishes),
        "seconds": round(max(finish.seconds for finish in finishes), 3),
        "tokens_per_second": round(sum(finish.tokens_per_second for finish in finishes), 1),
    }
