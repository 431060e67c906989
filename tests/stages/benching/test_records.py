"""Records as lines: nothing private in them, the last of the same kind found, and a broken one told."""

import getpass
import json
import socket

import attrs
import pytest

from nanogen.compiler import compile_file
from nanogen.shelf import find
from runtime.device import describe
from runtime.faults import Fault
from stages.benching.records import CHECKOUT, Record, commit, facts, folder_of, keep, last_like, machine_facts
from stages.benching.samples import Figure
from stages.benching.starting import HOME


def record(rate: float = 100.0, **other) -> Record:
    compiled = compile_file(find("saint_iberis_tiny", "model"))
    told = {
        **facts("train", compiled, "saint_iberis_tiny", {"depth": 4}),
        **machine_facts(describe(), 16 << 30),
        "device": "cpu",
        "dtype": "float32",
        "compiled": False,
        "sizes": {"rows": 8, "length": 256},
    }
    return Record({**told, **other}, {"tokens": Figure.of([rate, rate + 1], "tokens/s")}, ("a note",))


def test_a_line_is_read_as_it_was_written():
    one = record()
    assert Record.read(one.line()) == one
    assert "\n" not in one.line()


def test_a_line_says_nothing_of_people_hosts_and_folders():
    line = record().line()
    assert socket.gethostname() not in line
    assert str(HOME) not in line
    assert "/home" not in line
    user = getpass.getuser()
    assert user not in json.loads(line)["machine"]


def test_it_says_what_it_is_of():
    found = json.loads(record().line())
    for name in ("machine", "device", "threads", "torch", "commit", "spec", "digest", "figures", "at"):
        assert found[name], name
    assert found["commit"] == commit()


def test_the_last_of_the_same_kind_is_found(tmp_path):
    assert last_like(tmp_path, record()) is None
    for rate in (1.0, 2.0):
        path = keep(tmp_path, record(rate))
    for name, value in {
        "machine": "another",
        "threads": 99,
        "device": "cuda",
        "sizes": {"rows": 1},
        "dims": {},
    }.items():
        keep(tmp_path, record(77.0, **{name: value}))
    assert path.name == "train.jsonl"
    assert len(path.read_text().splitlines()) == 7
    found = last_like(
        tmp_path, attrs.evolve(record(5.0), facts={**record().facts, "commit": "later", "torch": "9"})
    )
    assert found is not None
    assert found.figures["tokens"].low == 2.0


def test_a_line_that_is_none_is_told(tmp_path):
    path = keep(tmp_path, record())
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(Fault, match=r"line 2 of .*train.jsonl"):
        last_like(tmp_path, record())


def test_a_checkout_keeps_them_among_its_tests(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder_of(tmp_path / "there") == tmp_path / "there"
    assert folder_of(None) != CHECKOUT
    CHECKOUT.mkdir(parents=True)
    assert folder_of(None) == CHECKOUT
