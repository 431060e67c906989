"""What one process of a benchmark is to measure, as plain JSON, and the models that are measured unless others are named."""

from __future__ import annotations

from typing import Any

from attrs import asdict, field, frozen

from nanogen.structure import Count

KINDS = ("train", "decode", "compile", "start")
OPTIMIZERS = ("muon_adamw_2025", "muon_adamw_2026", "muon_adamw_looped", "adamw")
OUT_OF_MEMORY = "out of memory"


@frozen
class Sizes:
    """How much is computed. Unsaid, `rows` are as many as fit, up to 32, and `length` is the context."""

    rows: int | None = None
    length: int | None = None
    steps: int = 4  # of one sample
    repeats: int = 5  # samples
    batches: tuple[int, ...] = (1, 8, 32, 128)  # rows that are decoded at once
    prompt: int = 64
    new: int = 128
    most_rows: int = 32


@frozen
class Model:
    """A spec at a size."""

    spec: str
    overrides: dict[str, Any] = field(factory=dict)


@frozen
class Preset:
    """Models, and how they are measured."""

    about: str
    models: tuple[Model, ...]
    sizes: Sizes


def _deep(depth: int) -> tuple[Model, ...]:
    attends = list(range(1, depth, 3))
    return (
        Model("nanochat_2025", {"depth": depth}),
        Model("saint_iberis_d20", {"depth": depth, "attends": attends}),
        Model("nanochat_2026", {"depth": depth}),
    )


SMALL = {"depth": 4, "width": 256, "heads": 2, "vocab": 4096, "context": 256}
LARGE = Sizes(steps=2, repeats=4)
PRESETS = {
    "small": Preset(
        "a GPT of 5 million parameters, for any machine",
        (Model("nanochat_2025", SMALL),),
        Sizes(rows=8, length=256, prompt=32, new=48),
    ),
    "d12": Preset("three specs at 12 layers, for a GPU", _deep(12), LARGE),
    "d20": Preset("three specs at 20 layers, for a GPU of 80 GB", _deep(20), LARGE),
    "gpu": Preset(
        "both, in the order of what matters most where time is short",
        (_deep(12)[0], *_deep(20), *_deep(12)[1:]),
        LARGE,
    ),
}


@frozen
class Order:
    """One process: `what` is "train" or "decode". Paths, names and numbers alone."""

    what: str
    spec: str  # a path
    overrides: dict[str, Any]
    rows: int
    length: int
    sizes: Sizes
    optimizer: str
    compiled: str = "auto"
    dtype: str = "auto"
    float8: bool = False  # of training: large linear maps in 8 bits

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Order:
        sizes = {**plain["sizes"], "batches": tuple(plain["sizes"]["batches"])}
        return cls(**{**plain, "sizes": Sizes(**sizes)})

    @property
    def step_tokens(self) -> Count:
        return Count(self.rows * self.length)
