"""What a primitive is: a frozen class whose fields are its settings and whose methods are its rules.

No rule has a default: a primitive that costs nothing says so. Rules work on shapes and numbers; a rule that
refuses raises `Reject` and names the argument to blame.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, dataclass_transform

import attrs
from attrs import field, frozen

from nanogen.language.initial import VARIABLES, Law
from nanogen.load import Flops, Load, Saved, State, Value
from nanogen.text.diagnostics import Reject


@frozen
class Parameter:
    """A tensor that training moves. `name` is "weight", "bias" or "gain", or "" for a bare parameter."""

    name: str
    shape: tuple[int, ...]
    init: Law
    role: str  # the optimizer group
    dtype: str | None = None  # how it is stored; None is the run's choice
    cast: bool = False  # backward keeps a copy of it in the run's dtype

    @property
    def count(self) -> int:
        total = 1
        for size in self.shape:
            total *= size
        return total


@frozen
class Variant:
    """A word with numbers of its own, as a setting: `llama3(factor=8, low=1, high=4, original=8192)`."""

    name: str
    numbers: tuple[tuple[str, int | float], ...]


@frozen
class Table:
    """Cosines and sines by position that rotary embeddings of equal settings share."""

    channels: int  # how many of the last axis are turned
    base: float
    direction: int
    dtype: str
    scaling: Variant | None = None

    @property
    def settings(self) -> str:
        """The settings as the emitted source gives them."""
        text = f"base={self.base!r}, direction={self.direction}, dtype=torch.{self.dtype}"
        if self.scaling is None:
            return text
        numbers = "".join(f", {name}={number!r}" for name, number in self.scaling.numbers)
        return f'{text}, scaling="{self.scaling.name}"{numbers}'


@frozen
class Site:
    """Where a call stands in the emitted source: the texts that its line is made of."""

    inputs: tuple[str, ...]  # source of each input
    values: tuple[Value, ...]  # shape of each input
    out: Value
    owner: str = ""  # `self.q`, for a call that owns parameters
    past: str = ""  # `now["mix"]`, for a call that sees earlier positions, or draws
    table: str = ""  # `now.tables["rope"]`


class Primitive(ABC):
    """The rules of one primitive; an instance is one call's settings."""

    name: ClassVar[str] = ""
    inputs: ClassVar[tuple[str, ...]] = ("x",)  # ("a", "...") takes one or more
    past: ClassVar[bool] = False  # sees earlier positions
    borrows: ClassVar[bool] = False  # computes with the weights of another primitive, by `borrowed`
    draws: ClassVar[bool] = False  # draws random numbers, keyed by its place in the model
    postfix: ClassVar[bool] = False  # its source puts something behind an input's text
    binding: ClassVar[int] = 9  # how tightly its source binds: 1 as a sum, 2 as a product, 9 as a name

    @abstractmethod
    def shape(self, *inputs: Value) -> Value:
        """Shape of the result; raises Reject."""

    @abstractmethod
    def parameters(self, *inputs: Value) -> tuple[Parameter, ...]:
        """What it owns."""

    @abstractmethod
    def flops(self, load: Load, out: Value, *inputs: Value) -> Flops:
        """Forward FLOPs under a load."""

    @abstractmethod
    def saved(self, load: Load, out: Value, *inputs: Value) -> Saved:
        """What it keeps for backward, run eagerly."""

    @abstractmethod
    def state(self, *inputs: Value) -> tuple[State, ...]:
        """What decoding keeps a row."""

    @abstractmethod
    def source(self, site: Site) -> str:
        """The PyTorch expression."""

    def construct(self, *inputs: Value) -> str:
        """The PyTorch expression that makes what it owns; only owners have one."""
        assert not self.parameters(*inputs), f"{self.name} owns parameters and does not say how to make them"
        return ""

    def borrowed(self, site: Site) -> str:
        """The PyTorch expression with the weights of `site.owner`, which is another module."""
        raise AssertionError(f"{self.name} does not borrow weights")

    def table_of(self, *inputs: Value) -> Table | None:
        """The rotary table it reads, if any."""
        return None


class Free(Primitive):
    """A primitive that owns nothing and sees no other position."""

    def parameters(self, *inputs: Value) -> tuple[Parameter, ...]:
        return ()

    def state(self, *inputs: Value) -> tuple[State, ...]:
        return ()


