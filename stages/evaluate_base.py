"""`evaluate_base`: a trained model -> bits per byte of both splits, samples of its text, and CORE.

CORE is run where `core` names an evaluation bundle; a task of it that cannot be run is told as such, and does not
end the stage. What is found is kept as it comes: a stage that is cut off goes on after it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from nanogen.structure import Count
from runtime.faults import Fault
from stages.catalogue import MODELS
from stages.choices import at_least, one_of, place, positive, quiet, setting
from stages.data.needs import Bundle, Wish
from stages.data.place import data_folder
from stages.runfile.dial_setting import check_dial_setting
from stages.runfile.unread import Idle
from stages.sources.files import file_facts

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from stages.models.artefact import Artefact
    from stages.runfile.rehearsal import Small
    from stages.work import Work

READS = ("dataset", MODELS)
VERSION = 3
MODEL = False
SEED = True
PROMPTS = ("The", "There are", "It was")
ROWS = 8  # of a batch
SHOWN = 600  # characters of a sample in the terminal
SAVED = "found.jsonl"
BUNDLE = "eval_bundle"


@frozen
class Settings:
    prompts: tuple[str, ...] = setting(
        "what samples begin with; an empty one is the start of a document, or of a part of one",
        default=PROMPTS,
    )
    tokens: int = setting("tokens of each sample", default=120, validator=positive)
    temperature: float = setting(
        "how freely samples are drawn; 0 is greedy", default=0.8, validator=at_least(0)
    )
    top_k: int = setting("how many of the likeliest tokens are drawn from", default=50, validator=positive)
    long_documents: str = setting(
        "crop what does not fit a row, or split it into parts that each open a row",
        default="split",
        validator=one_of("crop", "split"),
    )
    train_tokens: Count = setting(
        "tokens of the training split whose bits per byte are found too; 0 is none",
        default=Count(100_000),
        validator=at_least(0),
    )
    # what counts is the content, not where it lies
    core: str | None = place(
        "the folder of CORE's evaluation bundle, counting from the run file or NANOGEN_DATA; unsaid, CORE is not run",
        default=None,
    )
    core_rows: int = setting("rows of a CORE task at most", default=500, validator=positive)
    core_dtype: str = setting(
        "what CORE is computed in; auto is float32 on a CPU, and what the machine is good at elsewhere",
        default="auto",
        validator=one_of("auto", "float32", "bfloat16"),
    )
    core_compile: str = quiet(
        "compile how CORE reads, on a CPU; auto is where that works and enough is read",
        default="auto",
        validator=one_of("auto", "yes", "no"),
    )
    dials: dict[str, int] | None = setting(
        "where the model's dials stand; unsaid, at their defaults", default=None
    )


def idle(settings: Settings) -> Idle:
    found: dict[str, tuple[str, str]] = {}
    if settings.core is None:
        why = "no evaluation bundle is named"
        found |= dict.fromkeys(
            ("core_rows", "core_dtype", "core_compile"), (why, "name its folder as `core`")
        )
    if not settings.prompts:
        why = "there are no `prompts` to go on from"
        found |= dict.fromkeys(("tokens", "temperature", "top_k"), (why, "name some, or leave it out"))
    elif settings.temperature == 0:
        why = "with the `temperature` at 0, the likeliest token is taken"
        found["top_k"] = (why, "leave it out, or give a `temperature` above 0")
    return found


def check(settings: Settings, compiled: Compiled | None) -> None:
    check_dial_setting(settings.dials, compiled)
    if settings.core is not None and Path(settings.core).is_dir():
        from stages.tasks.core import read_bundle

        try:
            read_bundle(Path(settings.core))
        except Fault as fault:
            help = "name the folder that has `core.yaml` in it, or leave it out"
            raise Fault(f"`core`: {fault.message}", help) from None


def rehearsal(settings: Settings, small: Small) -> Settings:
    """Short samples, and a few rows of CORE, made-up ones where its bundle is not here."""
    made_up = settings.core is not None and not Path(settings.core).is_dir()
    return evolve(
        settings,
        tokens=min(settings.tokens, small.answer),
        train_tokens=min(settings.train_tokens, small.batch_tokens),
        core=small.stand_in("eval_bundle") if made_up else settings.core,
        core_rows=small.core_rows,
    )


def outside(settings: Settings) -> dict[str, Any]:
    """The files of CORE's bundle, by name, size and hash."""
    if settings.core is None:
        return {}
    top = Path(settings.core)
    files = sorted(file for file in top.rglob("*") if file.is_file())
    return {"data": [(file.relative_to(top).as_posix(), *file_facts(file)) for file in files]}


