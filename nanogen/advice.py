"""Advice on a graph: what is legal and surely a slip, as warnings.

Each code's explanation says whose day it would have saved. Reads shapes and settings alone; what it cannot
follow, it leaves alone: published models are silent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property

from attrs import frozen

from nanogen.answers.parameters import count
from nanogen.graph import Apply, Climb, Enter, Graph, Node, Read, Unit, called, nodes
from nanogen.language.expression import Call, walk
from nanogen.language.initial import ZEROS
from nanogen.language.spec import Spec
from nanogen.language.tables import Equation, Table
from nanogen.primitives.attend import Attend
from nanogen.primitives.axes import Concat, Flatten, Outer, Pick, Repeat, Split
from nanogen.primitives.causal_conv import CausalConv
from nanogen.primitives.linear import Linear
from nanogen.primitives.lookup import Bare, Embedding
from nanogen.primitives.norms import L2Norm, LayerNorm, RmsNorm
from nanogen.primitives.pointwise import Arithmetic, Float32, Negate, Pointwise, Softcap
from nanogen.primitives.rope import Rope
from nanogen.primitives.shift import Shift
from nanogen.text.diagnostics import Diagnostic, Findings, Note, Place

SPEED_MATTERS = 1_000_000  # parameters; a toy may have heads of any width
ROW, TILE = 8, 16  # 16-bit numbers in an aligned row of 16 bytes, and along the side of a matrix unit's tile
LARGE = 256  # the shorter side of a matrix from which its alignment is felt
BEST = 64  # channels: what tiles of every size divide
DEEP = 4  # layers that learn poorly where nothing leads around them
LARGEST_EPS = 0.01
FOLLOWED = 8  # equations through which a zero is followed: a slip is near

KEEPS_ZERO = {"silu", "relu", "square", "tanh", "gelu", "gelu_tanh"}  # pointwise functions with f(0) = 0
MOVES = (Softcap, Float32, Negate, Split, Flatten, Pick, Repeat, Rope, Shift, RmsNorm, L2Norm)  # and these
NORMS = (RmsNorm, LayerNorm, L2Norm)

Trail = tuple[str, ...]  # equations that a zero came through


def advise(spec: Spec, graph: Graph) -> list[Diagnostic]:
    """Return what is legal and surely a slip."""
    findings = Findings(once_a_place=True)
    scenes = [Scene(spec, graph, unit) for unit in _units(graph)]
    for scene in scenes:
        for check in CHECKS:
            findings.extend(check(scene))
    sizes_are_published = spec.expect and not spec.overrides  # a count that holds: the sizes are meant so
    if not sizes_are_published:
        slow = [*(d for scene in scenes for d in _narrow_heads(scene)), *_odd_matrices(scenes)]
        findings.extend(slow if slow and count(graph) >= SPEED_MATTERS else ())
    return findings.all


def _units(graph: Graph) -> list[Unit]:
    """Every unit of a graph once, the model first."""
    found, waiting = {graph.model: None}, [graph.model]
    while waiting:
        for line in waiting.pop().lines:
            for unit in (u for node in nodes(line.node) for u in called(node)):
                if unit not in found:
                    found[unit] = None
                    waiting.append(unit)
    return list(found)


@frozen(slots=False)
class Scene:
    """A unit that is looked at, and the table it was built from."""

    spec: Spec
    graph: Graph
    unit: Unit

    @cached_property
    def inputs(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.unit.inputs)

    @property
    def table(self) -> Table:
        return self.spec.model if self.unit.kind == "model" else self.spec.tables[self.unit.name]

    @cached_property
    def applied(self) -> list[tuple[str, Apply]]:
        """The primitives of each equation, deepest first."""
        return [(line.name, n) for line in self.unit.lines for n in nodes(line.node) if isinstance(n, Apply)]

    @cached_property
    def read(self) -> Counter[str]:
        """How often each equation is read; what leaves the unit is read from outside too."""
        names = (n.name for line in self.unit.lines for n in nodes(line.node) if isinstance(n, Read))
        return Counter([*names, *self.unit.results])

    def followed(self, rule: Callable[[Node, dict], object]) -> dict:
        """A rule's answer for each equation, in their order, so that no chain is too long to follow."""
        found: dict = {}
        for line in self.unit.lines:
            found[line.name] = rule(line.node, found)
        return found

    def place(self, name: str, callee: str = "") -> Place:
        """The one call of a primitive in an equation, or all of the equation."""
        equation: Equation = self.table.equations[name]
        calls = [p for p in walk(equation.expression) if isinstance(p, Call) and p.callee == callee]
        return equation.place(calls[0]) if len(calls) == 1 else equation.place()

    @cached_property
    def zeros(self) -> dict[str, Trail | None]:
        """Equations that are zero at step 0, and which they have it from."""
        return self.followed(self.zero)

    @cached_property
    def asked(self) -> dict[Node, Trail | None]:
        """What `zero` has answered: a long sum is walked once, not from each of its terms."""
        return {}

    def zero(self, node: Node, zeros: dict[str, Trail | None]) -> Trail | None:
        """The equations through which a value is zero at step 0, or None where it is not."""
        if isinstance(node, Read):
            trail = None if node.name in self.inputs else zeros.get(node.name)
            return None if trail is None or len(trail) >= FOLLOWED else (*trail, node.name)
        if not isinstance(node, Apply):
            return None
        if isinstance(node.primitive, Linear | Embedding | Bare | CausalConv) and _starts_at_zero(node):
            return ()
        if node not in self.asked:
            self.asked[node] = _kept_zero(node, [self.zero(part, zeros) for part in node.inputs])
        return self.asked[node]


