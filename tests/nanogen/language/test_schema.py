"""The schemas of specs and runs agree with what reads them; an independent validator is the judge."""

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from nanogen import run
from nanogen.commands.schema import schema_of
from nanogen.compiler import compile_text
from nanogen.language import glossary
from nanogen.language.arithmetic import FUNCTIONS
from nanogen.language.file_reader import EXPECT, META, SECTIONS
from nanogen.language.initial import DRAWS, VARIABLES
from nanogen.language.reader import WORDS
from nanogen.language.schema import as_text, model_schema, run_schema
from nanogen.language.settings import settings_of
from nanogen.language.spec import read_override
from nanogen.language.table_reader import TABLE_KEYS
from nanogen.primitives import PRIMITIVES
from nanogen.run import read_run
from nanogen.structure import structure
from nanogen.text.diagnostics import Diagnostic, Refusal
from nanogen.text.document import parse_document
from stages.catalogue import KINDS, load_kind

ROOT = Path(__file__).parents[3]


def of_kind(folder: Path, *kinds: str) -> list[Path]:
    """TOML files that say one of these kinds, or none."""
    read = {p: parse_document(p.name, p.read_text()) for p in sorted(folder.rglob("*.toml"))}
    return [p for p, (document, faults) in read.items() if not faults and document.data.get("kind") in kinds]


HERE = Path(__file__).parents[1]
SPECS = of_kind(ROOT / "specs", "model", "library", "run", "optimizer")
GOOD = of_kind(HERE / "good", "model")
BAD = of_kind(HERE / "bad", "model", "modl", None)
KEYS_AND_KINDS = ("NG101", "NG102", "NG103")
UNSEEN = {  # faults of keys and kinds that a schema cannot express, and why
    ("NG101-wrong-kind", ("dims", "heads")): "no bound refuses `nan`, and JSON has none",
}


@cache
def judge(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema_of(kind))


def refused(kind: str, data: dict) -> set[tuple]:
    """Paths of what the schema refuses: a value, a key that should not be there, or `+key` where it is missing."""
    return {path for error in judge(kind).iter_errors(data) for path in blamed(error)}


def blamed(error: Any) -> Iterator[tuple]:
    path = tuple(error.absolute_path)
    if error.validator == "required":
        yield from ((*path, f"+{key}") for key in error.validator_value if key not in error.instance)
    elif error.validator == "additionalProperties" and error.validator_value is False:
        yield from ((*path, key) for key in error.instance if key not in error.schema.get("properties", {}))
    elif "propertyNames" in error.absolute_schema_path:
        yield (*path, error.instance)
    else:
        yield path


def lacks(at: tuple, refused: tuple) -> bool:
    """Whether a fault at this path may be a key that the schema misses: told at its table, or at a slip of it."""
    return bool(refused) and str(refused[-1]).startswith("+") and refused[:-1] in (at, at[:-1])


def found(text: str) -> list[Diagnostic]:
    """What the compiler says of a text."""
    given = re.match(r"# --set (.*)", text)
    try:
        return list(compile_text(text, dict([read_override(given[1])]) if given else {}).warnings)
    except Refusal as refusal:
        return refusal.diagnostics


# -- the files


@pytest.mark.parametrize("kind", ["model", "library", "run", "optimizer"])
def test_the_file_is_what_the_command_prints(kind):
    path = ROOT / "specs" / "schema" / f"{kind}.json"
    wanted = as_text(schema_of(kind)) + "\n"
    if os.environ.get("UPDATE"):
        path.write_text(wanted)
    assert path.read_text() == wanted, "run `UPDATE=1 make test` to write the schema again"


@pytest.mark.parametrize("kind", ["model", "library", "run", "optimizer"])
def test_it_is_a_schema_with_a_word_on_every_key(kind):
    schema = schema_of(kind)
    jsonschema.Draft202012Validator.check_schema(schema)

    def silent(node: Any, path: tuple = ()) -> Iterator[tuple]:
        if isinstance(node, dict):
            keys = [(*path, key) for key, of in node.get("properties", {}).items() if path[-1:] != ("if",)]
            yield from (key for key in keys if not node["properties"][key[-1]].get("description"))
        for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(inner, dict | list):
                yield from silent(inner, (*path, key))

    branches = {"with"}  # under `then`, where `with` was described above
    assert [p for p in silent(schema) if p[-1] not in branches] == []


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_that_ship_are_valid_and_name_their_schema(path):
    text = path.read_text()
    named = re.match(r"#:schema (\S+)\n", text)
    assert named, f"{path.name} opens with `#:schema` and the path from it to its schema"
    data = parse_document(path.name, text)[0].data
    assert (path.parent / named[1]).resolve() == ROOT / "specs" / "schema" / f"{data['kind']}.json"
    assert refused(data["kind"], data) == set()


