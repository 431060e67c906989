"""TOML values to attrs classes, strictly: what does not fit becomes diagnostics at its key.

Knows nothing of which class; that is told by the caller.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Iterator
from typing import Any, NewType, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)

from nanogen.language.arithmetic import LARGEST
from nanogen.text.diagnostics import Diagnostic, Place, nearest
from nanogen.text.locate import KeyPath

Settings = TypeVar("Settings")
Count = NewType("Count", int)  # a number of things, in TOML also as text: "2G", "500K", "1.5M"
Formula = NewType("Formula", object)  # a number, or a law of numbers as text
Formulas = NewType("Formulas", dict)  # such laws by name

COUNT_PATTERN = r"(\d+(?:\.\d+)?)([KMGT]?)"

_COUNT = re.compile(COUNT_PATTERN)
_SCALE = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def structure(
    cls: type[Settings], data: dict[str, Any], path: KeyPath
) -> tuple[Settings | None, list[Diagnostic]]:
    """Return an instance of `cls` from a TOML table at `path`, or None and why not."""
    try:
        return _CONVERTER.structure(data, cls), []
    except ClassValidationError as error:
        return None, _once_a_slip(list(_explain(error, path)))


def _once_a_slip(found: list[Diagnostic]) -> list[Diagnostic]:
    """A misspelt setting is also a missing one: it is told where it is spelt."""
    meant = {(d.place.path[:-1], d.help) for d in found if d.code == "NG103"}
    return [d for d in found if d.code != "NG102" or (d.place.path, _meant(d)) not in meant]


def _meant(missing: Diagnostic) -> str:
    return f"did you mean {missing.message.split()[2]}?"


def _explain(error: ClassValidationError, path: KeyPath) -> Iterator[Diagnostic]:
    """Walk cattrs' error tree; each leaf becomes one diagnostic at its key."""
    cls = error.cl
    for leaf, inner in _leaves(error, ()):
        at = (*path, *inner)
        if isinstance(leaf, ForbiddenExtraKeysError):
            known = [f.name for f in attrs.fields(cls)]
            for key in sorted(leaf.extra_fields):
                help = nearest(key, known)
                yield Diagnostic(
                    "NG103", f"there is no setting `{key}` here", Place((*path, key), on_key=True), help=help
                )
        elif isinstance(leaf, KeyError):
            yield Diagnostic(
                "NG102", f"the setting `{leaf.args[0]}` is missing", Place(path), help="it has no default"
            )
        elif isinstance(leaf, ClassValidationError):
            yield from _explain(leaf, at)
        else:
            message = str(leaf).split("\n")[0]
            at = (*at, *_blamed(message, cls, at[len(path) :]))
            help = getattr(leaf, "help", "") or _unsaid(cls, at[len(path) :])
            yield Diagnostic("NG704", message, Place(at), help=help)


