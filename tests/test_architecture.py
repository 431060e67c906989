"""Imports point one way. The order below is the whole architecture; read it first."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli

ROOT = Path(__file__).parents[1]
ORDER = [  # a file may import from lines above its own, and from its own line where that is a folder
    "nanogen.text.codes",  # what each diagnostic means
    "nanogen.text.locate",  # where each key of a TOML text stands
    "nanogen.text.diagnostics",  # faults as data
    "nanogen.text.document",  # TOML text and its values
    "nanogen.text.explanations",  # what each code teaches
    "nanogen.text.draw",  # faults as people read them
    "nanogen.language.arithmetic",  # numbers
    "nanogen.language.expression",  # equations
    "nanogen.language.literal",
    "nanogen.language.reserved",
    "nanogen.language.dials",
    "nanogen.language.tables",  # equations of a module, a stack, a loop, the model
    "nanogen.language.reader",
    "nanogen.language.dial_reader",
    "nanogen.language.table_reader",
    "nanogen.language.imports",  # where published checkpoints keep what a model has
    "nanogen.language.file_reader",  # one document, typed
    "nanogen.language.spec",  # a model's document and the files it uses
    "nanogen.load",  # what a model is asked to do
    "nanogen.language.initial",
    "nanogen.primitives.base",
    "nanogen.primitives",  # one class each, all rules beside the settings
    "nanogen.language.settings",
    "nanogen.graph",
    "nanogen.answers",  # graph to numbers
    "nanogen.views.equation",  # a graph's equations as text
    "nanogen.building.inside",
    "nanogen.building.unused",
    "nanogen.building.names",  # who reads whom
    "nanogen.building.sharing",
    "nanogen.building.binding",
    "nanogen.building.evaluate",
    "nanogen.building.frame",
    "nanogen.building.layers",
    "nanogen.building.ascent",
    "nanogen.building.build",  # spec to graph
    "nanogen.advice",  # graph to warnings
    "nanogen.importing.mapping",  # import tables, settled for one graph
    "nanogen.importing.fitting",  # and held against a published checkpoint
    "nanogen.emission.spelling",
    "nanogen.emission.lending",
    "nanogen.emission.call_source",
    "nanogen.emission.unit_source",
    "nanogen.emission.source",  # graph to PyTorch source
    "nanogen.emission.standalone",
    "nanogen.emission.blueprint",
    "nanogen.shelf",
    "nanogen.compiler",  # the passes in their order
    "nanogen.views.figures",
    "nanogen.views.card",
    "nanogen.views.show",  # every layer and equation with its share
    "nanogen.views.difference",  # what sets two models apart
    "nanogen.views.flow",  # boxes and arrows in their places
    "nanogen.views.packing",
    "nanogen.views.svg",
    "nanogen.views.picture",  # graph to SVG
    "nanogen.bounds",  # of settings
    "nanogen.structure",
    "nanogen.run",
    "nanogen.language.glossary",  # what words mean
    "nanogen.language.schema",  # the same keys and kinds, for editors
    "nanogen.data",  # a data set: files, splits, terms
    "nanogen.optimizer.words",
    "nanogen.optimizer.laws",
    "nanogen.optimizer.spec",  # an optimizer's file, typed
    "nanogen.optimizer.settle",  # and with all numbers known
    "nanogen.optimizer.schema",
    "nanogen.planning.hardware",
    "nanogen.planning.rewrite",  # TOML text with other values
    "nanogen.planning.search",
    "nanogen.planning.match",  # a spec that costs what another costs
    "nanogen.planning.budget",
    "nanogen.views.comparison",  # specs side by side
    "nanogen.views.cost_curve",
    "runtime",
    "nanogen.lowering",  # graph to module: the only file of the compiler that imports torch
    "stages",
    "web",
    "nanogen.commands",
    "nanogen.cli",
    "nanogen.__main__",
]
TORCH = ("nanogen.lowering", "runtime", "stages")  # who may import it
FOLDERS = ("nanogen", "runtime", "stages", "web")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}

LONGEST_FUNCTION = 60
LONGEST_FILE = 450
MODULES_TO_START = 260


def name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def belongs(module: str, group: str) -> bool:
    return module == group or module.startswith(f"{group}.")


def rank(module: str) -> int | None:
    """The line of the order that a module stands on; the longest name wins."""
    fitting = [group for group in ORDER if belongs(module, group)]
    return ORDER.index(max(fitting, key=len)) if fitting else None


def imports(path: Path) -> Iterator[str]:
    """What a file imports when it runs; imports for type checkers are not among it."""
    skipped = {
        id(inner)
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(TREES[path]):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: imports have whole names"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_file_has_its_place():
    """A folder that only groups files has none: its `__init__.py` is a docstring."""
    lost = [p for p in FILES if rank(name(p)) is None]
    assert [name(p) for p in lost if p.name != "__init__.py"] == []
    assert [name(p) for p in lost if len(TREES[p].body) > 1] == []
    assert [group for group in ORDER if not any(belongs(name(p), group) for p in FILES)] == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_up(path):
    here = rank(name(path))
    for target in imports(path):
        there = rank(target)
        if there is None or here is None:
            continue
        in_folder = there == here and (ORDER[here] != name(path) or path.name == "__init__.py")
        assert there < here or in_folder, f"{name(path)} imports {target}"


def walls(path: Path) -> set[str]:
    """Folders whose files this one must not import."""
    here = name(path)
    if belongs(here, "runtime"):
        return {"nanogen", "stages", "web"}
    if belongs(here, "stages"):
        return {"web", "nanogen.cli", "nanogen.commands", "nanogen.__main__"}
    if belongs(here, "web"):
        return {"nanogen", "stages"}
    if here == "nanogen.lowering":
        return {"stages", "web"}
    if belongs(here, "nanogen.commands"):
        return {"nanogen.cli"}
    return {"runtime", "stages", "web"}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_rooms_are_kept_apart(path):
    crossed = {t for t in imports(path) if any(belongs(t, wall) for wall in walls(path))}
    assert crossed == set()
    torch = {t for t in imports(path) if belongs(t, "torch")}
    assert torch == set() or any(belongs(name(path), group) for group in TORCH)


# -- the torch wall, as it runs


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory):
    """An environment in which whoever imports torch fails."""
    folder = tmp_path_factory.mktemp("wall")
    (folder / "torch.py").write_text('raise ImportError("torch was imported")\n')
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def nanogen(*args: str, env: dict | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "nanogen", *args]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["check", "saint_iberis_d20", "nanochat_2025", "quickstart"],
        ["check", "tests/nanogen/bad/NG301-uneven-split.toml", "--json"],
        ["flops", "saint_iberis_d20", "nanochat_2025"],
        [
            "flops",
            "saint_iberis_d20",
            "nanochat_2025",
            "--match",
            "width",
            "--budget",
            "4e19",
            "--hardware",
            "h100x8",
        ],
        ["show", "saint_iberis_d20"],
        ["diff", "saint_iberis_d20", "nanochat_2025"],
        ["graph", "saint_iberis_d20"],
        ["explain", "NG203"],
        ["plan", "quickstart", "--on", "h100x8"],
        ["fetch", "--help"],
        ["run", "--help"],
        ["watch", "quickstart", "--once"],
        ["compare", "--help"],
        ["track", "--help"],
        ["sample", "--help"],
        ["chat", "--help"],
        ["serve", "--help"],
        ["data", "inspect", "--help"],
        ["schema"],
        ["schema", "run"],
        ["schema", "optimizer"],
        ["check", "muon_adamw_2026", "adamw"],
        ["compile", "--help"],
        ["import", "--help"],
        ["doctor", "--help"],
        ["bench", "--help"],
        ["profile", "--help"],
    ],
    ids=" ".join,
)
def test_the_front_end_loads_no_torch(args, without_torch):
    done = nanogen(*args, env=without_torch)
    assert done.returncode == ("--json" in args), done.stderr
    assert "Traceback" not in done.stderr


def test_the_wall_can_fail(without_torch):
    """`compile` builds the source, and so it needs torch: were it on the list above, the test would see it."""
    done = nanogen("compile", "saint_iberis_tiny", env=without_torch)
    assert done.returncode == 70
    assert "torch was imported" in done.stderr


def test_a_count_starts_at_once():
    """It loads few files, and none that is slow: what starting costs, told without a clock."""
    count = ["-m", "nanogen", "flops", "saint_iberis_d20", "nanochat_2025"]
    command = [sys.executable, "-X", "importtime", *count]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded = re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE)
    assert "nanogen.compiler" in loaded
    slow = {"aiohttp", "asyncio", "cattrs", "email", "http", "multiprocessing", "networkx", "numpy", "rich"}
    assert slow.isdisjoint(loaded)
    assert len(loaded) < MODULES_TO_START


# -- sizes


def test_no_function_is_longer_than_a_screen():
    functions = [
        (f"{name(path)}.{node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [f for f in functions if f[1] > LONGEST_FUNCTION] == []


def test_no_file_is_longer_than_one_reading():
    lines = {name(path): len(path.read_text().splitlines()) for path in FILES}
    assert {file: count for file, count in lines.items() if count > LONGEST_FILE} == {}


def test_every_file_says_what_it_makes():
    assert [name(path) for path, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_no_file_is_a_drawer():
    drawers = {"utils", "util", "common", "helpers", "misc"}
    assert [name(path) for path in FILES if path.stem in drawers] == []


# -- what is needed


def declared(*sections: str) -> set[str]:
    """Packages that pyproject.toml asks for, as they are imported."""
    project = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(w for s in sections for w in project["optional-dependencies"][s])]
    names = {re.split(r"[^\w.-]", one)[0].lower().replace("-", "_") for one in wanted}
    installed = {"pyyaml": {"yaml"}, "tiktoken": {"tiktoken", "tiktoken_ext"}}  # under other names
    return {package for name in names for package in installed.get(name, {name})}


def test_every_package_that_is_imported_is_declared_and_every_declared_one_imported():
    found = {target.split(".")[0] for path in FILES for target in imports(path)}
    foreign = found - set(sys.stdlib_module_names) - set(FOLDERS)
    inside = {p.stem for p in FILES if "sandbox" in p.parts}  # these run as scripts, beside each other
    assert foreign - inside <= declared("track")
    assert declared() <= foreign


UNSAFE = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "pandas"}
CHILD = "runtime.unpickling_child"  # reads the tensors of published checkpoints, in a process of its own


def unsafe_calls(tree: ast.AST) -> list[str]:
    """Where a file imports what pickles, or calls what reads or writes one, under whatever name it was imported."""
    found, known = [], {"torch": "torch", "numpy": "numpy", "np": "numpy"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            base = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            whole = {base + alias.name: alias.asname or alias.name for alias in node.names}
            known |= {short: full for full, short in whole.items()}
            found += [full for full in whole if full.split(".")[0] in UNSAFE]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        first, *rest = called.split(".")
        full = ".".join([known.get(first, first), *rest])
        named = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if full in ("torch.load", "torch.save", "torch.serialization.load", "torch.jit.load"):
            weights_only = named.get("weights_only") == "True"
            found.append(f"{full}(weights_only=True)" if weights_only else full)
        if full in ("numpy.load", "numpy.save") and named.get("allow_pickle") != "False":
            found.append(full)
        if called in ("importlib.import_module", "__import__") and node.args:
            found += [n for n in UNSAFE if ast.unparse(node.args[0]).strip("'\"") == n]
    return found


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_pickle_is_written_or_read(path):
    """A pickle runs what it likes as it is read. One child process reads tensors out of them, and nothing else."""
    allowed = {"torch.load(weights_only=True)"} if name(path) == CHILD else set()
    assert set(unsafe_calls(TREES[path])) == allowed


def test_nobody_imports_the_child():
    assert [name(path) for path in FILES if CHILD in imports(path)] == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "import pickle as p",
        "def f():\n    import dill",
        "import importlib\nimportlib.import_module('pickle')",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import torch\ntorch.load(path, weights_only=True)",
        "import torch as t\nt.save(model, path)",
        "from torch import load\nload(path)",
        "from torch import load as read\nread(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path)",
        "from numpy import load\nload(path, allow_pickle=flag)",
    ],
)
def test_the_check_for_pickles_can_fail(text):
    assert unsafe_calls(ast.parse(text)) != []


def test_the_check_for_pickles_lets_others_pass():
    text = "import json, torch\njson.load(file)\ntorch.ones(1)\nself.load(path)\nnp.load(path, allow_pickle=False)"
    assert unsafe_calls(ast.parse(text)) == []
