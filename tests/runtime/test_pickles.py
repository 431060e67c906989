"""Pickles are told by their bytes, whatever they are called; safetensors never are."""

import io
import pickle
import struct
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from runtime.faults import Fault
from runtime.pickles import kind_of_bytes, pickle_kind, refuse_pickle

VALUE = {"a": [1, 2], "when": __import__("datetime").date(2025, 1, 1)}


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO(b""))
    return out.getvalue()


def saved(**how) -> bytes:
    out = io.BytesIO()
    torch.save({"a": torch.ones(2)}, out, **how)
    return out.getvalue()


KINDS = {
    **{f"protocol {n}": pickle.dumps(VALUE, protocol=n) for n in (2, 3, 4, 5)},
    "protocol 0": pickle.dumps(VALUE, protocol=0),
    "a zip archive": saved(),
    "protocol 2 of torch": saved(_use_new_zipfile_serialization=False),
    "a tar archive": tar(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_told(tmp_path: Path, kind: str):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(KINDS[kind])
    found = pickle_kind(path)
    assert found is not None
    assert kind.removesuffix(" of torch") in found
    with pytest.raises(Fault, match=r"where a \.safetensors file belongs: a pickle can run code") as caught:
        refuse_pickle(path, "a .safetensors file")
    assert "nanogen import SPEC FILE" in caught.value.help


def test_a_call_written_as_text_is_told():
    code = b"cos\nsystem\n(S'echo'\ntR."
    assert kind_of_bytes(code, len(code), code[-1:]) == "a pickle of protocol 0"


def test_safetensors_are_not_taken_for_pickles(tmp_path: Path):
    """A header of 640 bytes begins as a pickle of protocol 2 does."""
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    assert pickle_kind(tmp_path / "a.safetensors") is None
    content = save({"a": torch.ones(2)})
    header = content[8 : 8 + struct.unpack("<Q", content[:8])[0]].ljust(640)
    path = tmp_path / "b.safetensors"
    path.write_bytes(struct.pack("<Q", 640) + header + content[-8:])
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert pickle_kind(path) is None


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"PAR1", b"{\n  1", b"[[1]]", b'"""Written', b"language = 1\n", b"cat\ndog\n"]
)
def test_other_files_are_none(tmp_path: Path, content: bytes):
    (tmp_path / "x").write_bytes(content)
    assert pickle_kind(tmp_path / "x") is None
    assert pickle_kind(tmp_path / "nowhere") is None
