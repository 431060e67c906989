"""Shared weights: whose weights `weights=` means, and whether they fit the call that borrows them.

`weights=NAME` means an equation of the same table, `model.NAME` one of the model, `at(NAME, j)` one of layer j
of the same stack. Raises Reject where no such weights are there, or where shapes differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanogen.answers.parameters import of_unit
from nanogen.building.inside import AT, lending_layer
from nanogen.graph import Apply, Borrowed, Call, Node, Unit, nodes, owner_of, owns
from nanogen.language.arithmetic import Unknown
from nanogen.language.expression import Attribute, Expression, Name
from nanogen.language.expression import Call as CallExpression
from nanogen.text.diagnostics import Reject, Stop

if TYPE_CHECKING:
    from nanogen.building.evaluate import Evaluator
    from nanogen.building.frame import Frame

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
    builder, root = frame.builder, frame.builder.root
    assert root is not None
    waiting, builder.active = (
        builder.active,
        [root.table],
    )  # tables that wait for these weights are not entered by it
    try:
        node = _owner(root, line)
    finally:
        builder.active = waiting
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
    if owner is None and isinstance(found, Apply | Call) and found.weights is not None:
        return _of_lender(frame, guest, unit, found.weights, layer)
    if owner is None:
        raise Reject("NG316", f"`{line}` owns no weights in layer {layer}", "name a layer that owns them")
    _agree(guest, owner, line)
    return Borrowed(frame.loan(line, layer).name, lent=True)


def _of_lender(frame: Frame, guest: Apply | Call, unit: Unit, lent: Borrowed, layer: int) -> Borrowed:
    """The weights that a line of an earlier layer borrows itself."""
    if not lent.lent:
        return _of_layer(frame, guest, lent.name, layer)
    loan = next(loan for loan in unit.loans if loan.name == lent.name)
    if loan.layer is None:
        return _of_model(frame, guest, loan.line)
    return _of_layer(frame, guest, loan.line, loan.layer)


def _owner(frame: Frame, line: str) -> Apply | Call | Borrowed:
    """The call of a line that owns weights, or whose weights it uses itself."""
    if line in frame.waiting:
        help = "let this call own them, or borrow from an equation that does not need it"
        raise Reject("NG203", f"`{line}` waits for this call, and so cannot lend it weights", help)
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
    if not _shapes(guest):
        raise Reject("NG316", "this call needs no weights", "leave `weights=` out")
    if type(guest) is not type(owner):
        raise Reject("NG316", f"`{line}` is a call of another kind", "share weights between like calls")
    _fit(_shapes(guest), _shapes(owner), line)
    _used_alike(guest, owner, line)


def _used_alike(guest: Node | None, owner: Node | None, line: str) -> None:
    """Refuse weights of another kind of call, or under other settings, however deep inside they stand."""
    match guest, owner:
        case Apply(), Apply():
            theirs, ours = (node.primitive.construct(*node.values) for node in (owner, guest))
            if theirs != ours and not guest.primitive.borrows:
                message = f"`{line}` is called with other settings, or is another primitive"
                raise Reject("NG316", message, "shared weights are used as their owner uses them")
        case Call(), Call() if type(guest) is type(owner):
            for (_, ours), (_, theirs) in zip(guest.members, owner.members, strict=False):
                for part in ours.lines:
                    if (node := owner_of(part)) is not None:
                        _used_alike(node, owner_of(theirs.line(part.name)), f"{line}.{part.name}")
        case _:
            raise Reject("NG316", f"`{line}` is a call of another kind", "share weights between like calls")


def _shapes(node: Apply | Call) -> dict[str, tuple[int, ...]]:
    """What a call computes with, by path inside it."""
    if isinstance(node, Apply):
        return {p.name: p.shape for p in node.used}
    placed = (p for part, unit in node.members for p in of_unit(unit, f"{part}."))
    return {p.path.lstrip("."): p.parameter.shape for p in placed}


def _fit(guest: dict[str, tuple[int, ...]], owner: dict[str, tuple[int, ...]], line: str) -> None:
    for path, shape in guest.items():
        if path not in owner:
            raise Reject("NG316", f"`{line}` has no `{path}`, which this call needs", "call both alike")
        if owner[path] != shape:
            theirs, ours = (_text(s) for s in (owner[path], shape))
            message = f"`{path}` of `{line}` is {theirs}, and this call needs {ours}"
            raise Reject("NG316", message, "shared weights have one shape")


def _text(shape: tuple[int, ...]) -> str:
    return " by ".join(map(str, shape)) or "a scalar"
