"""JSON Schemas of specs and runs, written from the code that reads them, so that editors complete and check.

A schema sees keys and kinds of values; what equations say is left to the compiler. Knows nothing of which
stages there are; their settings are handed in.
"""

from __future__ import annotations

import json
import keyword
import types
from collections.abc import Collection, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

from nanogen import run
from nanogen.language import glossary
from nanogen.language.arithmetic import LARGEST
from nanogen.language.dial_reader import DRAWS
from nanogen.language.dials import MOST
from nanogen.language.file_reader import EXPECT, LANGUAGE, META, OF_LIBRARY, PLAIN, SECTIONS
from nanogen.language.literal import MAX_ITEMS
from nanogen.language.reader import WORDS
from nanogen.language.reserved import MODULE_NAMES
from nanogen.language.settings import settings_of, signature
from nanogen.language.table_reader import FOREIGN, KINDS
from nanogen.language.table_reader import TAKEN as NO_TABLE
from nanogen.primitives import PRIMITIVES
from nanogen.structure import COUNT_PATTERN, Count, Formula, Formulas

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TAKEN = sorted({*keyword.kwlist, *WORDS})
IDENTIFIER = "^[A-Za-z_][A-Za-z0-9_]*$"
BOUNDS: Schema = {"exclusiveMinimum": -LARGEST, "exclusiveMaximum": LARGEST}
SCALAR: Schema = {"type": ["number", "boolean"], **BOUNDS}
LAW: Schema = {"type": ["number", "string"], **BOUNDS}
ITEM: Schema = {  # of a list: a number, or a list of numbers
    **SCALAR,
    "type": ["number", "boolean", "array"],
    "items": SCALAR,
    "maxItems": MAX_ITEMS,
}


def as_text(schema: Schema) -> str:
    """A schema as it is printed, and kept in specs/schema."""
    return json.dumps(schema, indent=2, ensure_ascii=False)


# -- a model


def model_schema() -> Schema:
    """The schema of files of `kind = "model"`; a section that the compiler refuses is not in it."""
    sections = {name: _section(name) for name in SECTIONS}
    required = ("kind", "language", "dims", "model")
    return _of_equations("model", table_of("A language model as equations.", sections, required=required))


def library_schema() -> Schema:
    """The schema of files of `kind = "library"`, whose modules other files use."""
    sections = {name: _section(name) for name in OF_LIBRARY}
    sections["kind"] = {**sections["kind"], "const": "library"}
    del sections["dims"]["required"]
    return _of_equations("library", table_of("Modules to lend.", sections, required=("kind", "language")))


def _of_equations(kind: str, table: Schema) -> Schema:
    return {
        "$schema": DRAFT,
        "title": f"nanogen {kind}, language {LANGUAGE}",
        **table,
        "$defs": {
            "item": ITEM,
            "number_name": {"pattern": IDENTIFIER, "not": {"enum": TAKEN}},
            "name": {"pattern": "^[A-Za-z][A-Za-z0-9_]*$", "not": {"enum": sorted({*TAKEN, *MODULE_NAMES})}},
        },
    }


def _section(name: str) -> Schema:
    text = glossary.SECTIONS[name]
    match name:
        case "kind":
            return {"description": text, "const": "model"}
        case "language":
            return {"description": text, "type": "integer", "minimum": 1, "maximum": LANGUAGE}
        case "use":
            return {"description": text, "type": "array", "items": {"type": "string", "pattern": r"\.toml$"}}
        case name if name in KINDS:
            return table_of(text, {}, others=_equations(name), names=_names_but(NO_TABLE))
        case "model":
            return _equations(name)
        case "loss":  # as it is without being said; what goes beyond it is refused
            said = {"description": glossary.KEYS["loss"]["next"], "type": "string"}
            return table_of(text, {"next": {**said, "pattern": r"^\s*cross_entropy\(\s*logits\s*\)\s*$"}})
        case "defaults":
            return table_of(text, {p: _defaults(p) for p in PRIMITIVES if _settable(p)})
        case "dims":
            keys = {key: _equation(said) for key, said in glossary.KEYS["dims"].items()}
            return table_of(
                text,
                keys,
                required=("vocab", "context"),
                others=_equation("A dim."),
                names=_ref("number_name"),
            )
        case "dial":
            return table_of(text, {}, others=_dial(), names=_ref("number_name"))
        case "import":
            return table_of(text, {}, others=_import())
        case "meta":
            keys = {key: {"description": glossary.KEYS["meta"][key], "type": "string"} for key in META}
            keys["name"]["pattern"] = f"^(?:{PLAIN.pattern})?$"
            return table_of(text, keys)
        case "expect":
            keys = {key: _whole(glossary.KEYS["expect"][key]) for key in EXPECT}
            return table_of(text, keys)
    return {"description": text, "type": "object"}


