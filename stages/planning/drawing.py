"""A plan as people read it, and as programs do: stages with their costs, memory by line, warnings, what is left out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import click

from nanogen.answers.memory import Ledger
from nanogen.views.figures import bytes_text, columns
from stages.planning.plan import Plan, StagePlan, Training, rows_text
from stages.planning.proposals import Change
from stages.training.fitting import NEAR, room, why

TERMS = {  # of the ledger, and what each is
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimizer state",
    "gathered": "weights whole throughout",
    "layer": "a layer made whole",
    "casts": "casts of weights",
    "activations": "activations",
    "loss": "logits and loss",
    "workspace": "optimizer's workspace",
}
WIDTH = 100  # columns of what is not a table
SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def drawn(plan: Plan) -> str:
    """The whole plan; colours are click's, which drops them where nobody sees them."""
    parts = [_head(plan), _stages(plan), _memory(plan), _fitting(plan), _left_out(plan), _notes(plan)]
    return "\n\n".join(part for part in parts if part)


# -- pieces


def amount(number: float) -> str:
    """`11.2B`; three digits and a letter."""
    for size, letter in SUFFIXES:
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:,.0f}"


def flops_text(flops: float) -> str:
    return f"{flops:.1e}".replace("e+", "e") if flops else ""


def _bound(text: str, at_most: bool) -> str:
    """A number that is only a bound."""
    return f"<{text}" if at_most and text and not text.startswith("<") else text


def _money(dollars: float | None) -> str:
    if dollars is None:
        return ""
    return f"${dollars:,.0f}" if dollars >= 100 else f"${dollars:.2f}" if dollars >= 0.01 else "<$0.01"


def _energy(kilowatt_hours: float | None) -> str:
    if kilowatt_hours is None:
        return ""
    if kilowatt_hours >= 10:
        return f"{kilowatt_hours:,.0f}"
    return f"{kilowatt_hours:.2g}" if kilowatt_hours >= 0.01 else "<0.01"


def time_text(hours: float | None) -> str:
    """`44 s`, `35 min`, `3.8 h`, `6.4 days`: two figures, which is more than is known."""
    if hours is None:
        return ""
    seconds = hours * 3600
    if seconds < 1:
        return "<1 s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if hours < 100:
        return f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h"
    return f"{hours / 24:.1f} days" if hours < 240 else f"{hours / 24:,.0f} days"


def _wrapped(text: str, indent: str = "") -> Iterator[str]:
    """Lines of `WIDTH` columns, those after the first deeper by two."""
    deeper = f"{indent}  "
    return iter(
        textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=deeper, break_on_hyphens=False)
    )


def _heading(text: str) -> str:
    return click.style(text, bold=True)


def _head(plan: Plan) -> str:
    on, hardware = plan.target.on, plan.target.hardware
    many = f"{on.devices} x " if on.devices > 1 else ""
    where = f"{many}{on.name or on.device.upper()}, {bytes_text(on.memory)} of memory each"
    where = where.removesuffix(" each") if on.devices == 1 else where
    lines = [_heading(f"{plan.run} on {plan.target.name}: {where}"), *_wrapped(plan.target.assumed)]
    if hardware is not None:
        price, taken = hardware.dollars_an_hour, hardware.kilowatts
        said = [f"{price:,.2f} dollars an hour"] if price is not None else []
        said += [f"{taken:g} kW at the devices' limit"] if taken is not None else []
        lines += [", ".join(said)] if said else []
    return "\n".join(lines)


def _stages(plan: Plan) -> str:
    heads = ["stage", "kind", "FLOPs", "tokens", "steps", "a step", "time", "cost", "kWh", "disk"]
    rows = [row for stage in plan.stages if any((row := _row(plan, stage))[2:])]  # the others are left out
    stages, hours = len(rows), [plan.hours(at_most=flag) for flag in (False, True)]
    rows.append(_total(plan, "in all", hours[0]))
    if hours[1] is not None and hours[1] != hours[0]:
        rows.append(_total(plan, "at most", hours[1], at_most=True))
    width = max(len(row[1]) for row in (heads, *rows))
    for row in (heads, *rows):
        row[1] = row[1].ljust(width)
    used = [c for c in range(len(heads)) if c < 2 or any(row[c] for row in rows)]
    table = columns([[row[c] for c in used] for row in (heads, *rows)])
    head, *lines = table.split("\n")
    return "\n".join([_heading(head), *lines[:stages], *map(_heading, lines[stages:])])


