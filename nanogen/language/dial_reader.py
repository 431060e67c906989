"""Dials read from a document: `[dial.r]` with its default, its bounds, and how training draws it."""

from __future__ import annotations

from typing import Any

from nanogen.language.dials import MOST, Dial, Draw
from nanogen.language.literal import kind_of_value
from nanogen.language.reader import Reader
from nanogen.text.diagnostics import nearest
from nanogen.text.locate import KeyPath

KEYS = ("default", "min", "max", "train")
TRAIN = ("draw", "mean", "sigma", "max")
DRAWS = ("lognormal_poisson", "fixed")


def read_dial(reader: Reader, name: str, body: Any, path: KeyPath, given: Any = None) -> Dial:
    """Return a dial, `given` in the place of its default; where something is refused, one that stands in."""
    if not isinstance(body, dict):
        message = f"`dial.{name}` is a table, found {kind_of_value(body)}"
        reader.fault("NG101", message, path, "write `[dial.NAME]` over `default = 4`")
        return Dial(name, 1)
    _known(reader, body, KEYS, "a dial", path)
    if "default" not in body:
        reader.fault("NG102", "the key `default` is missing", path, "say where it stands: `default = 4`")
    least = _turns(reader, body, "min", 1, path)
    most = _turns(reader, body, "max", MOST, path)
    written = {**body, "default": given} if given is not None else body
    default = _turns(reader, written, "default", least, path)
    if least > most:
        reader.fault("NG306", f"`min` is {least}, above `max`, {most}", (*path, "min"), "exchange the two")
    elif not least <= default <= most:
        message = f"the default is {default}, and the dial goes from {least} to {most}"
        reader.fault("NG306", message, (*path, "default"), "choose a default between the bounds")
    train = _draw(reader, body["train"], (*path, "train"), most) if "train" in body else None
    return Dial(name, default, least, most, train)


def _known(reader: Reader, body: dict, keys: tuple[str, ...], what: str, path: KeyPath) -> None:
    for key in body:
        if key not in keys:
            reader.fault("NG103", f"{what} has no `{key}`", (*path, key), nearest(key, keys), on_key=True)


def _turns(reader: Reader, body: dict, key: str, fallback: int, path: KeyPath) -> int:
    found = body.get(key, fallback)
    if type(found) is int and 1 <= found <= MOST:
        return found
    message = f"`{key}` is a whole number from 1 to {MOST:,}, found {kind_of_value(found)}"
    reader.fault("NG101", message, (*path, key), "a loop turns at least once")
    return fallback


def _draw(reader: Reader, body: Any, path: KeyPath, most: int) -> Draw | None:
    help = 'write `train = { draw = "lognormal_poisson", mean = 4, sigma = 0.5, max = 16 }`'
    if not isinstance(body, dict):
        reader.fault("NG101", f"`train` is a table, found {kind_of_value(body)}", path, help)
        return None
    _known(reader, body, TRAIN, "`train`", path)
    draw = body.get("draw")
    if draw is None:
        reader.fault("NG102", "the key `draw` is missing", path, help)
        return None
    if draw not in DRAWS:
        words = ", ".join(f'"{d}"' for d in DRAWS)
        reader.fault("NG114", f"{kind_of_value(draw)} is no `draw`", (*path, "draw"), f"one of {words}")
        return None
    if draw == "fixed":
        for key in TRAIN[1:]:
            if key in body:
                reader.fault("NG103", f"a fixed draw has no `{key}`", (*path, key), "leave it out", True)
        return Draw("fixed")
    if "mean" not in body:
        reader.fault("NG102", "the key `mean` is missing", path, help)
    mean, sigma = (
        _number(reader, body, key, fallback, path) for key, fallback in (("mean", 4), ("sigma", 0.5))
    )
    bound = _turns(reader, body, "max", most, path)
    if bound > most:
        message = f"training draws up to {bound}, and the dial goes to {most}"
        reader.fault("NG306", message, (*path, "max"), "lower this bound, or raise that of the dial")
    return Draw(draw, mean, sigma, bound)


def _number(reader: Reader, body: dict, key: str, fallback: float, path: KeyPath) -> float:
    found = body.get(key, fallback)
    if (
        not isinstance(found, bool)
        and isinstance(found, int | float)
        and 0 <= found <= MOST
        and (found or key == "sigma")
    ):
        return float(found)
    least = "from 0" if key == "sigma" else "above 0 and"
    message = f"`{key}` is a number {least} up to {MOST:,}, found {kind_of_value(found)}"
    reader.fault(
        "NG101", message, (*path, key), "write the mean number of turns, and the spread of its logarithm"
    )
    return float(fallback)
