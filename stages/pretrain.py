"""`pretrain`: a corpus and a tokenizer -> a trained model, with its log.

Saves on a clock and before every evaluation; a run that was cut off goes on from its newest whole save,
bit for bit. What moves the weights, and how long the run is where nothing is said, is the optimizer's (`stages/recipe.py`).
"""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from nanogen.answers.flops import training
from nanogen.load import Load
from nanogen.structure import Count
from runtime.faults import Fault
from stages import recipe
from stages.choices import at_least, one_of, positive, quiet, setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from nanogen.compiler import Compiled
    from nanogen.graph import Graph
    from nanogen.optimizer.settle import Horizon
    from runtime.device import Machine
    from runtime.tokenizer import Tokenizer
    from runtime.training import StepResult, Trainer
    from stages.work import Work

READS = ("dataset", "tokenizer")
VERSION = 3
MODEL = True
SEED = True
LOGGED_EVERY = 10  # steps


@frozen
class Settings(recipe.Tuned):
    steps: int | None = setting("steps to train", default=None, validator=positive)
    tokens: Count | None = setting("tokens to train on, in place of steps", default=None, validator=positive)
    tokens_per_parameter: float | None = setting(
        "tokens to train on a parameter, in place of steps; the optimizer's where none of the three is said",
        default=None,
        validator=positive,
    )
    batch_tokens: Count | None = setting(
        "tokens of a step; unsaid, the optimizer's", default=None, validator=positive
    )
    length: int | None = setting("tokens of a row; unsaid, the context", default=None, validator=positive)
    rows: int | None = quiet("rows computed at once; unsaid, up to 8", default=None, validator=positive)
    long_documents: str = setting(
        "crop what does not fit a row, or split it into parts that each open a row",
        default="crop",
        validator=one_of("crop", "split"),
    )
    evaluate_every: int = setting(
        "steps between evaluations; 0 is start and end only", default=250, validator=at_least(0)
    )
    evaluate_tokens: Count = setting("tokens of an evaluation", default=Count(1_000_000), validator=positive)
    save_minutes: float = quiet("minutes between saves", default=10.0, validator=positive)
    dtype: str = setting(
        "what training computes in; auto is what the machine is good at",
        default="auto",
        validator=one_of("auto", "float32", "bfloat16"),
    )
    compile: str = quiet(
        "compile the source with torch; auto is where that works",
        default="auto",
        validator=one_of("auto", "yes", "no"),
    )

    def __attrs_post_init__(self) -> None:
        given = [n for n in ("steps", "tokens", "tokens_per_parameter") if getattr(self, n) is not None]
        if len(given) > 1:
            raise ValueError(f"`{given[0]}` and `{given[1]}` both say how long to train: give one")


@frozen
class Pace:
    """Steps and batches, all numbers settled."""

    steps: int
    length: int  # tokens of a row
    rows: int  # of a micro-batch
    accumulation: int  # micro-batches of a step

    @property
    def step_tokens(self) -> int:
        return self.length * self.rows * self.accumulation


