"""The JSON Schema of optimizers' files, from the classes that read them, so that editors complete and check."""

from __future__ import annotations

from nanogen.language.schema import DRAFT, IDENTIFIER, LAW, Schema, settings_table, table_of
from nanogen.optimizer.spec import SECTIONS, AdamWTable, BatchTable, MuonTable
from nanogen.optimizer.words import RESULTS


def optimizer_schema() -> Schema:
    """The schema of files of `kind = "optimizer"`."""
    name: Schema = {"pattern": IDENTIFIER}
    results = {key: {"description": f"It {text}.", **LAW} for key, text in RESULTS.items()}
    law: Schema = {"description": "A law that others read by its name.", **LAW}
    sections: dict[str, Schema] = {
        "kind": {"description": SECTIONS["kind"], "const": "optimizer"},
        "about": {"description": SECTIONS["about"], "type": "string"},
        "let": table_of(SECTIONS["let"], {}, others=law, names=name),
        "batch": settings_table(BatchTable, SECTIONS["batch"]),
        "group": {**table_of(SECTIONS["group"], {}, others=_group()), "minProperties": 1},
        "schedule": table_of(SECTIONS["schedule"], results, others=law, names=name),
    }
    assert sections.keys() == SECTIONS.keys()
    table = table_of("What moves the weights, and how far.", sections, required=("kind", "about", "group"))
    return {"$schema": DRAFT, "title": "nanogen optimizer", **table}


def _group() -> Schema:
    """A group: which keys it has hangs on its method."""
    adamw, muon = (settings_table(cls, "A group of parameters.") for cls in (AdamWTable, MuonTable))
    of_muon: Schema = {"properties": {"method": {"const": "muon"}}, "required": ["method"]}
    return {"type": "object", "if": of_muon, "then": muon, "else": adamw}
