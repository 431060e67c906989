"""What a machine computes with, and why it says so."""

from __future__ import annotations

import shutil

import pytest
import torch

from runtime import device
from runtime.device import DTYPES, Machine, describe, machine


@pytest.fixture(autouse=True)
def plain_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU without bfloat16, with a compiler."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device, "_cpu_flags", lambda: {"avx2"})
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.delenv("CXX", raising=False)


def test_a_plain_cpu_computes_in_float32_and_compiles():
    found = machine()
    assert (found.device, found.dtype, found.compiles) == ("cpu", "float32", True)
    assert found.torch_dtype == torch.float32
    assert found.why == "cpu, float32 (bfloat16 is not native here), compiled"


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_cpu_that_multiplies_bfloat16_does(monkeypatch: pytest.MonkeyPatch, flag: str):
    monkeypatch.setattr(device, "_cpu_flags", lambda: {"avx2", flag})
    assert machine().dtype == "bfloat16"


def test_without_a_compiler_it_runs_eagerly_and_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    found = machine()
    assert not found.compiles
    assert "eager: no C++ compiler (`g++`)" in found.why
    monkeypatch.setenv("CXX", "clang-99")
    assert "`clang-99`" in machine().why


def test_what_is_asked_for_is_done(monkeypatch: pytest.MonkeyPatch):
    found = machine(dtype="bfloat16", compiled="no")
    assert (found.dtype, found.compiles) == ("bfloat16", False)
    assert found.why == "cpu, bfloat16 (as asked), eager"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert machine(compiled="yes").compiles


@pytest.mark.parametrize(("capability", "dtype"), [((9, 0), "bfloat16"), ((7, 5), "float32")])
def test_cuda(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: str):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    found = machine()
    assert (found.device, found.dtype, found.compiles) == ("cuda", dtype, True)


def test_mps_is_not_compiled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    found = machine()
    assert (found.device, found.compiles) == ("mps", False)
    assert "not tried" in found.why


def test_every_dtype_has_a_name():
    assert all(isinstance(Machine("cpu", name, False, "").torch_dtype, torch.dtype) for name in DTYPES)


def test_the_environment_is_described():
    facts = describe()
    assert facts["torch"] == torch.__version__
    assert all(isinstance(value, str) and value for value in facts.values())
