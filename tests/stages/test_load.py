"""Mistakes in run files: each one message, with its place, before anything runs."""

import pytest

from nanogen.text.diagnostics import Refusal
from nanogen.text.draw import find

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
    "an unknown section": (("[set]", "[sets]"), "NG103", "did you mean `set`?"),
    "an unknown key of a stage": (('uses = "tokenizer"', 'uses = "tokenizer"\nwht = 1'), "NG103", "`with`"),
    "a batch of no whole rows": (("batch_tokens = 64", "batch_tokens = 65"), "NG704", "64 would be"),
    "a schedule that does not fit": (("steps = 6", "steps = 6, warmup = 0.9"), "NG704", "at most 1"),
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


def test_several_mistakes_are_told_at_once(write_run):
    with pytest.raises(Refusal) as refusal:
        write_run(("steps = 6", "stepz = 6"), ("tokens = 4", "tokens = 0"))
    assert [d.code for d in refusal.value.diagnostics] == ["NG103", "NG704"]


def test_loading_a_run_imports_no_torch(tmp_path):
    import subprocess
    import sys

    code = "import sys; from stages.load import load_run; from nanogen.shelf import find\n"
    code += "load_run(find('quickstart', 'run')); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
