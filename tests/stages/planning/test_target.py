"""What a plan is made for: what was asked for, what the run names, or this machine with what is known of its speed."""

import pytest
from attrs import evolve

from nanogen.text.diagnostics import Refusal
from runtime.capacity import Capacity
from stages.planning import target as module
from stages.planning.effort import Effort, Writing
from stages.planning.target import HERE, READING, target

CPU = Capacity("cpu", 8 * 10**9, bfloat16=True, compiler=True)


def here(monkeypatch: pytest.MonkeyPatch, found: Capacity) -> None:
    monkeypatch.setattr(module, "here", lambda: found)


def test_a_cpu_has_the_speed_of_the_file_and_its_own_memory(write_run, monkeypatch):
    here(monkeypatch, CPU)
    monkeypatch.setattr(module.platform, "system", lambda: "Linux")
    found = target(write_run())
    assert (found.name, found.on) == (HERE, CPU)
    assert found.hours(768e9 * 0.4 * 3600, "float32", 1) == pytest.approx(1)
    assert "speed as in `cpu`" in found.assumed
    assert "40 % are assumed" in found.assumed
    assert found.dollars(3.0) is None
    monkeypatch.setattr(module.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(module.platform, "machine", lambda: "arm64")
    assert "speed as in `apple_m`" in target(write_run()).assumed


def test_a_gpu_is_known_by_its_name_and_costs_nothing_an_hour(write_run, monkeypatch):
    here(monkeypatch, Capacity("cuda", 85 * 10**9, True, True, name="NVIDIA H100 80GB HBM3"))
    found = target(write_run())
    assert found.hardware is not None
    assert (found.hardware.devices, found.hardware.device_peak) == (1, 989.4e12)
    assert found.on.memory == 85 * 10**9
    assert found.dollars(1.0) is None
    assert found.kilowatt_hours(1.0) == pytest.approx(0.7)


def test_of_an_unknown_gpu_no_hours_are_made_up(write_run, monkeypatch):
    here(monkeypatch, Capacity("cuda", 6 * 10**9, False, True, name="Tesla K80"))
    found = target(write_run())
    assert found.hours(1e18, "float32", 1) is None
    assert found.dollars(None) is None
    assert found.kilowatt_hours(None) is None
    assert "`Tesla K80` is in no hardware file" in found.assumed


def test_what_is_asked_for_stands_above_what_the_run_names(write_run):
    run = write_run(('kind  = "run"', 'kind  = "run"\nhardware = "rtx3090"'))
    assert target(run).name == "rtx3090"
    assert target(run, "h100x8").on.devices == 8
    assert target(run, "h100x8", 12 * 10**9).on.memory == 12 * 10**9


def test_hardware_that_is_none_is_refused(write_run):
    with pytest.raises(Refusal, match="there is no hardware `h100x9`"):
        target(write_run(), "h100x9")


def test_a_t4_computes_in_float32(write_run):
    found = target(write_run(), "t4")
    assert found.on.bytes_of("auto") == 4
    assert found.dtype("auto") == "float32"
    assert found.hours(8.1e12 * 0.4 * 3600, "bfloat16", 1) == pytest.approx(1)  # computed as float32, too


def test_an_effort_takes_as_long_as_what_it_waits_for(write_run):
    found = target(write_run(), "h100x8")
    effort = Effort("a step", 8 * 989.4e12 * 0.43 * 3600, 1, "bfloat16", parts=None)
    assert found.taken(effort, 8) == pytest.approx(1)
    assert found.taken(evolve(effort, parts=1), 8) == pytest.approx(8)
    assert found.taken(evolve(effort, sent=450e9 * 7200), 8) == pytest.approx(2)
    read = Writing(1, 1, 1, 3600, 1, weights=3 * READING * 3.35e12 / 2, kept=0)
    assert found.taken(evolve(effort, writing=read), 8) == pytest.approx(3)


def test_auto_is_what_the_device_is_good_at(write_run, monkeypatch):
    here(monkeypatch, CPU)
    assert target(write_run()).dtype("auto") == "bfloat16"
    assert target(write_run(), "cpu").dtype("auto") == "float32"
    assert target(write_run(), "h100").dtype("float32") == "float32"
