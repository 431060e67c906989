"""What the runtime must know beside the source, as plain JSON: parameters, state, sizes."""

from __future__ import annotations

from typing import Any

from attrs import asdict

from nanogen.answers.draws import draws
from nanogen.answers.ending import Ending, ending
from nanogen.answers.float8 import float8_maps
from nanogen.answers.parameters import count, parameters
from nanogen.answers.regions import regions
from nanogen.answers.state import Turns, state
from nanogen.graph import Graph
from nanogen.load import State


def blueprint(graph: Graph) -> dict[str, Any]:
    """Return the blueprint of a graph."""
    return {
        "name": graph.name,
        "vocab": graph.vocab,
        "context": graph.context,
        "count": count(graph),
        "parameters": [
            {
                "path": placed.path,
                "shape": list(placed.parameter.shape),
                "init": _plain(placed.parameter.init),
                "role": placed.parameter.role,
                "dtype": placed.parameter.dtype,
            }
            for placed in parameters(graph)
        ],
        "state": _tree(state(graph)),
        "regions": regions(graph),
        "float8": float8_maps(graph),
        "dials": {name: asdict(dial) for name, dial in graph.dials.items()},
        "draws": draws(graph.model),
        "ending": _ending(graph),
    }


def _ending(graph: Graph) -> dict[str, Any] | None:
    """What a loss computes position by position; None where it cannot."""
    found = ending(graph)
    return (
        asdict(found) | {"weights": [asdict(w) for w in found.weights]} if isinstance(found, Ending) else None
    )


def _plain(law: Any) -> Any:
    return [_plain(part) for part in law] if isinstance(law, tuple) else law


def _tree(tree: Any) -> Any:
    if isinstance(tree, State):
        return {"axes": list(tree.axes), "positions": tree.positions, "dtype": tree.dtype}
    if isinstance(tree, Turns):
        times = tree.times if isinstance(tree.times, int) else tree.times.name
        return {"times": times, "turn": _tree(tree.turn)}
    if isinstance(tree, list):
        return [_tree(t) for t in tree]
    return {name: _tree(t) for name, t in tree.items()}
