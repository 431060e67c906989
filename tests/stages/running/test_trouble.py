"""What goes wrong with a machine is one message, and what was saved is intact."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from runtime import checkpoint
from runtime.faults import Fault
from stages.running.runner import execute
from stages.running.trouble import as_fault
from stages.training.session import Session
from tests.stages.running.test_runner import states

OFTEN = ("evaluate_every = 3", "evaluate_every = 3, save_minutes = 1e-9")


def test_a_disk_that_fills_while_saving_leaves_the_save_before(write_run, told, tmp_path, monkeypatch):
    run, plain = write_run(OFTEN), checkpoint.write_tensors
    straight = execute(run, tmp_path / "straight", told[0])

    def full(path, tensors):
        if "step_000005" in str(path) and path.name.startswith("optimizer"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        plain(path, tensors)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_tensors", full)
        with pytest.raises(
            Fault, match=r"the disk is full: `.*optimizer.safetensors` could not be written"
        ) as told_of:
            execute(run, tmp_path / "runs", told[0])
    assert "goes on from the last save" in told_of.value.help
    saves = tmp_path / "runs" / run.name / "base" / "saves"
    assert sorted(p.name for p in saves.iterdir()) == ["step_000003", "step_000004"]
    folder = execute(run, tmp_path / "runs", told[0])
    assert "going on from the save at step 4 of 6" in told[1].getvalue()
    weights = [(f / "base" / "weights.safetensors").read_bytes() for f in (straight, folder)]
    assert weights[0] == weights[1]


@pytest.mark.skipif(
    shutil.which("mount") is None or os.geteuid() != 0, reason="mounting needs the rights for it"
)
def test_a_disk_that_is_really_full(write_run, told, tmp_path):
    """A file system of half a megabyte: the run does not fit, says so, and goes on where there is room."""
    small = tmp_path / "small"
    small.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(small)], capture_output=True
    )
    if made.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        with pytest.raises(Fault, match="the disk is full"):
            execute(write_run(OFTEN), small, told[0])
        folder = small / "small"
        assert states(write_run(OFTEN), folder)["corpus"] == "done"
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True, capture_output=True)
        execute(write_run(OFTEN), small, told[0])
        assert set(states(write_run(OFTEN), folder).values()) == {"done"}
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.skipif(
    shutil.which("mount") is None or os.geteuid() != 0, reason="mounting needs the rights for it"
)
def test_a_folder_that_is_read_only(write_run, told, tmp_path):
    run, runs = write_run(), tmp_path / "runs"
    folder = execute(run, runs, told[0])
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(runs)], capture_output=True)
    if made.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        with pytest.raises(Fault, match="cannot be written: read-only file system") as told_of:
            execute(run, runs, told[0])
        assert "--runs" in told_of.value.help
    finally:
        subprocess.run(["umount", str(runs)], check=True)
    assert set(states(run, folder).values()) == {"done"}


def test_an_evaluation_without_memory_costs_no_step(write_run, told, tmp_path, monkeypatch):
    run, plain = write_run(), Session.evaluate
    straight = execute(run, tmp_path / "straight", told[0])

    def scarce(self):
        measure = self.measure
        if self.trainer.step == 3:
            self.measure = lambda: (_ for _ in ()).throw(
                RuntimeError("DefaultCPUAllocator: not enough memory")
            )
        plain(self)
        self.measure = measure

    monkeypatch.setattr(Session, "evaluate", scarce)
    folder = execute(run, tmp_path / "runs", told[0])
    assert "step 3: not evaluated, there is not enough memory for it" in told[1].getvalue()
    weights = [(f / "base" / "weights.safetensors").read_bytes() for f in (straight, folder)]
    assert weights[0] == weights[1]


def test_mistakes_of_ours_are_not_told_as_the_machine_s():
    assert as_fault(RuntimeError("shapes do not fit"), Path()) is None
    assert as_fault(OSError(errno.ENOTDIR, "not a directory"), Path()) is None
    fault = as_fault(MemoryError(), Path())
    assert fault is not None
    assert "not enough memory" in fault.message


def test_what_safetensors_says_of_a_full_disk_is_understood(tmp_path):
    class SafetensorError(Exception):
        pass

    error = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    fault = as_fault(error, tmp_path)
    assert fault is not None
    assert fault.message.startswith("the disk is full")


def test_the_best_weights_are_kept_where_they_are_asked_for(write_run, told, tmp_path, monkeypatch):
    values, kept = iter([9.0, 1.0, 5.0]), []
    run = write_run((OFTEN[0], f'{OFTEN[1]}, keep = "best"'))
    last = execute(write_run(OFTEN), tmp_path / "last", told[0])
    plain = Session.evaluate

    def judged(self):
        value = next(values)
        self.measure = lambda: {"bits_per_byte": value}
        plain(self)
        if self.trainer.step == 6:  # older than the two that are kept anyway
            kept.append(load_file(self.work.saves / "step_000003" / "weights.safetensors"))

    monkeypatch.setattr(Session, "evaluate", judged)
    folder = execute(run, tmp_path / "runs", told[0])
    assert "the weights are those of step 3, the best" in told[1].getvalue()
    found = load_file(folder / "base" / "weights.safetensors")
    ended = load_file(last / "base" / "weights.safetensors")
    assert all(torch.equal(found[name], kept[0][name]) for name in found)
    assert not all(torch.equal(found[name], ended[name]) for name in found)
