"""Saves: whole or not there, whatever happens while one is written and wherever a byte turns."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from torch import Tensor

import runtime.checkpoint as checkpoint
from runtime.checkpoint import newest_save, write_save
from runtime.manifest import read_manifest, write_manifest

Groups = dict[str, dict[str, Tensor]]


def groups_of(step: int) -> Groups:
    draw = torch.Generator().manual_seed(step)
    return {
        "weights": {
            "a.weight": torch.randn(3, 4, generator=draw),
            "narrow": torch.randn(5, generator=draw).bfloat16(),
        },
        "optimizer": {"step/a.weight": torch.tensor(float(step))},
        "loader": {"cursor": torch.tensor([step, 2, 3]), "empty": torch.zeros(0, dtype=torch.int64)},
    }


def found_in(parent: Path) -> tuple[int | None, list[str]]:
    """The step of the newest save, its tensors checked, and what was told."""
    told: list[str] = []
    save = newest_save(parent, told.append)
    if save is None:
        return None, told
    for group, tensors in groups_of(save.step).items():
        read = save.tensors(group)
        assert set(read) == set(tensors)
        assert all(
            torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype
            for name, tensor in tensors.items()
        )
    assert save.state == {"step": save.step, "note": f"at {save.step}"}
    return save.step, told


def write(parent: Path, step: int) -> Path:
    return write_save(parent, step, groups_of(step), {"note": f"at {step}"})


def test_the_newest_comes_back_and_old_ones_go(tmp_path: Path):
    assert found_in(tmp_path / "nowhere") == (None, [])
    for step in (5, 10, 15, 20):
        write(tmp_path, step)
        assert found_in(tmp_path) == (step, [])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_000015", "step_000020"]


def test_a_first_save_makes_its_folders(tmp_path: Path):
    write(tmp_path / "run" / "stage", 5)
    assert found_in(tmp_path / "run" / "stage") == (5, [])


def test_steps_beyond_a_million_are_newer_still(tmp_path: Path):
    for step in (999_998, 999_999, 1_000_000):
        write(tmp_path, step)
    assert found_in(tmp_path) == (1_000_000, [])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_1000000", "step_999999"]


def test_a_step_may_be_saved_again(tmp_path: Path):
    write(tmp_path, 5)
    write(tmp_path, 5)
    assert found_in(tmp_path) == (5, [])


def test_views_and_shared_memory_are_written_as_they_are(tmp_path: Path):
    whole = torch.arange(12.0).view(3, 4)
    write_save(tmp_path, 1, {"weights": {"turned": whole.T, "part": whole[:, 1:3]}}, {})
    save = newest_save(tmp_path, print)
    assert save is not None
    read = save.tensors("weights")
    assert torch.equal(read["turned"], whole.T)
    assert torch.equal(read["part"], whole[:, 1:3])


class Killed(BaseException):
    """The process ends here."""


KILLS = ["save_file", "to_json", "write_manifest", "flush", "os.replace"]


@pytest.mark.parametrize("call", KILLS)
@pytest.mark.parametrize("time", [0, 1, 2])
def test_a_kill_in_the_middle_leaves_the_save_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, time: int
):
    write(tmp_path, 5)
    owner, name = (checkpoint.os, "replace") if call == "os.replace" else (checkpoint, call)
    plain, count = getattr(owner, name), 0

    def dies(*given):
        nonlocal count
        count += 1
        if count > time:
            raise Killed
        return plain(*given)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        try:
            write(tmp_path, 10)
            killed = False
        except Killed:
            killed = True
    assert killed or count <= time
    step, told = found_in(tmp_path)
    assert told == []
    assert step == 5 if killed else step == 10
    write(tmp_path, 15)  # what was left lying is in nobody's way
    assert found_in(tmp_path) == (15, [])


def test_a_flipped_byte_anywhere_is_refused_and_the_save_before_is_used(tmp_path: Path):
    chance = random.Random(0)
    for trial in range(40):
        parent = tmp_path / str(trial)
        write(parent, 5)
        folder = write(parent, 10)
        path = chance.choice(sorted(folder.iterdir()))
        content = bytearray(path.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        step, told = found_in(parent)
        if path.name == "manifest.json" and step == 10:
            assert told == []  # a size or a fact that nobody reads: the files are what they were
            continue
        assert step == 5, (path.name, told)
        assert len(told) == 1
        assert "kept aside as `broken_step_000010`" in told[0]
        assert (parent / "broken_step_000010" / path.name).exists()
        assert found_in(parent) == (5, [])


def test_the_step_is_read_where_a_hash_guards_it(tmp_path: Path):
    manifest = write(tmp_path, 10) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"step": 10', '"step": 90'))
    assert found_in(tmp_path)[0] is None


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", "manifest.json"])
def test_a_lost_file_is_refused(tmp_path: Path, name: str):
    write(tmp_path, 5)
    (write(tmp_path, 10) / name).unlink()
    step, told = found_in(tmp_path)
    assert step == 5
    assert len(told) == 1


def test_when_all_are_broken_there_is_none(tmp_path: Path):
    for step in (5, 10):
        (write(tmp_path, step) / "state.json").write_text("{}")
    step, told = found_in(tmp_path)
    assert step is None
    assert len(told) == 2
    write(tmp_path, 15)
    assert found_in(tmp_path) == (15, [])


def test_a_pickle_in_place_of_tensors_is_kept_aside_though_the_manifest_lists_it(tmp_path: Path):
    write(tmp_path, 10)
    newest = write(tmp_path, 20)
    torch.save(groups_of(20)["weights"], newest / "weights.safetensors")
    write_manifest(newest, read_manifest(newest) or {})
    step, told = found_in(tmp_path)
    assert step == 10
    assert "weights.safetensors` is a zip archive, as `torch.save` writes one" in told[0]
    assert (tmp_path / "broken_step_000020").is_dir()
