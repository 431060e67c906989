"""Published checkpoints: one file or shards, prefixes off, pickles refused, parts cut and joined."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from runtime.faults import Fault
from runtime.published import assemble, open_published

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}


def shards(folder: Path, weight_map: dict | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    for number, (name, tensor) in enumerate(TENSORS.items(), 1):
        save_file({name: tensor}, folder / f"model-0000{number}-of-00002.safetensors")
    listed = {"a.weight": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": listed if weight_map is None else weight_map}))
    return index


def test_headers_say_shapes_and_dtypes(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        found = open_published(path)
        assert {n: (e.shape, e.dtype) for n, e in found.entries.items()} == {
            "a.weight": ((2, 3), "F32"),
            "b": ((2,), "BF16"),
        }
    with found.reader() as read:
        assert torch.equal(read("a.weight"), TENSORS["a.weight"])


def test_shards_are_one_model(tmp_path):
    index = shards(tmp_path / "sharded")
    for path in (index.parent, index):
        found = open_published(path)
        assert len(found.files) == 2
        with found.reader() as read:
            assert all(torch.equal(read(name), tensor) for name, tensor in TENSORS.items())


def test_prefixes_of_wrappers_are_taken_off(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({f"module._orig_mod.{name}": t for name, t in TENSORS.items()}, path)
    found = open_published(path)
    with found.reader() as read:
        assert torch.equal(read("a.weight"), TENSORS["a.weight"])
    save_file({"b": torch.ones(2), "module.b": torch.ones(2)}, path)
    with pytest.raises(Fault, match="the tensor `b` stands twice"):
        open_published(path)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "pytorch_model.bin", "last.ckpt"])
def test_pickles_are_not_opened_here(tmp_path, name):
    (tmp_path / name).write_bytes(b"anything")
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(Fault, match="is a pickle by its name: it can run code") as caught:
            open_published(path)
        assert "`nanogen import SPEC FILE`" in caught.value.help


def test_a_pickle_that_is_called_safetensors_is_told(tmp_path):
    torch.save(TENSORS, tmp_path / "model.safetensors")
    for path in (tmp_path / "model.safetensors", tmp_path):
        with pytest.raises(Fault, match=r"model\.safetensors` is a zip archive, as `torch.save` writes one"):
            open_published(path)


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({}, "is not an index of shards"),
        ({"a": "../model.safetensors"}, "is not an index of shards"),
        ({"a": 3}, "is not an index of shards"),
        ({"a.weight": "model-00003-of-00002.safetensors"}, "is missing, and"),
        ({"c": "model-00001-of-00002.safetensors"}, "has no `c`, which"),
    ],
)
def test_an_index_that_does_not_hold(tmp_path, weight_map, message):
    with pytest.raises(Fault, match=message):
        open_published(shards(tmp_path, weight_map))


def test_folders_and_files_without_weights(tmp_path):
    for path, message in ((tmp_path, "holds no weights"), (tmp_path / "x", "there is no file or folder")):
        with pytest.raises(Fault, match=message):
            open_published(path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(Fault, match=r"is not a \.safetensors file"):
        open_published(tmp_path / "notes.txt")
    save_file(TENSORS, tmp_path / "one.safetensors")
    assert len(open_published(tmp_path).files) == 1
    save_file(TENSORS, tmp_path / "two.safetensors")
    with pytest.raises(Fault, match=r"holds more than one model: `one\.safetensors`, `two\.safetensors`"):
        open_published(tmp_path)


def test_a_file_that_is_cut_short(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(Fault, match="cannot be read as safetensors"):
        open_published(path)


# -- parts


def made(*parts, shape, dtype=torch.float32) -> torch.Tensor:
    return assemble(TENSORS.__getitem__, parts, shape=shape, dtype=dtype)


def test_parts_are_cut_turned_joined_and_stacked():
    a = TENSORS["a.weight"]
    assert torch.equal(made(("a.weight", ("T", (slice(1, 3),)), False), shape=(2, 2)), a.T[1:3])
    assert torch.equal(made(("a.weight", ((1,),), False), shape=(3,)), a[1])
    twice = [("a.weight", (), False)] * 2
    assert torch.equal(made(*twice, shape=(4, 3)), torch.cat([a, a]))
    rows = [("a.weight", ((n,),), True) for n in (1, 0)]
    assert torch.equal(made(*rows, shape=(2, 3)), a.flip(0))


def test_narrow_numbers_are_widened_exactly_and_nothing_is_shared():
    found = made(("b", ((0,),), False), shape=())
    assert (found.dtype, found.shape, found.item()) == (torch.float32, (), 1.0)
    same = made(("a.weight", (), False), shape=(2, 3))
    same += 1
    assert TENSORS["a.weight"][0, 0] == 0
    assert made(("a.weight", ("T",), False), shape=(3, 2)).is_contiguous()