def _equations(kind: str) -> Schema:
    """A module, a stack, a loop, the model or the loss: keys of its own, and equations."""
    said = glossary.KEYS.get(kind, {})
    keys = {key: _key_of_table(key, text) for key, text in said.items()}
    required = {"module": ("y",), "stack": ("layers",), "loop": ("times",), "model": ("logits",)}.get(
        kind, ()
    )
    others = _choice() if kind == "stack" else _equation("An equation.")
    names = _names_but(FOREIGN.get(kind, ()))  # keys of other tables are none here
    return table_of(glossary.SECTIONS[kind], keys, required=required, others=others, names=names)


def _key_of_table(key: str, text: str) -> Schema:
    match key:
        case "inputs":
            words = [word for word in TAKEN if word not in ("tokens", "positions")]
            item = {"type": "string", "pattern": IDENTIFIER, "not": {"enum": words}}
            return {"description": text, "type": "array", "items": item, "minItems": 1, "uniqueItems": True}
        case "args":
            return table_of(text, {}, others=_equation("An argument's default."), names=_ref("number_name"))
    return _equation(text)


def _equation(text: str) -> Schema:
    """What may stand right of `=`: text, a number, a truth value, or a list of numbers."""
    kinds = ["string", "number", "boolean", "array"]
    return {"description": text, "type": kinds, **BOUNDS, "items": _ref("item"), "maxItems": MAX_ITEMS}


def _choice() -> Schema:
    """In a stack, an equation or a choice of modules."""
    layers = _equation('The layers of this module: a list, a rule in `i`, or "rest".')
    equation = _equation("An equation, or a choice of modules by layer.")
    kinds = [*equation["type"], "object"]
    return {**equation, "type": kinds, "additionalProperties": layers, "minProperties": 1}


def _dial() -> Schema:
    said = glossary.KEYS["dial"]
    turns = {"type": "integer", "minimum": 1, "maximum": MOST}
    keys = {key: {"description": said[key], **turns} for key in ("default", "min", "max")}
    drawn = {
        "draw": {"description": said["train.draw"], "enum": list(DRAWS)},
        "mean": {"description": said["train.mean"], "type": "number", "exclusiveMinimum": 0, "maximum": MOST},
        "sigma": {"description": said["train.sigma"], "type": "number", "minimum": 0, "maximum": MOST},
        "max": {"description": said["train.max"], **turns},
    }
    none = {key: {"description": "A fixed draw has none.", "not": {}} for key in ("mean", "sigma", "max")}
    fixed = {"if": {"properties": {"draw": {"const": "fixed"}}}, "then": {"properties": none}}
    train = {**table_of(said["train"], drawn, required=("draw",)), **fixed, "else": {"required": ["mean"]}}
    return table_of("A dial.", {**keys, "train": train}, required=("default",))


def _import() -> Schema:
    """A table of `[import]`: parameters' paths, and the published tensors that fill them."""
    said = glossary.KEYS["import"]
    about = {"description": said["about"], "type": "string"}
    ignore = {"description": said["ignore"], "type": "array", "items": {"type": "string"}}
    line = {
        "description": "Where the checkpoint keeps this parameter.",
        "type": ["string", "array", "object"],
        "items": {"type": "string"},
        "minItems": 1,
    }
    return table_of("A kind of checkpoint.", {"about": about, "ignore": ignore}, others=line)


def _settable(primitive: str) -> bool:
    return any(s.metadata["kind"] != "sizes" for s in settings_of(primitive).values())


def _defaults(primitive: str) -> Schema:
    """The settings of a primitive; the axes of a `parameter` stand in its calls alone."""
    settings = {name: s for name, s in settings_of(primitive).items() if s.metadata["kind"] != "sizes"}
    return table_of(signature(primitive), {name: _setting(s) for name, s in settings.items()})


def _setting(setting: attrs.Attribute) -> Schema:
    said: Schema = {"description": setting.metadata["help"]}
    if setting.default is not attrs.NOTHING and setting.default not in (None, "", ()):
        said["default"] = setting.default
    match setting.metadata["kind"]:
        case "choice" | "stored":
            return {**said, "enum": list(setting.metadata["names"])}
        case "role":
            return {**said, "type": "string", "pattern": IDENTIFIER}
        case "size" | "window":
            return {**said, "type": ["string", "integer"], "minimum": 1, "exclusiveMaximum": LARGEST}
        case "flag":
            return {**said, "type": ["string", "boolean", "integer"], "minimum": 0, "maximum": 1}
    return {**said, "type": ["string", "number"], **BOUNDS}


# -- a run


