"""What a stage reads, held to what is here."""

import pytest

from nanogen.text.draw import find
from runtime.tokenizer import Tokenizer
from stages.preflight.data import check_data

CHAT = """
[stage.chat]
uses = "evaluate_chat"
needs = ["base"]
with = { WITH }
[stage.report]
"""


@pytest.fixture
def told(write_run, tmp_path, monkeypatch):
    """A function from a stage and changes of the run to what is told."""
    monkeypatch.delenv("NANOGEN_DATA", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))

    def tell(stage, *changes, folder=tmp_path / "none"):
        run = write_run(*changes)
        found = check_data(run, run.stage(stage), folder)
        return [(d.code, find(run.document, d.place).text, d.message, d.help) for d in found]

    return tell


def chat(settings: str) -> tuple[str, str]:
    return "\n[stage.report]\n", CHAT.replace("WITH", settings)


def test_tasks_that_are_not_here_are_left_out(told):
    [(code, line, message, help)] = told("chat", chat(""))
    assert (code, line) == ("NG706", "[stage.chat]")
    assert message.startswith("`chat` leaves `arc_easy (test)`, `arc_challenge (test)`, `mmlu (test)`, ")
    assert "download = true" in help
    some = '{ task = "arithmetic", split = "test", rows = 4 }, { task = "gsm8k", split = "test" }'
    [(code, line, message, _)] = told("chat", chat(f"tasks = [{some}]"))
    assert (code, "gsm8k" in line) == ("NG706", True)
    assert "`chat` leaves `gsm8k (test)` out" in message


def test_a_bundle_that_is_not_there_is_warned_of(told):
    [(code, line, message, _)] = told("evaluation", ("tokens = 4", 'tokens = 4, core = "bundle"'))
    assert (code, "bundle" in line) == ("NG706", True)
    assert "`evaluation` does not run CORE" in message


def test_answers_that_the_context_ends_are_warned_of(told):
    assert told("evaluation", ("tokens = 4", "tokens = 15")) == []
    [(code, line, message, _)] = told("evaluation", ("tokens = 4", "tokens = 16"))
    assert (code, "tokens = 16" in line) == ("NG706", True)
    assert message.startswith("`tokens` is 16, and the context ends answers at 16")
    assert told("chat", chat('tasks = [{ task = "arithmetic", split = "test", rows = 4 }]')) == []  # unsaid


def test_a_prompt_that_may_fill_the_context_is_warned_of_and_one_that_does_is_refused(told, trained_run):
    short, long = "a" * 14, "qzx#" * 7
    assert told("evaluation", ('"The"', f'"{short}"')) == []
    [(code, _, message, _)] = told("evaluation", ('"The"', f'"{long}"'))
    assert code == "NG706"
    assert "may have up to 29 tokens, and the context holds 16" in message
    folder = trained_run / "runs" / "small"
    count = len(Tokenizer.load(folder / "tokenizer" / "tokenizer.json").encode(long)) + 1
    [(code, _, message, _)] = told("evaluation", ('"The"', f'"{long}"'), folder=folder)
    assert code == "NG704"
    assert f"has {count} tokens" in message


def test_more_tokens_than_the_corpus_has_are_told_in_epochs(told, trained_run):
    folder = trained_run / "runs" / "small"
    assert told("base", folder=folder) == []
    assert told("base", ("steps = 6", "steps = 6000")) == []  # no corpus yet
    [(code, line, message, _)] = told("base", ("steps = 6", "steps = 6000"), folder=folder)
    assert (code, line) == ("NG706", "[stage.base]")
    assert "trains on 384,000 tokens, and the corpus has about " in message
    assert "epochs of the same text" in message
