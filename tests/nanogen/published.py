"""A small model and a checkpoint of somebody else's making that fits it: what tests of imports share.

Specs that do not fit a file say in comments what it has: `# the file has wte.weight: 32 x 8, F32`.
"""

from __future__ import annotations

import re
from typing import Any

from nanogen.compiler import Compiled
from nanogen.importing.fitting import Stored, hold
from nanogen.importing.mapping import settle
from nanogen.text.diagnostics import Diagnostic

STORED = re.compile(r"(?m)^# the file has (\S+): ([\d x]+), (\w+)$")

SPEC = """\
kind = "model"
language = 1
[dims]
depth   = 3
width   = 8
vocab   = 11
context = 8
codes   = 2
[stack.trunk]
layers = "depth"
keep   = "parameter(init=1)"
q      = "linear(x, width)"
k      = "linear(x, width)"
up     = "linear(x, 2 * width, bias=true)"
down   = "linear(up, width)"
x      = "keep * x + q + k + down"
[model]
embed  = "embedding(tokens, vocab, width)"
smear  = "parameter(init=0)"
table  = "parameter(codes, width, init=0)"
trunk  = "trunk(embed + smear * table[0] * table[1])"
logits = "linear(trunk, vocab{stored})"
"""
TABLE = """
[import.{name}]
ignore = ["*.inv_freq"]
"embed.weight"          = "wte.weight"
"smear"                 = "smear_lambda"
"table"                 = "codes.{{e < codes}}"
"trunk.{{i}}.keep"        = "resid_lambdas[{{i}}]"
"trunk.{{i}}.q.weight"    = "h.{{i}}.c_attn.weight.T[:width]"
"trunk.{{i}}.k.weight"    = "h.{{i}}.c_attn.weight.T[width:2 * width]"
"trunk.{{i}}.up.weight"   = ["h.{{i}}.gate.weight", "h.{{i}}.up.weight"]
"trunk.{{i}}.up.bias"     = "h.{{i + 1}}.bias"
"trunk.{{i}}.down.weight" = "h.{{i}}.down.weight"
"logits.weight"         = "{head}"
"""


def spec(
    *changes: tuple[str, str], stored: str = "", name: str = "theirs", head: str = "lm_head.weight"
) -> str:
    """The spec with its import table, changed by (old, new) pairs."""
    text = SPEC.format(stored=stored) + TABLE.format(name=name, head=head)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def shapes(depth: int = 3, width: int = 8, vocab: int = 11) -> dict[str, tuple[int, ...]]:
    """The tensors of the checkpoint."""
    found: dict[str, tuple[int, ...]] = {
        "wte.weight": (vocab, width),
        "smear_lambda": (1,),
        "codes.0": (width,),
        "codes.1": (width,),
        "resid_lambdas": (depth,),
        "lm_head.weight": (vocab, width),
        "rotary.inv_freq": (4,),
    }
    for i in range(depth):
        found |= {
            f"h.{i}.c_attn.weight": (width, 2 * width),
            f"h.{i}.gate.weight": (width, width),
            f"h.{i}.up.weight": (width, width),
            f"h.{i + 1}.bias": (2 * width,),
            f"h.{i}.down.weight": (width, 2 * width),
        }
    return found


def tensors(**sizes: int) -> dict[str, Any]:
    """The checkpoint, its numbers all different and exact in bfloat16's range of exponents."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes(**sizes).items()}


def wanted(published: dict[str, Any], depth: int = 3, width: int = 8) -> dict[str, Any]:
    """The parameters of the model, made from the checkpoint by hand."""
    import torch

    found = {
        "embed.weight": published["wte.weight"],
        "smear": published["smear_lambda"][0],
        "table": torch.stack([published["codes.0"], published["codes.1"]]),
        "logits.weight": published["lm_head.weight"],
    }
    for i in range(depth):
        both = published[f"h.{i}.c_attn.weight"].T
        found |= {
            f"trunk.{i}.keep": published["resid_lambdas"][i],
            f"trunk.{i}.q.weight": both[:width],
            f"trunk.{i}.k.weight": both[width:],
            f"trunk.{i}.up.weight": torch.cat(
                [published[f"h.{i}.gate.weight"], published[f"h.{i}.up.weight"]]
            ),
            f"trunk.{i}.up.bias": published[f"h.{i + 1}.bias"],
            f"trunk.{i}.down.weight": published[f"h.{i}.down.weight"],
        }
    return found


def stored(text: str) -> dict[str, Stored]:
    """The tensors of the file that the comments of a spec speak of."""
    found = STORED.findall(text)
    assert len(found) == text.count("# the file has"), "a line of these is not written as this file says"
    return {name: Stored(tuple(map(int, shape.split(" x "))), dtype) for name, shape, dtype in found}


def misfits(compiled: Compiled, text: str) -> list[Diagnostic]:
    """Why the file that the comments of a spec speak of does not fill its parameters; nothing without a file."""
    published = stored(text)
    if not published:
        return []
    (table,) = compiled.spec.imports.values()
    settled, faults = settle(table, compiled.spec, compiled.graph)
    assert not faults
    return hold(settled, published)
