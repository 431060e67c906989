"""Limits, disks and clocks, each as it could be."""

import os

import pytest

from stages.doctor import machine as looking
from stages.doctor.machine import clock, disk, limits, machine, memory, network, processors, quota


def test_everything_is_told_once(tmp_path):
    found = [one.about for one in machine(tmp_path / "runs")]
    assert set(found) == {
        "processors",
        "cgroup",
        "memory",
        "disk of runs",
        "disk of data",
        "clock",
        "network",
    }
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("text", "allowed"), [("150000 100000", 1.5), ("max 100000", None), ("", None)])
def test_a_quota_is_read(tmp_path, text, allowed):
    (tmp_path / "cpu.max").write_text(text)
    assert quota(tmp_path / "cpu.max") == allowed
    assert quota(tmp_path / "nothing") is None


def test_a_quota_below_the_processors_says_how_many_threads(monkeypatch):
    monkeypatch.setattr(looking, "quota", lambda: 1.5)
    monkeypatch.setattr(looking, "available_processors", lambda: 8)
    told = next(iter(limits()))
    assert told.state == "warning"
    assert "OMP_NUM_THREADS=2" in told.help


def test_others_at_work_are_told(monkeypatch):
    monkeypatch.setattr(looking, "available_processors", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (2.5, 0, 0))
    assert processors().state == "warning"
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 0, 0))
    assert processors().state == "ok"


@pytest.mark.parametrize(
    ("whole", "free", "state"),
    [
        (16 << 30, 12 << 30, "ok"),
        (16 << 30, 1 << 30, "warning"),
        (1 << 30, 1 << 30, "warning"),
        (16 << 30, None, "ok"),
    ],
)
def test_little_memory_is_told(monkeypatch, whole, free, state):
    monkeypatch.setattr(looking, "memory_of_machine", lambda: whole)
    monkeypatch.setattr(looking, "free_memory", lambda: free)
    assert memory().state == state


def test_a_disk_is_asked_where_the_folder_would_stand(tmp_path, monkeypatch):
    assert disk("d", tmp_path / "a" / "b").state == "ok"
    monkeypatch.setattr(looking, "SMALL_DISK", 1 << 80)
    assert disk("d", tmp_path).state == "warning"


def test_where_nothing_may_be_written_runs_stop(tmp_path):
    (tmp_path / "file").write_text("")
    told = disk("disk of runs", tmp_path / "file" / "runs", needed=True)
    assert told.stops
    assert "--runs" in told.help


def test_a_clock_that_is_behind_is_told():
    assert clock(0).state == "warning"
    assert clock(looking.NOW_AT_LEAST + 1).state == "ok"


def test_the_switch_is_told(monkeypatch):
    monkeypatch.setenv("NANOGEN_OFFLINE", "1")
    assert network().said.startswith("off")
    monkeypatch.delenv("NANOGEN_OFFLINE")
    assert "nothing was asked" in network().said
