"""How emitted source is spelt: names, indents, wrapped lines, brackets. Knows nothing of units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nanogen.graph import Apply
from nanogen.primitives.pointwise import Arithmetic

LINE = 110
ATOM = 9  # how tightly a name binds
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def variable(name: str) -> str:
    """A variable for a name of the graph: `at.attn.v`, of another layer, is `attn_v_at`."""
    head, _, rest = name.partition(".")
    return f"{rest.replace('.', '_')}_at" if head == "at" and rest else name.replace(".", "_")


def indent(lines: Iterable[str], depth: int) -> list[str]:
    return ["    " * depth + line if line else line for line in lines]


def wrap(words: list[str], width: int) -> list[str]:
    rows, row = [], ""
    for word in words:
        if row and len(row) + 1 + len(word) > width:
            rows.append(row)
            row = ""
        row = f"{row} {word}" if row else word
    return [*rows, row]


def broken(statement: str, room: int) -> list[str]:
    """A statement on lines that fit `room`: the arguments of its outermost call stand below it."""
    head, bracket, rest = statement.partition("(")
    if len(statement) <= room or not bracket or _closing(rest) != len(rest) - 1:
        return [statement]
    arguments = [f"{argument}," for argument in _arguments(rest[:-1])]
    return [f"{head}(", *indent(wrap(arguments, room - 4), 1), ")"]


def _closing(text: str) -> int:
    """Where the bracket closes that stands open before the text."""
    depth = 1
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0:
            return place
    return len(text)


def _arguments(text: str) -> list[str]:
    """What stands between the commas that no bracket holds."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [argument.strip() for argument in found]


def binding(node: Apply) -> int:
    """How tightly the source of a primitive binds."""
    primitive = node.primitive
    return _BINDING[primitive.operator] if isinstance(primitive, Arithmetic) else primitive.binding


def needed(node: Apply, place: int) -> int:
    """How tightly the text of an input must bind where it stands."""
    primitive = node.primitive
    if not isinstance(primitive, Arithmetic):
        return ATOM if primitive.postfix else 0
    if primitive.suffix(place, node.value, node.values):
        return ATOM
    own = _BINDING[primitive.operator]
    second = place == 1 or (primitive.number is not None and primitive.number_first)
    return own + (second or primitive.operator == "**")


def index_text(first: int, indices: Sequence[int]) -> str:
    """Write the index that layer `first + n` has in `indices[n]`: a number, or a rule in `i`."""
    if len(set(indices)) == 1:
        return str(indices[0])
    layers = range(first, first + len(indices))
    if len({j + i for i, j in zip(layers, indices, strict=True)}) == 1:
        return f"{indices[0] + first} - i"
    if len({i - j for i, j in zip(layers, indices, strict=True)}) == 1:
        return f"i - {first - indices[0]}"
    listed = f"({', '.join(map(str, indices))})"
    return f"{listed}[i - {first}]" if first else f"{listed}[i]"
