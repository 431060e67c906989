"""Several models of one run beside each other: in a table of their own, and each with its own column of results."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.reporting.scaling import scaling
from stages.reporting.table import results
from stages.work import RESULT, Input


@pytest.fixture
def made(tmp_path: Path) -> list[Input]:
    """Two models that were trained, one of them evaluated, and a third at work."""

    def stage(name: str, kind: str, **result: Any) -> Input:
        folder = tmp_path / name
        folder.mkdir()
        if result:
            (folder / RESULT).write_text(json.dumps(result))
        return Input(name, kind, folder)

    bits = {"start": 4.0, "end": 1.5}
    return [
        stage("d10", "pretrain", parameters=1000, tokens=12_000, flops=72 * 10**6, bits_per_byte=bits),
        stage("d12", "pretrain", parameters=2000, tokens=24_000, flops=288 * 10**6, bits_per_byte=bits),
        stage("d14", "pretrain"),
        evaluated := stage(
            "d12_eval",
            "evaluate_base",
            model={"stage": "d12", "kind": "pretrain"},
            bits_per_byte=1.25,
            core={"core": 0.125, "over": 22, "of": 22},
        ),
        stage(
            "d10_eval", "evaluate_base", **{**evaluated.result, "model": {"stage": "d10", "kind": "pretrain"}}
        ),
    ]


def test_models_of_several_sizes_stand_in_one_table(made: list[Input]):
    section = scaling(made[:4])
    assert section is not None
    head, *rows = (line.split() for line in section.text.splitlines())
    assert head[0] == "model"
    assert rows == [
        ["d10", "1,000", "12,000", "12.0", "7.200e+07", "1.5000", "-"],
        ["d12", "2,000", "24,000", "12.0", "2.880e+08", "1.2500", "0.1250"],
    ]
    assert section.picture.startswith("<svg")


def test_one_model_has_no_scaling(made: list[Input]):
    assert scaling([made[0], made[2]]) is None


def test_each_model_has_its_own_column(made: list[Input]):
    section = results(made)
    assert section is not None
    assert section.text.splitlines()[0].split() == ["d12", "d10"]
    alone = results(made[:4])
    assert alone is not None
    assert alone.text.splitlines()[0].split() == ["BASE"]
