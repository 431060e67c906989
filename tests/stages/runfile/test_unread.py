"""Settings that nothing reads: each told at its key, and those that are read never."""

import pytest

from nanogen.structure import structure
from nanogen.text.diagnostics import Refusal
from nanogen.text.draw import find
from stages.runfile.load import load_run
from stages.runfile.unread import idle_of_task
from stages.tasks.mixture import TaskSetting

STAGES = """
[stage.sft]
uses = "sft"
needs = ["base"]
with = { SFT, tasks = [{ task = "arithmetic", rows = 20 }] }
[stage.chat]
uses = "evaluate_chat"
needs = ["sft"]
with = { CHAT }
[stage.more]
uses = "tokenizer_eval"
needs = ["corpus", "tokenizer"]
with = { MORE }
[stage.report]
"""
ARITHMETIC = 'tasks = [{ task = "arithmetic", split = "test", rows = 4 }]'


@pytest.fixture
def told(write_run):
    """A function from settings and changes to what is refused: its message, and what stands there."""

    def tell(*changes, sft="steps = 2", chat=ARITHMETIC, more="against = []"):
        stages = STAGES.replace("SFT", sft).replace("CHAT", chat).replace("MORE", more)
        try:
            write_run(*changes, ("\n[stage.report]\n", stages))
        except Refusal as refusal:
            spots = [(d, find(refusal.document, d.place)) for d in refusal.diagnostics]
            return [(s.text[s.column - 1 : s.end_column - 1], d.message) for d, s in spots]
        return []

    return tell


def test_what_is_read_is_not_told(told):
    assert told(sft="steps = 2, batch_tokens = 64") == []


@pytest.mark.parametrize(
    ("where", "settings", "name", "why"),
    [
        ("sft", "steps = 2, epochs = 2.0", "epochs", "`steps` says how long to train"),
        ("sft", "evaluate_every = 5", "evaluate_every", "there is nothing to evaluate on"),
        ("chat", f"download = true, {ARITHMETIC}", "download", "`tasks` names others"),
        ("chat", f"samples = 3, {ARITHMETIC}", "samples", "all answers to a question are alike"),
        ("more", "against = [], download = true", "download", "names no encoding"),
    ],
)
def test_a_setting_that_another_one_switches_off_is_refused(told, where, settings, name, why):
    batch = {"sft": f"batch_tokens = 64, {settings}"} if where == "sft" else {where: settings}
    [(at, message)] = told(**{"sft": "steps = 2, batch_tokens = 64", **batch})
    assert at == name
    assert message.startswith(f"`{name}` changes nothing: ")
    assert why in message


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ('task = "arithmetic", download = true', "download"),
        ('task = "spelling_bee", words = "words_alpha", path = "w.txt"', "words"),
        ('task = "gsm8k", path = "rows", download = true', "download"),
    ],
)
def test_a_setting_of_a_task_that_nothing_reads(task, name):
    table = dict(part.split(" = ") for part in task.split(", "))
    values = {key: True if value == "true" else value.strip('"') for key, value in table.items()}
    read, faults = structure(TaskSetting, values, ())
    assert faults == []
    assert read is not None
    assert list(idle_of_task(read)) == [name]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ("temperature = 0.0, top_k = 4", "top_k"),
        ("core_rows = 4", "core_rows"),
        ('core_dtype = "float32"', "core_dtype"),
    ],
)
def test_what_an_evaluation_does_not_read(write_run, settings, name):
    with pytest.raises(Refusal) as refusal:
        write_run(("tokens = 4", f"tokens = 4, {settings}"))
    [fault] = refusal.value.diagnostics
    assert fault.place.path == ("stage", "evaluation", "with", name)


def test_samples_of_no_prompts(write_run):
    with pytest.raises(Refusal) as refusal:
        write_run(('prompts = ["", "The"], tokens = 4', "prompts = [], tokens = 4"))
    [fault] = refusal.value.diagnostics
    assert fault.message == "`tokens` changes nothing: there are no `prompts` to go on from"


@pytest.mark.parametrize(
    ("table", "said"),
    [("[meta]\nmood = 3\n", "`[meta]` has no `mood`"), ("[meta]\nname = 3\n", "`name` of `[meta]` is text")],
)
def test_meta_is_for_what_people_read(write_run, table, said):
    with pytest.raises(Refusal, match=said.replace("[", r"\[").replace("]", r"\]")):
        write_run(("[set]\n", f"{table}[set]\n"))


def test_dims_without_a_model_are_read_by_nobody(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        'kind = "run"\n[set]\ndepth = 2\n[stage.corpus]\nuses = "dataset"\nwith = { source = "python_docs" }\n'
    )
    with pytest.raises(Refusal) as refusal:
        load_run(path)
    [fault] = refusal.value.diagnostics
    assert fault.message == "`[set]` changes nothing: the run names no model"
