"""What stages compute beside training: counted by the graph, bounded where lengths are not known, or told as left out."""

import pytest
from attrs import evolve

from nanogen.answers.flops import decoding_per_token, forward
from nanogen.answers.parameters import count
from nanogen.compiler import compile_file
from nanogen.load import Load
from nanogen.shelf import find
from stages.data.stand_in import write_stand_ins
from stages.planning import effort
from stages.planning.effort import (
    Effort,
    Writing,
    beside_training,
    conversations,
    of_base_evaluation,
    of_chat_evaluation,
    read_at_a_token,
    rows_of,
    writing,
)
from stages.runfile.load import Stage, load_run
from stages.tasks.mixture import TaskSetting

GRAPH = compile_file(find("nanochat_2025", "model"), {"depth": 4, "vocab": 4096, "context": 512}).graph


def stage(run: str, name: str) -> Stage:
    return load_run(find(run, "run"), looking=False).stage(name)


def test_an_answer_costs_what_decoding_its_tokens_costs():
    whole = sum(decoding_per_token(GRAPH, past) for past in range(100, 140))
    assert writing(GRAPH, 40, 100) == whole


def test_decoding_reads_the_weights_once_for_all_rows():
    one = Writing(rounds=1, questions=1, samples=1, tokens=10, rows=64, weights=1000, kept=7)
    assert one.moved(1) == 10 * (1000 + 7)
    assert evolve(one, questions=64).moved(1) == 10 * (1000 + 64 * 7)
    assert evolve(one, questions=65).moved(1) == 2 * evolve(one, questions=64).moved(1)
    assert evolve(one, rounds=5).moved(1) == 5 * one.moved(1)


def test_questions_are_dealt_out_whole():
    step = Writing(rounds=1, questions=16, samples=4, tokens=10, rows=64, weights=1000, kept=7)
    assert step.moved(8) == 10 * (1000 + 8 * 7)
    assert step.moved(5) == step.moved(4) == 10 * (1000 + 16 * 7)
    effort = Effort("answers", 1e12, 640, parts=16)
    assert [effort.share(n) for n in (1, 8, 5, 32)] == [1, 1 / 8, 1 / 4, 1 / 16]
    assert evolve(effort, parts=None).share(5) == 1 / 5
    assert evolve(effort, parts=1).share(5) == 1


def test_a_token_reads_what_it_is_multiplied_with_and_no_table():
    table = GRAPH.dims["vocab"] * GRAPH.dims["width"]
    assert read_at_a_token(GRAPH) == pytest.approx(count(GRAPH) - table, rel=0.01)


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (TaskSetting("gsm8k"), 7473),
        (TaskSetting("gsm8k", split="test", rows=100), 100),  # pyright: ignore[reportArgumentType]
        (TaskSetting("gsm8k", split="test", start=1300), 19),
        (TaskSetting("gsm8k", stop=50, epochs=2), 100),
        (TaskSetting("arithmetic", rows=30), 30),  # pyright: ignore[reportArgumentType]
        (TaskSetting("smoltalk", split="test"), 24_000),
        (TaskSetting("smoltalk_jp", split="validation"), None),  # its file does not say
    ],
)
def test_rows_are_those_of_the_setting_and_of_the_data_file(wanted: TaskSetting, rows: int | None):
    assert rows_of(wanted) == rows


def test_a_mixture_is_known_where_all_of_it_is():
    known, some = TaskSetting("gsm8k"), TaskSetting("smoltalk", split="validation")
    assert conversations((known, known)) == (2 * 7473, [])
    assert conversations((known, some)) == (None, ["smoltalk (validation)"])


def test_validation_while_it_trains_is_counted():
    base = stage("speedrun_nanochat_2025", "base")
    assert base.compiled is not None
    [found] = beside_training(base, 21_400).efforts
    assert found.tokens == (2 + 85) * 10_500_000
    assert found.parts is None  # all devices take part
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
    assert answers.parts == 16
    assert answers.writing is not None
    assert (answers.writing.rounds, answers.writing.samples) == (467, 16)
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
    assert read.parts == written.parts == 1  # one device evaluates
    assert read.tokens == 1319 * (2048 - 512)
    assert written.tokens == 1319 * 512
    assert read.at_most
    assert written.at_most
