"""`rl`: a model that answers and questions that can be marked -> a model that is right more often.

Policy gradient as nanochat has it: each question is answered several times, a sample's advantage is its reward less
the mean of its question's, and the loss is summed over drawn tokens and divided by their number in the whole step. No
reference model, no clipping: every step learns from what the present weights wrote. A looped model draws how often it
turns anew for each step, and answers and learns with the same number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from nanogen.answers.flops import training
from nanogen.bounds import OutOfBounds
from nanogen.load import Load
from nanogen.structure import Formulas
from runtime.chat.conversation import Chat
from runtime.chat.message import Message
from runtime.chat.reader import read_message
from runtime.decoding.request import Request, Sampling
from runtime.dials import Dials, draw_dials
from runtime.faults import Fault, TooLarge, is_out_of_memory
from runtime.streams import seed_of
from stages.choices import at_least, positive, quiet, setting
from stages.models.artefact import Artefact, read_artefact, write_artefact
from stages.models.origin import origin_of, task_data
from stages.runfile.unread import Idle, idle_of_length
from stages.tasks.catalogue import task_entry
from stages.tasks.mixture import (
    NAME_SOME,
    TaskFault,
    TaskSetting,
    check_tasks,
    make_mixture,
    needs_of_tasks,
    outside_tasks,
)
from stages.tasks.task import Example, Scored
from stages.training import recipe
from stages.training.at_once import SAMPLING, STEP
from stages.training.fit import Way
from stages.training.fitting import SHARDED
from stages.training.footprint import Footprint, MicroBatch, of_training
from stages.training.session import Figures, Session
from stages.training.settings import SessionSettings, falling
from stages.training.start import make_trainer

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from nanogen.optimizer.settle import Horizon
    from runtime.capacity import Capacity
    from runtime.decoding.engine import Engine
    from runtime.rollouts import Rollout
    from runtime.training import StepResult, Trainer
    from stages.data.needs import Wish
    from stages.runfile.rehearsal import Small
    from stages.work import Work

BEFORE = ("sft", "midtrain", "rl")
READS = (BEFORE,)
VERSION = 1
MODEL = False
SEED = True
LEAST_ANSWER = 8  # tokens of context that a question must leave for its answer


@frozen
class Settings(SessionSettings):
    tasks: tuple[TaskSetting, ...] = setting("what to learn: tasks whose answers can be marked")
    validation: tuple[TaskSetting, ...] = setting("a mixture that is only measured on", default=())
    questions: int = setting("questions of a step", default=16, validator=positive)
    samples: int = setting("answers to each question", default=16, validator=at_least(2))
    tokens: int = setting("tokens of an answer, at most", default=256, validator=positive)
    temperature: float = setting("how freely answers are drawn", default=1.0, validator=positive)
    top_k: int = setting("how many of the likeliest tokens are drawn from", default=50, validator=positive)
    epochs: float = setting("how often to go through the questions", default=1.0, validator=positive)
    steps: int | None = setting("steps to train, in place of epochs", default=None, validator=positive)
    rate_scale: float = setting(
        "what all learning rates are multiplied by", default=0.05, validator=at_least(0), kw_only=True
    )
    schedule: Formulas | None = setting(
        "other laws of the optimizer's schedule, by their names there; unsaid, rates fall from the first step on",
        factory=falling,
        kw_only=True,
    )
    evaluate_every: int = setting(
        "steps between evaluations; 0 is start and end only", default=60, validator=at_least(0), kw_only=True
    )
    evaluate_samples: int = setting(
        "answers to each question of an evaluation; of k, any right one passes at k",
        default=8,
        validator=positive,
    )
    rows: int = quiet("answers written at once", default=64, validator=positive)
    micro_tokens: int = quiet("tokens that gradients are taken on at once", default=8192, validator=positive)

    def __attrs_post_init__(self) -> None:
        if not self.tasks:
            raise OutOfBounds("`tasks` is empty: there is nothing to learn from", NAME_SOME)


def idle(settings: Settings) -> Idle:
    found = idle_of_length(settings)
    if not settings.validation:
        found["evaluate_samples"] = ("there is nothing to evaluate on", "name a mixture as `validation`")
    return found


def check(settings: Settings, compiled: Compiled | None) -> None:
    """The mixtures say what is missing, and must be of questions that can be marked."""
    if settings.weights == SHARDED:
        message = "`weights` is sharded, and answers are written with whole weights"
        raise Fault(message, "leave it out here; stages that learn from what is written already may have it")
    for name, tasks in (("tasks", settings.tasks), ("validation", settings.validation)):
        for row, wanted in enumerate(tasks):
            if task_entry(wanted.task).kind != "generative":
                message = f"`{wanted.task}` has no answers to write"
                raise TaskFault(name, row, message, "leave it to `sft`")
        check_tasks(tasks, setting=name)
    if (
        compiled is not None
    ):  # how many steps there are, the questions say: laws are held to one as they are to many
        recipe.settle(settings, compiled, horizon(settings, compiled))


def rehearsal(settings: Settings, small: Small) -> Settings:
    """A few steps of few and short answers."""
    steps = small.steps(settings.steps)
    return evolve(
        settings,
        tasks=small.tasks(settings.tasks),
        validation=small.tasks(settings.validation, small.asked),
        questions=small.rows,
        samples=2,
        tokens=min(settings.tokens, small.answer),
        steps=steps,
        evaluate_every=settings.evaluate_every and steps // 2,
        evaluate_samples=min(settings.evaluate_samples, 2),
        float8="no",
    )


def horizon(settings: Settings, compiled: Compiled, steps: int | None = None) -> Horizon:
    """How long the stage is; where its steps are not said and its questions not read, one step stands for it."""
    drawn = settings.questions * settings.samples * settings.tokens  # of a step, at most
    return recipe.fixed(steps or settings.steps or 1, drawn, compiled)


def micro_batch(settings: Settings, compiled: Compiled, on: Capacity) -> MicroBatch:
    """Gradients are taken on so many tokens at once, in rows as long as the longest answer."""
    length = min(compiled.graph.context, settings.micro_tokens)
    return MicroBatch(Load(max(1, settings.micro_tokens // length), length), None, on.devices)


def disk(settings: Settings, compiled: Compiled) -> Footprint:
    return of_training(compiled)


def needs(settings: Settings) -> list[Wish]:
    return needs_of_tasks((*settings.tasks, *settings.validation))


def outside(settings: Settings) -> dict[str, Any]:
    data = outside_tasks((*settings.tasks, *settings.validation))
    return {"optimizer": recipe.digest(settings), "data": data}


def run(work: Work) -> None:
    from runtime.decoding.engine import Engine

    settings: Settings = work.settings
    session = Session.begin(work)
    machine = session.machine("no")  # answers and gradients run the same code, and rows of all lengths
    artefact = read_artefact(work.input(*BEFORE).folder, device=machine.device)
    compiled = artefact.compiled
    origin = origin_of(work, task_data(settings.tasks))
    session.take_up({STEP: settings.micro_tokens, SAMPLING: settings.rows}, said=True)
    policy = Policy(
        work,
        artefact,
        session,
        partial(Engine, artefact.model, compiled.blueprint, dtype=machine.torch_dtype),
    )
    questions = policy.questions(settings.tasks, "train")
    held_out = policy.questions(settings.validation, "validation") if settings.validation else []
    steps = settings.steps or max(1, int(settings.epochs * len(questions)) // settings.questions)
    made = recipe.settle(settings, compiled, horizon(settings, compiled, steps))
    trainer = make_trainer(work, compiled, artefact.model, machine, made, loader=None)
    session.prepare(trainer, machine, steps, compiled)
    work.tell.line(
        f"{steps:,} steps of {settings.questions} questions of {len(questions):,}, {settings.samples} answers each"
    )
    session.compiled, session.ways = compiled, ways_of_answers(policy, trainer, questions)
    session.logged_every = 1  # a step is long, and its reward is what one looks at
    session.learn = lambda: policy.step(trainer, questions)
    session.count = lambda _: policy.flops
    session.measure = lambda: policy.measure(held_out) if held_out else {}
    session.told = lambda found: f"{_told(found)} of {len(held_out):,} held-out questions"
    session.train()
    if not work.ranks.leads:
        return
    write_artefact(work.folder, compiled, trainer.weights(), artefact.tokenizer, origin)
    sizes = {"parameters": compiled.blueprint["count"], "questions": len(questions)}
    work.finish({**sizes, "samples": settings.samples, **session.result()})
    if session.first and session.last:
        work.tell.line(f"{_told(session.first)} at the start, {_told(session.last)} at the end")


def _told(found: Figures) -> str:
    return ", ".join(f"{name.replace('_', '@')} {value:.1%}" for name, value in found.items())


def ways_of_answers(policy: Policy, trainer: Trainer, questions: list[Question]) -> dict[str, Way]:
    """What a step computes: answers, as many at once as there are, and gradients on the longest of them."""
    from runtime.probe import try_answers, try_policy_step
    from runtime.rollouts import shape_of

    settings, graph, ranks = policy.settings, policy.artefact.compiled.graph, policy.work.ranks
    longest = min(graph.context, max(len(question.prompt) for question in questions) + settings.tokens)
    most = -(-settings.questions // ranks.count) * settings.samples  # of a step

    def answer(rows: int) -> None:
        engine = policy.make_engine(rows=rows)
        declared = policy.artefact.compiled.blueprint["dials"]
        try_answers(engine, rows=min(rows, most), length=longest, vocab=graph.vocab, dials=declared)

    def load(micro_tokens: int) -> Load:
        rows, length = shape_of(micro_tokens, longest)
        return Load(min(rows, most), length)

    def learn(micro_tokens: int) -> None:
        policy.widest = load(micro_tokens).rows
        try_policy_step(trainer, rows=policy.widest, length=load(micro_tokens).tokens, vocab=graph.vocab)

    def smaller(micro_tokens: int) -> int | None:
        return micro_tokens // 2 if policy.widest > 1 else None

    return {
        SAMPLING: Way(answer, "answers written at once", "one answer"),
        STEP: Way(learn, "tokens that gradients are taken on at once", "one answer", smaller, load),
    }


@frozen
class Question:
    """An example with its prompt as ids."""

    task: Scored
    example: Example
    prompt: tuple[int, ...]
    name: str  # where it stands, for messages

    def reward(self, answer: Message) -> float:
        return self.task.score(self.example, answer)


@define(eq=False)
class Policy:
    """A model that writes answers, and the rewards that they get."""

    work: Work
    artefact: Artefact
    session: Session
    make_engine: Callable[..., Engine]
    flops: int = 0  # of the gradients of the last step
    widest: int = 0  # rows of the largest of its micro-batches, over all ranks
    _engine: Engine | None = field(default=None, init=False)
    _written: tuple[int, list[list[Rollout]]] | None = field(
        default=None, init=False
    )  # of a step that is made again
    format: Chat = field(init=False)
    _count: Callable[..., int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.format, graph = Chat(self.artefact.tokenizer), self.artefact.compiled.graph

        @cache
        def count(rows: int, length: int, dials: tuple[tuple[str, int], ...]) -> int:
            return training(graph, Load(rows, length, dials=dict(dials))).matmul

        self._count = count

    @property
    def settings(self) -> Settings:
        return self.work.settings

    def questions(self, tasks: tuple[TaskSetting, ...], name: str) -> list[Question]:
        """The questions of a mixture; those that leave no room for an answer are left out, and told of."""
        mixture = make_mixture(tasks, seed=self.work.seed)
        most = self.context - LEAST_ANSWER
        kept = []
        for index, example in enumerate(mixture):
            prompt = self.format.prompt(example.asked)
            if len(prompt) <= most:
                task: Any = mixture.tasks[mixture.place(index)[0]]
                kept.append(Question(task, example, prompt, mixture.name(index)))
        if count := len(mixture) - len(kept):
            self.work.tell.line(f"{name}: {count:,} questions are too long for the context and are left out")
        if not kept:
            raise Fault(f"no question of `{name}` fits into the context", "choose other tasks")
        return kept

    @property
    def context(self) -> int:
        return self.artefact.compiled.graph.context

    def step(self, trainer: Trainer, questions: list[Question]) -> StepResult:
        """Answer the next questions, and learn from how good the answers are.

        Raises TooLarge where the memory is too small; answers that are written are learnt from in the next call.
        """
        from runtime.rollouts import policy_batches

        start, step, settings = time.perf_counter(), trainer.step, self.settings
        chosen = [
            questions[(step * settings.questions + n) % len(questions)] for n in range(settings.questions)
        ]
        dials = draw_dials(self.artefact.compiled.blueprint["dials"], seed=self.work.seed, step=step, micro=0)
        mine = self.share(chosen)
        answers = self._answers(mine, step, dials)
        rewards = [[q.reward(self.read(a)) for a in rows] for (_, q), rows in zip(mine, answers, strict=True)]
        rollouts = [rollout for rows in answers for rollout in rows]
        flat = [reward for row in rewards for reward in row]
        advantages = [reward - sum(row) / len(row) for row in rewards for reward in row]
        batches, weights, samples = policy_batches(
            rollouts, advantages, pad=self.artefact.tokenizer.bos, micro_tokens=self.session.size(STEP)
        )
        count, *sums, flops = self.work.ranks.total(
            len(rollouts),
            sum(flat),
            sum(len(r.ids) for r in rollouts),
            sum(r.reason == "length" for r in rollouts),
            sum(self._count(*inputs.shape, tuple(dials.items())) for inputs, _ in batches),
            patient=True,
        )
        names = ("reward", "answer_tokens", "cut_off")
        self.session.noted = {name: found / count for name, found in zip(names, sums, strict=True)}
        self.flops = int(flops)
        drawn = sum(rollout.learnt for rollout in rollouts)

        def holds(micro: int, rows: Sequence[int]) -> list[str]:
            return [f"an answer to {mine[samples[micro][row] // settings.samples][1].name}" for row in rows]

        (self.widest,) = self.work.ranks.most(max(len(inputs) for inputs, _ in batches) if batches else 0)
        self._written = step, answers
        result = trainer.learn(batches, weights, dials, tokens=drawn, start=start, holds=holds)
        self._written = None
        return result

    def _answers(self, questions: list[tuple[int, Question]], step: int, dials: Dials) -> list[list[Rollout]]:
        """The answers of a step; where any rank is out of memory, all are."""
        if self._written is not None and self._written[0] == step:
            return self._written[1]
        found: list[list[Rollout]] = []

        def written() -> tuple[float, ...]:
            found.extend(self.answer(questions, self.settings.samples, ("rollout", step), dials))
            return ()

        try:
            self.work.ranks.measured(written, 0)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            found.clear()
        else:
            return found
        raise TooLarge(SAMPLING)

    def share(self, questions: list[Question]) -> list[tuple[int, Question]]:
        """The questions that this rank answers, numbered among all: by that they draw."""
        ranks = self.work.ranks
        return list(enumerate(questions))[ranks.rank :: ranks.count]

    def measure(self, questions: list[Question]) -> Figures:
        """The share of questions that are passed with one answer, and with any of several."""
        count, mine = self.settings.evaluate_samples, self.share(questions)

        def passed() -> tuple[float, float]:
            answers = self.answer(mine, count, ("evaluation",), {})
            right = [
                [q.reward(self.read(a)) >= 1 for a in rows]
                for (_, q), rows in zip(mine, answers, strict=True)
            ]
            return sum(sum(row) for row in right), sum(any(row) for row in right)

        each, some = self.work.ranks.measured(passed, 2)
        found = {"pass_1": each / (count * len(questions))}
        if count > 1:
            found[f"pass_{count}"] = some / len(questions)
        return found

    def answer(
        self, questions: list[tuple[int, Question]], samples: int, stream: tuple[str | int, ...], dials: Dials
    ) -> list[list[Rollout]]:
        from runtime.rollouts import roll_out

        form, settings = self.format, self.settings
        requests = [
            Request(
                question.prompt,
                settings.tokens,
                Sampling(settings.temperature, settings.top_k, seed=seed_of(self.work.seed, *stream, number)),
                samples,
                form.stop,
                form.never,
                dials,
                form.tool,
            )
            for number, question in questions
        ]
        engine, self._engine = self._engine, None  # one that ran out of memory half way is not used again
        rows = self.session.size(SAMPLING)
        if engine is None or engine.rows != rows:
            engine = self.make_engine(rows=rows)
        found = roll_out(engine, requests)
        self._engine = engine
        return found

    def read(self, rollout: Rollout) -> Message:
        return read_message(rollout.text_ids, self.artefact.tokenizer)