def _starts_at_zero(node: Apply) -> bool:
    law = getattr(node.primitive, "init", None)
    return law == ZEROS or (isinstance(law, int | float) and law == 0)


def _kept_zero(node: Apply, parts: list[Trail | None]) -> Trail | None:
    """Which of its inputs' zeros make a node's value zero."""
    known = [trail for trail in parts if trail is not None]
    match node.primitive:
        case Arithmetic(operator="*") | Outer():
            return known[0] if known else None
        case Arithmetic(operator="/", number_first=False):
            return parts[0]
        case Arithmetic(operator="**", number=float() | int() as power, number_first=False):
            return parts[0] if power > 0 else None
        case Arithmetic(operator="+" | "-", number=None) | Concat():
            return _joined(known) if len(known) == len(parts) else None
        case Attend():
            return parts[2]
        case Linear(bias=False) | CausalConv(bias=False):
            return parts[0]
        case Pointwise(name=name):
            return parts[0] if name in KEEPS_ZERO else None
    return parts[0] if isinstance(node.primitive, MOVES) else None


def _joined(trails: list[Trail]) -> Trail:
    return tuple(dict.fromkeys(step for trail in trails for step in trail))


# -- each check: a scene to its warnings


def _reach(scene: Scene) -> Iterator[Diagnostic]:
    """NG601: a window, a kernel or a shift that no row is long enough for."""
    context = scene.graph.context
    if "context" in scene.spec.overrides:
        return  # cut short for a trial, and the spec is not to blame
    for name, node in scene.applied:
        match node.primitive:
            case Attend(window=int(reach)) if reach > context + 1:  # "window + 1" counts the query's own key
                what = f"a window of {reach:,} keys"
            case CausalConv(kernel=reach) if reach > context:
                what = f"a kernel of {reach:,} taps"
            case Shift(n=reach) if reach >= context:
                what = f"a shift by {reach:,} positions"
            case _:
                continue
        notes = _dim_note(scene.spec, "context", f"`context` is {context:,}")
        message = f"{what}, and a row has {context:,} positions at most"
        yield Diagnostic(
            "NG601",
            message,
            scene.place(name, node.primitive.name),
            help=f"give it at most {context:,}, or make `context` longer",
            notes=notes,
        )


def _dead_zeros(scene: Scene) -> Iterator[Diagnostic]:
    """NG604: two factors that start at zero, each of which waits for the other to move."""
    for name, node in scene.applied:
        trails = [scene.zero(part, scene.zeros) for part in node.inputs]
        match node.primitive:
            case Linear() if _starts_at_zero(node) and trails[0] is not None:
                trail, where = trails[0], scene.place(name, "linear")
                message = f"`{name}` starts at zero, and so does what it maps"
            case Arithmetic(operator="*", number=None) if None not in trails:
                trail, where = _joined([t for t in trails if t is not None]), scene.place(name)
                message = f"both factors of `{name}` start at zero"
            case _:
                continue
        if all(scene.read[step] == 1 for step in trail):  # read elsewhere too, it moves from there
            notes = tuple(Note(scene.place(step), f"`{step}` is zero") for step in trail if step != name)
            help = "give one of the two another `init`: while both are zero, neither gets a gradient"
            yield Diagnostic("NG604", message, where, help=help, notes=notes[:2])


