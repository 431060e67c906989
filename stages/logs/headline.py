"""What a stage that is done has to say in one line: the figures that people ask for first. Knows nothing of how it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Result = dict[str, Any]


def headline(result: Result) -> str:
    """The figures of a stage's result; nothing of a kind that has none."""
    parts = [text for find in FIGURES for text in find(result)]
    return ", ".join(parts)


def _corpus(result: Result) -> list[str]:
    train = result.get("train")
    if not isinstance(train, dict) or "documents" not in train:
        return []
    return [f"{train['documents']:,} documents", f"{train['bytes']:,} bytes"]


def _tokenizer(result: Result) -> list[str]:
    if not isinstance(result.get("bytes_per_token"), float):
        return []
    return [f"{result['vocab']:,} ids", f"{result['bytes_per_token']:.3f} bytes a token"]


def _measured(result: Result) -> list[str]:
    """What evaluations found at the start of training and at its end, or once."""
    found = []
    for name, value in result.items():
        if name == "bits_per_byte" and isinstance(value, float):
            found.append(f"{value:.4f} bits per byte")
        elif isinstance(value, dict) and set(value) == {"start", "end"}:
            form = ".1%" if name.startswith("pass_") else ".4f"
            found.append(f"{value['start']:{form}} to {value['end']:{form}} {spelled(name)}")
    return found


def _means(result: Result) -> list[str]:
    core = result.get("core")
    found = [("CORE", core.get("core") if isinstance(core, dict) else None)]
    found.append(("ChatCORE", result.get("chatcore")))
    return [f"{name} {value:.4f}" for name, value in found if isinstance(value, float)]


def spelled(name: str) -> str:
    """A figure's name as people write it."""
    return name.replace("pass_", "pass@").replace("_", " ")


FIGURES: tuple[Callable[[Result], list[str]], ...] = (_corpus, _tokenizer, _measured, _means)