PRIMITIVES: dict[str, type[Primitive]] = {}


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def primitive(name: str, *, inputs: Sequence[str] = ("x",), past: bool = False, draws: bool = False):
    """Register a class as the primitive `name`; its fields become the settings of the call."""

    def register(cls: type) -> Any:
        made = frozen(cls)
        made.name, made.inputs, made.past, made.draws = name, tuple(inputs), past, draws
        assert name not in PRIMITIVES, name
        PRIMITIVES[name] = made
        return made

    return register


# Kinds of settings; `nanogen.building.binding` reads each kind in its own way.


def size(help: str, **kw: Any) -> Any:
    """A whole number of at least 1."""
    return field(metadata={"kind": "size", "help": help}, **kw)


def sizes(help: str) -> Any:
    """All that is left of the positional arguments, each a size."""
    return field(metadata={"kind": "sizes", "help": help}, default=())


def number(help: str, **kw: Any) -> Any:
    """A number."""
    return field(metadata={"kind": "number", "help": help}, **kw)


def window(help: str) -> Any:
    """A size, or `none`."""
    return field(metadata={"kind": "window", "help": help}, default=None, kw_only=True)


def flag(help: str, default: bool = False) -> Any:
    """`true`, `false`, or a condition."""
    return field(metadata={"kind": "flag", "help": help}, default=default, kw_only=True)


def choice(help: str, *names: str) -> Any:
    """One of a few words, the first being the default."""
    return field(metadata={"kind": "choice", "help": help, "names": names}, default=names[0], kw_only=True)


def variant(help: str, **forms: tuple[str, ...]) -> Any:
    """One of a few words, each with numbers of these names; or `none`."""
    return field(metadata={"kind": "variant", "help": help, "forms": forms}, default=None, kw_only=True)


def text(help: str) -> Any:
    """Text in quotes, which stands before the inputs."""
    return field(metadata={"kind": "text", "help": help})


def value(help: str) -> Any:
    """A further input, given by name, or `none`; the field holds its place among the inputs."""
    return field(metadata={"kind": "value", "help": help}, default=None, kw_only=True)


def init(help: str = "the initial law", **kw: Any) -> Any:
    """An initial law."""
    return field(metadata={"kind": "init", "help": help}, kw_only=True, **{"default": None, **kw})


def role(default: str) -> Any:
    """A word that a group of the run's optimizer takes."""
    return field(metadata={"kind": "role", "help": "the optimizer group"}, default=default, kw_only=True)


def stored() -> Any:
    """A dtype of parameters: `float32`, `bfloat16` or `float16`; unsaid, the run's."""
    help, names = "how the parameters are stored", ("float32", "bfloat16", "float16")
    return field(metadata={"kind": "stored", "help": help, "names": names}, default=None, kw_only=True)


# Refusals that several primitives share.


def want_numbers(name: str, x: Value, position: int | None = 0) -> None:
    if x.dtype == "ids":
        raise Reject("NG304", f"`{name}` takes numbers, found ids", "look them up with `embedding`", position)


def want_features(name: str, x: Value, position: int = 0) -> None:
    want_numbers(name, x, position)
    if not x.axes:
        help = "give it a value with channels"
        raise Reject("NG304", f"`{name}` works on the last axis, and a scalar has none", help, position)


def want_time(name: str, x: Value, position: int = 0) -> None:
    want_features(name, x, position)
    if not x.timed:
        message = f"`{name}` looks along time, and this value is the same at every position"
        raise Reject("NG304", message, "give it a value that comes from `tokens`", position)


def want_law(law: Law, axes: tuple[int, ...]) -> None:
    """Refuse a law that has no meaning for a parameter of these axes."""
    words = set(_words(law))
    if "eye" in words and len(axes) != 2:
        message = (
            f"`eye` fills a matrix, and this parameter has {len(axes)} ax{'i' if len(axes) == 1 else 'e'}s"
        )
        raise Reject("NG115", message, "use `ones`, `zeros`, or a parameter of two axes", "init")
    if not axes and (found := sorted(words & set(VARIABLES))):
        raise Reject(
            "NG115", f"`{found[0]}` is about an axis, and a scalar has none", "write a number", "init"
        )


def _words(law: Law) -> Iterator[str]:
    if isinstance(law, tuple):
        yield law[0]
        for part in law[1:]:
            yield from _words(part)