def run_schema(kinds: Mapping[str, type]) -> Schema:
    """The schema of files of `kind = "run"`; `kinds` are the settings of each kind of stage, as attrs classes."""
    said = glossary.RUN
    sections: dict[str, Schema] = {
        "kind": {"const": "run"},
        "model": {"type": "string"},
        "hardware": {"type": "string"},
        "set": _dims(),
        "rehearse": _dims(),
        "seed": {"type": "integer"},
        "stage": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": IDENTIFIER},
            "additionalProperties": _stage(kinds),
        },
        "meta": table_of(
            said["meta"],
            {key: {"description": glossary.KEYS["meta"][key], "type": "string"} for key in run.META},
        ),
    }
    described = {key: {"description": said[key], **sections.get(key, {})} for key in run.SECTIONS}
    table = table_of(
        "What to train, and how: stages and their settings.", described, required=("kind", "stage")
    )
    return {"$schema": DRAFT, "title": "nanogen run", **table, "$defs": {"item": ITEM}}


def _dims() -> Schema:
    return {"type": "object", "additionalProperties": _equation("A dim.")}


def _stage(kinds: Mapping[str, type]) -> Schema:
    """A stage: which settings it has hangs on what it uses.

    One `if` in another's `else`: beside an `allOf`, Taplo would not complete the stage's own keys.
    """
    names: Schema = {"type": "array", "items": {"type": "string"}}
    keys = {
        "uses": {"description": glossary.STAGE["uses"], "enum": list(kinds)},
        "needs": {"description": glossary.STAGE["needs"], **names},
        "set": {"description": glossary.STAGE["set"], **_dims()},
        "with": {"description": glossary.STAGE["with"], "type": "object", "properties": _of_any(kinds)},
    }
    rules: Schema = {}
    for name, cls in reversed(list(kinds.items())):
        settings = settings_table(cls)
        then: Schema = {"properties": {"with": settings}}
        if "required" in settings:
            then["required"] = ["with"]
        this = {"if": {"properties": {"uses": {"const": name}}, "required": ["uses"]}, "then": then}
        rules = {**this, "else": rules} if rules else this
    return {**table_of("A stage.", keys, required=("uses",)), **rules}


def _of_any(kinds: Mapping[str, type]) -> dict[str, Schema]:
    """Settings of all kinds without their bounds: many editors complete from here alone."""
    said: dict[str, list[str]] = {}
    for kind, cls in kinds.items():
        for name, setting in settings_table(cls)["properties"].items():
            said.setdefault(name, []).append(f"{kind}: {setting['description']}")
    return {name: {"description": "\n".join(texts)} for name, texts in sorted(said.items())}


def settings_table(cls: type, text: str = glossary.STAGE["with"]) -> Schema:
    """The table of an attrs class: its attributes are the keys."""
    hints, keys, required = get_type_hints(cls), {}, []
    for setting in attrs.fields(cls):
        keys[setting.name] = {
            "description": setting.metadata["help"],
            **_kind(hints[setting.name]),
            **getattr(setting.validator, "keywords", {}),
        }
        if setting.default is attrs.NOTHING:
            required.append(setting.name)
        elif setting.default is not None:
            keys[setting.name]["default"] = _plain(setting.default)
    return table_of(text, keys, required=tuple(required))


def _plain(value: Any) -> Any:
    """A default as TOML has it."""
    if isinstance(value, attrs.Factory):  # pyright: ignore[reportArgumentType]  (typed as a function, and a class)
        return _plain(value.factory())
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not attrs.has(type(value)):
        return value
    items = ((f.name, getattr(value, f.name), f.default) for f in attrs.fields(type(value)))
    return {name: _plain(found) for name, found, default in items if found != default}


def _kind(hint: Any) -> Schema:
    """What `nanogen.structure` takes for an attribute of this kind."""
    if get_origin(hint) in (Union, types.UnionType):
        return _kind(next(part for part in get_args(hint) if part is not type(None)))
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _kind(get_args(hint)[0])}
    if attrs.has(hint):
        return settings_table(hint)
    if get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": _kind(get_args(hint)[1])}
    if hint is Formula:
        return LAW
    if hint is Formulas:
        return {"type": "object", "additionalProperties": LAW}
    if hint is Count:
        return {"type": ["integer", "string"], "pattern": f"^{COUNT_PATTERN}$"}
    return {"type": {int: "integer", float: "number", str: "string", bool: "boolean"}[hint]}


# -- what both are made of


def table_of(
    text: str,
    keys: Mapping[str, Schema],
    *,
    required: tuple[str, ...] = (),
    others: Schema | bool = False,
    names: Schema | None = None,
) -> Schema:
    """A table with these keys; `others` is what further keys hold, `names` how all keys are spelt."""
    table: Schema = {"description": text, "type": "object"}
    if keys:
        table["properties"] = dict(keys)
    if required:
        table["required"] = list(required)
    table["additionalProperties"] = others
    return {**table, "propertyNames": names} if names is not None else table


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _names_but(taken: Collection[str]) -> Schema:
    """Names of values or tables, save those; an `allOf`, for some validators read nothing beside a `$ref`."""
    return {"allOf": [_ref("name"), {"not": {"enum": sorted(taken)}}]} if taken else _ref("name")


def _whole(text: str) -> Schema:
    return {"description": text, "type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": LARGEST}
