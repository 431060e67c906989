"""`nanogen explain`: one code, all codes, and a code that is none; plain where no terminal is."""

import pytest
from click.testing import CliRunner
from rich.console import Console

from nanogen.cli import cli
from nanogen.commands.explain import show_code
from nanogen.text.codes import BLOCKS, CODES
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
