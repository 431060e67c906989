"""A run held to a machine: what does not fit it is told at its stage, before anything is written."""

import os
import re

import pytest
from attrs import evolve

from nanogen.text.diagnostics import Refusal
from nanogen.text.draw import find
from runtime.capacity import Capacity
from stages.preflight import checks as module
from stages.preflight.checks import preflight, refuse, undone
from stages.training.fitting import NEAR
from stages.training.footprint import SAVES

MACHINE = Capacity("cpu", memory=16 * 2**30, bfloat16=False, compiler=True)
ALL = ("corpus", "tokenizer", "base", "evaluation", "report")
MUCH = 2**50
LARGER = ("batch_tokens = 64, rows = 2", "batch_tokens = 4096, rows = 256")


@pytest.fixture
def held(write_run, tmp_path):
    """A function from changes of the run and of the machine to what is told."""

    def tell(*changes, on=MACHINE, free=MUCH, stages=ALL, folder=None):
        run = write_run(*changes)
        found = preflight(run, folder or tmp_path / "runs" / run.name, stages, on=on, free=free)
        return [(d.code, find(run.document, d.place).text, d.message, d.help) for d in found]

    return tell


def test_a_run_that_fits_is_told_nothing_of(held, tmp_path):
    assert held() == []
    assert not (tmp_path / "runs").exists()


def test_what_is_done_is_held_to_nothing(held):
    assert held(on=evolve(MACHINE, memory=1), free=0, stages=()) == []


# -- memory


def ledgers(write_run, *changes):
    base = write_run(*changes).stage("base")
    return base.kind.micro_batch(base.settings, base.compiled, MACHINE).ledger(base.compiled, 4)


def test_a_model_that_no_batch_makes_fit_is_refused(held, write_run):
    found = ledgers(write_run)
    fixed = found.weights + found.optimizer
    assert held(on=evolve(MACHINE, memory=fixed + found.activations)) != []
    [(code, line, message, help)] = held(on=evolve(MACHINE, memory=fixed - 1))
    assert (code, line) == ("NG705", "[stage.base]")
    assert message.startswith("the weights of `base` and what its optimizer keeps take ")
    assert "smaller dims" in help


def test_a_step_near_the_limit_is_warned_of_with_rows_that_fit(held, write_run):
    just = int(ledgers(write_run, LARGER).total / NEAR) + 1
    assert held(LARGER, on=evolve(MACHINE, memory=just)) == []
    [(code, line, message, help)] = held(LARGER, on=evolve(MACHINE, memory=just - 2))
    assert (code, line) == ("NG706", "[stage.base]")
    assert "at 256 rows of 16, and this machine has " in message
    fits = int(re.search(r"write `rows = (\d+)` in ", help)[1])  # pyright: ignore[reportOptionalSubscript]
    assert 128 <= fits < 256
    [(_, _, message, _)] = held(LARGER, on=evolve(MACHINE, memory=just - 2, device="cuda"))
    assert "this GPU has" in message


def test_numbers_are_as_narrow_as_the_machine_or_the_run_has_them(held, write_run):
    on = evolve(MACHINE, memory=int(ledgers(write_run, LARGER).total / 2))
    unsaid = (' dtype = "float32",', "")
    wide, auto = held(LARGER, on=on), held(LARGER, unsaid, on=on)
    narrow = held(LARGER, (' dtype = "float32",', ' dtype = "bfloat16",'), on=on)
    assert wide == auto
    assert wide[0][2] != narrow[0][2]
    assert held(LARGER, unsaid, on=evolve(on, bfloat16=True)) == narrow


# -- the disk and the folder


def test_a_disk_that_does_not_hold_the_saves_is_refused(held, write_run):
    found = ledgers(write_run)
    training = found.weights + SAVES * (found.weights + found.optimizer)
    needed = training + module.SPARE + sum_of_texts(write_run)
    assert held(free=needed) == []
    [(code, line, message, help)] = held(free=needed - 1)
    assert (code, line) == ("NG705", "[stage.base]")
    assert "for `base`" in message
    assert "--runs" in help


def sum_of_texts(write_run) -> int:
    corpus = write_run().stage("corpus")
    return corpus.kind.disk(corpus.settings, None).kept


def test_saves_that_lie_there_already_need_no_room(held, write_run, tmp_path):
    found = ledgers(write_run)
    needed = found.weights + SAVES * (found.weights + found.optimizer) + module.SPARE
    folder = tmp_path / "runs" / "small"
    saves = folder / "base" / "saves" / "step_000003"
    saves.mkdir(parents=True)
    assert len(held(free=needed - 1000, stages=("base",), folder=folder)) == 1
    (saves / "weights.safetensors").write_bytes(bytes(1000))
    assert held(free=needed - 1000, stages=("base",), folder=folder) == []


def test_a_file_where_the_folder_would_be_is_refused(held, tmp_path):
    (tmp_path / "file").write_text("")
    [(code, _, message, _)] = held(folder=tmp_path / "file" / "small")
    assert code == "NG705"
    assert message.endswith(f"`{tmp_path / 'file'}` is no folder")


def test_a_folder_that_may_not_be_written_is_refused(held, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    [(code, _, message, _)] = held()
    assert code == "NG705"
    assert message.endswith(f"nothing may be written in `{tmp_path}`")


def test_what_is_compiled_needs_a_compiler(held):
    [(code, line, message, _help)] = held(
        ('compile = "no"', 'compile = "yes"'), on=evolve(MACHINE, compiler=False)
    )
    assert (code, "compile =" in line) == ("NG705", True)
    assert "no C++ compiler" in message
    assert held(('compile = "no"', 'compile = "auto"'), on=evolve(MACHINE, compiler=False)) == []
    assert held(('compile = "no"', 'compile = "yes"')) == []


# -- whole


def test_a_refusal_carries_the_document(write_run, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "here", lambda *_: evolve(MACHINE, memory=1000))
    run = write_run()
    with pytest.raises(Refusal) as refusal:
        refuse(run, tmp_path / "runs" / run.name, ALL)
    assert refusal.value.document is run.document
    monkeypatch.setattr(module, "here", lambda *_: MACHINE)
    assert refuse(run, tmp_path / "runs" / run.name, ALL) == []


def test_the_stages_that_are_not_done(trained_run, write_run, tmp_path):
    run = write_run()
    assert undone(run, tmp_path / "runs" / "small") == [stage.name for stage in run.stages]
    assert undone(run, trained_run / "runs" / "small") == []


def test_float8_is_asked_of_a_device_that_has_it(held):
    asked = ('dtype = "float32"', 'float8 = "yes"')
    [(code, line, message, help)] = held(asked)
    assert (code, "float8 =" in line) == ("NG705", True)
    assert message == "`base` is to multiply in float8, and CPU does not"
    assert '"auto"' in help
    assert held(asked, on=evolve(MACHINE, device="cuda", float8=True)) == []
    assert held(('dtype = "float32"', 'float8 = "auto"')) == []
