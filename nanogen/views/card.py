"""A model's card: what it is, what it costs to train, to decode and to keep. Every number from the graph."""

from __future__ import annotations

from nanogen.answers.ending import Ending, ending
from nanogen.answers.flops import convention_per_token, decoding_per_token, training_per_token
from nanogen.answers.memory import Ledger, Optimizer, ledger
from nanogen.answers.parameters import by_role, count
from nanogen.answers.state import bytes_per_row, bytes_per_token
from nanogen.building.layers import ranges
from nanogen.compiler import Compiled
from nanogen.graph import Graph, Loop, Unit, climbs, loops
from nanogen.language.dials import Dial
from nanogen.load import Load
from nanogen.views.equation import Forms
from nanogen.views.figures import bytes_text, columns

HALF = 2  # bytes of a bfloat16
ROWS = 4  # of the micro-batch whose memory is told


def card(compiled: Compiled, optimizer: Optimizer) -> str:
    """Return the card as text; `optimizer` says what training keeps beside weights and activations."""
    graph, context = compiled.graph, compiled.graph.context
    state, each = bytes_per_row(graph, context, HALF), bytes_per_token(graph, context, HALF)
    training = ledger(graph, Load(ROWS, context), HALF, optimizer)
    rows = [
        ("parameters", f"{count(graph):,}", ", ".join(f"{r} {n:,}" for r, n in by_role(graph).items())),
        *(("layers", *text) for text in layer_texts(graph)),
        *(("turns", *text) for text in turn_texts(graph)),
        ("vocabulary", f"{graph.vocab:,}", f"context {context:,}"),
        (
            "training",
            f"{training_per_token(graph, context):,.0f}",
            f"FLOPs a token, exact, in rows of {context:,}",
        ),
        *convention_rows(graph),
        ("", bytes_text(training.total), memory_text(training, context)),
        ("", *loss_text(graph)),
        ("decoding", f"{decoding_per_token(graph, context - 1):,}", f"FLOPs for token {context:,}"),
        (
            "",
            bytes_text(state),
            f"state of a row at {context:,} in bfloat16, {bytes_text(each)} a token",
        ),
    ]
    title = compiled.name
    about = compiled.spec.meta.get("about")
    body = columns([(name, value, text) for name, value, text in rows], right=False)
    return "\n".join([title, *([f"  {about}"] if about else []), *("  " + line for line in body.split("\n"))])


def memory_text(found: Ledger, tokens: int) -> str:
    """The terms of a ledger; not all of them are there at the peak."""
    names = (
        "weights",
        "gradients",
        "optimizer",
        "casts",
        "activations",
        "logits",
        "ending",
        "passing",
        "workspace",
    )
    terms = ", ".join(f"{name} {bytes_text(getattr(found, name))}" for name in names if getattr(found, name))
    return f"of memory at {ROWS} rows of {tokens:,} in bfloat16, eager: {terms}"


def loss_text(graph: Graph) -> tuple[str, str]:
    """How many positions the loss is made of at once, or why of all."""
    found = ending(graph)
    if isinstance(found, Ending):
        return f"{found.positions:,}", "positions at most whose logits are there at once, for the loss"
    return "all", f"logits are there at once for the loss: {found.why}"


def convention_rows(graph: Graph) -> list[tuple[str, str, str]]:
    """The convention, and once more where gradients do not reach all turns of a loop."""
    whole, cut = (convention_per_token(graph, graph.context, truncated=t) for t in (False, True))
    rows = [("", f"{whole:,}", "by 6N + 12·layers·width·T, attention where it is")]
    if cut != whole:
        rows.append(("", f"{cut:,}", "by the same, backward over the turns that gradients reach"))
    return rows


def turn_texts(graph: Graph) -> list[tuple[str, str]]:
    """One line a loop: how often it turns, and how far gradients reach."""
    return [(f"{loop.turns(Load())}", f"{path}: {turning(loop)}") for path, loop in loops(graph)]


def turning(loop: Loop) -> str:
    """What says how often a loop turns, and how far gradients reach."""
    times, reached = loop.times, loop.backprop
    said = (
        f"as the dial `{times.name}` stands, {times.least:,} to {times.most:,}"
        if isinstance(times, Dial)
        else ""
    )
    reach = "all" if reached is None else f"the last {reached}"
    return f"{said}; gradients reach {reach}" if said else f"gradients reach {reach}"


def layer_texts(graph: Graph) -> list[tuple[str, str]]:
    """One line a call of a stack: how many layers, and which have what."""
    return [(str(len(climb.layers)), f"{path}: {_kinds(climb.layers)}") for path, climb in climbs(graph)]


def _kinds(layers: list[Unit]) -> str:
    where: dict[str, list[int]] = {}
    for index, layer in enumerate(layers):
        where.setdefault(" and ".join(layer.modules.values()), []).append(index)
    if list(where) == [""]:
        return _without_choices(layers)
    fewest_first = sorted(where.items(), key=lambda item: len(item[1]))
    texts = [f"{module} at {', '.join(map(str, at))}" for module, at in fewest_first[:-1]]
    most, at = fewest_first[-1]
    last = f"{most} at the other {len(at)}" if texts else f"{most} in all"
    return "; ".join([*texts, last])


def _without_choices(layers: list[Unit]) -> str:
    """How layers of one module differ: by facts, or by which are alike."""
    facts = [
        name for name in layers[0].numbers if len({str(layer.numbers.get(name)) for layer in layers}) > 1
    ]
    if facts:
        return f"{' and '.join(facts)} differ{'s' if len(facts) == 1 else ''} by layer: `nanogen show`"
    forms = Forms(laws=False)
    kinds: dict[int, list[int]] = {}
    for index, layer in enumerate(layers):
        kinds.setdefault(forms.of(layer), []).append(index)
    if len(kinds) == 1:
        return "all alike"
    return f"{len(kinds)} kinds: " + "; ".join(ranges(at) for at in kinds.values())