# -- the schema and the compiler


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_faults_of_keys_and_kinds_are_seen(path):
    text = path.read_text()
    seen = refused("model", parse_document("", text)[0].data)
    for fault in found(text):
        at = fault.place.path
        if fault.code in KEYS_AND_KINDS:
            covered = any(s[: len(at)] == at != () or lacks(at, s) for s in seen)
            assert covered != ((path.stem, at) in UNSEEN), (fault.message, seen)


@pytest.mark.parametrize("path", [*GOOD, *BAD], ids=lambda path: path.stem)
def test_nothing_is_refused_that_the_compiler_takes(path):
    text = path.read_text()
    faults = [d.place.path for d in found(text)]
    for at in refused("model", parse_document("", text)[0].data):
        assert any(f[: len(at)] == at[: len(f)] != () or lacks(f, at) for f in faults), (at, faults)


def test_what_is_unseen_is_there():
    assert {stem for stem, _ in UNSEEN} <= {p.stem for p in BAD}


SMALL = {
    "kind": "model",
    "language": 1,
    "dims": {"vocab": 32, "context": 8},
    "model": {"embed": "embedding(tokens, vocab, 8)", "logits": "linear(embed, vocab)"},
}


@pytest.mark.parametrize(
    ("section", "value", "path"),
    [
        ("stack", {"a": {"layers": 2, "mix": {"b": [1], "c": "rest"}, "x": "mix(x)"}}, None),
        ("stack", {"a": {"layers": 2, "mix": {}, "x": "mix(x)"}}, ("stack", "a", "mix")),
        ("stack", {"a": {"layers": 2, "mix": {"b": {"c": 1}}}}, ("stack", "a", "mix", "b")),
        ("stack", {"a": {"layers": 2, "args": {"b": 1}}}, ("stack", "a", "args")),
        ("module", {"a": {"mix": {"b": 1}, "y": "x"}}, ("module", "a", "mix")),
        ("module", {"a": {"x": "relu(x)"}}, ("module", "a", "+y")),
        ("module", {"model": {"y": "x"}}, ("module", "model")),
        ("module", {"a": {"y": "x", "forward": "x"}}, ("module", "a", "forward")),
        ("module", {"a": {"inputs": ["x", "tokens"], "y": "x"}}, None),
        ("module", {"a": {"inputs": ["x", "x"], "y": "x"}}, ("module", "a", "inputs")),
        ("module", {"a": {"args": {"n": [1, [2, 3]], "m": True}, "y": "x"}}, None),
        ("module", {"a": {"args": {"n": ["1"]}, "y": "x"}}, ("module", "a", "args", "n", 0)),
        ("defaults", {"rope": {"base": 10000, "table": "bfloat16"}, "linear": {"bias": "depth > 1"}}, None),
        ("defaults", {"rope": {"table": "float64"}}, ("defaults", "rope", "table")),
        ("defaults", {"linear": {"bais": True}}, ("defaults", "linear", "bais")),
        ("defaults", {"linaer": {}}, ("defaults", "linaer")),
        ("dims", {"vocab": 2**63, "context": 8}, ("dims", "vocab")),
        ("model", {"head": "linear(embed, vocab)"}, ("model", "+logits")),
        ("language", 2, ("language",)),
    ],
)
def test_values(section, value, path):
    assert refused("model", {**SMALL, section: value}) == ({path} if path else set())


@pytest.mark.parametrize("section", SMALL)
def test_what_a_spec_cannot_do_without(section):
    assert refused("model", {k: v for k, v in SMALL.items() if k != section}) == {(f"+{section}",)}


def test_every_section_is_completed_and_checked():
    schema = jsonschema.Draft202012Validator(model_schema())
    whole = {
        **SMALL,
        "use": ["std/attention.toml"],
        "dial": {
            "r": {"default": 4, "train": {"draw": "lognormal_poisson", "mean": 4, "sigma": 0.5, "max": 16}}
        },
        "loop": {"think": {"inputs": ["s"], "times": "r", "backprop": 4, "s": "norm(s)"}},
        "loss": {"next": "cross_entropy(logits)"},
    }
    assert [e.message for e in schema.iter_errors(whole)] == []
    for wrong in (
        {"loop": {"think": {"s": "x"}}},
        {"dial": {"r": {"defalt": 4}}},
        {"dial": {"r": {"default": 4, "train": {"draw": "normal"}}}},
        {"loss": {"next": "0"}},
        {"use": "std/attention.toml"},
    ):
        assert list(schema.iter_errors({**SMALL, **wrong}))


# -- runs