def _row(plan: Plan, stage: StagePlan) -> list[str]:
    target, training = plan.target, stage.training
    steps = "" if training is None else "?" if training.steps is None else f"{training.steps:,}"
    written = stage.disk.kept + stage.disk.passing if stage.disk is not None else 0
    disk = bytes_text(written) if written else ""
    costs = [
        time_text(stage.hours),
        _money(target.dollars(stage.hours)),
        _energy(target.kilowatt_hours(stage.hours)),
    ]
    return [
        stage.name,
        stage.uses,
        _bound(flops_text(stage.flops), stage.at_most),
        _bound(amount(stage.tokens) if stage.tokens else "", stage.at_most),
        _bound(steps, training is not None and training.at_most),
        _cut(training) if training is not None else "",
        *(_bound(cost, stage.at_most) for cost in costs),
        disk,
    ]


def _cut(training: Training) -> str:
    """`8 x 4 x 8`; what a step is made of."""
    step = training.step
    if step.accumulation is None:
        return f"{step.load.rows * step.load.tokens:,} tokens"
    if step.sharded:
        return f"{training.rows} x {training.passes} x {step.ranks}"
    devices = f" x {step.devices}" if step.devices > 1 else ""
    return f"{step.load.rows} x {step.accumulation}{devices}"


def _total(plan: Plan, name: str, hours: float | None, at_most: bool = False) -> list[str]:
    stages = [s for s in plan.stages if at_most or not s.at_most]
    disk = "" if at_most else bytes_text(plan.disk.kept + plan.disk.passing)
    tokens, target = sum(s.tokens for s in stages), plan.target
    costs = [time_text(hours), _money(target.dollars(hours)), _energy(target.kilowatt_hours(hours))]
    return [
        name,
        "",
        flops_text(sum(s.flops for s in stages)),
        amount(tokens) if tokens else "",
        "",
        "",
        *costs,
        disk,
    ]


# -- memory


def _distinct(plan: Plan) -> Iterator[tuple[str, Training]]:
    """Stages whose steps are alike stand in one column."""
    alike: list[tuple[list[str], Training]] = []
    for stage in plan.trained:
        assert stage.training is not None, stage.name
        key = (stage.training.ledger, stage.training.step)
        known = next((names for names, found in alike if (found.ledger, found.step) == key), None)
        if known is not None:
            known.append(stage.name)
        else:
            alike.append(([stage.name], stage.training))
    return ((", ".join(names), training) for names, training in alike)


def _memory(plan: Plan) -> str:
    found = list(_distinct(plan))
    if not found:
        return ""
    several, bracketed = len(found) > 1, False
    rows = [["memory of a device", *(names for names, _ in found)], ["rows at once", *map(_shape, found)]]
    for key, text in TERMS.items():
        cells = [_cell(key, training) for _, training in found]
        bracketed = bracketed or any(cell.startswith("(") for cell in cells)
        if any(cells):
            rows.append([f"  {text}{_part(key, found)}", *cells])
    rows.append(["  at the peak", *(bytes_text(training.ledger.total) for _, training in found)])
    shares = [training.ledger.total / plan.target.on.memory for _, training in found]
    rows.append([f"  of {bytes_text(plan.target.on.memory)}", *(f"{share:.0%}" for share in shares)])
    head, *lines, peak, last = columns(rows).split("\n")
    colour = "green" if all(training.fits for _, training in found) else "red"
    told = [_heading(head), *lines, click.style(peak, fg=colour), click.style(last, fg=colour)]
    told += ["  (in brackets: not there at the peak)"] if bracketed else []
    for names, training in found:
        about = f"{names}: " if several else ""
        told += [line for text in _reasons(training, plan) for line in _wrapped(f"{about}{text}", "  ")]
    return "\n".join(told)


def _shape(found: tuple[str, Training]) -> str:
    return f"{found[1].rows} x {found[1].step.load.tokens:,}"


def _cell(key: str, training: Training) -> str:
    """The size of a term; in brackets where it is not there at the peak."""
    size: int = getattr(training.ledger, key)
    if not size:
        return ""
    return f"({bytes_text(size)})" if key in _absent(training.ledger) else bytes_text(size)


def _absent(ledger: Ledger) -> tuple[str, ...]:
    """The terms that are not there at the peak: that is as backward begins, or as the weights are moved."""
    if ledger.gradients + ledger.workspace > ledger.computing:
        return ("gathered", "layer", "casts", "activations", "loss")
    absent = ("workspace",) if ledger.accumulates else ("workspace", "gradients")
    return absent if ledger.in_layer else (*absent, "layer")


