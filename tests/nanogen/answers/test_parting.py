"""Which modules of a model are made whole by themselves where its weights lie in parts, and what a device then holds."""

from __future__ import annotations

import pytest

from nanogen.answers.memory import WIDE, Ledger, ledger
from nanogen.answers.parting import Parts, Undivided, parted, parting
from nanogen.answers.regions import regions
from nanogen.compiler import compile_file, compile_text
from nanogen.load import Load
from nanogen.shelf import find, shipped
from runtime import optimizer_memory

HEAD = 'kind = "model"\nlanguage = 1\n[dims]\nvocab = 64\ncontext = 32\nwidth = 16\n'
TRUNK = """
[stack.trunk]
layers = 2
a = "linear(x, width)"
x = "x + a"
[model]
embed = "embedding(tokens, vocab, width)"
"""


def units_of(text: str) -> tuple[str, ...]:
    found = parting(compile_text(HEAD + text).graph)
    assert isinstance(found, Parts)
    return found.units


def test_layers_and_a_table_that_nobody_else_reads_are_units():
    text = TRUNK + 'trunk = "trunk(embed)"\nlogits = "linear(trunk, vocab)"'
    assert units_of(text) == ("embed", "trunk.0", "trunk.1")


def test_a_table_that_the_head_reads_is_none():
    text = TRUNK + 'trunk = "trunk(embed)"\nlogits = "linear(trunk, vocab, weights=embed)"'
    assert units_of(text) == ("trunk.0", "trunk.1")


def test_a_model_without_layers_stays_whole():
    graph = compile_text(
        HEAD + '[model]\nembed = "embedding(tokens, vocab, width)"\nlogits = "linear(embed, vocab)"'
    ).graph
    found = parting(graph)
    assert isinstance(found, Undivided)
    assert "no layers" in found.why


def test_a_model_whose_layers_use_the_weights_of_others_stays_whole():
    text = TRUNK + (
        'trunk = "trunk(embed)"\nagain = "trunk(trunk, weights=trunk)"\nlogits = "linear(again, vocab)"'
    )
    found = parting(compile_text(HEAD + text).graph)
    assert isinstance(found, Undivided)
    assert "weights of others" in found.why


@pytest.mark.parametrize("name", shipped("model"))
def test_every_spec_that_ships_can_lie_in_parts(name: str):
    graph = compile_file(find(name, "model"), {}).graph
    found = parting(graph)
    assert isinstance(found, Parts)
    assert set(regions(graph)) <= set(found.units)


def ledgers(devices: int) -> tuple[Ledger, Ledger]:
    graph = compile_file(find("nanochat_2025", "model"), {"depth": 8}).graph
    whole, parts = ledger(graph, Load(1, 512), 2, optimizer_memory), parting(graph)
    assert isinstance(parts, Parts)
    return whole, parted(whole, graph, parts, run_bytes=2, devices=devices, optimizer=optimizer_memory)


@pytest.mark.parametrize("devices", [2, 8])
def test_a_device_holds_its_part_and_what_is_whole_at_the_time(devices: int):
    whole, part = ledgers(devices)
    assert part.weights == part.gradients == whole.weights // devices
    assert part.optimizer == -(-whole.optimizer // devices)
    assert (part.activations, part.loss) == (whole.activations, whole.loss)
    head, layer = 65536 * 512, 12 * 512**2  # numbers, of which the head is whole throughout
    assert part.gathered == head * WIDE  # in float32
    assert part.layer >= layer * (2 * 2 + 2 + WIDE)  # two, and the gradient of one, twice
    assert part.casts == head * 2 < whole.casts
    assert part.total < whole.total


def test_what_is_whole_does_not_hang_on_how_many_devices_there_are():
    (_, two), (_, eight) = ledgers(2), ledgers(8)
    assert (two.gathered, two.layer) == (eight.gathered, eight.layer)
