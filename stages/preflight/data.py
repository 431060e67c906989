"""What a stage reads, held to what is here: rows, bundles, tokens of a corpus, prompts.

Knows nothing of memory and disk. Imports no torch; a tokenizer only where the run has made it already.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import evolve

from nanogen.text.diagnostics import Diagnostic, Place
from runtime.faults import Absent
from runtime.manifest import read_manifest
from stages.data.place import DataPlace
from stages.runfile.load import Run, Stage
from stages.tasks.mixture import TaskSetting, make_part
from stages.training import recipe
from stages.work import RESULT


def check_data(run: Run, stage: Stage, folder: Path) -> Iterator[Diagnostic]:
    """What a stage lacks, or will not do as it was asked to; `folder` is the run's."""
    if stage.uses == "evaluate_chat":
        yield from _left_out(stage)
    if stage.uses == "evaluate_base":
        yield from _bundle(stage)
        yield from _prompts(run, stage, folder)
    if stage.uses == "pretrain":
        yield from _epochs(run, stage, folder)
    yield from _answers(run, stage)


def _at(stage: Stage, *keys: str | int) -> Place:
    return Place(("stage", stage.name, "with", *keys))


def _given(run: Run, stage: Stage) -> Mapping[str, Any]:
    """The settings that the run file says."""
    return run.document.data["stage"][stage.name].get("with", {})


# -- what is not here


def _tasks(settings: Any) -> Iterator[tuple[str, int, TaskSetting]]:
    """Every task of every mixture, those that are asked unsaid too."""
    for field in attrs.fields(type(settings)):
        found = getattr(settings, field.name)
        found = found or (getattr(settings, "asked", ()) if field.name == "tasks" else ())
        if isinstance(found, tuple) and found and isinstance(found[0], TaskSetting):
            yield from ((field.name, row, wanted) for row, wanted in enumerate(found))


def _is_here(wanted: TaskSetting) -> bool:
    try:
        make_part(evolve(wanted, download=False), DataPlace.here())
    except Absent:
        return False
    return True


def _left_out(stage: Stage) -> Iterator[Diagnostic]:
    """Tasks that are not here and may not be fetched are not run, and the mean is that of the others, or none."""
    absent = [
        (row, task) for _, row, task in _tasks(stage.settings) if not task.download and not _is_here(task)
    ]
    if not absent:
        return
    named = ", ".join(f"`{task.label}`" for _, task in absent)
    message = f"`{stage.name}` leaves {named} out: not on this machine, and not to be fetched"
    place = _at(stage, "tasks", absent[0][0]) if stage.settings.tasks else Place(("stage", stage.name))
    yield Diagnostic(
        "NG706",
        message,
        place,
        help="let the run fetch them with `download = true`, or get them first: `nanogen fetch RUN`",
    )


def _bundle(stage: Stage) -> Iterator[Diagnostic]:
    core = stage.settings.core
    if core is not None and not Path(core).is_dir():
        message = f"`{stage.name}` does not run CORE: there is no folder `{core}`"
        help = "copy the evaluation bundle there or below NANOGEN_DATA, or leave `core` out"
        yield Diagnostic("NG706", message, _at(stage, "core"), help=help)


# -- what was made already


def _result(run: Run, stage: Stage, folder: Path, uses: str) -> dict[str, Any] | None:
    """The figures of the stage of a kind that a stage needs; None while it is not done."""
    for name in stage.needs:
        if run.stage(name).uses == uses and read_manifest(folder / name) is not None:
            return json.loads((folder / name / RESULT).read_text())
    return None


def _epochs(run: Run, stage: Stage, folder: Path) -> Iterator[Diagnostic]:
    """More tokens than the corpus has are told, once it and its tokenizer are there."""
    corpus, tokenizer = (_result(run, stage, folder, uses) for uses in ("dataset", "tokenizer"))
    if corpus is None or tokenizer is None or stage.compiled is None:
        return
    length = recipe.horizon(stage.settings, stage.compiled)
    has = corpus["train"]["bytes"] / tokenizer["bytes_per_token"]
    epochs = length.steps * length.batch_tokens / has
    if epochs > 1:
        asked = length.steps * length.batch_tokens
        message = (
            f"`{stage.name}` trains on {asked:,} tokens, and the corpus has about {has:,.0f}: "
            f"{epochs:.1f} epochs of the same text"
        )
        yield Diagnostic(
            "NG706", message, Place(("stage", stage.name)), help="take more text, or fewer steps"
        )


def _prompts(run: Run, stage: Stage, folder: Path) -> Iterator[Diagnostic]:
    """A prompt that fills the context cannot be gone on from; told for sure once there is a tokenizer."""
    if stage.compiled is None:
        return
    context, made = stage.compiled.graph.context, None
    for one in run.stages:
        if one.uses == "tokenizer" and read_manifest(folder / one.name) is not None:
            made = folder / one.name / "tokenizer.json"
    long = [(row, p) for row, p in enumerate(stage.settings.prompts) if len(p.encode()) + 1 >= context]
    for row, prompt in long:  # a token is a byte at least, and one opens the document
        count, code = len(prompt.encode()) + 1, "NG706"
        if made is not None:
            from runtime.tokenizer import Tokenizer

            count, code = len(Tokenizer.load(made).encode(prompt)) + 1, "NG704"
        if count >= context:
            most = "has" if made is not None else "may have up to"
            message = (
                f"this prompt {most} {count:,} tokens, and the context holds {context:,} with what follows"
            )
            yield Diagnostic(code, message, _at(stage, "prompts", row), help="shorten it")


def _answers(run: Run, stage: Stage) -> Iterator[Diagnostic]:
    """What may be written is bounded by the context too."""
    tokens = _given(run, stage).get("tokens")
    if stage.uses not in ("evaluate_base", "evaluate_chat", "rl") or tokens is None or stage.compiled is None:
        return
    context = stage.compiled.graph.context
    if stage.settings.tokens >= context:
        message = f"`tokens` is {stage.settings.tokens:,}, and the context ends answers at {context:,} with their prompts"
        yield Diagnostic("NG706", message, _at(stage, "tokens"), help="lower it, or `[set]` a larger context")
