"""Read JSON that others may have written: what is no plain JSON is one fault that names the file.

No NaN, no numbers without end, no nesting without end, no key twice. Knows nothing of what the values mean.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from runtime.faults import Fault
from runtime.pickles import refuse_pickle

DEEPEST = 200  # levels; the files of a model have a dozen
LONGEST = 4_000  # digits of a number; the language gives up at a few more
_LARGEST = 2**63  # beyond this no size, count or seed lies


def read_json(path: Path, help: str = "restore the file") -> Any:
    """The value of a file; raises Fault where it is missing or not plain JSON. `help` says what then to do."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Fault(
            f"`{path}` cannot be read: {(error.strerror or 'no reason given').lower()}", help
        ) from None
    refuse_pickle(path, "a JSON file")
    return parse_json(content, f"`{path}`", help)


def read_object(path: Path, help: str = "restore the file") -> dict[str, Any]:
    """The object of a file; raises Fault where it is anything else."""
    found = read_json(path, help)
    if not isinstance(found, dict):
        raise Fault(f"`{path}` is not a JSON object", help)
    return found


def parse_json(content: bytes, place: str, help: str = "restore the file") -> Any:
    """The value that some bytes say; `place` is what they are, as a message begins."""
    try:
        value = json.loads(
            content,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_keys_once,
        )
        _check_depth(value)
        if b"\\ud" in content.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Fault(f"{place} is not plain JSON: it holds half a character", help) from None
    except RecursionError:
        raise Fault(f"{place} is nested without end", help) from None
    except _Strange as strange:
        raise Fault(f"{place} is not plain JSON: {strange}", help) from None
    except ValueError as error:
        raise Fault(f"{place} is not JSON: {_reason(error)}", help) from None
    return value


class _Strange(Exception):
    """JSON that the language's own reader takes, and no other."""


def _no_number(name: str) -> Any:
    raise _Strange(f"it holds {name}")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise _Strange(f"it holds {text[:20]}, which no number reaches")
    return number


def _integer(digits: str) -> int:
    if len(digits) > LONGEST or not -_LARGEST <= (number := int(digits)) < _LARGEST:
        raise _Strange(f"it holds a number of {len(digits.lstrip('-')):,} digits")
    return number


def _keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Strange(f"the key `{next(n for n in names if names.count(n) > 1)}` stands twice")
    return found


def _check_depth(value: Any) -> None:
    """What is nested too deep cannot be written again, compared or copied."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise RecursionError


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:]} in line {error.lineno}"
    return "its bytes are no text" if isinstance(error, UnicodeDecodeError) else str(error).lower()
