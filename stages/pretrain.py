"""`pretrain`: a corpus and a tokenizer -> a trained model, with its log.

Saves on a clock and before every evaluation; a run that was cut off goes on from its newest whole save,
bit for bit. What moves the weights, and how long the run is where nothing is said, is the optimizer's (`stages/training/recipe.py`).
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from nanogen.bounds import OutOfBounds
from nanogen.structure import Count
from stages.choices import one_of, positive, quiet, setting
from stages.models.artefact import write_artefact
from stages.models.origin import corpus_data, origin_of
from stages.training import fitting, recipe
from stages.training.at_once import EVALUATION
from stages.training.footprint import Footprint, MicroBatch, of_training
from stages.training.pace import Pace, check_cut, row_length
from stages.training.session import Session, flops_of_steps
from stages.training.settings import SessionSettings
from stages.training.start import make_trainer, new_model

if TYPE_CHECKING:
    from pathlib import Path

    from nanogen.compiler import Compiled
    from nanogen.optimizer.settle import Horizon
    from runtime.batches import HeldBatches
    from runtime.capacity import Capacity
    from runtime.tokenizer import Tokenizer
    from runtime.training import Trainer
    from stages.runfile.rehearsal import Small
    from stages.work import Work

READS = ("dataset", "tokenizer")
VERSION = 3
MODEL = True
SEED = True


@frozen
class Settings(SessionSettings):
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
    rows: int | None = quiet(
        "rows computed at once; unsaid, as many as the machine's memory holds, and off a GPU up to 8",
        default=None,
        validator=positive,
    )
    long_documents: str = setting(
        "crop what does not fit a row, or split it into parts that each open a row",
        default="crop",
        validator=one_of("crop", "split"),
    )
    evaluate_tokens: Count = setting("tokens of an evaluation", default=Count(1_000_000), validator=positive)
    compile: str = quiet(
        "compile the source with torch; auto is where that works",
        default="auto",
        validator=one_of("auto", "yes", "no"),
    )

    def __attrs_post_init__(self) -> None:
        given = [n for n in ("steps", "tokens", "tokens_per_parameter") if getattr(self, n) is not None]
        if len(given) > 1:
            message = f"`{given[0]}` and `{given[1]}` both say how long to train"
            raise OutOfBounds(message, "leave one of the two out")


def rehearsal(settings: Settings, small: Small) -> Settings:
    """A few small steps with a save and an evaluation between them."""
    steps = small.steps(settings.steps)
    return attrs.evolve(
        settings,
        steps=steps,
        tokens=None,
        tokens_per_parameter=None,
        batch_tokens=small.batch_tokens,
        length=None,
        rows=small.rows,
        evaluate_every=settings.evaluate_every and steps // 2,
        evaluate_tokens=small.batch_tokens,
        float8="no",
        compile="no",
    )


def outside(settings: Settings) -> dict[str, Any]:
    """What the optimizer's file says is part of the result."""
    return {"optimizer": recipe.digest(settings)}


def check(settings: Settings, compiled: Compiled) -> None:
    """Refuse what could not be trained: batches, laws, roles."""
    recipe.settle(settings, compiled)
    length = row_length(settings.length, compiled.graph.context)
    check_cut(recipe.horizon(settings, compiled).batch_tokens, length, settings.rows)
    fitting.check_weights(compiled, settings.weights)


def horizon(settings: Settings, compiled: Compiled) -> Horizon:
    return recipe.horizon(settings, compiled)


def micro_batch(settings: Settings, compiled: Compiled, on: Capacity) -> MicroBatch:
    return fitting.micro_batch(
        compiled,
        batch_tokens=recipe.horizon(settings, compiled).batch_tokens,
        length=row_length(settings.length, compiled.graph.context),
        rows=settings.rows,
        dtype=settings.dtype,
        on=on,
        compile=settings.compile,
        weights=settings.weights,
    )


def disk(settings: Settings, compiled: Compiled) -> Footprint:
    return of_training(compiled)


def run(work: Work) -> None:
    from runtime.loader import Loader
    from runtime.tokenizer import Tokenizer

    settings: Settings = work.settings
    compiled = work.model
    session = Session.begin(work)
    step = session.cut_as_begun(micro_batch(settings, compiled, work.on))
    plan = Pace(
        recipe.horizon(settings, compiled).steps, step.load.tokens, step.load.rows, step.accumulation or 1
    )
    machine = session.machine(settings.compile)
    corpus = work.input("dataset").folder
    tokenizer = Tokenizer.load(work.input("tokenizer").folder / "tokenizer.json")
    origin = origin_of(work, corpus_data(corpus, work.input("dataset").name))
    model, shards = new_model(work, compiled, machine, sharded=step.sharded, filled=session.save is None)
    split = settings.long_documents == "split"
    loader = Loader(corpus, tokenizer, rows=plan.rows, length=plan.length, cut_long=split)
    made = recipe.settle(settings, compiled)
    trainer = make_trainer(
        work, compiled, model, machine, made, loader=loader, accumulation=plan.accumulation, shards=shards
    )
    session.prepare(trainer, machine, plan.steps, compiled)
    work.tell.line(
        f"{plan.steps:,} steps of {plan.step_tokens:,} tokens, "
        f"{plan.accumulation} x {plan.rows} rows of {plan.length:,}; {plan.steps * plan.step_tokens:,} tokens in all"
    )
    session.learn = trainer.run_step
    session.count = flops_of_steps(compiled, trainer, plan.length)
    session.fit(compiled, plan.length)
    held_out = lru_cache(1)(lambda rows: _held_out(settings, rows, plan.length, corpus, tokenizer))
    session.measure = lambda: {
        "bits_per_byte": _bits_per_byte(held_out(session.size(EVALUATION)), tokenizer, trainer)
    }
    session.told = lambda found: f"{found['bits_per_byte']:.4f} bits per byte on validation text"
    session.train()
    weights = trainer.weights()
    if not work.ranks.leads:
        return
    write_artefact(work.folder, compiled, weights, tokenizer, origin)
    sizes = {**attrs.asdict(session.paced(plan)), "parameters": compiled.blueprint["count"]}
    work.finish({**sizes, **session.result()})
    if session.first and session.last:
        start, end = session.first["bits_per_byte"], session.last["bits_per_byte"]
        work.tell.line(f"bits per byte: {start:.4f} at the start, {end:.4f} at the end ({end / start:.0%})")


def _held_out(settings: Settings, rows: int, length: int, corpus: Path, tokenizer: Tokenizer) -> HeldBatches:
    """The head of the validation split, encoded once for all evaluations."""
    from runtime.batches import HeldBatches
    from runtime.loader import validation_batches

    make = partial(
        validation_batches,
        corpus,
        tokenizer,
        rows=rows,
        length=length,
        batches=max(1, settings.evaluate_tokens // (rows * length)),
        cut_long=settings.long_documents == "split",
    )
    return HeldBatches(make)


def _bits_per_byte(held_out: HeldBatches, tokenizer: Tokenizer, trainer: Trainer) -> float:
    import torch

    from runtime.losses import bits_per_byte

    sizes = torch.tensor(tokenizer.token_bytes(), device=trainer.device)
    return bits_per_byte(trainer.losses, map(trainer.move, held_out), sizes, trainer.ranks)
