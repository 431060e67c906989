"""What `nanogen data inspect` shows: the tokens, what is learnt of them, and counts by task."""

import sys
import types
from pathlib import Path

import attrs
import pytest
from attrs import frozen
from click.testing import CliRunner
from rich.console import Console

from nanogen import cli
from nanogen.structure import Count
from nanogen.text.diagnostics import Refusal
from runtime.chat.conversation import render
from runtime.faults import Fault
from runtime.tokenizer import Tokenizer
from stages.catalogue import KINDS
from stages.choices import setting
from stages.inspection import (
    GIVEN,
    GIVEN_SPECIAL,
    LEARNT,
    LEARNT_SPECIAL,
    Found,
    count,
    find_mixtures,
    find_tokenizer,
    inspect,
    render_tokens,
)
from stages.runfile.load import load_run
from stages.running.identity import facts_of, identity
from stages.tasks.mixture import Mixture, TaskSetting, make_mixture
from tests.stages.folders import TALK, lines

TASKS = (TaskSetting("arithmetic", rows=Count(30)), TaskSetting("spelling_bee", rows=Count(10), epochs=2))
JAPANESE = [
    {"role": "user", "content": "こんにちは\x1b[31m"},
    {"role": "assistant", "content": "元気です 🙂"},
]


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return make_mixture(TASKS, seed=1)


@pytest.fixture(scope="module")
def tokenizer(mixture: Mixture) -> Tokenizer:
    return Tokenizer.train((m.text for e in mixture for m in e.messages), vocab=400)


@pytest.fixture
def talk(tmp_path: Path) -> Mixture:
    path = lines(tmp_path / "talk.jsonl", [JAPANESE])
    return make_mixture([TaskSetting("conversations", path=str(path))])


def styled(text, styles: tuple[str, ...]) -> str:
    return "".join(text.plain[span.start : span.end] for span in text.spans if span.style in styles)


def test_what_is_learnt_is_what_training_learns(mixture: Mixture, tokenizer: Tokenizer):
    for index in range(len(mixture)):
        text = render_tokens(mixture, index, tokenizer)
        rendered = render(mixture[index].messages, tokenizer)
        learnt = [id for id, mask in zip(rendered.ids, rendered.mask, strict=True) if mask]
        assert text.plain == tokenizer.decode(rendered.ids)
        assert styled(text, (*LEARNT, LEARNT_SPECIAL)) == tokenizer.decode(learnt)
        assert "output_start" in styled(text, (GIVEN_SPECIAL,))


def test_tokens_are_told_apart(mixture: Mixture, tokenizer: Tokenizer):
    text = render_tokens(mixture, 0, tokenizer)
    ids = render(mixture[0].messages, tokenizer).ids
    special = set(tokenizer.special.values())
    plain = [tokenizer.decode([id]) for id in ids if id not in special]
    spans = [span for span in text.spans if span.style in (*LEARNT, GIVEN[0])]
    assert {text.plain[span.start : span.end] for span in spans} <= set(plain)
    assert len({span.style for span in spans}) == 3


def test_characters_of_several_tokens_are_whole_and_controls_are_harmless(
    talk: Mixture, tokenizer: Tokenizer
):
    text = render_tokens(talk, 0, tokenizer)
    assert text.plain == (
        "<|bos|><|user_start|>こんにちは\N{REPLACEMENT CHARACTER}[31m<|user_end|>"
        "<|assistant_start|>元気です 🙂<|assistant_end|>"
    )
    assert styled(text, LEARNT) == "元気です 🙂"


def test_markup_in_data_is_text(tmp_path: Path, tokenizer: Tokenizer):
    path = lines(tmp_path / "talk.jsonl", [[{"role": "user", "content": "[red]x[/red]"}, TALK[1]]])
    tasks = (TaskSetting("conversations", path=str(path)),)
    console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(inspect(Found("sft", "tasks", tasks), tokenizer, seed=1, conversations=1))
    console.file.close()
    assert "[red]x[/red]" in console.export_text()


def test_counts_are_of_rows_tokens_and_learnt_ones(mixture: Mixture, tokenizer: Tokenizer):
    rendered = [render(example.messages, tokenizer) for example in mixture]
    arithmetic, bee = count(mixture, tokenizer)
    assert (arithmetic.label, arithmetic.rows, bee.label, bee.rows) == ("arithmetic", 30, "spelling_bee", 20)
    assert arithmetic.tokens + bee.tokens == sum(len(r.ids) for r in rendered)
    assert arithmetic.learnt + bee.learnt == sum(sum(r.mask) for r in rendered)
    assert arithmetic.exact
    assert bee.exact


