"""`evaluate`: a trained model -> bits per byte over the whole validation split, and samples of its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from stages.choices import at_least, one_of, positive, setting

if TYPE_CHECKING:
    from stages.artefact import Artefact
    from stages.work import Work

READS = ("dataset", "pretrain")
VERSION = 1
MODEL = False
SEED = True
PROMPTS = ("The", "There are", "It was")
ROWS = 8  # of a batch
SHOWN = 600  # characters of a sample in the terminal


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


def run(work: Work) -> None:
    from runtime.device import machine
    from stages.artefact import read_artefact

    settings: Settings = work.settings
    chosen = machine(dtype="float32", compiled="no")
    artefact = read_artefact(work.input("pretrain").folder, device=chosen.device)
    bits = _bits_per_byte(work, artefact, chosen.device)
    work.tell.line(f"{bits:.4f} bits per byte on the whole validation split, in float32")
    samples = [{"prompt": p, "text": text} for p, text in _samples(artefact, settings, work.seed)]
    for sample in samples:
        work.tell.line()
        work.tell.block(_shown(sample["prompt"], sample["text"]))
    work.tell.line()
    work.finish({"bits_per_byte": bits, "samples": samples, "temperature": settings.temperature})


def _bits_per_byte(work: Work, artefact: Artefact, device: str) -> float:
    import torch

    from runtime.loader import validation_batches
    from runtime.losses import bits_per_byte, token_losses

    batches = validation_batches(
        work.input("dataset").folder,
        artefact.tokenizer,
        rows=ROWS,
        length=artefact.compiled.graph.context,
        cut_long=work.settings.long_documents == "split",
    )
    sizes = torch.tensor(artefact.tokenizer.token_bytes(), device=device)
    moved = ((inputs.to(device), targets.to(device)) for inputs, targets in batches)
    with torch.no_grad():
        return bits_per_byte(token_losses(artefact.model, torch.float32), moved, sizes)


def _samples(artefact: Artefact, settings: Settings, seed: int) -> list[tuple[str, str]]:
    from runtime.decoding.request import Sampling
    from runtime.streams import seed_of
    from stages.writing import write

    asked = [
        (prompt, Sampling(settings.temperature, settings.top_k, seed=seed_of(seed, "evaluate", number)))
        for number, prompt in enumerate(settings.prompts)
    ]
    written = write(artefact, asked, tokens=settings.tokens)
    return [(prompt, text) for prompt, (text,) in zip(settings.prompts, written, strict=True)]


def _shown(prompt: str, text: str) -> str:
    whole = prompt + text
    return (whole[:SHOWN] + " ..." if len(whole) > SHOWN else whole).strip()