def _norms(scene: Scene) -> Iterator[Diagnostic]:
    """NG605: a norm of zeros. NG606: an eps that guards nothing, or outweighs all."""
    for name, node in scene.applied:
        if not isinstance(node.primitive, NORMS):
            continue
        primitive, eps = node.primitive, node.primitive.eps
        where = scene.place(name, primitive.name)
        trail = scene.zero(node.inputs[0], scene.zeros)
        if trail is not None:
            message = f"`{primitive.name}` gets nothing but zeros at step 0"
            help = f"its gradient is {max(eps, 1e-30) ** -0.5:,.0f} times what comes in: let its input start apart from zero"
            notes = tuple(Note(scene.place(step), f"`{step}` is zero") for step in trail[:2])
            yield Diagnostic("NG605", message, where, help=help, notes=notes)
        if eps <= 0:
            help = "1e-5 is usual: a vector of zeros is then divided by something"
            yield Diagnostic("NG606", f"an eps of {eps:g} guards nothing", where, help=help)
        elif eps > LARGEST_EPS:
            help = "1e-5 is usual: it stands beside squares of about 1"
            yield Diagnostic("NG606", f"an eps of {eps:g} outweighs what it guards", where, help=help)


def _turns(scene: Scene) -> Iterator[Diagnostic]:
    """NG607: queries and keys that `rope` turns differently, so that scores know no distance."""

    def turned(node: Node, found: dict) -> frozenset[Rope] | None:
        if isinstance(node, Read):
            return None if node.name in scene.inputs else found.get(node.name)
        if not isinstance(node, Apply):
            return None
        if isinstance(node.primitive, Linear | Embedding | Bare):
            return frozenset()  # channels are new here
        parts = [turned(part, found) for part in node.inputs]
        known = [p for p in parts if p is not None]
        own = {node.primitive} if isinstance(node.primitive, Rope) else set()
        return frozenset(own.union(*known)) if len(known) == len(parts) else None

    attending = [(name, node) for name, node in scene.applied if isinstance(node.primitive, Attend)]
    found = scene.followed(turned) if attending else {}
    for name, node in attending:
        queries, keys = (turned(part, found) for part in node.inputs[:2])
        if queries is None or keys is None or queries == keys:
            continue
        message = "queries and keys are turned by `rope` with different settings"
        if not queries or not keys:
            some, others = ("queries", "keys") if queries else ("keys", "queries")
            message = f"`rope` turns the {some} and not the {others}"
        help = "turn both alike: a score then depends on how far apart the two stand"
        yield Diagnostic("NG607", message, scene.place(name, "attend"), help=help)


def _turned_whole(scene: Scene) -> Iterator[Diagnostic]:
    """NG608: channels paired across all heads, then split into heads."""

    def whole(node: Node, found: dict) -> Rope | None:
        if isinstance(node, Read):
            return None if node.name in scene.inputs else found.get(node.name)
        if not isinstance(node, Apply) or len(node.value.axes) != 1:
            return None
        if isinstance(node.primitive, Rope) and node.primitive.pairs == "halves":
            return node.primitive
        return whole(node.inputs[0], found) if isinstance(node.primitive, (*NORMS, Float32)) else None

    found = scene.followed(whole)
    for name, node in scene.applied:
        if isinstance(node.primitive, Split) and node.primitive.n > 1 and whole(node.inputs[0], found):
            heads, channels = node.value.axes
            message = (
                f"`rope` pairs {heads * channels} channels, and `split` then makes {heads} heads of them"
            )
            help = "split first: `rope(split(q, heads))` keeps the two of a pair in one head"
            yield Diagnostic("NG608", message, scene.place(name, "split"), help=help)


