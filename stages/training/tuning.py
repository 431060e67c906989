"""Train a model on conversations: what midtraining and supervised fine-tuning have in common.

The mixture is rendered once into the stage's saves, packed whole into rows, and learnt from for so many epochs or
steps. What is held out for validation is a mixture of its own. What a kind of stage offers (stages/catalogue.py) stands
here for both, but for what they read and run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from attrs import frozen

from nanogen.bounds import OutOfBounds
from nanogen.structure import Count, Formulas
from runtime.chat.conversation import render
from runtime.streams import seed_of
from stages.choices import at_least, one_of, positive, quiet, setting
from stages.models.artefact import read_artefact, write_artefact
from stages.models.origin import origin_of, task_data
from stages.runfile.unread import Idle, idle_of_length
from stages.tasks.mixture import (
    NAME_SOME,
    Mixture,
    TaskSetting,
    check_tasks,
    make_mixture,
    needs_of_tasks,
    outside_tasks,
)
from stages.training import fitting, recipe
from stages.training.at_once import EVALUATION
from stages.training.footprint import Footprint, MicroBatch, of_training
from stages.training.pace import Pace, check_cut, row_length
from stages.training.session import Figures, Session, flops_of_steps
from stages.training.settings import SessionSettings, falling
from stages.training.start import make_trainer, trained_model

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from nanogen.optimizer.settle import Horizon
    from runtime.capacity import Capacity
    from runtime.conversations import ConversationLoader
    from runtime.tokenizer import Tokenizer
    from runtime.training import Trainer
    from stages.data.needs import Wish
    from stages.progress import Bar
    from stages.runfile.rehearsal import Small
    from stages.work import Work


@frozen
class Tuning(SessionSettings):
    """Settings of every stage that trains on conversations."""

    tasks: tuple[TaskSetting, ...] = setting("what to learn from: a mixture of tasks")
    validation: tuple[TaskSetting, ...] = setting("a mixture that is only measured on", default=())
    learn: str = setting(
        "what counts in the loss: what the assistant writes, or every token",
        default="answers",
        validator=one_of("answers", "all"),
    )
    epochs: float = setting("how often to go through the mixture", default=1.0, validator=positive)
    steps: int | None = setting("steps to train, in place of epochs", default=None, validator=positive)
    batch_tokens: Count = setting("tokens of a step", default=Count(65_536), validator=positive)
    length: int | None = setting("tokens of a row; unsaid, the context", default=None, validator=positive)
    rows: int | None = quiet(
        "rows computed at once; unsaid, as many as the machine's memory holds, and off a GPU up to 8",
        default=None,
        validator=positive,
    )
    schedule: Formulas | None = setting(
        "other laws of the optimizer's schedule, by their names there; unsaid, rates fall from the first step on",
        factory=falling,
        kw_only=True,
    )
    evaluate_every: int = setting(
        "steps between evaluations; 0 is start and end only", default=150, validator=at_least(0), kw_only=True
    )
    compile: str = quiet(
        "compile the source with torch; auto is where that works",
        default="auto",
        validator=one_of("auto", "yes", "no"),
    )

    def __attrs_post_init__(self) -> None:
        if not self.tasks:
            raise OutOfBounds("`tasks` is empty: there is nothing to learn from", NAME_SOME)


def horizon(settings: Tuning, compiled: Compiled, steps: int | None = None) -> Horizon:
    """How long the stage is; before its mixture is rendered and where its steps are not said, one step stands for it."""
    return recipe.fixed(steps or settings.steps or 1, settings.batch_tokens, compiled)


def micro_batch(settings: Tuning, compiled: Compiled, on: Capacity) -> MicroBatch:
    """What a step computes at once."""
    return fitting.micro_batch(
        compiled,
        batch_tokens=settings.batch_tokens,
        length=row_length(settings.length, compiled.graph.context),
        rows=settings.rows,
        dtype=settings.dtype,
        on=on,
        compile=settings.compile,
        weights=settings.weights,
    )


AnyTuning = TypeVar("AnyTuning", bound=Tuning)


def check(settings: Tuning, compiled: Compiled | None) -> None:
    """Refuse what could not be trained; the mixtures say for themselves what is missing."""
    if compiled is not None:
        length = row_length(settings.length, compiled.graph.context)
        check_cut(settings.batch_tokens, length, settings.rows)
        fitting.check_weights(compiled, settings.weights)
        recipe.settle(settings, compiled, horizon(settings, compiled))
    check_tasks(settings.tasks)
    check_tasks(settings.validation, setting="validation")


def rehearsal(settings: AnyTuning, small: Small) -> AnyTuning:
    """A few small steps on a few rows of each task, with a save and an evaluation between them."""
    steps = small.steps(settings.steps)
    return attrs.evolve(
        settings,
        tasks=small.tasks(settings.tasks),
        validation=small.tasks(settings.validation),
        steps=steps,
        batch_tokens=small.batch_tokens,
        length=None,
        rows=small.rows,
        evaluate_every=settings.evaluate_every and steps // 2,
        float8="no",
        compile="no",
    )


def outside(settings: Tuning) -> dict[str, Any]:
    """What the optimizer's file says, and the files of the tasks."""
    data = outside_tasks((*settings.tasks, *settings.validation))
    return {"optimizer": recipe.digest(settings), "data": data}


