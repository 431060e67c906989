"""Compilers, threads and kernels: what their lack costs, and what torch says that it will take."""

import pytest

from stages.doctor import computing as looking
from stages.doctor.computing import attention, computing, cpu_compiler, cpu_dtype, gpu_compiler, threads


def test_without_a_compiler_the_cost_is_told():
    told = cpu_compiler(None, True)
    assert told.state == "missing"
    assert not told.stops  # it runs, slowly
    assert "8 times" in told.said
    assert cpu_compiler("/usr/bin/g++", False).state == "warning"
    assert cpu_compiler("/usr/bin/g++", True).state == "ok"


def test_on_a_gpu_triton_and_a_c_compiler_are_needed(monkeypatch):
    assert gpu_compiler(False).stops
    monkeypatch.setattr(looking.shutil, "which", lambda name: None)
    assert "C compiler" in gpu_compiler(True).said
    monkeypatch.setattr(looking.shutil, "which", lambda name: "/usr/bin/gcc")
    assert gpu_compiler(True).state == "ok"


def test_more_threads_than_processors_are_told(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert threads(8, 2).help == "`OMP_NUM_THREADS=2`"
    assert "OMP_NUM_THREADS=8" in threads(8, 8).said
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads(4, 8).state == "ok"


def test_native_bfloat16_is_told_by_its_instructions():
    assert "amx_bf16" in cpu_dtype({"amx_bf16", "sse"}).said
    assert cpu_dtype({"sse"}).said.startswith("float32")


def test_torch_says_which_attention_it_takes():
    found = list(attention("cpu", "float32"))
    assert [one.about for one in found] == ["attention", "windows"]
    assert all(one.state == "ok" and "kernel" in one.said for one in found)


def test_on_a_gpu_without_a_fused_kernel_there_is_a_warning(monkeypatch):
    monkeypatch.setattr(looking, "_picked", lambda *_, masked: "plain products")
    assert [one.state for one in attention("cuda", "bfloat16")] == ["warning", "warning"]


@pytest.mark.parametrize("picked", [None])
def test_what_torch_does_not_tell_was_not_tried(monkeypatch, picked):
    monkeypatch.setattr(looking, "_picked", lambda *_, masked: picked)
    assert {one.state for one in attention("cpu", "float32")} == {"not tried"}
    assert [one.state for one in attention("mps", "float32")] == ["not tried"]


def test_here_everything_is_looked_at():
    assert {"attention", "decoding", "threads", "processes"} <= {one.about for one in computing()}
