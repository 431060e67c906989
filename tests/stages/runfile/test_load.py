"""Mistakes in run files: each one message, with its place, before anything runs."""

from pathlib import Path

import pytest

from nanogen.text.diagnostics import Refusal
from nanogen.text.draw import find
from stages.runfile.load import load_run

ROOT = Path(__file__).parents[3]

MISTAKES = {
    "an unknown kind of stage": (
        ('uses = "evaluate_base"', 'uses = "evaluate_bas"'),
        "NG701",
        "did you mean `evaluate_base`?",
    ),
    "a need that is no stage": (
        ('needs = ["corpus", "base"]', 'needs = ["corpus", "bse"]'),
        "NG701",
        "`base`",
    ),
    "a need that is left out": (('needs = ["corpus", "base"]', 'needs = ["corpus"]'), "NG703", "add `base`"),
    "a circle": (("[stage.corpus]", '[stage.corpus]\nneeds = ["report"]'), "NG702", "take one of the needs"),
    "an unknown setting": (("steps = 6", "stepz = 6"), "NG103", "did you mean `steps`?"),
    "a setting of the wrong kind": (("steps = 6", 'steps = "six"'), "NG704", ""),
    "a setting out of range": (("steps = 6", "steps = 0"), "NG704", ""),
    "two horizons": (("steps = 6", 'steps = 6, tokens = "2K"'), "NG704", ""),
    "an unknown source": (('source = "text"', 'source = "txt"'), "NG704", ""),
    "an unknown model": (('"saint_iberis_tiny"', '"saint_iberis_tin"'), "NG001", "did you mean"),
    "a dim that the model lacks": (("depth = 2", "depht = 2"), "NG108", "did you mean `depth`?"),
    "a dim of a stage that the model lacks": (
        ('uses = "pretrain"', 'uses = "pretrain"\nset = { depht = 2 }'),
        "NG108",
        "did you mean `depth`?",
    ),
    "dims of a stage without a model": (
        ('uses = "report"', 'uses = "report"\nset = { depth = 2 }'),
        "NG103",
        "where the model is pretrained",
    ),
    "a tokenizer of another size": (
        ('uses = "pretrain"', 'uses = "pretrain"\nset = { vocab = 301 }'),
        "NG704",
        "for all stages alike",
    ),
    "dims that are no table": (('uses = "pretrain"', 'uses = "pretrain"\nset = 3'), "NG101", "depth = 12"),
    "an unknown section": (("[set]", "[sets]"), "NG103", "did you mean `set`?"),
    "an unknown key of a stage": (('uses = "tokenizer"', 'uses = "tokenizer"\nwht = 1'), "NG103", "`with`"),
    "a batch of no whole rows": (("batch_tokens = 64", "batch_tokens = 65"), "NG704", "64 would be"),
    "a schedule below 0": (
        ("steps = 6", "steps = 6, schedule = { warmup = -0.5 }"),
        "NG704",
        "nor be below 0",
    ),
    "an unknown optimizer": (
        ("steps = 6", 'steps = 6, optimizer = "muon_adamw_2024"'),
        "NG001",
        "did you mean",
    ),
    "a part that the optimizer lacks": (
        ("steps = 6", "steps = 6, schedule = { warmdwn = 0.5 }"),
        "NG704",
        "did you mean `warmdown`?",
    ),
    "a group that the optimizer lacks": (
        ("steps = 6", "steps = 6, rates = { matrx = 0.5 }"),
        "NG704",
        "did you mean `matrix`?",
    ),
    "a law with an unknown name": (
        ("steps = 6", 'steps = 6, rates = { matrix = "0.02 * widht" }'),
        "NG704",
        "did you mean `width`?",
    ),
    "a law that is none": (
        ("steps = 6", 'steps = 6, decays = { matrix = "0.02 *" }'),
        "NG704",
        "missing behind",
    ),
    "another vocabulary": (
        ('needs = ["corpus"]\n', 'needs = ["corpus"]\nwith = { vocab = 301 }\n'),
        "NG704",
        "[set]",
    ),
    "a text that is not there": (("/texts", "/txts"), "NG704", "check the path"),
    "no use": (('uses = "tokenizer"\n', ""), "NG102", "write `uses"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message_with_its_place(write_run, mistake):
    change, code, help = MISTAKES[mistake]
    with pytest.raises(Refusal) as refusal:
        write_run(change)
    assert code in [d.code for d in refusal.value.diagnostics], refusal.value
    told = next(d for d in refusal.value.diagnostics if d.code == code)
    assert help in told.help
    assert find(refusal.value.document, told.place).line > 1


OPTIMIZER = """kind = "optimizer"
about = "a test's"
[group.all]
roles = ["embedding", "head", "matrix", "gain", "conv", "scalar", "vector"]
method = "adamw"
rate = 1e-3
"""


def test_an_optimizer_counts_from_the_run_file_and_is_part_of_what_the_stage_is(write_run, tmp_path):
    from stages.running.identity import facts_of, identity

    def base(text: str) -> str:
        (tmp_path / "mine.toml").write_text(text)
        run = write_run(("steps = 6", 'steps = 6, optimizer = "mine.toml"'))
        return identity(facts_of(run.stage("base"), {}, run.seed))

    first = base(OPTIMIZER)
    assert base(OPTIMIZER) == first
    assert base(OPTIMIZER.replace("1e-3", "2e-3")) != first


@pytest.mark.parametrize(
    ("change", "code", "line", "help"),
    [
        (('"gain"', '"gian"'), "NG114", 4, "did you mean `gain`?"),
        (("1e-3", '"1e-3 * widht"'), "NG201", 6, "did you mean `width`?"),
        (('method = "adamw"', 'method = "adam"'), "NG704", 5, ""),
        (("kind =", "kidn ="), "NG102", 1, "first"),
    ],
)
def test_a_mistake_in_an_optimizer_is_told_in_its_file(write_run, tmp_path, change, code, line, help):
    assert change[0] in OPTIMIZER
    text = OPTIMIZER.replace(*change)
    if code == "NG114":  # else the model's own role would be the one that no group takes
        text = text.replace('"gian"', '"gain", "gian"')
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(Refusal) as refusal:
        write_run(("steps = 6", 'steps = 6, optimizer = "mine.toml"'))
    [fault] = refusal.value.diagnostics
    assert (fault.code, refusal.value.document.name) == (code, "mine.toml")
    assert find(refusal.value.document, fault.place).line == line
    assert help in fault.help


def test_a_role_that_no_group_takes_is_told_at_the_run(write_run, tmp_path):
    (tmp_path / "mine.toml").write_text(OPTIMIZER.replace('"conv", ', ""))
    with pytest.raises(Refusal) as refusal:
        write_run(("steps = 6", 'steps = 6, optimizer = "mine.toml"'))
    [fault] = refusal.value.diagnostics
    assert fault.place.path == ("stage", "base", "with", "optimizer")
    assert "no group of `mine.toml` takes the role `conv`" in fault.message


def test_several_mistakes_are_told_at_once(write_run):
    with pytest.raises(Refusal) as refusal:
        write_run(("steps = 6", "stepz = 6"), ("tokens = 4", "tokens = 0"))
    assert [d.code for d in refusal.value.diagnostics] == ["NG103", "NG704"]


def test_loading_a_run_imports_no_torch(tmp_path):
    import subprocess
    import sys

    code = "import sys; from stages.runfile.load import load_run; from nanogen.shelf import find\n"
    code += "load_run(find('quickstart', 'run')); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("path", sorted((ROOT / "specs/runs").glob("*.toml")), ids=lambda path: path.stem)
def test_every_run_that_ships_is_without_fault(path):
    run = load_run(path)
    assert run.warnings == ()
    assert run.stages[-1].uses == "report"
    assert set(run.stages[-1].needs) == {stage.name for stage in run.stages[:-1]}


def test_dims_of_which_the_model_cannot_be_made_are_told_at_the_dim(write_run):
    with pytest.raises(Refusal) as refusal:
        write_run(("width = 64", "width = 65"))
    [fault] = refusal.value.diagnostics
    assert (fault.code, fault.place.path) == ("NG303", ("set", "width"))
    assert fault.message.startswith("with these dims `saint_iberis_tiny` does not compile: ")


def test_dims_of_the_rehearsal_are_held_to_the_model_too(write_run):
    with pytest.raises(Refusal) as refusal:
        write_run(("[stage.corpus]", "[rehearse]\nwidth = 65\n[stage.corpus]"))
    [fault] = refusal.value.diagnostics
    assert (fault.code, fault.place.path) == ("NG303", ("rehearse", "width"))


def test_a_model_that_does_not_compile_as_it_stands_is_told_there(write_run, tmp_path):
    (tmp_path / "mine.toml").write_text('kind = "model"\nlanguage = 1\n[dims]\nvocab = 300\ncontext = 16\n')
    with pytest.raises(Refusal) as refusal:
        write_run(('"saint_iberis_tiny"', '"mine.toml"'))
    assert refusal.value.document.name == str(tmp_path / "mine.toml")


def test_a_task_is_told_at_its_own_place(write_run):
    stage = '[stage.sft]\nuses = "sft"\nneeds = ["base"]\nwith = { batch_tokens = 64, tasks = [TASKS], validation = [HELD] }\n'
    good, bad = '{ task = "arithmetic" }', '{ task = "arithmetic", split = "tset" }'
    for tasks, held, at in ((f"{good}, {bad}", good, ("tasks", 1)), (good, bad, ("validation", 0))):
        text = stage.replace("TASKS", tasks).replace("HELD", held)
        with pytest.raises(Refusal) as refusal:
            write_run(("[stage.report]", f"{text}[stage.report]"))
        [fault] = refusal.value.diagnostics
        assert fault.place.path == ("stage", "sft", "with", *at)
        assert fault.message.startswith(f"`{at[0]}`: ")
