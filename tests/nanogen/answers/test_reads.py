"""Bytes that a decoding step reads: those of the model that is built, and what torch allocates for its past."""

import pytest
import torch

from nanogen.answers.reads import step_bytes, weights_read
from nanogen.compiler import compile_file
from nanogen.load import Load
from nanogen.shelf import find
from runtime.decoding.past import allocate_past
from runtime.model import build

SMALL = {"depth": 3, "width": 64, "heads": 2, "vocab": 300, "context": 32}


def test_every_weight_but_the_table_is_read_once():
    compiled = compile_file(find("nanochat_2025", "model"), SMALL)
    sizes = {name: p.numel() for name, p in build(compiled.source, compiled.blueprint).named_parameters()}
    read = sum(size for name, size in sizes.items() if not name.startswith("embed"))
    assert weights_read(compiled.graph.model, Load(), 2) == 2 * read
    assert weights_read(compiled.graph.model, Load(), 4) == 4 * read


def test_a_loop_reads_its_weights_each_turn():
    compiled = compile_file(find("looped", "model"), {"width": 128, "vocab": 300, "context": 32})
    at = [weights_read(compiled.graph.model, Load(dials={"r": r}), 2) for r in (1, 2, 5)]
    assert at[1] > at[0]
    assert at[2] - at[1] == 3 * (at[1] - at[0])


@pytest.mark.parametrize("rows", [1, 8])
def test_each_row_reads_what_it_keeps(rows):
    compiled = compile_file(find("saint_iberis_tiny", "model"), {"context": 32})
    load = Load(rows, 1, 15)
    past = allocate_past(compiled.blueprint, rows=rows, capacity=16, dtype=torch.bfloat16)
    held = sum(t.numel() * t.element_size() for t in tensors(past))
    found = step_bytes(compiled.graph, load, 2) - weights_read(compiled.graph.model, load, 2)
    assert found == held


def tensors(tree) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    inner = tree.values() if isinstance(tree, dict) else tree
    return [t for one in inner for t in tensors(one)]
