"""Log-probabilities in the two shapes of OpenAI's. Knows nothing of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.tokenizer import Tokenizer
from web.writing import Scored


def chat_logprobs(scored: Sequence[Scored], tokenizer: Tokenizer) -> dict[str, Any]:
    """Of /v1/chat/completions: a list of tokens, each with the likeliest in its place."""
    content = [
        {
            **_told(s.token.id, s.token.logprob, tokenizer),
            "top_logprobs": [_told(id, logprob, tokenizer) for id, logprob in s.token.top],
        }
        for s in scored
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(scored: Sequence[Scored], tokenizer: Tokenizer) -> dict[str, Any]:
    """Of /v1/completions: four lists, side by side."""
    return {
        "tokens": [token_text(s.token.id, tokenizer) for s in scored],
        "token_logprobs": [s.token.logprob for s in scored],
        "top_logprobs": [{token_text(id, tokenizer): value for id, value in s.token.top} for s in scored],
        "text_offset": [s.offset for s in scored],
    }


def _told(id: int, logprob: float | None, tokenizer: Tokenizer) -> dict[str, Any]:
    written = None if id >= len(tokenizer.ranks) else list(tokenizer.decode_bytes([id]))
    return {"token": token_text(id, tokenizer), "logprob": logprob, "bytes": written}


def token_text(id: int, tokenizer: Tokenizer) -> str:
    r"""How a token is written: its text, or `bytes:\xe3\x81` where it is no whole characters."""
    held = tokenizer.decode_bytes([id])
    try:
        return held.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in held)
