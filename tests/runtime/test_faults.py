"""A want of memory is known by whatever says it."""

import pytest
import torch

from runtime.faults import TooLarge, is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        TooLarge(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB, max allowed: 18.1 GB)"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=lambda error: str(error)[:30],
)
def test_a_want_of_memory(error):
    assert is_out_of_memory(error)
    wrapped = RuntimeError("the compiler failed")
    wrapped.__cause__ = error
    assert is_out_of_memory(wrapped)


def test_another_error():
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))


def test_what_was_too_large_is_said():
    assert (TooLarge().what, TooLarge("sampling").what) == ("step", "sampling")
