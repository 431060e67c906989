"""Measure models on this machine: a process a measurement, a record of each, in the order of what matters most.

What does not fit the memory is tried at half the rows; what does not fit the time is said to be left out.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from nanogen.answers.flops import training
from nanogen.answers.memory import most_rows
from nanogen.answers.reads import step_bytes
from nanogen.compiler import Compiled, compile_file
from nanogen.load import Load
from nanogen.planning.hardware import Hardware
from nanogen.shelf import find
from nanogen.text.diagnostics import Refusal
from runtime import optimizer_memory
from runtime.attention_memory import attention
from runtime.capacity import Capacity
from runtime.faults import Fault
from stages.benching.order import KINDS, OPTIMIZERS, OUT_OF_MEMORY, Model, Order, Sizes
from stages.benching.records import Record, facts, machine_facts
from stages.benching.samples import Figure
from stages.benching.starting import environment, timed
from stages.training.float8 import share_of
from stages.watching.peak import fitting

STARTS = 5  # calls of a command
ROOM = 0.85  # of the memory: what rows may take by the ledger


class LeftOut(Exception):
    """There is no time left for a measurement."""


class Broken(RuntimeError):
    """A measurement that failed for no fault of the user's: with what its process said."""


@frozen
class Asked:
    """What is to be measured, and on what."""

    models: tuple[Model, ...]
    sizes: Sizes
    kinds: tuple[str, ...] = KINDS
    on: str | None = None  # a hardware file
    optimizer: str | None = None
    seconds: float = math.inf  # for all of it


@frozen
class Trained:
    """A model whose training was measured."""

    model: Model
    compiled: Compiled
    order: Order
    record: Record


