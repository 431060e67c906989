"""`report`: what the other stages left -> `report.html` and `report.md`: curves, card, samples, environment.

Made from results and logs alone, so it can be made again at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from nanogen.views.figures import columns, seconds_text
from stages.choices import setting
from stages.report_page import Section, as_html, as_markdown

if TYPE_CHECKING:
    from stages.work import Input, Work

READS = ()
PUBLISHED = ("report.html", "report.md")
VERSION = 1
MODEL = False
SEED = False


@frozen
class Settings:
    title: str | None = setting("the page's title; unsaid, the run's name", default=None)


def run(work: Work) -> None:
    settings: Settings = work.settings
    title = settings.title or work.run
    sections = gather(work)
    (work.folder / "report.html").write_text(as_html(title, sections), encoding="utf-8")
    (work.folder / "report.md").write_text(as_markdown(title, sections), encoding="utf-8")
    where = work.folder.parent / "report.html"
    work.tell.line(f"{len(sections)} sections in {where}")
    work.finish({"sections": [s.title for s in sections]})


def gather(work: Work) -> list[Section]:
    """The sections that the inputs can fill, in the order in which people ask."""
    from nanogen.views.card import card
    from runtime import optimizer_memory

    by_kind: dict[str, list[Input]] = {}
    for found in work.inputs:
        by_kind.setdefault(found.kind, []).append(found)
    sections = []
    for found in by_kind.get("pretrain", []):
        sections.append(_training(found))
    if work.compiled is not None:
        sections.insert(1, Section("Model", text=card(work.compiled, optimizer_memory)))
    sections += [_evaluation(found) for found in by_kind.get("evaluate_base", [])]
    data = [_corpus(found) for found in by_kind.get("dataset", [])]
    data += [_tokenizer(found) for found in by_kind.get("tokenizer", [])]
    sections += data
    sections += [_environment(found) for found in by_kind.get("pretrain", [])]
    if work.inputs:
        sections.append(_lineage(work.inputs))
    return sections


def _training(found: Input) -> Section:
    from runtime.metrics import read_metrics
    from stages.curves import curves

    result = found.result
    bits = result["bits_per_byte"]
    facts = (
        ("validation bits per byte", f"{bits['start']:.4f} at the start, {bits['end']:.4f} at the end"),
        ("tokens", f"{result['tokens']:,} in {result['steps']:,} steps"),
        ("tokens a parameter", f"{result['tokens'] / result['parameters']:.2f}"),
        ("training FLOPs", f"{result['flops']:.3e}, {result['flops'] / result['seconds']:.3e} a second"),
        ("time", f"{seconds_text(result['seconds'])}, {result['tokens_per_second']:,.0f} tokens/s"),
    )
    groups = [("group", "tensors", "parameters", "rate")]
    groups += [
        (g["name"], f"{g['tensors']:,}", f"{g['parameters']:,}", f"{g['rate']:.4g}") for g in result["groups"]
    ]
    picture = curves(read_metrics(found.folder / "metrics.jsonl"))
    return Section("Training", facts=facts, text=columns(groups), picture=picture)


def _evaluation(found: Input) -> Section:
    from stages.core_run import headline, table

    result = found.result
    core, train = result["core"], result["train_bits_per_byte"]
    facts = [("bits per byte", f"{result['bits_per_byte']:.4f} on the whole validation split")]
    if train is not None:
        facts.append(("of the training split", f"{train:.4f} on a part of it"))
    if result["dials"]:
        facts.append(("dials", ", ".join(f"{name} = {value}" for name, value in result["dials"].items())))
    facts += [("CORE", headline(core)), ("samples drawn at", f"temperature {result['temperature']:g}")]
    samples = tuple((s["prompt"], s["text"]) for s in result["samples"])
    text = columns(table(core)) if core["tasks"] else ""
    return Section("Evaluation", facts=tuple(facts), text=text, samples=samples)


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


def _environment(found: Input) -> Section:
    return Section("Environment", facts=tuple(found.result["environment"].items()))


def _lineage(inputs: tuple[Input, ...]) -> Section:
    from runtime.manifest import read_manifest

    rows: list[Any] = [("stage", "kind", "identity", "finished", "seconds")]
    for found in inputs:
        m = read_manifest(found.folder) or {}
        rows.append(
            (
                found.name,
                found.kind,
                m.get("identity", "")[:12],
                m.get("finished", ""),
                str(m.get("seconds", "")),
            )
        )
    return Section("Lineage", text=columns(rows, right=False))
