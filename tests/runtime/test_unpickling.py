"""Pickled checkpoints come in through a process that reads tensors alone, and runs nothing of theirs."""

from __future__ import annotations

import collections
import io
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from runtime import unpickling
from runtime.faults import Fault
from runtime.unpickling import Bounds, convert

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}


class Makes:
    """What a pickle may do: anything. This one makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def brought(tmp_path: Path, name: str = "model.pt") -> dict[str, torch.Tensor]:
    (tmp_path / "room").mkdir(exist_ok=True)
    (made,) = convert([tmp_path / name], tmp_path / "room")
    return load_file(made)


@pytest.mark.parametrize("inside", [None, "model", "state_dict"])
@pytest.mark.parametrize("zipped", [True, False])
def test_every_number_comes_in(tmp_path: Path, zipped: bool, inside: str | None):
    held = collections.OrderedDict(TENSORS)
    found = held if inside is None else {inside: held, "step": 7}
    torch.save(found, tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
    made = brought(tmp_path)
    assert set(made) == set(TENSORS)
    assert all(
        torch.equal(made[name], tensor) and made[name].dtype == tensor.dtype
        for name, tensor in TENSORS.items()
    )


def test_tied_and_turned_tensors_come_in_whole(tmp_path: Path):
    whole = torch.arange(6.0).view(2, 3)
    torch.save({"a": whole, "tied": whole, "turned": whole.T}, tmp_path / "model.pt")
    made = brought(tmp_path)
    assert torch.equal(made["a"], made["tied"])
    assert torch.equal(made["turned"], whole.T)


@pytest.mark.parametrize("how", ["torch", "torch of old", "pickle", "beside tensors"])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, how: str):
    mark, path = tmp_path / "ran", tmp_path / "model.pt"
    match how:
        case "torch":
            torch.save({"a": Makes(mark)}, path)
        case "torch of old":
            torch.save({"a": Makes(mark)}, path, _use_new_zipfile_serialization=False)
        case "pickle":
            path.write_bytes(pickle.dumps(Makes(mark)))
        case _:
            torch.save({**TENSORS, "x": Makes(mark)}, path)
    with pytest.raises(Fault) as caught:
        brought(tmp_path)
    assert "does not come in" in caught.value.message
    if how != "pickle":
        assert caught.match("it asks for `posix.mkdir`, which is code, and nothing of it was run")
    assert not mark.exists()
    out = io.BytesIO()
    torch.save({"a": Makes(mark)}, out)
    out.seek(0)
    torch.load(out, weights_only=False)  # the same file is as hostile as it is meant to be
    assert mark.exists()


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([1, 2], "it holds a list, and no tensors by name"),
        ({}, "it holds nothing"),
        ({"step": 3, "best": 0.5}, "it holds `step`, `best`, which are not tensors by name"),
        ({3: torch.ones(1)}, "which are not tensors by name"),
        ({"state": {}, "param_groups": []}, "the state of an optimizer"),
        ({"a": torch.ones(2).to_sparse()}, "`a` is sparse, quantized or complex"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "`a` is sparse, quantized or complex"),
    ],
    ids=str,
)
def test_what_holds_no_weights_is_said_to(tmp_path: Path, found: object, message: str):
    torch.save(found, tmp_path / "model.pt")
    with pytest.raises(Fault, match=message):
        brought(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text", b"\x80\x05.", bytes(range(7, 250, 3))])
def test_what_is_no_pickle_is_one_fault(tmp_path: Path, content: bytes):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(Fault, match=r"model\.pt` does not come in: \w"):
        brought(tmp_path)


def test_memory_is_bounded(tmp_path: Path):
    torch.save({"a": torch.zeros(64 << 20)}, tmp_path / "model.pt")
    (tmp_path / "room").mkdir()
    tight = Bounds(seconds=60, memory=160 << 20, disk=1 << 30)
    with pytest.raises(Fault, match=r"model\.pt` was not read"):
        convert([tmp_path / "model.pt"], tmp_path / "room", tight)


def test_disk_is_bounded(tmp_path: Path):
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "model.pt")
    (tmp_path / "room").mkdir()
    with pytest.raises(Fault, match=r"model\.pt` was not read"):
        convert([tmp_path / "model.pt"], tmp_path / "room", Bounds(seconds=60, memory=6 << 30, disk=1000))


def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    (tmp_path / "child.py").write_text(code)
    monkeypatch.setattr(unpickling, "CHILD", tmp_path / "child.py")
    torch.save(TENSORS, tmp_path / "model.pt")


def test_time_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    child(tmp_path, monkeypatch, "import time; time.sleep(600)")
    (tmp_path / "room").mkdir()
    with pytest.raises(Fault, match="was not read within 0 seconds"):
        convert([tmp_path / "model.pt"], tmp_path / "room", Bounds(seconds=0.2, memory=1 << 30, disk=1000))


def test_a_process_that_dies_is_one_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    child(tmp_path, monkeypatch, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(Fault, match="its process was ended by SIGKILL"):
        brought(tmp_path)


def test_the_process_is_told_nothing_of_who_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_TOKEN", "secret")
    code = "import json, os, sys; open(sys.argv[2] + '.said', 'w').write(json.dumps({'refused': str(dict(os.environ))}))"
    child(tmp_path, monkeypatch, code)
    with pytest.raises(Fault) as caught:
        brought(tmp_path)
    assert "OMP_NUM_THREADS" in caught.value.message
    assert "secret" not in caught.value.message
    assert f"'HOME': '{tmp_path / 'room'}'" in caught.value.message


def test_nothing_of_nanogen_is_imported_there(tmp_path: Path):
    import ast

    tree = ast.parse(unpickling.CHILD.read_text())
    names = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not {str(name).split(".")[0] for name in names} & {"runtime", "nanogen", "stages"}
