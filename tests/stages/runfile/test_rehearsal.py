"""Rehearsals: every run that ships can be made small, without the network, and goes from its start to its report."""

import io
import json
from pathlib import Path

import attrs
import pytest
from rich.console import Console

from nanogen.shelf import find, shipped
from stages.data.stand_in import folder_of, write_stand_ins
from stages.progress import Reporter
from stages.runfile.load import Run, load_run
from stages.runfile.rehearsal import Small, rehearsed
from stages.running.runner import execute
from stages.tasks.catalogue import TASKS
from stages.tasks.mixture import TaskSetting
from tests.stages.folders import fill

MOST_PARAMETERS = 4_000_000


@pytest.fixture(autouse=True)
def nothing_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("NANOGEN_DATA", raising=False)


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    return write_stand_ins(tmp_path / "stand_ins")


def small(name: str, stand_ins: Path) -> Run:
    return load_run(find(name, "run"), stand_ins=stand_ins)


@pytest.mark.parametrize("name", shipped("run"))
def test_every_run_is_made_small(name: str, stand_ins: Path):
    run = small(name, stand_ins)
    whole = load_run(find(name, "run"))
    assert [(s.name, s.uses, s.needs) for s in run.stages] == [
        (s.name, s.uses, s.needs) for s in whole.stages
    ]
    assert run.name == f"{name}-rehearsal"
    for stage in run.stages:
        assert stage.compiled is not None
        assert stage.compiled.blueprint["count"] < MOST_PARAMETERS
        assert getattr(stage.settings, "steps", None) in (None, 6)
        mixtures = [getattr(stage.settings, name, ()) for name in ("tasks", "validation")]
        for task in (task for tasks in mixtures if isinstance(tasks, tuple) for task in tasks):
            assert task.rows is not None
            assert task.rows <= 24
            assert not task.download
        assert not getattr(stage.settings, "download", False)


def test_sizes_that_a_stage_sets_stay_apart(stand_ins: Path):
    run = small("miniseries", stand_ins)
    sizes = [s.compiled.blueprint["count"] for s in run.stages if s.uses == "pretrain" and s.compiled]
    assert sizes == sorted(set(sizes))
    assert len(sizes) == 6
    evaluated = [
        s.compiled.blueprint["count"] for s in run.stages if s.uses == "evaluate_base" and s.compiled
    ]
    assert evaluated == sizes


def test_a_rehearsal_ends_with_its_report_and_is_not_done_twice(tmp_path: Path, stand_ins: Path):
    run, said = small("looped_s20", stand_ins), io.StringIO()
    folder = execute(run, tmp_path / "runs", Reporter(Console(file=said)))
    report = (folder / "report.md").read_text()
    assert "# looped_s20-rehearsal" in report
    assert "CORE" in report
    assert "CORE not run" not in report
    evaluated = json.loads((folder / "sft_eval/result.json").read_text())
    assert [task["rows"] for task in evaluated["tasks"]] == [4] * 6
    execute(small("looped_s20", stand_ins), tmp_path / "runs", Reporter(Console(file=said)))
    assert "nothing to do" in said.getvalue()


def test_data_that_is_here_is_taken(tmp_path: Path, stand_ins: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NANOGEN_DATA", str(fill(tmp_path / "data")))
    stage = small("speedrun_nanochat_2025", stand_ins).stage("sft_eval")
    paths = {task.task: task.path for task in stage.settings.tasks}
    assert paths["gsm8k"] is None
    assert paths["mmlu"] is None


def test_every_task_of_named_data_has_rows_to_stand_in(stand_ins: Path):
    from stages.runfile.rehearsal import Small

    named = [name for name, entry in TASKS.items() if entry.data is not None]
    assert len(named) == 8
    for task in Small(256, stand_ins).tasks([TaskSetting(name, split="test") for name in named]):
        assert task.path == str(folder_of(stand_ins, TASKS[task.task].data or ""))


def test_a_list_of_words_has_words_to_stand_in(stand_ins: Path):
    from stages.runfile.rehearsal import Small
    from stages.tasks.mixture import make_part

    [made] = Small(256, stand_ins).tasks([TaskSetting("simple_spelling", words="words_alpha")])
    words = (folder_of(stand_ins, "words_alpha") / "words_alpha.txt").read_text().split()
    assert make_part(made)[0].gold.text.split(":")[0] in words


def test_a_run_without_a_model_can_be_rehearsed(tmp_path: Path, stand_ins: Path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("Some text. " * 20)
    path = tmp_path / "data.toml"
    path.write_text(
        'kind = "run"\n[stage.corpus]\nuses = "dataset"\nwith = { source = "text", path = "texts" }\n'
    )
    [stage] = load_run(path, stand_ins=stand_ins).stages
    assert attrs.asdict(stage.settings)["characters"] == 1_000_000


def test_a_rehearsal_multiplies_as_any_machine_can(stand_ins: Path):
    """What is asked of a GPU is rehearsed on a laptop."""
    run = load_run(find("speedrun_nanochat_2025", "run"), looking=False)
    asked = [
        (s.kind, attrs.evolve(s.settings, float8="yes")) for s in run.stages if hasattr(s.settings, "float8")
    ]
    made = [rehearsed(kind, settings, Small(64, stand_ins)) for kind, settings in asked]
    assert [settings.float8 for settings in made] == ["no"] * 4  # pretrain, midtrain, sft, rl
