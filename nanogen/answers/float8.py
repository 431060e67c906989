"""Which linear maps of a model pay in 8-bit floats, and what share of a training step their products are.

A map pays where it stands in a region that is compiled, makes values of the run's dtype, and is large: reading its
tensors once more, for their largest numbers, must cost less than faster products save. What follows the layers, the
head first of all, is no region; tables, gates and other small maps are too small. Knows nothing of devices.
"""

from __future__ import annotations

from collections.abc import Iterator

from nanogen.answers.flops import training
from nanogen.answers.regions import regions
from nanogen.graph import Apply, Call, Graph, Unit, nodes
from nanogen.load import Load
from nanogen.primitives.linear import Linear

LEAST = 128  # channels that a map reads and makes at least
MULTIPLE = 16  # of which both are multiples: what the devices' kernels ask for


def float8_maps(graph: Graph) -> list[str]:
    """Paths of the modules, as in `trunk.3.mlp.up`: those that own such a map's weights."""
    chosen = _chosen(graph)
    found = (path for path, node, owned in _placed(graph.model, "", True) if owned and node in chosen)
    return list(dict.fromkeys(found))


def float8_flops(graph: Graph, load: Load) -> int:
    """FLOPs of training, forward and backward, that are products of such maps; those with lent weights are left out."""
    chosen = _chosen(graph)
    return training(graph, load, only=chosen.__contains__).matmul


def _chosen(graph: Graph) -> set[Apply]:
    """The maps in regions; one that stands outside of them, too, is none."""
    within = tuple(f"{path}." for path in regions(graph))
    inside, outside = set[Apply](), set[Apply]()
    for path, node, _ in _placed(graph.model, "", True):
        (inside if path.startswith(within) and _pays(node) else outside).add(node)
    return inside - outside


def _pays(node: Apply) -> bool:
    if not isinstance(node.primitive, Linear) or node.weights is not None:
        return False
    sizes = node.primitive.n, node.values[0].last
    return node.values[0].dtype == "run" and all(n >= LEAST and n % MULTIPLE == 0 for n in sizes)


def _placed(unit: Unit, prefix: str, owned: bool) -> Iterator[tuple[str, Apply, bool]]:
    """Every primitive at its path, and whether it owns weights there, if it has any."""
    for line in unit.lines:
        for node in nodes(line.node):
            if isinstance(node, Apply):
                yield f"{prefix}{line.name}", node, owned and node.weights is None
            elif isinstance(node, Call):
                for suffix, inner in node.members:
                    below = f"{prefix}{line.name}{suffix}."
                    yield from _placed(inner, below, owned and node.weights is None)