RUN = {
    "kind": "run",
    "model": "m",
    "stage": {"base": {"uses": "pretrain", "needs": [], "with": {"steps": 3}}},
}


def base(**settings: Any) -> dict:
    return {**RUN, "stage": {"base": {"uses": "pretrain", "with": settings}}}


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (RUN, None),
        (base(tokens="1.5M", matrix_lr=1, dtype="bfloat16", set={}), ("stage", "base", "with", "set")),
        (base(steps=0), ("stage", "base", "with", "steps")),
        (base(steps=1.5), ("stage", "base", "with", "steps")),
        (base(tokens="2Q"), ("stage", "base", "with", "tokens")),
        (base(dtype="float64"), ("stage", "base", "with", "dtype")),
        (base(stepz=3), ("stage", "base", "with", "stepz")),
        (base(prompts=["a"]), ("stage", "base", "with", "prompts")),
        ({**RUN, "stage": {"a": {"uses": "dataset"}}}, ("stage", "a", "+with")),
        (
            {**RUN, "stage": {"a": {"uses": "dataset", "with": {"validation": 0.1}}}},
            ("stage", "a", "with", "+source"),
        ),
        ({**RUN, "stage": {"a": {"uses": "datset"}}}, ("stage", "a", "uses")),
        ({**RUN, "stage": {"a": {"use": "report"}}}, ("stage", "a", "use")),
        ({**RUN, "stage": {"a-b": {"uses": "report"}}}, ("stage", "a-b")),
        ({**RUN, "stage": {}}, ("stage",)),
        ({**RUN, "seed": "42"}, ("seed",)),
        ({**RUN, "hardware": "h100"}, None),
        ({**RUN, "hardware": 8}, ("hardware",)),
        ({**RUN, "set": {"depth": 4, "attn": [1, 2]}}, None),
    ],
)
def test_runs(data, path):
    seen = refused("run", data)
    assert path in seen if path else seen == set()
    document = parse_document("", "")[0]
    _, faults = read_run(type(document)("", "", data), KINDS)
    for stage in data["stage"].values():
        if stage.get("uses") in KINDS:
            faults += structure(load_kind(stage["uses"]).Settings, stage.get("with", {}), ())[1]
    assert bool(faults) == bool(path), "the schema and the reader of runs are of one mind"


# -- words


def test_every_word_has_a_meaning():
    assert set(glossary.SECTIONS) == {*SECTIONS}
    for kind, keys in TABLE_KEYS.items():
        assert set(keys) <= set(glossary.KEYS[kind]), kind
    assert set(glossary.KEYS["meta"]) == set(META)
    assert set(glossary.KEYS["expect"]) == set(EXPECT)
    assert {*run.SECTIONS} <= set(glossary.RUN)
    assert set(glossary.STAGE) == set(run.STAGE_KEYS)
    assert set(glossary.WORDS) == set(WORDS)
    assert set(glossary.FUNCTIONS) == set(FUNCTIONS)
    assert set(glossary.LAWS) == {*DRAWS, *VARIABLES}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_defaults_have_the_settings_of_the_primitive(name):
    described = model_schema()["properties"]["defaults"]["properties"].get(name, {}).get("properties", {})
    assert set(described) == {s for s, f in settings_of(name).items() if f.metadata["kind"] != "sizes"}


def test_the_text_is_json():
    assert json.loads(as_text({"a": "β"})) == {"a": "β"}
    assert "β" in as_text({"a": "β"})


def test_settings_within_settings_are_described():
    from attrs import frozen

    from stages.choices import setting
    from stages.tasks.mixture import TaskSetting

    @frozen
    class Settings:
        tasks: tuple[TaskSetting, ...] = setting("what to learn", default=(TaskSetting("gsm8k", epochs=2),))

    schema = run_schema({"tune": Settings})
    jsonschema.Draft202012Validator.check_schema(schema)
    tune = schema["properties"]["stage"]["additionalProperties"]["then"]["properties"]["with"]
    tasks = tune["properties"]["tasks"]
    assert tasks["default"] == [{"task": "gsm8k", "epochs": 2}]

    def told(*tables: dict) -> list[tuple]:
        errors = jsonschema.Draft202012Validator(tasks).iter_errors(list(tables))
        return [path for error in errors for path in blamed(error)]

    assert told({"task": "gsm8k", "rows": "1K"}, {"task": "arithmetic", "digits": 2}) == []
    assert told({"task": "gsm8k"}, {"task": "gsm9k"}) == [(1, "task")]
    assert told({"task": "gsm8k", "row": 2}, {}) == [(0, "row"), (1, "+task")]
    assert told({"task": "gsm8k", "epochs": 0}) == [(0, "epochs")]
