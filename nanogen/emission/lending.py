"""Who may lend weights to whom: the units whose modules stand behind each borrowed call, anywhere in a graph.

A call that is read inside, or has other arguments, may be another unit than the one whose weights it uses; and
where a borrowed unit holds a stack, its layers lend to one another what the owner's layers own.
"""

from __future__ import annotations

from attrs import define, field

from nanogen.graph import Apply, Call, Climb, Node, Unit, owner_of, owns, units


@define(eq=False)
class Lending:
    """The lenders of a model: of a unit as a whole, and of each loan that one is handed."""

    model: Unit
    units: dict[Unit, dict[Unit, None]] = field(factory=dict)  # unit -> others whose weights it computes with
    loans: dict[tuple[Unit, str], list[Node]] = field(
        factory=dict
    )  # unit, loan -> calls that own what is lent
    changed: bool = True

    def __attrs_post_init__(self) -> None:
        everything = units(self.model)
        for unit in everything:
            for loan in unit.loans:
                if loan.layer is None:
                    self.lend(unit, loan.name, self.model, loan.line)
        while self.changed:  # who borrows from a borrower is found on the next round
            self.changed = False
            for unit in everything:
                for line in unit.lines:
                    self.look(unit, owner_of(line), line.name)
                for node in unit.nodes:
                    if isinstance(node, Apply | Call) and node.weights is not None:
                        self.borrow(unit, node)

    def look(self, unit: Unit, owner: Node | None, line: str) -> None:
        """Follow a call that owns: its layers lend to one another, and so do those of whoever lends to the unit."""
        if not isinstance(owner, Call):
            return
        theirs = [owner_of(lender.line(line)) for lender in self.units.get(unit, ())]
        for call in [owner, *theirs]:
            self.share(owner, call)

    def borrow(self, unit: Unit, guest: Apply | Call) -> None:
        assert guest.weights is not None
        name = guest.weights.name
        if guest.weights.lent:
            owners = list(self.loans.get((unit, name), ()))
        else:
            owners = [owner_of(each.line(name)) for each in (unit, *self.units.get(unit, ()))]
        if isinstance(guest, Call):
            for owner in owners:
                self.share(guest, owner)

    def share(self, call: Call, owner: Node | None) -> None:
        """Let a call compute with the weights that another owns, or with its own."""
        assert isinstance(owner, Call)
        for (_, unit), (_, lender) in zip(call.members, owner.members, strict=True):
            if unit is not lender and lender not in self.units.setdefault(unit, {}):
                self.units[unit][lender] = None
                self.changed = True
            for loan in unit.loans if isinstance(call, Climb) else ():
                if loan.layer is not None:
                    self.lend(unit, loan.name, owner.members[loan.layer][1], loan.line)

    def lend(self, unit: Unit, loan: str, lender: Unit, line: str) -> None:
        owner, owners = owner_of(lender.line(line)), self.loans.setdefault((unit, loan), [])
        if owner is not None and owns(owner) and all(owner is not each for each in owners):
            owners.append(owner)
            self.changed = True