def _part(key: str, found: list[tuple[str, Training]]) -> str:
    """`, 1/8`: what a device keeps of what the devices share."""
    steps = [training.step for _, training in found]
    if key in ("weights", "gradients"):
        steps = [step for step in steps if step.sharded]
    most = max((step.together for step in steps), default=1)
    return f", 1/{most}" if key in ("weights", "gradients", "optimizer") and most > 1 else ""


def _reasons(training: Training, plan: Plan) -> Iterator[str]:
    step = training.step
    if step.accumulation is None:
        yield f"{step.load.rows * step.load.tokens:,} tokens at once, by `micro_tokens`"
    else:
        times = "one micro-batch" if step.accumulation == 1 else f"{step.accumulation:,} micro-batches"
        if training.weights:
            yield training.weights
        yield f"{rows_text(step.load.rows)}: {why(step)}; {times} a step"
    following = training.next_ledger
    if following is not None:
        most = max(("activations", "loss", "workspace"), key=lambda key: getattr(following, key))
        yield (
            f"{rows_text(training.next_rows or 0)} would take {bytes_text(following.total)}, of it "
            f"{bytes_text(getattr(following, most))} for {TERMS[most]}; a step may take {NEAR:.0%}, "
            f"{bytes_text(room(plan.target.on))}"
        )
    if training.sent:
        yield _sending(training, plan)


def _sending(training: Training, plan: Plan) -> str:
    """What devices hand to one another in a step; the longer of both is what is reckoned with."""
    sent = f"a device sends {bytes_text(training.sent)} of gradients and weights a step"
    target, devices = plan.target, training.step.together
    computing = target.hours(
        training.step_flops, target.dtype(training.dtype), devices, training.float8.share
    )
    if target.hardware is None or target.hardware.interconnect is None or computing is None:
        return sent
    sending = target.sending(training.sent)
    longer = "; the network is what a step waits for" if sending > computing else ""
    return f"{sent}: {1000 * 3600 * sending:,.0f} ms, beside {1000 * 3600 * computing:,.0f} ms of computing{longer}"


# -- words


def _fitting(plan: Plan) -> str:
    lines: list[str] = []
    for stage, text in plan.warnings:
        first, *rest = _wrapped(f"warning: {text}")
        label = click.style("warning:", fg="yellow", bold=True)
        lines += [first.replace("warning:", label, 1), *rest]
        training = next(one.training for one in plan.trained if one.name == stage)
        assert training is not None, stage
        helps = [str(change) for change in training.changes]
        if not training.fits and not helps and not plan.of_all:
            helps = ["no smaller model of this spec fits: take a larger device"]
        lines += _helps(helps)
    return "\n".join([*lines, *_helps([str(plan.of_all)] if plan.of_all else [])])


def _helps(helps: list[str]) -> Iterator[str]:
    """What to write, one or another."""
    for place, text in enumerate(helps):
        yield from _wrapped(f"{' or' if place else '= help:'} {text}", "  ")


def _left_out(plan: Plan) -> str:
    alike: dict[str, list[str]] = {}  # what is left out of several stages is told once
    for stage in plan.stages:
        for text in stage.left_out:
            alike.setdefault(text, []).append(stage.name)
    told = [(", ".join(names), text) for text, names in alike.items()]
    of_text = [stage.name for stage in plan.stages if stage.training is None and not stage.efforts]
    told += [(", ".join(of_text), "the time that the CPU takes over text")] if of_text else []
    if not told:
        return ""
    lines = [line for name, text in told for line in _wrapped(f"{name}: {text}", "  ")]
    return "\n".join([_heading("left out of the sums"), *lines])


def _notes(plan: Plan) -> str:
    """What numbers mean, and what the run reads from outside."""
    notes = [
        *_data(plan),
        *_float8(plan),
        "a step: rows at once x micro-batches x devices; `rl` takes tokens of answers at once",
        "disk: what stays of a stage, with its saves while it works; in all: the most at once",
    ]
    if any(stage.at_most for stage in plan.stages):
        notes.append(
            "<: at most, prompts as long as the context, answers as long as they may be, rows not packed"
        )
    alone = any(effort.parts == 1 for stage in plan.stages for effort in stage.efforts)
    if plan.target.on.devices > 1 and alone:
        notes.append("stages that evaluate use one of the devices, and are paid for on all")
    if any(s.model is not None and s.model.graph.dials for s in plan.stages):
        notes.append(
            "dials are taken at their defaults; memory and FLOPs of a step change with what is drawn"
        )
    compiled = ", and what compiled attention keeps" if plan.target.on.device == "cpu" else ""
    notes.append(
        f"FLOPs are matmuls, forward and backward; memory is that of a step that is not compiled{compiled}"
    )
    return "\n".join(click.style(line, dim=True) for note in notes for line in _wrapped(note))


