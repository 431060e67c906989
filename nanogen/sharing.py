"""Shared weights: whose weights `weights=` means, and whether they fit the call that borrows them.

`weights=NAME` means an equation of the same table, `model.NAME` one of the model, `at(NAME, j)` one of layer j
of the same stack. Raises Reject where no such weights are there, or where shapes differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanogen.answers.parameters import of_unit
from nanogen.arithmetic import Unknown
from nanogen.diagnostics import Reject, Stop
from nanogen.expression import Attribute, Expression, Name
from nanogen.expression import Call as CallExpression
from nanogen.graph import Apply, Borrowed, Call, Climb, Enter, Loop, Node, nodes, owns
from nanogen.inside import AT, lending_layer

if TYPE_CHECKING:
    from nanogen.evaluate import Evaluator
    from nanogen.frame import Frame

_HELP = "`weights=` takes an equation, `model.NAME`, or `at(NAME, j)` of an earlier layer"


def lend(at: Evaluator, guest: Apply | Call, owner: Expression) -> Borrowed:
    """Return whose weights a call uses; `owner` is what stands behind `weights=`."""
    frame = at.frame
    if isinstance(owner, Name):
        if owner.id not in frame.table.equations:
            raise Reject("NG316", f"`{owner.id}` is no equation of {frame.table.described}", _HELP)
        node, line = _owner(frame, owner.id), owner.id
        if isinstance(node, Borrowed):
            return node
        _agree(guest, node, line)
        return Borrowed(line)
    if isinstance(owner, Attribute) and isinstance(owner.base, Name) and owner.base.id == "model":
        return _of_model(frame, guest, owner.name)
    if isinstance(owner, CallExpression) and owner.callee == AT:
        name, layer = lending_layer(at, owner)
        return _of_layer(frame, guest, name, layer)
    raise Reject("NG316", "this names no weights", _HELP)


def _of_model(frame: Frame, guest: Apply | Call, line: str) -> Borrowed:
    root = frame.builder.root
    assert root is not None
    node = _owner(root, line)
    if isinstance(node, Borrowed):
        return _of_model(frame, guest, node.name)
    _agree(guest, node, line)
    if frame is root:
        return Borrowed(line)
    return Borrowed(frame.loan(line, None).name, lent=True)


def _of_layer(frame: Frame, guest: Apply | Call, line: str, layer: int) -> Borrowed:
    assert frame.ascent is not None
    if layer >= len(frame.ascent.layers):
        raise Stop(None)  # that layer has a fault of its own
    unit = frame.ascent.layers[layer]
    found = next((each.node for each in unit.lines if each.name == line), None)
    owner = _owner_in(found) if found is not None else None
    if owner is None:
        raise Reject("NG316", f"`{line}` owns no weights in layer {layer}", "name a layer that owns them")
    _agree(guest, owner, line)
    return Borrowed(frame.loan(line, layer).name, lent=True)


def _owner(frame: Frame, line: str) -> Apply | Call | Borrowed:
    """The call of a line that owns weights, or whose weights it uses itself."""
    found = frame.equation(line)
    if isinstance(found, Unknown):
        raise Stop(None)
    owner = _owner_in(found) if isinstance(found, Node) else None
    if owner is not None:
        return owner
    if isinstance(found, Apply | Call) and found.weights is not None:
        return found.weights
    raise Reject("NG316", f"`{line}` owns no weights", _HELP)


def _owner_in(node: Node) -> Apply | Call | None:
    found = next((inner for inner in nodes(node) if owns(inner)), None)
    assert found is None or isinstance(found, Apply | Call)
    return found


def _agree(guest: Apply | Call, owner: Apply | Call, line: str) -> None:
    """Refuse weights that the guest could not compute with."""
    match guest, owner:
        case Apply(), Apply():
            _fit(_shapes(guest), _shapes(owner), line)
            if not _alike(guest, owner) and not guest.primitive.borrows:
                message = f"`{line}` is called with other settings, or is another primitive"
                raise Reject("NG316", message, "shared weights are used as their owner uses them")
        case Enter(), Enter():
            _fit(_paths(guest), _paths(owner), line)
        case Climb(), Climb():
            if [u.alike for u in guest.layers] != [u.alike for u in owner.layers]:
                raise Reject("NG316", f"the layers of `{line}` differ from these", "call both stacks alike")
        case Loop(), Loop():
            if guest.body.alike != owner.body.alike:
                raise Reject("NG316", f"the body of `{line}` differs from this one", "call both loops alike")
        case _:
            raise Reject("NG316", f"`{line}` is a call of another kind", "share weights between like calls")


def _alike(guest: Apply, owner: Apply) -> bool:
    return guest.primitive.construct(*guest.values) == owner.primitive.construct(*owner.values)


def _shapes(node: Apply) -> dict[str, tuple[int, ...]]:
    return {p.name: p.shape for p in node.used}


def _paths(node: Enter) -> dict[str, tuple[int, ...]]:
    return {placed.path: placed.parameter.shape for placed in of_unit(node.unit)}


def _fit(guest: dict[str, tuple[int, ...]], owner: dict[str, tuple[int, ...]], line: str) -> None:
    if not guest:
        raise Reject("NG316", "this call needs no weights", "leave `weights=` out")
    for path, shape in guest.items():
        if path not in owner:
            raise Reject("NG316", f"`{line}` has no `{path}`, which this call needs", "call both alike")
        if owner[path] != shape:
            theirs, ours = (_text(s) for s in (owner[path], shape))
            message = f"`{path}` of `{line}` is {theirs}, and this call needs {ours}"
            raise Reject("NG316", message, "shared weights have one shape")


def _text(shape: tuple[int, ...]) -> str:
    return " by ".join(map(str, shape)) or "a scalar"
