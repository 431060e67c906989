"""`nanogen explain`: one code, all codes, and a code that is none; plain where no terminal is."""

import pytest
from click.testing import CliRunner
from rich.console import Console

from nanogen.cli import cli
from nanogen.commands.explain import show_code
from nanogen.text.codes import BLOCKS, CODES
from nanogen.text.diagnostics import Refusal
from nanogen.text.explanations import explanation_of
from runtime.faults import Fault


def run(*args: str) -> str:
    done = CliRunner().invoke(cli, ["explain", *args], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("written", ["NG203", "ng203", "203"])
def test_a_code_is_explained(written):
    out = run(written)
    assert out.startswith("error[NG203]: equations in a circle\n\nEach of these equations waits")
    explanation = explanation_of("NG203")
    for example in (explanation.wrong, explanation.right):
        assert "".join(f"    {line}\n" for line in example.split("\n")) in out
    assert "\x1b" not in out
    assert all(line == line.rstrip() and len(line) <= 100 for line in out.split("\n"))


def test_a_warning_says_so():
    assert run("NG402").startswith("warning[NG402]: ")


def test_all_codes_are_listed_by_block():
    out = run()
    for block, about in BLOCKS.items():
        assert f"{block}xx  {about}\n" in out
    for code, entry in CODES.items():
        assert f"  {code}  {entry.title}" in out


def test_an_unknown_code_is_answered_by_the_nearest():
    with pytest.raises(Fault) as fault:
        run("ng205x")
    assert fault.value.message == "there is no code `ng205x`"
    assert fault.value.help.startswith("did you mean `NG205`?")


def test_a_terminal_has_colours():
    console = Console(force_terminal=True, color_system="standard", width=80)
    with console.capture() as captured:
        show_code(console, "NG203")
    assert captured.get().startswith("\x1b[1;31merror")
    assert "\x1b[" in captured.get().split("wrong")[1]


def test_a_value_of_a_run_is_told_with_its_origin():
    out = run("quickstart", "sft.lr.head")
    assert out.startswith("sft.lr.head = 0.0034641\n    derived: by `0.004 * narrow` with ")
    assert "`rate_scale` 0.5" in out
    assert out.endswith("\n    muon_adamw_2025:28\n")
    assert run("quickstart", "base.steps").startswith(
        "base.steps = 70\n    file: steps to train\n    quickstart:"
    )
    assert run("quickstart", "base.rates").startswith("base.rates = unsaid\n    default: ")


def test_without_a_key_every_value_is_told():
    out = run("quickstart")
    assert out.startswith("seed = 42\n    default: of a run\nmodel = ")
    assert "\nrl.temperature = 1\n" in out


def test_a_run_that_is_none_is_answered_by_the_nearest():
    with pytest.raises(Refusal) as refusal:
        run("quickstrat")
    assert refusal.value.diagnostics[0].help == "did you mean `quickstart`?"


def test_a_key_that_is_none_is_told():
    with pytest.raises(Fault, match=r"nothing that is called `base\.lrs`"):
        run("quickstart", "base.lrs")