def _leaves(error: Any, at: KeyPath) -> Iterator[tuple[Exception, KeyPath]]:
    """The errors of a class with the keys that they stand at; those of lists one by one."""
    for leaf in error.exceptions:
        inner = at
        for note in getattr(leaf, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                inner = (*at, note.name)
            elif isinstance(note, IterableValidationNote):
                inner = (*inner, note.index)
        if isinstance(leaf, IterableValidationError):
            yield from _leaves(leaf, inner)
        else:
            yield leaf, inner


def _unsaid(cls: type, at: KeyPath) -> str:
    """What holds without the setting; of a fault in several, which there are."""
    owner = _owner(cls, at[:-1])
    if owner is None or not at or at[-1] not in attrs.fields_dict(owner):
        return "settings here: " + ", ".join(f"`{f.name}`" for f in attrs.fields(owner or cls))
    default: Any = attrs.fields_dict(owner)[at[-1]].default
    if isinstance(default, attrs.Factory):  # pyright: ignore[reportArgumentType]  (typed as a function, and a class)
        return "it may be left out"
    if default is attrs.NOTHING:
        return "it has no default"
    return "it may be left out" if default in (None, (), "") else f"left out, it is {_shown(default)}"


def _owner(cls: type, inner: KeyPath) -> Any:
    """The class of the settings that stand under keys; None where there is none."""
    owner: Any = cls
    for key in inner:
        if isinstance(key, int):  # a place in a list of them
            continue
        field = attrs.fields_dict(attrs.resolve_types(owner)).get(key)
        if field is None or field.type is None:
            return None
        owner = get_args(field.type)[0] if get_origin(field.type) is tuple else field.type
        if not attrs.has(owner):
            return None
    return owner


def _blamed(message: str, cls: type, inner: KeyPath) -> KeyPath:
    """A validator's refusal opens with the setting it is about, of the class or of one in it."""
    owner = _owner(cls, inner)
    if owner is None:
        return ()
    found = re.match(r"`(\w+)`", message)
    return (found[1],) if found and found[1] in attrs.fields_dict(owner) else ()


def _exactly(wanted: type):
    def hook(value: Any, _: Any) -> Any:
        whole_as_fraction = wanted is float and type(value) is int
        if type(value) is not wanted and not whole_as_fraction:
            raise ValueError(f"expected {_KINDS[wanted]}, found {_shown(value)}")
        if wanted is float and not math.isfinite(value):
            raise ValueError(f"expected a number with an end, found {value}")
        return _bounded(value) if wanted is int else wanted(value)

    return hook


def _bounded(value: int) -> int:
    """A whole number that a tensor can hold: what is larger is a slip, and no arithmetic of ours is for it."""
    if abs(value) >= LARGEST:
        raise ValueError(f"expected a number below 2 ** 63, found one of {len(str(abs(value)))} digits")
    return value


def as_count(value: Any) -> int:
    """A whole number, or one as text with its unit: `"2G"`; raises ValueError."""
    if type(value) is int:
        return _bounded(value)
    found = _COUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'expected a count such as 5000 or "2G", found {_shown(value)}')
    return _bounded(round(float(found[1]) * _SCALE[found[2]]))


def _formula(value: Any, _: Any) -> Any:
    if type(value) not in (int, float, str):
        raise ValueError(f"expected a number or a law in quotes, found {_shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a number with an end, found {value}")
    return value


def _formulas(value: Any, _: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"expected a table of laws, found {_shown(value)}")
    return {name: _formula(law, None) for name, law in value.items()}


def _union(value: Any, kind: Any) -> Any:
    """`X | None`: TOML has no none, so a value that is given is an X."""
    wanted = next(a for a in get_args(kind) if a is not type(None))
    return None if value is None else _CONVERTER.structure(value, wanted)


def _list(value: Any, kind: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, found {_shown(value)}")
    wanted, found, faults = get_args(kind)[0], [], []
    for index, item in enumerate(value):
        try:
            found.append(_CONVERTER.structure(item, wanted))
        except Exception as error:
            if not attrs.has(wanted):  # of plain values, the list is to blame
                raise
            error.__notes__ = [
                *getattr(error, "__notes__", ()),
                IterableValidationNote(f"item {index}", index, wanted),  # pyright: ignore[reportCallIssue]
            ]
            faults.append(error)
    if faults:
        raise IterableValidationError("the list does not fit", faults, wanted)  # pyright: ignore[reportCallIssue]
    return tuple(found)


def _table(value: Any, kind: Any) -> Any:
    """`dict[str, X]`: a table whose keys are the user's."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a table, found {_shown(value)}")
    return {name: _CONVERTER.structure(v, get_args(kind)[1]) for name, v in value.items()}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'text "{value}"' if isinstance(value, str) else f"{value}"


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, prefer_attrib_converters=False)
    converter.register_structure_hook_func(lambda kind: kind is Count, lambda value, _: as_count(value))
    converter.register_structure_hook_func(lambda kind: kind is Formula, _formula)
    converter.register_structure_hook_func(lambda kind: kind is Formulas, _formulas)
    for kind in (int, float, str, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook_func(lambda kind: get_origin(kind) in (Union, types.UnionType), _union)
    converter.register_structure_hook_func(lambda kind: get_origin(kind) is tuple, _list)
    converter.register_structure_hook_func(lambda kind: get_origin(kind) is dict, _table)
    return converter


_CONVERTER = _converter()
