"""specs/README.md is held to the compiler: its tables are written from the code, its examples compile."""

import ast
import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import tomli

from nanogen import run
from nanogen.building import names
from nanogen.compiler import compile_text
from nanogen.language import glossary
from nanogen.language.file_reader import SECTIONS
from nanogen.language.settings import settings_of, signature
from nanogen.optimizer.spec import SECTIONS as SECTIONS_OF_OPTIMIZERS
from nanogen.optimizer.spec import AdamWTable, BatchTable, MuonTable
from nanogen.optimizer.words import RESULTS, ROLES, WHERE
from nanogen.primitives import PRIMITIVES, base
from nanogen.shelf import shipped
from nanogen.text.codes import CODES
from stages.catalogue import KINDS, load_kind

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "specs" / "README.md"
MARKED = re.compile(r"(<!-- (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
EXAMPLE = re.compile(r"^```toml(?: (\w+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EPSILON = re.compile(r"1\.19\d*e-07")  # of float32
COMMON = ("init", "role", "dtype")  # settings of whatever owns parameters


def table(head: str, rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown under these comma-separated heads."""
    names = head.split(", ")
    lines = [names, ["---"] * len(names), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def code(text: object) -> str:
    return f"`{text}`"


def sentence(text: str) -> str:
    return re.sub(r"\s+", " ", text.strip()).rstrip(".")


def default(setting: attrs.Attribute) -> str:
    value: Any = setting.default
    if isinstance(value, attrs.Factory):  # pyright: ignore[reportArgumentType]  (typed as a function, and a class)
        value = value.factory()
    if value is attrs.NOTHING:
        return "must be said"
    if isinstance(value, tuple):
        return code(list(value)).replace("'", '"') if value else "-"
    if isinstance(value, dict):
        return code("{ " + ", ".join(f"{key} = {found:g}" for key, found in value.items()) + " }")
    if isinstance(value, bool):
        return code(str(value).lower())
    if value in (None, ""):
        return "-"
    return code(EPSILON.sub("2**-23", f"{value:g}") if isinstance(value, float) else value)


def sections() -> str:
    rows = [(code(name), sentence(glossary.SECTIONS[name])) for name in SECTIONS]
    return table("section, what it declares", rows)


def keys() -> str:
    rows = [
        (
            code(f"[{kind}]" if kind in ("model", "dims", "meta", "expect") else f"[{kind}.NAME]"),
            code(key),
            sentence(text),
        )
        for kind, said in glossary.KEYS.items()
        for key, text in said.items()
    ]
    return table("table, key, what it says", rows)


def later() -> str:
    """Calls that are known by name and refused."""
    calls = [code(name) for name in sorted(names.CALLS_TO_COME - set(PRIMITIVES))]
    return f"  {', '.join(calls)}.\n"


def functions() -> str:
    return table("call, result", [(code(call), text) for call, text in glossary.FUNCTIONS.values()])


def words() -> str:
    return table("word, what it is", [(code(word), text) for word, text in glossary.WORDS.items()])


def laws() -> str:
    return table("law, what it fills in", [(code(call), text) for call, text in glossary.LAWS.values()])


def primitives() -> str:
    """Calls without what all owners share; their docstrings say what they do."""
    rows = []
    for name, cls in PRIMITIVES.items():
        call = re.sub(rf", (?:{'|'.join(COMMON)})=[^,)]*", "", signature(name))
        call = EPSILON.sub("2**-23", call)
        rows.append((code(call) + (" *past*" if cls.past else ""), sentence(inspect.getdoc(cls) or "")))
    return table("call, result", rows)


def settings() -> str:
    rows = []
    for name in PRIMITIVES:
        for setting in settings_of(name).values():
            kind, help = setting.metadata["kind"], setting.metadata["help"]
            if setting.name in COMMON and (setting.name != "role" or not setting.default):
                continue
            if words := setting.metadata.get("names"):
                help += f": {', '.join(map(code, words))}"
            rows.append((code(name), code(setting.name), kind, default(setting), help))
    return table("primitive, setting, kind, unsaid, what it is", rows)


def kinds() -> str:
    """Kinds of settings in the order of the functions that make them; their docstrings say what each is."""
    used = {s.metadata["kind"] for name in PRIMITIVES for s in settings_of(name).values()}
    made = [
        node.name for node in ast.parse(inspect.getsource(base)).body if isinstance(node, ast.FunctionDef)
    ]
    rows = [(kind, sentence(inspect.getdoc(getattr(base, kind)) or "")) for kind in made if kind in used]
    assert {kind for kind, _ in rows} == used
    return table("kind, what it takes", rows)


def codes() -> str:
    return table("code, what it tells", [(code(name), c.title) for name, c in CODES.items()])


def runs() -> str:
    top = [(code(key), sentence(glossary.RUN[key])) for key in run.SECTIONS]
    stage = [(code(f"stage.NAME.{key}"), sentence(glossary.STAGE[key])) for key in run.STAGE_KEYS]
    return table("key, what it says", top + stage)


def stages() -> str:
    rows = [
        (code(kind), code(setting.name), default(setting), setting.metadata["help"])
        for kind in KINDS
        for setting in attrs.fields(load_kind(kind).Settings)
    ]
    return table("kind, setting, unsaid, what it is", rows)


def optimizer_sections() -> str:
    keys = [
        (code(f"{where}.{setting.name}"), default(setting), setting.metadata["help"])
        for where, cls in (("batch", BatchTable), ("group.NAME", AdamWTable), ("group.NAME", MuonTable))
        for setting in attrs.fields(cls)
        if cls is not MuonTable or setting.name not in attrs.fields_dict(AdamWTable)
    ]
    top = [(code(name), "-", sentence(text)) for name, text in SECTIONS_OF_OPTIMIZERS.items()]
    results = [(code(f"schedule.{name}"), "-", text) for name, text in RESULTS.items()]
    return table("key, unsaid, what it says", [*top, *keys, *results])


def optimizer_words() -> str:
    rows = [(code(name), text, where) for words, where in WHERE for name, text in words.items()]
    return table("name, what it is, read by", rows)


def roles() -> str:
    return table("role, what has it", [(code(name), text) for name, text in ROLES.items()])


def optimizers() -> str:
    rows = []
    for name in shipped("optimizer"):
        about = tomli.loads((ROOT / "specs" / "optimizers" / f"{name}.toml").read_text())["about"]
        rows.append((f"[{code(name)}](optimizers/{name}.toml)", sentence(about)))
    return table("optimizer, what it is", rows)


TABLES: dict[str, Callable[[], str]] = {
    "later": later, "sections": sections, "keys": keys, "functions": functions, "words": words, "laws": laws,
    "primitives": primitives, "settings": settings, "kinds": kinds, "codes": codes, "run": runs, "stages": stages,
    "optimizer": optimizer_sections, "optimizer_words": optimizer_words, "roles": roles, "optimizers": optimizers,
}  # fmt: skip


def test_tables_are_written_from_the_code():
    text = REFERENCE.read_text()
    assert {found[2] for found in MARKED.finditer(text)} == set(TABLES)
    wanted = MARKED.sub(lambda m: m[1] + TABLES[m[2]]() + m[4], text)
    if os.environ.get("UPDATE"):
        REFERENCE.write_text(wanted)
    assert REFERENCE.read_text() == wanted, "run `UPDATE=1 make test` to write the tables again"


@pytest.mark.parametrize("name", [name for name in TABLES if name != "later"])
def test_no_cell_is_empty(name):
    lines = TABLES[name]().splitlines()
    assert len(lines) > 2
    assert [line for line in lines if re.search(r"\|\s+\|", line)] == []


EXAMPLES = [(m[1], m[2]) for m in EXAMPLE.finditer(REFERENCE.read_text())]


@pytest.mark.parametrize("text", [text for kind, text in EXAMPLES if kind == "spec"])
def test_examples_compile(text):
    assert not compile_text(text).warnings


def test_examples_are_marked():
    assert {kind for kind, _ in EXAMPLES} <= {None, "spec"}
    for kind, text in EXAMPLES:
        assert (kind == "spec") == ('kind     = "model"' in text), (
            "a whole spec is marked as one, and compiled"
        )


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_links_lead_somewhere():
    text = REFERENCE.read_text()
    headings = {anchor(h) for h in re.findall(r"^## (.*)$", text, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target[1:] in headings if target[0] == "#" else (REFERENCE.parent / target).exists(), target
