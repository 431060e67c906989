"""Optimizers' files are read strictly: each mistake is one fault at its line."""

from pathlib import Path

import pytest

from nanogen.optimizer.spec import read_optimizer
from nanogen.optimizer.words import ROLES
from nanogen.shelf import shelf, shipped
from nanogen.text.document import parse_document, read_document
from nanogen.text.draw import find

SHIPPED = shipped("optimizer")
TEXT = """kind  = "optimizer"
about = "a test's"
[let]
narrow = "(width / 768) ** -0.5"
[batch]
tokens = "2 ** 19"
[group.matrix]
roles  = ["matrix"]
method = "muon"
rate   = "0.02 * narrow"
[group.rest]
roles  = ["head", "gain"]
method = "adamw"
rate   = 0.01
betas  = [0.8, 0.95]
[schedule]
half = "steps / 2"
rate = "min(1, step / half)"
"""


def faults(text: str) -> list[tuple[int, str]]:
    document, found = parse_document("mine.toml", text)
    assert not found
    spec, found = read_optimizer(document)
    assert (spec is None) == bool(found)
    return sorted((find(document, fault.place).line, fault.code) for fault in found)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_read_and_says_what_it_is(name):
    document, found = read_document(shelf() / "optimizers" / f"{name}.toml")
    spec, more = read_optimizer(document)
    assert spec is not None
    assert not found
    assert not more
    assert len(spec.about) > 20
    taken = [role for group in spec.groups for role in group.table.roles]
    assert sorted(taken) == sorted(ROLES), "an optimizer that ships takes every role that specs have"


def test_the_names_that_ship():
    assert SHIPPED == ["adamw", "muon_adamw_2025", "muon_adamw_2026", "muon_adamw_looped"]
    assert all(
        Path(shelf() / "optimizers" / f"{name}.toml").read_text().startswith("#:schema") for name in SHIPPED
    )


def test_a_whole_file_has_no_faults():
    assert faults(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('"optimizer"', '"optimiser"', [(1, "NG102")]),
        ("about =", "abuot =", [(1, "NG102"), (2, "NG103")]),
        ("width / 768", "widht / 768", [(4, "NG201")]),
        ("width / 768", "step / 768", [(4, "NG201")]),
        ('tokens = "2 ** 19"', 'tokens = "batch_tokens"', [(6, "NG201")]),
        ('tokens = "2 ** 19"', 'tokns = "2 ** 19"', [(6, "NG103")]),
        ('method = "muon"', 'method = "mun"', [(9, "NG704")]),
        ('method = "muon"', 'method = "muon"\nbetas = [0.9, 0.9]', [(10, "NG103")]),
        ('method = "muon"', 'method = "muon"\niterations = 0', [(10, "NG704")]),
        ('method = "muon"', 'method = "muon"\nvariance_beta = 1.0', [(10, "NG704")]),
        ('method = "muon"', 'method = "muon"\nstep = "max(1, rows / colums)"', [(10, "NG201")]),
        ('rate   = "0.02 * narrow"\n', "", [(7, "NG102")]),
        ('rate   = "0.02 * narrow"', "rate = [1]", [(10, "NG704")]),
        ('roles  = ["matrix"]\n', "", [(7, "NG102")]),
        ('["head", "gain"]', '["head", "matrix"]', [(12, "NG107")]),
        ("[0.8, 0.95]", "[0.8]", [(15, "NG704")]),
        ("[0.8, 0.95]", "[0.8, 1.0]", [(15, "NG704")]),
        ("half = ", "width = ", [(17, "NG107"), (18, "NG201")]),
        ("half = ", "narrow = ", [(17, "NG107"), (18, "NG201")]),
        ("step / half", "step / haf", [(18, "NG201")]),
        ("step / half", "step / half(", [(18, "NG011")]),
        ("[schedule]", "[sched]", [(16, "NG103")]),
        ("half = ", "momentun = 0.9\nhalf = ", [(17, "NG103")]),
        ("narrow = ", "wide = 2\nnarrow = ", [(4, "NG103")]),
        ("step / half", "step / steps", [(17, "NG103")]),
    ],
)
def test_a_mistake_is_told_at_its_line(old, new, wanted):
    assert old in TEXT
    assert faults(TEXT.replace(old, new, 1)) == wanted


def test_a_group_with_paths_comes_before_the_one_that_takes_the_whole_role():
    gate = '[group.gate]\nroles = ["matrix"]\npaths = ["*.gate.weight"]\nmethod = "muon"\nrate = 0.01\n'
    assert faults(TEXT.replace("[group.matrix]", gate + "[group.matrix]")) == []
    assert faults(TEXT + gate.replace("[group", "\n[group")) == [(21, "NG107")]