def test_long_tasks_are_estimated(mixture: Mixture, tokenizer: Tokenizer):
    exact, about = count(mixture, tokenizer), count(mixture, tokenizer, measured=10)
    assert [c.exact for c in about] == [False, True]
    assert about[0].rows == 30
    assert about[0].tokens == pytest.approx(exact[0].tokens, rel=0.2)


# -- of a run


@frozen
class Settings:
    tasks: tuple[TaskSetting, ...] = setting("what to learn", default=())
    lr: float = setting("how fast", default=0.1)


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    kind = types.ModuleType("stand_in")
    vars(kind).update(Settings=Settings, READS=(), VERSION=1, MODEL=False, SEED=True)
    monkeypatch.setitem(sys.modules, "stand_in", kind)
    monkeypatch.setitem(KINDS, "tune", "stand_in")
    lines(tmp_path / "talk.jsonl", [JAPANESE])
    path = tmp_path / "my_run.toml"
    path.write_text("""
kind = "run"
[stage.sft]
uses = "tune"
with = { tasks = [
    { task = "conversations", path = "talk.jsonl", epochs = 3 },
    { task = "arithmetic", rows = 5 },
] }
""")
    return path


def test_mixtures_of_a_run_are_found_and_their_paths_count_from_it(run_file: Path):
    run = load_run(run_file)
    found = find_mixtures(run)
    assert [(f.stage, f.setting) for f in found] == [("sft", "tasks")]
    assert found[0].tasks[0].path == str(run_file.parent / "talk.jsonl")
    with pytest.raises(Fault, match="no stage `stf`"):
        find_mixtures(run, "stf")
    with pytest.raises(Fault, match="declares no tasks"):
        find_mixtures(attrs.evolve(run, stages=()))


def test_a_mistake_in_a_task_is_told_at_its_key(run_file: Path):
    run_file.write_text(run_file.read_text().replace('"arithmetic"', '"arithmetik"'))
    with pytest.raises(Refusal) as caught:
        load_run(run_file)
    told = caught.value.diagnostics[0]
    assert told.place.path == ("stage", "sft", "with", "tasks", 1, "task")
    assert told.help == "did you mean `arithmetic`?"


def test_the_identity_of_a_stage_hangs_on_its_tasks_and_not_on_where_they_lie(run_file: Path):
    def of(text: str) -> str:
        run_file.write_text(text)
        return identity(facts_of(load_run(run_file).stages[0], {}, 1))

    text = run_file.read_text()
    assert of(text) == of(text.replace("talk.jsonl", "./talk.jsonl"))
    assert of(text) != of(text.replace("epochs = 3", "epochs = 2"))


def test_the_command_shows_conversations_and_counts(run_file: Path, tmp_path: Path):
    args = ["data", "inspect", str(run_file), "-n", "8", "--runs", str(tmp_path / "runs")]
    done = CliRunner().invoke(cli.cli, args, catch_exceptions=False)
    assert done.exit_code == 0
    assert "the run has no tokenizer yet: each byte is a token here" in done.output
    assert done.output.count("元気です") == 3
    assert "8 of 8: " in done.output
    assert "conversations talk.jsonl" in done.output
    assert "<|python_start|>" in done.output


def test_a_trained_tokenizer_is_taken(run_file: Path, tmp_path: Path, tokenizer: Tokenizer):
    run_file.write_text(run_file.read_text() + '[stage.words]\nuses = "tokenizer"\nneeds = ["corpus"]\n'
        '[stage.corpus]\nuses = "dataset"\nwith = { source = "python_docs" }\n'
        )  # fmt: skip
    run_file.write_text(
        run_file.read_text().replace('kind = "run"', 'kind = "run"\nmodel = "saint_iberis_tiny"')
    )
    folder = tmp_path / "runs/my_run/words"
    folder.mkdir(parents=True)
    tokenizer.save(folder / "tokenizer.json")
    found, said = find_tokenizer(load_run(run_file), tmp_path / "runs")
    assert found.digest == tokenizer.digest
    assert str(folder) in said