@define
class Bench:
    """Measures what was asked. `tell` is told what is about to be measured."""

    asked: Asked
    capacity: Capacity
    tell: Callable[[str], None] = lambda _: None
    begun: float = field(factory=time.monotonic, init=False)
    failed: int = field(default=0, init=False)  # measurements that were given up so that others are made
    trained: list[Trained] = field(factory=list, init=False)

    def records(self) -> Iterator[Record]:
        """A record as soon as it is there; raises Fault for what cannot be measured at all."""
        opened = [(model, _compiled(model)) for model in self.asked.models]
        for model, compiled in opened:
            with tempfile.TemporaryDirectory() as cache:
                for measure in self._measures():
                    yield from self._unless_late(model, measure(model, compiled, cache))
        for one in self.trained if self.capacity.float8 else ():
            yield from self._unless_late(one.model, self._float8(one))
        for model, compiled in opened if "start" in self.asked.kinds else ():
            yield from self._unless_late(model, self._start(model, compiled))

    def _unless_late(self, model: Model, found: Iterator[Record]) -> Iterator[Record]:
        try:
            yield from found
        except LeftOut as left:
            self.tell(f"{model.spec}: {left} left out, its time is over")
        except (Fault, Broken) as error:
            if len(self.asked.models) == 1:
                raise
            self.failed += 1
            self.tell(f"{model.spec}: {error}")

    def _measures(self) -> list[Callable[[Model, Compiled, str], Iterator[Record]]]:
        kinds, found = self.asked.kinds, []
        if "train" in kinds or "compile" in kinds:
            found.append(self._train)
        if "decode" in kinds:
            found.append(self._decode)
        return found

    # -- training, and compiling it

    def _train(self, model: Model, compiled: Compiled, cache: str) -> Iterator[Record]:
        """Twice where compiling counts: with an empty cache, then with what that left there."""
        order, kinds = self._order("train", model, compiled), self.asked.kinds
        if "compile" in kinds and "train" not in kinds:
            order = evolve(order, sizes=evolve(order.sizes, repeats=2, steps=1))
        order, found = self._fitting(order, cache, "training")
        first, runs = found["first"] - min(found["steps"]), [found]
        if "compile" in kinds and found["compiled"]:
            try:
                runs.append(self._child(order, cache, "training from the compiler's cache"))
            except LeftOut as left:
                self.tell(f"{model.spec}: {left} left out, its time is over")
            yield self._compile_record(model, compiled, order, first, runs)
        if "train" in kinds:
            record = self._train_record(model, compiled, order, runs)
            self.trained.append(Trained(model, compiled, order, record))
            yield record

    def _float8(self, plain: Trained) -> Iterator[Record]:
        """The same steps with large linear maps in 8 bits, where the model has some."""
        model, compiled, order = plain.model, plain.compiled, evolve(plain.order, float8=True)
        if not compiled.blueprint["float8"]:
            return self.tell(f"{model.spec}: no linear map is large enough for float8")
        with tempfile.TemporaryDirectory() as cache:
            found = self._child(order, cache, f"training in float8, {order.rows} rows of {order.length:,}")
        if "fault" in found:
            return self.tell(f"{model.spec}: training in float8, {found['fault']}")
        record = self._train_record(model, compiled, order, [found])
        times = record.figures["tokens"].median / plain.record.figures["tokens"].median
        note = f"float8: {times:.2f} times the tokens/s of {plain.record.facts['dtype']}"
        facts = {**record.facts, "dtype": "float8"}
        yield evolve(record, facts=facts, notes=(*record.notes, note))

    def _compile_record(
        self, model: Model, compiled: Compiled, order: Order, first: float, runs: list[dict[str, Any]]
    ) -> Record:
        figures = {"cold": Figure.of([first], "s", more_is_better=False)}
        if len(runs) > 1:
            warm = runs[1]["first"] - min(runs[1]["steps"])
            figures["warm"] = Figure.of([warm], "s", more_is_better=False)
        return self._record("compile", model, compiled, order, runs[0], figures)

    def _train_record(
        self, model: Model, compiled: Compiled, order: Order, runs: list[dict[str, Any]]
    ) -> Record:
        load = Load(order.rows, order.length)
        tokens, flops = order.rows * order.length, training(compiled.graph, load).matmul
        seconds = [one for run in runs for one in run["steps"]]
        rates = [flops / one for one in seconds]
        figures = {
            "tokens": Figure.of([tokens / one for one in seconds], "tokens/s"),
            "flops": Figure.of(rates, "FLOP/s"),
        }
        named, hardware = self._hardware(runs[0])
        peak = _peak(hardware, runs[0]["dtype"], share_of(compiled.graph, order.length) * order.float8)
        if peak is not None:
            figures["mfu"] = Figure.of([rate / peak for rate in rates], "of the peak")
        figures["memory"] = Figure.of([runs[-1]["peak"]], "bytes", more_is_better=False)
        parts = ", each product of its own" if order.float8 else ""
        notes = () if peak is None else (f"share: of the peak of {named}{parts}",)
        return self._record("train", model, compiled, order, runs[0], figures, notes)

    def _fitting(self, order: Order, cache: str, what: str) -> tuple[Order, dict[str, Any]]:
        """Halve the rows until they fit."""
        while True:
            found = self._child(order, cache, f"{what}, {order.rows} rows of {order.length:,}")
            if "fault" not in found:
                return order, found
            if order.rows == 1:
                raise Fault(
                    f"`{order.spec}` does not fit this machine's memory at one row", "take a smaller one"
                )
            order = evolve(order, rows=order.rows // 2)

    # -- decoding and starting

    def _decode(self, model: Model, compiled: Compiled, cache: str) -> Iterator[Record]:
        order = self._order("decode", model, compiled)
        batches = ", ".join(map(str, order.sizes.batches))
        found = self._child(order, cache, f"decoding at batch {batches}")
        if "fault" in found:
            raise Fault(f"`{model.spec}` does not fit this machine's memory", "take a smaller one")
        named, hardware = self._hardware(found)
        read = hardware.bandwidth if hardware is not None else found["bandwidth"]
        figures, notes = {}, [_limit_text(read, named)]
        for batch in map(str, order.sizes.batches):
            if (rates := found["rates"].get(batch)) is None:
                notes.append(f"batch {batch}: left out, its time is over")
                continue
            if not rates:
                notes.append(f"batch {batch}: {OUT_OF_MEMORY}")
                continue
            past = order.sizes.prompt + order.sizes.new // 2
            width = 2 if found["dtype"] == "bfloat16" else 4
            limit = int(batch) * read / step_bytes(compiled.graph, Load(int(batch), 1, past), width)
            figures[f"batch {batch}"] = Figure.of(rates, "tokens/s")
            figures[f"batch {batch}, bandwidth"] = Figure.of([r / limit for r in rates], "of the limit")
        yield self._record("decode", model, compiled, order, found, figures, tuple(notes))

    def _start(self, model: Model, compiled: Compiled) -> Iterator[Record]:
        """`compile` loads torch, to prove the source; `check` is the front end alone."""
        figures, sets = {}, [f"--set={name}={json.dumps(v)}" for name, v in model.overrides.items()]
        path = str(find(model.spec, "model"))
        for command, options in (("check", []), ("compile", sets)):
            self._left("starting")
            self.tell(f"{model.spec}: starting `nanogen {command}`")
            timed([command, path, *options])  # writes the bytecode
            spent = [timed([command, path, *options])[0] for _ in range(STARTS)]
            figures[command] = Figure.of(spent, "s", more_is_better=False)
        from runtime.device import describe

        found = {"environment": describe(), "device": "cpu", "dtype": "", "compiled": False}
        yield self._record("start", model, compiled, None, found, figures)

    # -- one process, one record

    def _order(self, what: str, model: Model, compiled: Compiled) -> Order:
        sizes = self.asked.sizes
        length = min(sizes.length or compiled.graph.context, compiled.graph.context)
        rows = sizes.rows or _rows(compiled, length, self.capacity, sizes.most_rows)
        if what == "decode" and sizes.prompt + sizes.new > compiled.graph.context:
            message = f"`{model.spec}` has a context of {compiled.graph.context:,}"
            raise Fault(f"{message}: {sizes.prompt} + {sizes.new} tokens do not fit", "`--set context=256`")
        optimizer = self.asked.optimizer or _optimizer(compiled)
        path = str(find(model.spec, "model").resolve())
        return Order(what, path, model.overrides, rows, length, sizes, optimizer)

    def _left(self, what: str) -> float:
        left = self.begun + self.asked.seconds - time.monotonic()
        if left <= 0:
            raise LeftOut(what)
        return left

    def _child(self, order: Order, cache: str, what: str) -> dict[str, Any]:
        left = self._left(what)
        self.tell(f"{Path(order.spec).stem}: {what}")
        command = [sys.executable, "-m", "stages.benching.child"]
        # an empty cache is empty of the compiler's kernels, too
        env = environment(TORCHINDUCTOR_CACHE_DIR=cache, TRITON_CACHE_DIR=f"{cache}/triton")
        try:
            done = subprocess.run(
                command,
                input=json.dumps(order.plain()),
                env=env,
                capture_output=True,
                text=True,
                timeout=None if math.isinf(left) else left,
            )
        except subprocess.TimeoutExpired as late:
            if (found := _so_far(late.stdout)) is None:
                raise LeftOut(what) from None
            return found
        if done.returncode < 0:  # by a signal: what the system does where memory is short
            return {"fault": OUT_OF_MEMORY}
        if done.returncode:
            raise Broken(f"measuring {what} failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def _hardware(self, found: dict[str, Any]) -> tuple[str, Hardware | None]:
        return fitting(found["environment"].get("gpu") if found["device"] == "cuda" else None, self.asked.on)

    def _record(
        self,
        what: str,
        model: Model,
        compiled: Compiled,
        order: Order | None,
        found: dict[str, Any],
        figures: dict[str, Figure],
        notes: tuple[str, ...] = (),
    ) -> Record:
        told = {
            **facts(what, compiled, model.spec, model.overrides),
            **machine_facts(found["environment"], self.capacity.memory),
            **{name: found[name] for name in ("device", "dtype", "compiled")},
            "sizes": _sizes(what, order),
        }
        return Record(told, figures, notes)


def _so_far(output: bytes | str | None) -> dict[str, Any] | None:
    """The last whole line of a process whose time was over."""
    text = output.decode() if isinstance(output, bytes) else output or ""
    lines = text.split("\n")[:-1]
    return json.loads(lines[-1]) if lines else None


def _sizes(what: str, order: Order | None) -> dict[str, Any]:
    """How much was computed, as far as figures hang on it."""
    if order is None:
        return {}
    if what == "decode":
        return {"prompt": order.sizes.prompt, "new": order.sizes.new}
    return {"rows": order.rows, "length": order.length, "optimizer": order.optimizer}


def _limit_text(read: float, named: str) -> str:
    where = f"the bandwidth of {named}" if named else "measured here"
    return f"share: of what {read / 1e9:,.0f} GB/s allow, {where}"


def _peak(hardware: Hardware | None, dtype: str, float8: float) -> float | None:
    """FLOP/s; None where nobody says them. A share is in float8."""
    if hardware is None or (dtype == "bfloat16" and hardware.peak.bfloat16 is None):
        return None
    return hardware.peak.mixed(dtype, float8)


def _compiled(model: Model) -> Compiled:
    return compile_file(find(model.spec, "model"), model.overrides, name=model.spec)


def _rows(compiled: Compiled, length: int, on: Capacity, most: int) -> int:
    """The largest power of two that fits, up to `most`."""
    width = 2 if on.bfloat16 else 4
    attends = attention(on.device, on.compiles("auto"))
    fit = most_rows(compiled.graph, length, width, optimizer_memory, int(ROOM * on.memory), attends)
    return 1 << (max(1, min(fit, most)).bit_length() - 1)


def _optimizer(compiled: Compiled) -> str:
    """The first of those that ship which moves every parameter of the model."""
    from stages.pretrain import Settings
    from stages.training import recipe

    for name in OPTIMIZERS:
        settings = Settings(steps=1, optimizer=name)
        try:
            recipe.settle(settings, compiled)
        except (Fault, Refusal):
            continue
        return name
    raise Fault(
        f"no optimizer that ships moves all parameters of `{compiled.name}`", "name one with `--optimizer`"
    )
