"""The standalone file: it runs where there is torch alone, and computes what the emitted source does, bit for bit."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nanogen.commands.compile import library_text
from nanogen.compiler import Compiled, compile_file
from nanogen.emission.standalone import standalone
from runtime.model import build, initialize

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).parents[1] / "golden/standalone"
SPECS = {
    "nanochat_2025": {"depth": 2, "width": 16, "heads": 2, "vocab": 40, "context": 16},
    "saint_iberis_d20": {"width": 16, "heads": 2, "vocab": 40, "context": 16},
    "nanochat_2026": {"depth": 4, "width": 32, "head_dim": 8, "vocab": 40, "context": 16},
    "looped": {"size": 1, "width": 16, "head_dim": 8, "vocab": 40, "context": 16},
}
TOKENS = torch.arange(24).view(2, 12) * 7 % 40
ELSEWHERE = """
import importlib.util, json, sys

for absent in ("nanogen", "runtime"):
    sys.modules[absent] = None  # to import it is an error, wherever it is installed
import torch
from safetensors.torch import load_file, save_file

for name in json.loads(sys.argv[1]):
    spec = importlib.util.spec_from_file_location(name, f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.Model()
    model.load_state_dict(load_file(f"{name}.weights"))
    tokens = load_file(f"{name}.tokens")["tokens"]
    with torch.no_grad():
        save_file({"logits": model(tokens)}, f"{name}.logits")
"""


def compiled_of(name: str) -> Compiled:
    return compile_file(ROOT / f"specs/{name}.toml", SPECS[name])


def text_of(name: str) -> str:
    return standalone(compiled_of(name).source, library_text)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which each spec's file wrote its logits, in a process that has neither nanogen nor runtime."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in SPECS:
        compiled = compiled_of(name)
        model = build(compiled.source, compiled.blueprint)
        initialize(model, compiled.blueprint, seed=1)
        with torch.no_grad():
            for parameter in model.parameters():  # zeros would hide what a layer computes
                parameter.add_(
                    0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
                )
            wanted = model(TOKENS)
        save_file(dict(model.named_parameters()), folder / f"{name}.weights")
        save_file({"tokens": TOKENS}, folder / f"{name}.tokens")
        save_file({"logits": wanted}, folder / f"{name}.wanted")
        (folder / f"{name}.py").write_text(text_of(name))
    command = [sys.executable, "-c", ELSEWHERE, json.dumps(list(SPECS))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", SPECS)
def test_it_has_the_logits_of_the_emitted_source_bit_for_bit(elsewhere: Path, name: str):
    found, wanted = load_file(elsewhere / f"{name}.logits"), load_file(elsewhere / f"{name}.wanted")
    assert torch.equal(found["logits"], wanted["logits"])
    assert len(wanted["logits"].unique()) > 100


@pytest.mark.parametrize("name", ["nanochat_2025", "saint_iberis_d20", "looped"])
def test_its_text_is_the_one_on_file(name: str):
    path, text = GOLDEN / f"{name}.py.txt", text_of(name)
    if os.environ.get("UPDATE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), "run with UPDATE=1, and read what changed"


@pytest.mark.parametrize("name", SPECS)
def test_it_imports_the_standard_library_and_torch(name: str):
    tree = ast.parse(text_of(name))
    modules = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    modules += [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
    assert {m.split(".")[0] for m in modules} - sys.stdlib_module_names == {"torch"}


LIBRARY = {
    "runtime.primitives": '''"""Made up."""
from __future__ import annotations

import math
import unused
from dataclasses import dataclass as record
from typing import Any

import torch
from torch import Tensor

from runtime.below import ONE, twice

SCALE: float = math.pi  # of everything
LOWER, UPPER = 1, 2
UNUSED = 3


def other(x):
    return SCALE


@record
class Thing:
    """A thing."""

    size: Any = UPPER

    def grow(self, other: Tensor | None = None) -> Far:
        return twice(other)


Far = int


def again(n):
    return again(n - 1) if n else ONE
''',
    "runtime.below": """
ONE = 1
STEP = ONE * 2
def twice(x):
    return x * STEP
""",
}
SOURCE = '''"""Written by nanogen."""

import torch
from torch import nn

from runtime.primitives import Thing, again


class Model(nn.Module):
    size = Thing(again(3))
'''


def test_it_takes_what_is_used_and_what_that_uses():
    text = standalone(SOURCE, LIBRARY.__getitem__)
    names: dict[str, object] = {"__name__": "made_up"}
    sys.modules["made_up"] = type(sys)("made_up")  # dataclasses look their module up
    exec(compile(text, "made_up", "exec"), names)
    del sys.modules["made_up"]
    thing = names["Model"].size  # type: ignore[attr-defined]
    assert (thing.size, thing.grow(4)) == (1, 8)
    assert "UNUSED" not in text
    assert "import unused" not in text
    assert "SCALE" not in text  # `other` is an argument where it is read, not the function
    assert text.index("STEP = ") < text.index("class Thing") < text.index("class Model")
    assert "LOWER, UPPER = 1, 2\n" in text
    assert "@record\nclass Thing" in text
    for line in ("from dataclasses import dataclass as record", "from torch import Tensor, nn", "Far = int"):
        assert f"\n{line}\n" in text
    assert text.count("def again") == 1
