"""Reads inside a call, `attn.v`, and in another layer, `at(x, j)`: what they mean, and what they refuse.

Is handed the evaluator of the equation; what is read is then handed out by the call or the layer that has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanogen.graph import Climb, Inside, Read
from nanogen.language.expression import Attribute, Call, Expression, Name, dotted
from nanogen.language.tables import Table
from nanogen.text.diagnostics import Reject

if TYPE_CHECKING:
    from nanogen.building.evaluate import Evaluator

AT = "at"


def read_inside(at: Evaluator, node: Attribute) -> Inside:
    """A value inside a call: `attn.v`, `trunk.moe.pick`."""
    head, path = _chain(at, node)
    try:
        return at.frame.inside(head, path)
    except Reject as fault:
        raise at.reject(fault, node) from None


def read_layer(at: Evaluator, node: Call) -> Inside | Read:
    """`at(x, j)`: what left layer j, or stands in it; of this stack, or of a stack called here."""
    if len(node.args) != 2 or node.keywords:
        raise at.stop("NG112", "`at` takes a value and a layer", node, "written `at(x, j)`")
    head, path = _chain(at, node.args[0])
    layer = at.index(node.args[1])
    frame = at.frame
    try:
        if frame.ascent is not None and head in frame.table.equations:
            _want_below(at, layer, node)
            return frame.reach(f"{head}.{path}" if path else head, layer)
        if head in frame.inputs:
            raise _input_of(frame.table, head)
        call = frame.call(head)
        if not isinstance(call, Climb):
            message = f"`{head}` is no call of a stack, and has no layers"
            raise Reject("NG208", message, "read it by its name")
        if not 0 <= layer < len(call.layers):
            message = f"there is no layer {layer}: `{head}` has {len(call.layers)}"
            raise Reject("NG323", message, f"layers count from 0 to {len(call.layers) - 1}")
        return frame.inside(head, path or call.layers[0].results[0], layer)
    except Reject as fault:
        raise at.reject(fault, node) from None


def lending_layer(at: Evaluator, node: Call) -> tuple[str, int]:
    """The equation and the layer of `weights=at(NAME, j)`."""
    name = node.args[0] if node.args else None
    if len(node.args) != 2 or node.keywords or not isinstance(name, Name):
        raise at.stop("NG112", "`at` takes an equation and a layer here", node, "written `at(block, 0)`")
    if at.frame.ascent is None or name.id not in at.frame.table.equations:
        help = "weights of the same table have no layer: `weights=NAME`"
        raise at.stop("NG316", "only layers of the same stack lend weights by `at`", node, help)
    layer = at.index(node.args[1])
    _want_below(at, layer, node)
    return name.id, layer


def _input_of(table: Table, name: str) -> Reject:
    """The refusal of a layer of an input, which has no layers where it comes from another table."""
    if table.carries:
        return Reject("NG208", f"`{name}` is the same in all of {table.described}", "read it by its name")
    help = "earlier layers are read in the equations of their stack: hand the value down as an input"
    return Reject("NG208", f"`{name}` is an input of {table.described}, and has no layers", help)


def _chain(at: Evaluator, node: Expression) -> tuple[str, str]:
    """Split `trunk.moe.pick` into the equation and the path inside it."""
    base, path = dotted(node)
    if not isinstance(base, Name):
        help = "give the call an equation of its own, and read inside that"
        raise at.stop("NG208", "only an equation can be read inside", base, help)
    return base.id, path


def _want_below(at: Evaluator, layer: int, node: Call) -> None:
    index = at.frame.index
    assert index is not None
    if not 0 <= layer < index:
        message = f"layer {layer} does not come before layer {index}"
        help = "a layer reads earlier ones: `at(x, 0) if i > 0 else x`"
        raise at.stop("NG323", message, node.args[1], help)
