"""Files of tensors that others wrote: what misleads is one fault, and never a crash."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from runtime.faults import Fault
from runtime.tensors import read_tensors

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def file_of(path: Path, header: bytes, data: bytes = b"\0" * 16, length: int | None = None) -> Path:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def entries(**found: object) -> bytes:
    return json.dumps(found).encode()


HOSTILE = {
    "a header of exabytes": (b"{}", 2**62),
    "a header longer than the file": (b"{}", 5000),
    "no header": (b"", 0),
    "a header that is no JSON": (b"{nothing", None),
    "a list": (b"[1, 2]", None),
    "no UTF-8": (b'{"\xff": 1}', None),
    "nested without end": (b"{" + b'"a":{' * 5000, None),
    "tensors that overlap": (entries(a=ENTRY, b={**ENTRY, "data_offsets": [4, 12]}), None),
    "a hole between them": (entries(a=ENTRY, b={**ENTRY, "data_offsets": [12, 20]}), None),
    "an end before its start": (entries(a={**ENTRY, "data_offsets": [8, 0]}), None),
    "an end beyond the file": (entries(a={**ENTRY, "shape": [200], "data_offsets": [0, 800]}), None),
    "offsets below zero": (entries(a={**ENTRY, "data_offsets": [-8, 0]}), None),
    "a shape that is another size": (entries(a={**ENTRY, "shape": [3]}), None),
    "a shape without end": (entries(a={**ENTRY, "shape": [2**40, 2**40]}), None),
    "a shape below zero": (entries(a={**ENTRY, "shape": [-2]}), None),
    "a dtype that is none": (entries(a={**ENTRY, "dtype": "PYOBJECT"}), None),
    "a dtype of another size": (entries(a={**ENTRY, "dtype": "F64"}), None),
    "numbers that are text": (entries(a={**ENTRY, "data_offsets": ["0", "8"]}), None),
    "a tensor that is null": (entries(a=None), None),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_header_is_one_fault(tmp_path: Path, what: str):
    header, length = HOSTILE[what]
    with pytest.raises(Fault, match=r"x\.safetensors` cannot be read as safetensors"):
        read_tensors(file_of(tmp_path / "x.safetensors", header, length=length))


def test_a_file_that_is_cut_short_or_missing_is_one_fault(tmp_path: Path):
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.ones(100)}, path)
    whole = path.read_bytes()
    for size in (0, 4, 8, 20, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(Fault, match="cannot be read as safetensors"):
            read_tensors(path)
    path.unlink()
    with pytest.raises(Fault, match="cannot be read as safetensors"):
        read_tensors(path)


def test_a_pickle_is_named_as_one(tmp_path: Path):
    torch.save({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(Fault, match=r"x\.safetensors` is a zip archive, as `torch\.save` writes one"):
        read_tensors(tmp_path / "x.safetensors")


def test_tensors_are_read(tmp_path: Path):
    path = file_of(tmp_path / "x.safetensors", entries(a=ENTRY, b={**ENTRY, "data_offsets": [8, 16]}))
    assert {name: t.tolist() for name, t in read_tensors(path).items()} == {"a": [0, 0], "b": [0, 0]}
