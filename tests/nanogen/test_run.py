"""Run files: the order of stages, circles, and names."""

from nanogen.run import read_run
from nanogen.text.document import parse_document

KINDS = ("dataset", "tokenizer", "pretrain")


def read(text: str):
    document, faults = parse_document("run.toml", text)
    assert not faults
    return read_run(document, KINDS)


def test_stages_come_after_what_they_need_and_otherwise_as_written():
    run, faults = read(
        """
kind = "run"
[stage.c]
uses = "pretrain"
needs = ["b", "a"]
[stage.b]
uses = "tokenizer"
needs = ["a"]
[stage.z]
uses = "dataset"
[stage.a]
uses = "dataset"
"""
    )
    assert not faults
    assert [s.name for s in run.stages] == ["z", "a", "b", "c"]


def test_a_circle_is_written_out():
    text = 'kind = "run"\n[stage.a]\nuses = "dataset"\nneeds = ["b"]\n[stage.b]\nuses = "dataset"\nneeds = ["a"]\n'
    _, faults = read(text)
    assert [f.code for f in faults] == ["NG702"]
    assert "a -> b -> a" in faults[0].message or "b -> a -> b" in faults[0].message


def test_an_empty_run_says_what_to_add():
    _, faults = read('kind = "run"\n')
    assert [f.code for f in faults] == ["NG102"]
    assert "[stage.corpus]" in faults[0].help


def test_a_name_that_cannot_be_a_folder_is_refused():
    _, faults = read('kind = "run"\n[stage."../x"]\nuses = "dataset"\n')
    assert [f.code for f in faults] == ["NG106"]