def _float8(plan: Plan) -> Iterator[str]:
    """Why 8-bit products are reckoned with or not: what is alike is told once."""
    alike: dict[str, list[str]] = {}
    for stage in plan.trained:
        if stage.training is not None and stage.training.float8.why:
            alike.setdefault(stage.training.float8.why, []).append(stage.name)
    for reason, names in alike.items():
        about = "" if len(alike) == 1 else f"{', '.join(names)}: "
        yield f"float8: {about}{reason}{_at_peak(plan) if reason.startswith('on, as asked:') else ''}"


def _at_peak(plan: Plan) -> str:
    hardware = plan.target.hardware
    if hardware is None:
        return ""
    return f", at {100 * hardware.mfu:g} % of {hardware.peak.of('float8') / 1e12:,.4g} TFLOP/s as well"


def _data(plan: Plan) -> Iterable[str]:
    data = plan.data
    if not data.files:
        return
    size = f", {bytes_text(data.bytes)} known" if data.bytes else ""
    unknown = f", the size of {data.unknown:,} not known here" if data.unknown else ""
    yield f"data: {data.files:,} files, {data.missing:,} to fetch{size}{unknown} (`nanogen fetch RUN --dry-run` asks)"


# -- for programs


def record(plan: Plan) -> dict[str, Any]:
    """The same as plain values; bytes, hours, dollars and kWh, None where they are not known."""
    on, target = plan.target.on, plan.target
    hours = {name: plan.hours(at_most=flag) for name, flag in (("counted", False), ("at_most", True))}
    return {
        "run": plan.run,
        "on": target.name,
        "device": {"kind": on.device, "name": on.name, "memory": on.memory, "devices": on.devices},
        "assumed": target.assumed,
        "fits": plan.fits,
        "stages": [_stage_record(plan, stage) for stage in plan.stages],
        "hours": hours,
        "dollars": {name: target.dollars(found) for name, found in hours.items()},
        "kilowatt_hours": {name: target.kilowatt_hours(found) for name, found in hours.items()},
        "disk": {"kept": plan.disk.kept, "passing": plan.disk.passing},
        "data": {"files": plan.data.files, "missing": plan.data.missing, "bytes": plan.data.bytes},
        "warnings": [{"stage": stage, "message": text} for stage, text in plan.warnings],
        "change_of_all": None if plan.of_all is None else _change_record(plan.of_all),
    }


def _stage_record(plan: Plan, stage: StagePlan) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "uses": stage.uses,
        "flops": stage.flops,
        "tokens": stage.tokens,
        "hours": stage.hours,
        "dollars": plan.target.dollars(stage.hours),
        "kilowatt_hours": plan.target.kilowatt_hours(stage.hours),
        "at_most": stage.at_most,
        "disk": None if stage.disk is None else {"kept": stage.disk.kept, "passing": stage.disk.passing},
        "training": None if stage.training is None else _training_record(stage.training, plan),
        "counted": [{"what": e.what, "flops": e.flops, "at_most": e.at_most} for e in stage.efforts],
        "left_out": list(stage.left_out),
    }


def _training_record(training: Training, plan: Plan) -> dict[str, Any]:
    step, ledger = training.step, training.ledger
    return {
        "steps": training.steps,
        "steps_at_most": training.at_most,
        "batch_tokens": training.batch_tokens,
        "length": step.load.tokens,
        "rows": step.load.rows,
        "accumulation": step.accumulation,
        "devices": step.devices,
        "weights": {"sharded_over": step.ranks if step.sharded else 1, "why": training.weights or None},
        "why": why(step),
        "memory": {**{key: getattr(ledger, key) for key in TERMS}, "peak": ledger.total},
        "room": room(plan.target.on),
        "fits": training.fits,
        "float8": {"share": training.float8.share, "why": training.float8.why},
        "changes": [_change_record(change) for change in training.changes],
    }


def _change_record(change: Change) -> dict[str, Any]:
    return {
        "setting": change.setting,
        "value": change.value,
        "table": ".".join(change.table),
        "note": change.note,
    }
