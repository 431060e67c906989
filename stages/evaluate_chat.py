"""`evaluate_chat`: a model that answers -> how often it is right on tasks, with intervals, and ChatCORE.

What is found is kept task by task: a stage that is cut off goes on after it. A task whose data or sandbox is missing
is "not run", with its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from nanogen.structure import Count
from stages.catalogue import MODELS
from stages.choices import at_least, one_of, positive, quiet, setting
from stages.runfile.dial_setting import check_dial_setting
from stages.runfile.unread import Idle
from stages.tasks.catalogue import task_entry
from stages.tasks.mixture import TaskFault, TaskSetting, check_tasks, needs_of_tasks, outside_tasks

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from stages.data.needs import Wish
    from stages.runfile.rehearsal import Small
    from stages.work import Work

READS = (MODELS,)
VERSION = 1
MODEL = False
SEED = True
STANDARD = ("arc_easy", "arc_challenge", "mmlu", "gsm8k", "humaneval", "spelling_bee")
SPELLED = 256  # rows of SpellingBee, of which there are as many as one likes
SAVED = "found.jsonl"


def _standard(download: bool) -> tuple[TaskSetting, ...]:
    """ChatCORE's tasks."""
    rows = {"spelling_bee": Count(SPELLED)}
    return tuple(
        TaskSetting(name, split="test", rows=rows.get(name), download=download and name != "spelling_bee")
        for name in STANDARD
    )


@frozen
class Settings:
    tasks: tuple[TaskSetting, ...] = setting("what to ask; unsaid, ChatCORE's six", default=())
    download: bool = quiet("fetch what ChatCORE's six lack, as the run begins", default=False)
    tokens: int = setting("tokens of an answer, at most", default=512, validator=positive)
    temperature: float = setting(
        "how freely answers are drawn; 0 is greedy", default=0.0, validator=at_least(0)
    )
    samples: int = setting("answers to a question; any right one counts", default=1, validator=positive)
    dials: dict[str, int] | None = setting(
        "where the model's dials stand; unsaid, at their defaults", default=None
    )
    dtype: str = setting(
        "what is computed in; auto is float32 on a CPU, and what the machine is good at elsewhere",
        default="auto",
        validator=one_of("auto", "float32", "bfloat16"),
    )
    rows: int = quiet("answers written at once", default=64, validator=positive)

    @property
    def asked(self) -> tuple[TaskSetting, ...]:
        return self.tasks or _standard(self.download)


def idle(settings: Settings) -> Idle:
    found = {}
    if settings.tasks:
        found["download"] = ("it is for ChatCORE's six, and `tasks` names others", "say it of each task")
    if settings.temperature == 0 and settings.samples > 1:
        help = "give a `temperature` above 0, or leave it out"
        found["samples"] = ("with the temperature at 0, all answers to a question are alike", help)
    return found


def check(settings: Settings, compiled: Compiled | None) -> None:
    check_dial_setting(settings.dials, compiled)
    for row, wanted in enumerate(settings.tasks):
        if task_entry(wanted.task).kind == "conversation":
            message = f"`{wanted.task}` has no answers that can be marked"
            raise TaskFault("tasks", row, message, "leave it to a stage that learns")
        if wanted.epochs > 1:
            message = "`epochs` changes nothing: each question is asked once"
            raise TaskFault("tasks", row, message, "leave it out; `samples` asks for several answers")
    check_tasks(settings.asked, may_lack=True)


def rehearsal(settings: Settings, small: Small) -> Settings:
    """A few rows of each task, and short answers."""
    return evolve(
        settings,
        tasks=small.tasks(settings.asked, small.asked),
        download=False,
        tokens=min(settings.tokens, small.answer),
        samples=min(settings.samples, 2),
    )


def needs(settings: Settings) -> list[Wish]:
    return needs_of_tasks(settings.asked)


def outside(settings: Settings) -> dict[str, Any]:
    return {"data": outside_tasks(settings.asked)}


def run(work: Work) -> None:
    from runtime.decoding.engine import Engine
    from runtime.decoding.prepack import prepare
    from runtime.scoring import Scorer
    from stages.evaluating.chat_run import KEY, NAME, ChatRun
    from stages.evaluating.kept import Kept
    from stages.evaluating.task_results import headline
    from stages.models.artefact import read_artefact
    from stages.models.trained import decoding_machine

    settings: Settings = work.settings
    source = work.input(*MODELS)
    machine = decoding_machine(dtype=settings.dtype, compiled="no")
    work.tell.line(machine.why)
    artefact = read_artefact(source.folder, device=machine.device)
    dtype, blueprint, dials = machine.torch_dtype, artefact.compiled.blueprint, settings.dials or {}

    def make_engine() -> Engine:
        prepare(artefact.model, dtype)
        return Engine(artefact.model, blueprint, rows=settings.rows, dtype=dtype)

    if machine.device != "cpu":  # there choices would have oneDNN keep a kernel for every length of a prompt
        prepare(artefact.model, dtype)
    chat = ChatRun(
        Scorer(artefact.model, blueprint, dtype, dials),
        make_engine,
        artefact.tokenizer,
        settings.tokens,
        settings.temperature,
        settings.samples,
        dials,
        work.seed,
    )
    found = chat.run(settings.asked, Kept(work.saves / SAVED), work.tell)
    work.tell.line(headline(NAME, KEY, found))
    work.finish({"model": {"stage": source.name, "kind": source.kind}, "dials": dials, **found})
