"""What stages compute beside training: counted by the graph, bounded where lengths are not known, or told as left out."""

import pytest

from nanogen.answers.flops import decoding_per_token, forward
from nanogen.answers.parameters import count
from nanogen.answers.state import bytes_per_row
from nanogen.compiler import compile_file
from nanogen.load import Load
from nanogen.shelf import find
from stages.data.stand_in import write_stand_ins
from stages.load import Stage, load_run
from stages.planning import effort
from stages.planning.effort import (
    beside_training,
    conversations,
    moved,
    of_base_evaluation,
    of_chat_evaluation,
    rows_of,
    writing,
)
from stages.tasks.mixture import TaskSetting

GRAPH = compile_file(find("nanochat_2025", "model"), {"depth": 4, "vocab": 4096, "context": 512}).graph


def stage(run: str, name: str) -> Stage:
    return load_run(find(run, "run"), looking=False).stage(name)


def test_an_answer_costs_what_decoding_its_tokens_costs():
    whole = sum(decoding_per_token(GRAPH, past) for past in range(100, 140))
    assert writing(GRAPH, 40, 100) == whole


def test_decoding_reads_the_weights_once_for_all_rows():
    kept = bytes_per_row(GRAPH, 512, run_bytes=1)
    assert moved(GRAPH, 1, 10, 64) == 10 * (count(GRAPH) + kept)
    assert moved(GRAPH, 64, 10, 64) == 10 * (count(GRAPH) + 64 * kept)
    assert moved(GRAPH, 65, 10, 64) == 2 * moved(GRAPH, 64, 10, 64)


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (TaskSetting("gsm8k"), 7473),
        (TaskSetting("gsm8k", split="test", rows=100), 100),  # pyright: ignore[reportArgumentType]
        (TaskSetting("gsm8k", split="test", start=1300), 19),
        (TaskSetting("gsm8k", stop=50, epochs=2), 100),
        (TaskSetting("arithmetic", rows=30), 30),  # pyright: ignore[reportArgumentType]
        (TaskSetting("smoltalk"), None),  # its file does not say
    ],
)
def test_rows_are_those_of_the_setting_and_of_the_data_file(wanted: TaskSetting, rows: int | None):
    assert rows_of(wanted) == rows


def test_a_mixture_is_known_where_all_of_it_is():
    known, some = TaskSetting("gsm8k"), TaskSetting("smoltalk")
    assert conversations((known, known)) == (2 * 7473, [])
    assert conversations((known, some)) == (None, ["smoltalk"])


def test_validation_while_it_trains_is_counted():
    base = stage("speedrun_nanochat_2025", "base")
    assert base.compiled is not None
    [found] = beside_training(base, 21_400).efforts
    assert found.tokens == (2 + 85) * 10_500_000
    assert found.flops == pytest.approx(
        found.tokens / 2048 * forward(base.compiled.graph, Load(1, 2048)).matmul
    )


def test_answers_that_are_learnt_from_are_bounded():
    rl = stage("speedrun_nanochat_2025", "rl")
    found = beside_training(rl, 467)
    assert rl.compiled is not None
    [answers] = found.efforts
    assert answers.at_most
    assert answers.tokens == 467 * 16 * 16 * 256
    assert answers.flops == 467 * 256 * writing(rl.compiled.graph, 256, 0)
    assert any("prompts" in text for text in found.left_out)
    assert beside_training(rl, None).efforts == ()


def test_core_is_bounded_where_its_bundle_is_here(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOGEN_DATA", str(tmp_path))
    before = of_base_evaluation(stage("speedrun_nanochat_2025", "base_eval"))
    assert any("CORE" in text for text in before.left_out)
    bundle = tmp_path / "eval_bundle"
    (write_stand_ins(tmp_path) / "made_up_eval_bundle").rename(bundle)
    base_eval = stage("speedrun_nanochat_2025", "base_eval")
    found = of_base_evaluation(base_eval)
    assert not any("CORE" in text for text in found.left_out)
    core = next(one for one in found.efforts if one.what.startswith("CORE"))
    options = effort._core_options(bundle)
    assert options is not None
    assert options >= 3
    assert core.tokens == options * 500 * 2048
    assert core.at_most


def test_questions_are_bounded_by_the_context():
    found = of_chat_evaluation(stage("speedrun_nanochat_2025", "rl_eval"))
    read, written = found.efforts
    assert read.tokens == 1319 * (2048 - 512)
    assert written.tokens == 1319 * 512
    assert read.at_most
    assert written.at_most