def needs(settings: Settings) -> list[Wish]:
    """CORE's bundle, where it is looked for in the folder of data."""
    from nanogen.data import data_set

    bundle = data_folder() / data_set(BUNDLE).folder
    named = settings.core is not None and Path(settings.core) == bundle
    return [Wish(Bundle(BUNDLE))] if named else []


def run(work: Work) -> None:
    from runtime.device import machine
    from stages.evaluating.core_run import KEY, NAME, beside
    from stages.evaluating.kept import Kept
    from stages.evaluating.task_results import headline
    from stages.models.artefact import read_artefact

    settings: Settings = work.settings
    source, chosen = work.input(*MODELS), machine(dtype="float32", compiled="no")
    artefact = read_artefact(source.folder, device=chosen.device)
    kept = Kept(work.saves / SAVED)
    bits = {
        split: kept.once(f"bits {split}", partial(_bits_per_byte, work, artefact, chosen.device, split))
        for split in ("validation", "train")
    }
    work.tell.line(f"{bits['validation']:.4f} bits per byte on the whole validation split, in float32")
    if bits["train"] is not None:
        work.tell.line(f"{bits['train']:.4f} on {settings.train_tokens:,} tokens of the training split")
    samples = kept.once("samples", partial(_samples, artefact, settings, work.seed))
    for sample in samples:
        work.tell.line()
        work.tell.block(_shown(sample["prompt"], sample["text"]))
    work.tell.line()
    core = _core(work, artefact, kept)  # the last, for it changes the model in place
    work.tell.line(headline(NAME, KEY, core))
    if others := beside(core):
        work.tell.line(f"on the same tasks: {others}")
    work.finish(
        {
            "model": {"stage": source.name, "kind": source.kind},
            "bits_per_byte": bits["validation"],
            "train_bits_per_byte": bits["train"],
            "samples": samples,
            "temperature": settings.temperature,
            "dials": settings.dials or {},
            "core": core,
        }
    )


def _bits_per_byte(work: Work, artefact: Artefact, device: str, split: str) -> float | None:
    import torch

    from runtime.loader import validation_batches
    from runtime.losses import bits_per_byte, token_losses

    settings: Settings = work.settings
    length: int = artefact.compiled.graph.context
    batches = -(-settings.train_tokens // (ROWS * length)) if split == "train" else None
    if batches == 0:
        return None
    found = validation_batches(
        work.input("dataset").folder,
        artefact.tokenizer,
        rows=ROWS,
        length=length,
        batches=batches,
        split=split,
        cut_long=settings.long_documents == "split",
    )
    sizes = torch.tensor(artefact.tokenizer.token_bytes(), device=device)
    moved = ((inputs.to(device), targets.to(device)) for inputs, targets in found)
    made = token_losses(artefact.model, torch.float32, ending=artefact.compiled.blueprint["ending"])
    losses: Any = partial(made, dials=settings.dials)
    with torch.no_grad():
        return bits_per_byte(losses, moved, sizes)


def _samples(artefact: Artefact, settings: Settings, seed: int) -> list[dict[str, str]]:
    from runtime.decoding.request import Sampling
    from runtime.streams import seed_of
    from stages.evaluating.writing import write

    asked = [
        (prompt, Sampling(settings.temperature, settings.top_k, seed=seed_of(seed, "evaluate", number)))
        for number, prompt in enumerate(settings.prompts)
    ]
    written = write(artefact, asked, tokens=settings.tokens, dials=settings.dials)
    return [{"prompt": p, "text": text} for p, (text,) in zip(settings.prompts, written, strict=True)]


def _core(work: Work, artefact: Artefact, kept: Any) -> dict[str, Any]:
    from stages.evaluating.core_run import evaluate_core, not_run

    settings: Settings = work.settings
    if settings.core is None:
        return not_run("the run names no evaluation bundle: `core` is unsaid")
    from runtime.decoding.prepack import prepare
    from runtime.scoring import WORTH, Scorer
    from stages.models.trained import decoding_machine

    chosen = decoding_machine(dtype=settings.core_dtype, compiled=settings.core_compile)
    dtype = chosen.torch_dtype
    if chosen.device != "cpu":  # there oneDNN would keep a kernel for every length of a prompt
        prepare(artefact.model, dtype)
    scorer = Scorer(artefact.model, artefact.compiled.blueprint, dtype, settings.dials or {})
    if chosen.compiles and chosen.device == "cpu":  # elsewhere passes are too large to gain from it
        scorer.compile_from = WORTH if settings.core_compile == "auto" else 0
    folder = Path(settings.core)
    return evaluate_core(
        folder, scorer, artefact.tokenizer, rows=settings.core_rows, kept=kept, tell=work.tell
    )


def _shown(prompt: str, text: str) -> str:
    whole = prompt + text
    return (whole[:SHOWN] + " ..." if len(whole) > SHOWN else whole).strip()
