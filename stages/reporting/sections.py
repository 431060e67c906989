"""The sections of a report, each from what one stage left. Knows nothing of pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nanogen.views.figures import columns, seconds_text
from stages.evaluating.task_results import headline, table
from stages.reporting.page import Section
from stages.work import Input

TRAINING = {
    "pretrain": "Pretraining",
    "midtrain": "Midtraining",
    "sft": "Fine-tuning",
    "rl": "Reinforcement learning",
}
EVALUATIONS = ("evaluate_base", "evaluate_chat")
MEASURED = {
    "loss": ("validation loss, nats a token", ".4f"),
    "bits_per_byte": ("validation bits per byte", ".4f"),
}
PANELS = {  # of the curves: what of the steps, and what of the evaluations
    "other": (("loss", "training loss, nats a token"), ("bits_per_byte", "validation, bits a byte")),
    "rl": (
        ("reward", "reward of the answers that are learnt from"),
        ("pass_1", "held-out questions answered right"),
    ),
}


def training(found: Input, *, alone: bool = True) -> Section:
    """What a stage trained, or how far it came: its log is there from the first step on."""
    from runtime.metrics import read_metrics
    from stages.reporting.curves import curves

    title = TRAINING[found.kind] + ("" if alone else f" of {found.name}")
    events = read_metrics(found.folder / "metrics.jsonl")
    picture = curves(events, *PANELS["rl" if found.kind == "rl" else "other"])
    if not found.done:
        steps = [event["step"] for event in events if event["kind"] == "step"]
        reached = f"not finished: step {steps[-1]:,} is the last in its log" if steps else "not finished"
        return Section(title, facts=(("state", reached),), picture=picture)
    result = found.result
    facts = (
        *((label, _change(result[key], form)) for key, (label, form) in MEASURED.items() if key in result),
        *((key.replace("_", "@"), _change(result[key], ".1%")) for key in result if key.startswith("pass_")),
        ("tokens", f"{result['tokens']:,} learnt from in {result['steps']:,} steps"),
        ("tokens a parameter", f"{result['tokens'] / result['parameters']:.2f}"),
        ("training FLOPs", f"{result['flops']:.3e}, {result['flops'] / result['seconds']:.3e} a second"),
        ("time", _time(result)),
    )
    groups = [("group", "tensors", "parameters", "rate")]
    groups += [
        (g["name"], f"{g['tensors']:,}", f"{g['parameters']:,}", f"{g['rate']:.4g}") for g in result["groups"]
    ]
    return Section(title, facts=facts, text=columns(groups), picture=picture)


def _time(result: dict[str, Any]) -> str:
    told = f"{seconds_text(result['seconds'])}, {result['tokens_per_second']:,.0f} tokens/s"
    if "waited" not in result:  # it was not measured before
        return told
    return f"{told}; {result['waited'] / max(result['seconds'], 1e-9):.1%} of it waiting for batches"


def _change(found: dict[str, float], form: str) -> str:
    return f"{found['start']:{form}} at the start, {found['end']:{form}} at the end"


def evaluation(found: Input) -> Section:
    return _base(found) if found.kind == "evaluate_base" else _chat(found)


def _chat(found: Input) -> Section:
    from stages.evaluating.chat_run import KEY, NAME

    result = found.result
    facts = (("model", result["model"]["stage"]), ("mean", headline(NAME, KEY, result)))
    return Section(f"Answers of {result['model']['stage']}", facts=facts, text=columns(table(result)))


def _base(found: Input) -> Section:
    from stages.evaluating.core_run import KEY, NAME, beside

    result = found.result
    core, train = result["core"], result["train_bits_per_byte"]
    facts = [("bits per byte", f"{result['bits_per_byte']:.4f} on the whole validation split")]
    if train is not None:
        facts.append(("of the training split", f"{train:.4f} on a part of it"))
    if result["dials"]:
        facts.append(("dials", ", ".join(f"{name} = {value}" for name, value in result["dials"].items())))
    facts += [
        ("CORE", headline(NAME, KEY, core)),
        *([("on the same tasks", others)] if (others := beside(core)) else []),
        ("samples drawn at", f"temperature {result['temperature']:g}"),
    ]
    samples = tuple((s["prompt"], s["text"]) for s in result["samples"])
    text = columns(table(core)) if core["tasks"] else ""
    return Section(f"Text of {result['model']['stage']}", facts=tuple(facts), text=text, samples=samples)


def sources(done: Sequence[Input]) -> list[Section]:
    """What the models were made from. A tokenizer that was evaluated is told of there."""
    told = {found.result["digest"] for found in done if found.kind == "tokenizer_eval"}
    sections = []
    for found in done:
        if found.kind == "dataset":
            sections.append(_corpus(found))
        elif found.kind == "tokenizer" and found.result["digest"] not in told:
            sections.append(_tokenizer(found))
        elif found.kind == "tokenizer_eval":
            sections.append(_tokenizer_eval(found))
    return sections


def _corpus(found: Input) -> Section:
    result = found.result
    facts = [("source", result["source"])]
    for split in ("train", "validation"):
        facts.append((split, f"{result[split]['documents']:,} documents, {result[split]['bytes']:,} bytes"))
    return Section("Data", facts=tuple(facts))


def _tokenizer(found: Input) -> Section:
    result = found.result
    rate = ("compression", f"{result['bytes_per_token']:.3f} bytes a token on the validation split")
    return Section("Tokenizer", facts=(("ids", f"{result['vocab']:,}"), rate, ("sha256", result["digest"])))


def _tokenizer_eval(found: Input) -> Section:
    from stages.evaluating.compression_table import MEANING, against, ids, missing, ours, ran, speed

    result = found.result
    facts = [("ids", ids(result)), ("sha256", result["digest"]), ("encoding", speed(result))]
    facts += missing(result)
    if len(ran(result)) > 1:
        facts.append(("", MEANING))
    return Section("Tokenizer", facts=tuple(facts), text=f"{against(result)}\n\n{ours(result)}")


def environment(found: Input) -> Section:
    return Section("Environment", facts=tuple(found.result["environment"].items()))


def lineage(inputs: Sequence[Input]) -> Section:
    from runtime.manifest import read_manifest

    rows: list[Any] = [("stage", "kind", "identity", "finished", "seconds")]
    for found in inputs:
        m = read_manifest(found.folder) or {}
        rows.append(
            (
                found.name,
                found.kind,
                m.get("identity", "")[:12],
                *((m.get("finished", ""), str(m.get("seconds", ""))) if found.timed else ("", "")),
            )
        )
    return Section("Lineage", text=columns(rows, right=False))