def _no_way_around(scene: Scene) -> Iterator[Diagnostic]:
    """NG609: a deep stack in which what enters a layer leaves only through its weights."""
    climbs = (n for line in scene.unit.lines for n in nodes(line.node) if isinstance(n, Climb))
    for climb in climbs:
        if len(climb.layers) < DEEP:
            continue
        known: dict[Unit, set[str]] = {}
        blocked = (u for u in dict.fromkeys(climb.layers) if u.results[0] not in _passed(u, known))
        layer = next(blocked, None)
        if layer is not None and layer.owning:
            inner = Scene(scene.spec, scene.graph, layer)
            name = layer.results[0]
            message = f"no sum carries `{name}` around the weights of a layer of {inner.table.described}"
            help = f'add what came in to what the layer computes: `{name} = "{name} + .."`'
            yield Diagnostic("NG609", message, inner.place(name), help=help)


def _passed(unit: Unit, known: dict[Unit, set[str]]) -> set[str]:
    """Inputs that reach a unit's first result without going through weights, or through other positions."""
    if unit in known:
        return known[unit]
    inputs = {name for name, _ in unit.inputs}
    found: dict[str, set[str]] = {}

    def reached(node: Node) -> set[str]:
        if isinstance(node, Read):
            return {node.name} if node.name in inputs else found.get(node.name, inputs)
        parts = [reached(part) for part in getattr(node, "inputs", ())]
        if isinstance(node, Apply):
            heavy = node.primitive.past or any(len(p.shape) > 1 for p in node.owned)
            return set() if heavy else set().union(*parts)
        if isinstance(node, Enter):
            through = _passed(node.unit, known)
            names = [name for name, _ in node.unit.inputs]
            return set().union(*(p for name, p in zip(names, parts, strict=True) if name in through))
        return inputs  # what is not known may well lead around

    for line in unit.lines:
        found[line.name] = reached(line.node)
    known[unit] = found[unit.results[0]]
    return known[unit]


def _narrow_heads(scene: Scene) -> Iterator[Diagnostic]:
    """NG602: heads whose width no matrix unit can use whole."""
    for name, node in scene.applied:
        if not isinstance(node.primitive, Attend):
            continue
        channels = node.values[0].last
        if channels < TILE:
            message = f"each head has {channels} channels, and a matrix unit takes {TILE} at once"
        elif channels % ROW:
            message = f"each head has {channels} channels, no multiple of {ROW}"
        else:
            continue
        help = "heads of 64 or 128 channels are usual: change the number of heads, or the width"
        yield Diagnostic("NG602", message, scene.place(name, "attend"), help=help)


def _odd_matrices(scenes: list[Scene]) -> Iterator[Diagnostic]:
    """NG603: a size of large matrices whose rows are not aligned; once a size."""
    found: dict[int, list[tuple[Scene, str]]] = {}
    for scene in scenes:
        for name, node in scene.applied:
            if not isinstance(node.primitive, Linear):
                continue
            sides = {node.primitive.n, node.values[0].last}
            # the vocabulary is the tokenizer's
            odd = [s for s in sides if s % ROW and s != scene.graph.vocab]
            for size in odd if min(sides) >= LARGE else ():
                found.setdefault(size, []).append((scene, name))
    for size, sites in found.items():
        scene, name = sites[0]
        below = size // ROW * ROW
        where = "one equation" if len(sites) == 1 else f"{len(sites)} equations"
        message = f"{size:,} channels, no multiple of {ROW}, are a side of the matrices of {where}"
        help = f"{below:,} or {below + ROW:,} would do; multiples of 64 are best, as {_best(size):,}"
        dims = scene.graph.dims
        dim = next((d for d in dims if type(dims[d]) is int and dims[d] == size), "")
        place = scene.spec.dims[dim].place() if dim else scene.place(name, "linear")
        label = f"`--set` makes it {size:,}" if dim in scene.spec.overrides else ""
        yield Diagnostic("NG603", message, place, label=label, help=help)


def _best(size: int) -> int:
    return max(1, round(size / BEST)) * BEST


def _dim_note(spec: Spec, name: str, label: str) -> tuple[Note, ...]:
    return (Note(spec.dims[name].place(), label),)


CHECKS = (_reach, _dead_zeros, _norms, _turns, _turned_whole, _no_way_around)
