"""What a stage's result depends on: settings, model, seed, the stages it needs, its code's version; and one hash of it.

Never where or when it ran, nor how much is printed. Settings that cannot change a result say so in their
metadata (`result=False`) and are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs

from nanogen.compiler import Compiled
from stages.runfile.load import Stage

Facts = dict[str, Any]  # plain JSON


def facts_of(stage: Stage, needs: Mapping[str, str], seed: int) -> Facts:
    """All that can change the result of a stage; `needs` are the identities of its inputs, by their names."""
    return {
        "uses": stage.uses,
        "version": stage.kind.VERSION,
        "settings": result_settings(stage.settings),
        "needs": dict(needs),
        "model": model_facts(stage),
        "seed": seed if stage.kind.SEED else None,
        "outside": json.loads(json.dumps(outside(stage))),
    }


def identity(facts: Facts) -> str:
    """One hash of the facts; a need is its own identity, whatever it is called."""
    told = {**facts, "needs": list(facts["needs"].values())}
    text = json.dumps(told, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def result_settings(settings: Any) -> dict[str, Any]:
    """The settings that can change a result, as plain values."""
    kept = [f for f in attrs.fields(type(settings)) if f.metadata.get("result", True)]
    values = {f.name: (getattr(settings, f.name), f) for f in kept}
    return {
        name: _plain(value)
        for name, (value, f) in values.items()
        if not (f.metadata.get("later") and value == f.default)
    }


def _plain(value: Any) -> Any:
    """Settings within settings are plain values, too."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return result_settings(value) if attrs.has(type(value)) else value


def model_facts(stage: Stage) -> Any:
    """What a stage reads of the model: all that makes it, or what its kind says (`of_model(compiled)`)."""
    if stage.compiled is None or not stage.kind.MODEL:
        return None
    tell = getattr(stage.kind, "of_model", model_digest)
    return tell(stage.compiled)


def model_digest(compiled: Compiled) -> str:
    """A model is its source, how its parameters start and its dials are drawn, and sizes that data must agree with.

    Its name and the comments of its spec change none of these.
    """
    facts = {name: compiled.blueprint[name] for name in ("vocab", "context", "parameters", "state", "dials")}
    return hashlib.sha256((compiled.source + json.dumps(facts)).encode()).hexdigest()


def outside(stage: Stage) -> dict[str, Any]:
    """What a stage reads from outside the run by what it is called, where its kind says so (`outside(settings)`)."""
    tell = getattr(stage.kind, "outside", None)
    return tell(stage.settings) if tell is not None else {}
