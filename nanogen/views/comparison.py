"""Specs side by side, as a table that people read and as records that programs read. Counts nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from nanogen.answers.costs import LABELS, Costs
from nanogen.graph import Graph
from nanogen.planning.budget import Purchase
from nanogen.views.figures import bytes_text, columns

if TYPE_CHECKING:  # who asks for neither does not wait for their imports
    from nanogen.planning.hardware import Hardware
    from nanogen.planning.match import Match


@frozen
class Entry:
    """One row: a model, how the user called it, and what was counted of it."""

    spec: str
    graph: Graph = field(repr=False)
    costs: Costs
    purchase: Purchase | None = None
    match: Match | None = None
    dial: str = ""  # where it stands: `r = 8`

    @property
    def label(self) -> str:
        solved = _setting(self.match) if self.match is not None else ""
        return ", ".join(text for text in (self.graph.name, self.dial, solved) if text)


def table(entries: Sequence[Entry]) -> str:
    """What each model costs; the exact count and the convention's stand in columns of their own."""
    load = entries[0].costs
    several = load.rows > 1
    rows = [
        ["", "", "training", "of these", "convention", "prefill", "decoding", "state", "state"],
        [
            "",
            "parameters",
            "FLOPs a token",
            "attention",
            "6N + 12LHQT",
            "FLOPs",
            "FLOPs",
            "a token",
            f"{load.rows:,} rows" if several else "a row",
        ],
    ]
    cut = any(e.costs.convention_reached != e.costs.convention for e in entries)
    for entry in entries:
        c = entry.costs
        row = [entry.label, f"{c.parameters:,}", f"{c.training:,.0f}", f"{100 * c.attention_share:.1f} %"]
        row += [f"{c.convention:,}", *([f"{c.convention_reached:,}"] if cut else [])]
        row += [f"{c.prefill:,}", f"{c.decode:,}"]
        rows.append([*row, bytes_text(c.state_per_token), bytes_text(c.state)])
    if cut:
        rows[0].insert(5, "convention")
        rows[1].insert(5, "turns reached")
    title = f"{load.rows:,} rows" if several else "one row"
    legend = LEGEND.format("each row" if several else "the row") + (CUT if cut else "")
    return f"{title} of {load.tokens:,} tokens\n\n{columns(rows)}\n\n{legend}"


LEGEND = """\
Exact, save for one column: a query sees its own key and those before it, as far as its window goes. The convention,
6N + 12LHQT, has every query see all T keys: hold it against published numbers, never against the exact ones. Prefill
reads all tokens, decoding makes the last of {}; state is in bfloat16."""

CUT = """
Turns reached: the convention with the backward pass over the turns of a loop that gradients reach, which published
estimators leave out of account."""


def spending(entries: Sequence[Entry], by: str, batch_tokens: int, hardware: Hardware | None) -> str:
    """What each model gets for the budget, and what that was reckoned with."""
    bought = [e.purchase for e in entries if e.purchase is not None]
    head = [f"for {bought[0].flops:.4g} FLOPs", "tokens", "a parameter", "steps"]
    head += ["hours"] if hardware else []
    head += ["dollars"] if hardware and hardware.dollars_an_hour else []
    rows = [head]
    for entry, p in zip(entries, bought, strict=True):
        row = [entry.label, f"{p.tokens:,}", f"{p.tokens_per_parameter:.3g}", f"{p.steps:,}"]
        row += [f"{p.hours:,.4g}"] if p.hours is not None else []
        row += [f"{p.dollars:,.2f}"] if p.dollars is not None else []
        rows.append(row)
    notes = [f"{LABELS[by]}; a step has {batch_tokens:,} tokens."]
    if hardware is not None:
        notes += [_assumed(hardware)]
    return columns(rows) + "\n\n" + "\n".join(notes)


def _assumed(hardware: Hardware) -> str:
    peak = f"{hardware.device_peak / 1e12:,.4g} TFLOP/s in {hardware.dtype}"
    price = hardware.dollars_an_hour
    paid = f"; {price:,.2f} dollars an hour" if price is not None else ""
    return f"{hardware.devices} x {peak} at the peak, of which {100 * hardware.mfu:g} % are assumed{paid}."


def solved(match: Match) -> str:
    """What was solved, both numbers, and what is left between them."""
    scanned = match.found.scanned
    how = f"{match.found.tried:,} numbers tried, {match.found.counted:,} compile"
    if scanned is not None:
        how += f"; no rise or fall throughout, so {scanned[0]:,} to {scanned[1]:,} were scanned"
    rows = [
        [_setting(match), f"was {match.before:,}; {how}"],
        ["  wanted", f"{match.wanted:,.0f} {LABELS[match.by]}"],
        ["  found", f"{match.found.count:,.0f}, {match.percent:+.3f} %, the closest of these"],
    ]
    return columns(rows, right=False)


def _setting(match: Match) -> str:
    return f"{match.dim} = {match.found.value}"


def record(entry: Entry) -> dict[str, Any]:
    """The same numbers under stable keys; those of a budget and of a match only where there is one."""
    c, p, m = entry.costs, entry.purchase, entry.match
    found: dict[str, Any] = {
        "spec": entry.spec,
        "name": entry.graph.name,
        "dials": {name: dial.default for name, dial in entry.graph.dials.items()},
        "rows": c.rows,
        "tokens": c.tokens,
        "parameters": c.parameters,
        "training_flops_per_token": c.training,
        "attention_flops_per_token": c.attention,
        "convention_flops_per_token": c.convention,
        "convention_reached_flops_per_token": c.convention_reached,
        "prefill_flops": c.prefill,
        "decode_flops": c.decode,
        "state_bytes_per_token": c.state_per_token,
        "state_bytes": c.state,
    }
    if p is not None:
        found |= {
            "budget_flops": p.flops,
            "budget_tokens": p.tokens,
            "budget_tokens_per_parameter": p.tokens_per_parameter,
            "budget_steps": p.steps,
            "budget_hours": p.hours,
            "budget_dollars": p.dollars,
        }
    if m is not None:
        found |= {
            "match_dim": m.dim,
            "match_value": m.found.value,
            "match_by": m.by,
            "match_wanted": m.wanted,
            "match_found": m.found.count,
            "match_percent": m.percent,
            "match_spec": m.text,
        }
    return {key: _whole(value) for key, value in found.items()}


def _whole(value: Any) -> Any:
    """A number without a fraction is written as an integer: exact counts mostly are."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def as_csv(entries: Sequence[Entry]) -> str:
    """The records as lines under one heading; the text of a solved spec is left out."""
    import csv
    import io

    records = [{k: v for k, v in record(e).items() if k != "match_spec"} for e in entries]
    for line in records:
        line["dials"] = " ".join(f"{name}={value}" for name, value in line["dials"].items())
    keys = dict.fromkeys(key for r in records for key in r)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(keys), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()
