"""A model whose weights lie in parts over devices: which modules are made whole by themselves, and what that takes.

Each device keeps a part of every matrix, of its gradient and of what the optimizer keeps of it. A layer is whole only
while it computes; an embedding that nobody else reads likewise; all else, the ending among it, from the start of a
pass to its end. Vectors stay whole everywhere. Knows nothing of how parts travel.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from nanogen.answers.memory import WIDE, Ledger, Optimizer
from nanogen.answers.parameters import Placed, parameters
from nanogen.answers.regions import regions
from nanogen.graph import Apply, Call, Graph, nodes, units
from nanogen.primitives.lookup import Embedding


@frozen
class Parts:
    """Paths of the modules that are made whole by themselves, in the order of the file."""

    units: tuple[str, ...]


@frozen
class Undivided:
    """No model whose weights can lie in parts, and why."""

    why: str


def parting(graph: Graph) -> Parts | Undivided:
    """What is made whole by itself; a module that others read the weights of cannot be."""
    layers = regions(graph)
    if not layers:
        return Undivided("has no layers, each of which could be made whole by itself")
    lent = {loan.line for unit in units(graph.model) for loan in unit.loans}
    of_layers = any(loan.layer is not None for unit in units(graph.model) for loan in unit.loans)
    used_again = any(
        isinstance(node, Call) and node.weights for unit in units(graph.model) for node in unit.nodes
    )
    if of_layers or used_again or any(path.split(".")[0] in lent for path in layers):
        return Undivided("has layers that use the weights of others")
    borrowed = {node.weights.name for node in graph.model.nodes if isinstance(node, Apply) and node.weights}
    alone = [name for name in _embeddings(graph) if name not in lent | borrowed]
    return Parts((*alone, *layers))


def _embeddings(graph: Graph) -> list[str]:
    """Lines of the model that own a table of embeddings."""
    return [
        line.name
        for line in graph.model.lines
        for node in nodes(line.node)
        if isinstance(node, Apply) and isinstance(node.primitive, Embedding) and node.owned
    ]


def parted(
    whole: Ledger, graph: Graph, parts: Parts, *, run_bytes: int, devices: int, optimizer: Optimizer
) -> Ledger:
    """The ledger of one of so many devices, of what `whole` is the ledger of one that has all."""
    placed = parameters(graph)
    split = sum(p.parameter.count for p in placed if len(p.parameter.shape) > 1)
    kept = sum(p.parameter.count for p in placed) - split
    own = WIDE * (-(-split // devices) + kept)
    of_units = {path: _within(placed, path) for path in parts.units}
    outside = split - sum(of_units.values())
    found = set(regions(graph))
    layers = [count for path, count in of_units.items() if path in found]
    tables = [count for path, count in of_units.items() if path not in found]
    # as backward begins: two of the largest layers, of which one is on its way while the other computes, and the
    # gradient of one, twice: as it was made, and as it is sent
    largest = max(layers, default=0) * (3 * run_bytes + WIDE)
    # as it ends, and what the layers left is gone: a table, and its gradient likewise
    last = max(tables, default=0) * 3 * WIDE - whole.activations
    return evolve(
        whole,
        weights=own,
        gradients=own,
        optimizer=-(-whole.optimizer // devices),
        casts=outside * run_bytes if run_bytes < WIDE else 0,
        gathered=outside * WIDE,
        layer=max(largest, last),
        workspace=_workspace(placed, devices, run_bytes, optimizer),
    )


def _within(placed: Sequence[Placed], path: str) -> int:
    """Numbers of all matrices of a module."""
    return sum(
        p.parameter.count for p in placed if p.path.startswith(f"{path}.") and len(p.parameter.shape) > 1
    )


def _workspace(placed: Sequence[Placed], devices: int, run_bytes: int, optimizer: Optimizer) -> int:
    """What the step of the optimizer borrows: a device makes whole, of each shape, the matrices that are its own."""
    alike: dict[tuple[str, tuple[int, ...]], int] = {}
    for p in placed:
        if p.parameter.role == "matrix":
            key = (p.parameter.role, p.parameter.shape)
            alike[key] = alike.get(key, 0) + 1
    found = 0
    for (role, shape), count in alike.items():
        share = -(-count // devices)
        own = share * shape[0] * shape[-1] * WIDE
        # beside weights and gradients what moves them borrows, or what they come in and go out by
        found = max(found, 2 * own + max(optimizer.workspace([(role, shape)] * share, run_bytes), 2 * own))
    return found