def pace(settings: Settings, horizon: Horizon, context: int) -> Pace:
    """Settle batches; raises Fault where they do not divide."""
    batch_tokens = horizon.batch_tokens
    length = settings.length or context
    if length > context:
        raise Fault(f"`length` is {length:,} tokens, and the model's context is {context:,}", "lower it")
    if batch_tokens % length:
        near = max(length, round(batch_tokens / length) * length)
        message = f"`batch_tokens` is {batch_tokens:,}, which is not whole rows of {length:,} tokens"
        raise Fault(message, f"{near:,} would be")
    all_rows = batch_tokens // length
    rows = settings.rows or max(r for r in range(1, min(8, all_rows) + 1) if all_rows % r == 0)
    if all_rows % rows:
        message = f"`rows` is {rows}, and a batch of {all_rows:,} rows does not split into such micro-batches"
        raise Fault(message, "it has to divide the batch")
    return Pace(horizon.steps, length, rows, all_rows // rows)


def outside(settings: Settings) -> str:
    """What the optimizer's file says is part of the result."""
    return recipe.digest(settings)


def check(settings: Settings, compiled: Compiled) -> None:
    """Refuse what could not be trained: batches, laws, roles."""
    recipe.settle(settings, compiled)
    pace(settings, recipe.horizon(settings, compiled), compiled.graph.context)


def run(work: Work) -> None:
    from runtime.device import be_deterministic, describe, machine

    settings: Settings = work.settings
    plan = pace(settings, recipe.horizon(settings, work.model), work.model.graph.context)
    session = _Session(work, plan)
    because = "as the run began" if session.dtype else "as asked"
    chosen = machine(dtype=session.dtype or settings.dtype, compiled=settings.compile, because=because)
    be_deterministic()
    work.tell.line(chosen.why)
    session.prepare(chosen)
    work.tell.line(
        f"{plan.steps:,} steps of {plan.step_tokens:,} tokens, "
        f"{plan.accumulation} x {plan.rows} rows of {plan.length:,}; {plan.steps * plan.step_tokens:,} tokens in all"
    )
    session.train()
    session.finish({**describe(), "device": chosen.device, "dtype": chosen.dtype})


class _Session:
    """One pretraining run from its start, or its newest save, to its end."""

    def __init__(self, work: Work, plan: Pace):
        from runtime.checkpoint import newest_save
        from runtime.metrics import Metrics
        from runtime.tokenizer import Tokenizer

        self.work, self.plan, self.settings = work, plan, work.settings
        self.corpus = work.input("dataset").folder
        self.tokenizer: Tokenizer = Tokenizer.load(work.input("tokenizer").folder / "tokenizer.json")
        self.metrics = Metrics(work.folder / "metrics.jsonl")
        self.saves = work.saves
        self.save = newest_save(self.saves, work.tell.line)
        self.saved_at = time.monotonic()
        self.seconds = 0.0  # of training steps, over all parts of the run
        self.flops = 0  # of training, each micro-batch where its dials stood
        self.micro_flops = flops_by_dials(work.model.graph, plan)
        self.first_bpb = self.last_bpb = float("nan")

    @property
    def dtype(self) -> str | None:
        """A run goes on in the dtype it began with, whatever this machine would choose."""
        return self.save.state["dtype"] if self.save else None

    def prepare(self, machine: Machine) -> None:
        """Build model, optimizer and loader, as new or as they were saved."""
        self.machine = machine
        self.trainer = self._trainer()
        if self.save is None:
            self.metrics.cut(0)
            return
        groups = {name: self.save.tensors(name) for name in ("weights", "optimizer", "loader")}
        self.trainer.restore(self.save.step, groups)
        state = self.save.state
        self.metrics.cut(state["metrics_bytes"])
        self.seconds, self.flops = state["seconds"], state["flops"]
        self.first_bpb, self.last_bpb = state["first_bpb"], state["last_bpb"]
        self.work.tell.line(f"going on from the save at step {self.save.step:,} of {self.plan.steps:,}")

    def _trainer(self) -> Trainer:
        from runtime.loader import Loader
        from runtime.model import build, initialize
        from runtime.training import Trainer

        compiled, settings, plan = self.work.model, self.settings, self.plan
        model = build(compiled.source, compiled.blueprint, device=self.machine.device)
        if self.save is None:
            initialize(model, compiled.blueprint, seed=self.work.seed)
        made = recipe.settle(settings, compiled)
        split = settings.long_documents == "split"
        return Trainer(
            model=model,
            optimizer=made.optimizer(model, self.machine.dtype),
            schedule=made.schedule,
            loader=Loader(self.corpus, self.tokenizer, rows=plan.rows, length=plan.length, cut_long=split),
            accumulation=plan.accumulation,
            dtype=self.machine.torch_dtype,
            device=self.machine.device,
            compiled=self.machine.compiles,
            regions=compiled.blueprint["regions"],
            dials=compiled.blueprint["dials"],
            draws=compiled.blueprint["draws"],
            seed=self.work.seed,
        )

    # -- the loop

    def train(self) -> None:
        trainer, steps = self.trainer, self.plan.steps
        if trainer.step == 0:
            self.evaluate()
            self.first_bpb = self.last_bpb
        elif trainer.step < steps and self.evaluation_due():
            self.evaluate()  # its save came first, so the evaluation itself was cut off
        with self.work.tell.bar("training", steps, trainer.step) as bar:
            while trainer.step < steps:
                result = trainer.run_step()
                self.log(result)
                bar.advance(trainer.step, self.rates(result))
                if trainer.step < steps and self.due():
                    self.write_save()
                    if self.evaluation_due():
                        self.evaluate()
        self.write_save()
        self.evaluate()

    def log(self, result: StepResult) -> None:
        self.seconds += result.seconds
        self.flops += sum(self.micro_flops(tuple(dials.items())) for dials in result.dials)
        if result.step % LOGGED_EVERY == 0 or result.step == self.plan.steps - 1:
            self.metrics.log(
                kind="step",
                step=result.step,
                loss=round(result.loss, 6),
                tokens=(result.step + 1) * self.plan.step_tokens,
                rate=round(result.rate, 6),
                tokens_per_second=round(result.tokens / result.seconds, 1),
                seconds=round(self.seconds, 3),
                flops=self.flops,
                **({"dials": mean_dials(result.dials)} if result.dials[0] else {}),
            )

    def rates(self, result: StepResult) -> str:
        return f"loss {result.loss:.3f}  {result.tokens / result.seconds:,.0f} tokens/s"

    def evaluation_due(self) -> bool:
        every = self.settings.evaluate_every
        return bool(every) and self.trainer.step % every == 0

    def due(self) -> bool:
        """Saves come on a clock, and always before an evaluation."""
        return self.evaluation_due() or time.monotonic() - self.saved_at > self.settings.save_minutes * 60

    def write_save(self) -> None:
        from runtime.checkpoint import write_save

        self.metrics.sync()
        state = {
            "dtype": self.machine.dtype,
            "metrics_bytes": self.metrics.size,
            "seconds": self.seconds,
            "flops": self.flops,
            "first_bpb": self.first_bpb,
            "last_bpb": self.last_bpb,
        }
        write_save(self.saves, self.trainer.step, self.trainer.groups(), state)
        self.saved_at = time.monotonic()

    def evaluate(self) -> None:
        """Measure bits per byte on the head of the validation split."""
        import torch

        from runtime.loader import validation_batches
        from runtime.losses import bits_per_byte

        plan, trainer = self.plan, self.trainer
        batches = validation_batches(
            self.corpus,
            self.tokenizer,
            rows=plan.rows,
            length=plan.length,
            batches=max(1, self.settings.evaluate_tokens // (plan.rows * plan.length)),
            cut_long=self.settings.long_documents == "split",
        )
        sizes = torch.tensor(self.tokenizer.token_bytes(), device=self.machine.device)
        self.last_bpb = bits_per_byte(trainer.losses, map(trainer.move, batches), sizes)
        self.metrics.log(
            kind="validation",
            step=trainer.step,
            tokens=trainer.step * plan.step_tokens,
            bits_per_byte=round(self.last_bpb, 6),
            seconds=round(self.seconds, 3),
        )
        self.work.tell.line(f"step {trainer.step:,}: {self.last_bpb:.4f} bits per byte on validation text")

    def finish(self, environment: dict[str, str]) -> None:
        from stages.artefact import write_artefact

        weights = dict(self.trainer.groups()["weights"])
        write_artefact(self.work.folder, self.work.model, weights, self.tokenizer)
        tokens = self.plan.steps * self.plan.step_tokens
        result: dict[str, Any] = {
            **attrs.asdict(self.plan),
            "tokens": tokens,
            "parameters": self.work.model.blueprint["count"],
            "flops": self.flops,
            "seconds": round(self.seconds, 2),
            "tokens_per_second": round(tokens / max(self.seconds, 1e-9), 1),
            "bits_per_byte": {"start": self.first_bpb, "end": self.last_bpb},
            "groups": [attrs.asdict(g) for g in self.trainer.optimizer.groups],
            "environment": environment,
        }
        self.work.finish(result)
        start, end = self.first_bpb, self.last_bpb
        self.work.tell.line(
            f"bits per byte: {start:.4f} at the start, {end:.4f} at the end ({end / start:.0%})"
        )


def flops_by_dials(graph: Graph, plan: Pace) -> Callable[[tuple[tuple[str, int], ...]], int]:
    """Return the function that counts the exact FLOPs of training on a micro-batch, each place of the dials once."""

    @cache
    def count(dials: tuple[tuple[str, int], ...]) -> int:
        return training(graph, Load(plan.rows, plan.length, dials=dict(dials))).matmul

    return count


def mean_dials(dials: tuple[dict[str, int], ...]) -> dict[str, float]:
    """Where the dials of a step stood, over its micro-batches."""
    return {name: sum(d[name] for d in dials) / len(dials) for name in dials[0]}