def idle(settings: Tuning) -> Idle:
    return idle_of_length(settings)


def disk(settings: Tuning, compiled: Compiled) -> Footprint:
    return of_training(compiled)


def needs(settings: Tuning) -> list[Wish]:
    """The named data of both mixtures."""
    return needs_of_tasks((*settings.tasks, *settings.validation))


def tune(work: Work, before: tuple[str, ...]) -> None:
    """Run the stage: `before` are the kinds of stages whose model it goes on with."""
    settings: Tuning = work.settings
    session = Session.begin(work)
    machine = session.machine(settings.compile)
    folder = work.input(*before).folder
    artefact = read_artefact(folder, device=machine.device if work.ranks.count == 1 else "meta")
    compiled, tokenizer = artefact.compiled, artefact.tokenizer
    origin = origin_of(work, task_data(settings.tasks))
    step = session.cut_as_begun(micro_batch(settings, compiled, work.on))
    rows, length, accumulation = step.load.rows, step.load.tokens, step.accumulation or 1
    loader = _loader(work, "train", settings.tasks, tokenizer, rows, length)
    held_out = None
    if settings.validation:
        held_out = _loader(work, "validation", settings.validation, tokenizer, rows, length)
    epoch_steps = loader.epoch_rows / (rows * accumulation)
    steps = settings.steps or max(1, round(settings.epochs * epoch_steps))
    plan = Pace(steps, length, rows, accumulation)
    made = recipe.settle(settings, compiled, horizon(settings, compiled, steps))
    model, shards = trained_model(work, artefact, folder, machine, sharded=step.sharded)
    trainer = make_trainer(
        work, compiled, model, machine, made, loader=loader, accumulation=accumulation, shards=shards
    )
    session.prepare(trainer, machine, steps, compiled)
    work.tell.line(
        f"{steps:,} steps of {plan.step_rows:,} rows of {length:,}, {accumulation} x {rows}: "
        f"{steps / epoch_steps:.2f} epochs of {loader.epoch_rows:,} rows"
    )
    session.learn = trainer.run_step
    session.count = flops_of_steps(compiled, trainer, length)
    session.fit(compiled, length, evaluates=held_out is not None)
    session.measure = lambda: (
        _measure(held_out, session.size(EVALUATION), tokenizer, trainer) if held_out else {}
    )
    session.told = _told
    session.train()
    weights = trainer.weights()
    if not work.ranks.leads:
        return
    write_artefact(work.folder, compiled, weights, tokenizer, origin)
    sizes = {
        **attrs.asdict(session.paced(plan)),
        "parameters": compiled.blueprint["count"],
        "epochs": steps / epoch_steps,
        "conversations": len(loader.conversations),
    }
    work.finish({**sizes, **session.result()})
    if session.first and session.last:
        work.tell.line(f"{_told(session.first)} at the start, {_told(session.last)} at the end")


def _loader(
    work: Work,
    name: str,
    tasks: tuple[TaskSetting, ...],
    tokenizer: Tokenizer,
    rows: int,
    length: int,
) -> ConversationLoader:
    """The rows of a mixture, which is rendered first where an earlier start has not done so."""
    from runtime.conversations import (
        ConversationLoader,
        is_written,
        read_conversations,
        write_conversations,
    )

    folder, settings = work.saves / f"rendered_{name}", work.settings

    def named(number: int) -> str:
        return make_mixture(tasks, seed=work.seed).name(number)

    with work.ranks.leader_first():
        if is_written(folder, row_tokens=length + 1):
            found = read_conversations(folder)
        else:
            mixture = make_mixture(tasks, seed=work.seed)
            with work.tell.bar(f"rendering {name}", len(mixture)) as bar:
                rendered = _rendered(mixture, tokenizer, settings.learn == "all", bar)
                found = write_conversations(folder, rendered, row_tokens=length + 1)
    work.tell.line(
        f"{name}: {len(found):,} conversations, {len(found.ids):,} tokens, {found.supervised:,} of them learnt"
    )
    if found.cropped or found.left_out:
        work.tell.line(
            f"{name}: {found.cropped:,} were longer than a row and lost their end, "
            f"{found.left_out:,} had nothing to learn within one and are left out"
        )
    seed = seed_of(work.seed, work.name, name)
    return ConversationLoader(found, rows, length, tokenizer.bos, seed, name=named)


def _rendered(
    mixture: Mixture, tokenizer: Tokenizer, everything: bool, bar: Bar
) -> Iterator[tuple[list[int], list[int]]]:
    for number, example in enumerate(mixture, 1):
        found = render(example.messages, tokenizer)
        yield found.ids, [1] * len(found.ids) if everything else found.mask
        bar.advance(number)


def _measure(held_out: ConversationLoader, rows: int, tokenizer: Tokenizer, trainer: Trainer) -> Figures:
    """Nats a supervised token, and bits per byte of what the assistant writes, over the whole mixture."""
    import torch

    from runtime.losses import measure

    sizes = torch.tensor(tokenizer.token_bytes(), device=trainer.device)
    found = measure(trainer.losses, map(trainer.move, held_out.once(rows)), sizes, trainer.ranks)
    return {"loss": found.nats_per_token, "bits_per_byte": found.bits_per_byte}


def _told(found: Figures) -> str:
    return f"loss {found['loss']:.4f}, {found['bits_per_byte']:.4f} bits per byte on the validation mixture"
