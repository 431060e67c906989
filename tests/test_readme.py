"""What the README says is held to the repository: its tree, its commands and what they print, its table, its spec."""

import ast
import os
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from nanogen import cli
from nanogen.compiler import Compiled, compile_file, compile_text
from nanogen.text.diagnostics import Refusal

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
ROOMS = ("specs", "nanogen", "runtime", "stages", "web")
PICTURE = ROOT / "docs" / "looped.svg"
TREE = re.compile(r"(<!-- tree -->\n```\n)(.*?)(```)", re.DOTALL)
TABLE = re.compile(r"(<!-- specs -->\n)(.*?)(<!-- end -->)", re.DOTALL)
PRINTED = re.compile(r"(```console\n\$ nanogen ([^\n]*)\n)(.*?)(```)", re.DOTALL)
SPEC = re.compile(r"```toml\n(kind .*?)```", re.DOTALL)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        return sorted({Path(line) for line in listed.stdout.split("\n") if line and (ROOT / line).exists()})
    return sorted(
        p.relative_to(ROOT)
        for room in ROOMS
        for p in (ROOT / room).rglob("*.*")
        if "__pycache__" not in str(p)
    )


def clause(path: Path) -> str:
    """The first sentence of a file's docstring, or of a spec's opening comment."""
    text = (ROOT / path).read_text()
    said = ast.get_docstring(ast.parse(text)) if path.suffix == ".py" else _comment(text)
    assert said, f"{path} does not say what it is"
    first = said.split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=[a-z0-9`)])\. ", first)[0].rstrip(".")


def _comment(text: str) -> str:
    return next((line[2:] for line in text.split("\n") if line.startswith("# ")), "")


def tree() -> str:
    lines = []
    for room in ROOMS:
        lines.append(f"{room}/")
        inside = [p for p in tracked() if p.parts[0] == room and p.suffix in (".py", ".toml")]
        for path in sorted(inside, key=lambda p: (len(p.parts) > 2, p.parts[1:])):
            name = "/".join(path.parts[1:])
            lines.append(f"  {name:<32}{clause(path)}")
    return "\n".join(lines)


def table() -> str:
    """The models that ship, and what they cost."""
    from nanogen.answers.costs import costs
    from nanogen.views.figures import bytes_text

    lines = [
        "| spec | is | parameters | training FLOPs a token | state of a row |",
        "|---|---|---:|---:|---:|",
    ]
    for path in (*sorted(ROOT.glob("specs/*.toml")), *sorted(ROOT.glob("specs/zoo/*.toml"))):
        graph = compile_file(path).graph
        cost = costs(graph, graph.context, 1)
        where = path.relative_to(ROOT)
        counts = f"{cost.parameters:,} | {cost.training:,.0f} | {bytes_text(cost.state)}"
        lines.append(f"| [{path.stem}]({where}) | {clause(where)} | {counts} |")
    return "\n".join(lines) + "\n"


def printed(command: str) -> str:
    """What a command prints; one that names `my_model.toml` is given the README's spec with a slip in it."""
    if "my_model.toml" in command:
        return slip()
    done = CliRunner().invoke(cli.cli, shlex.split(command), env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.output
    return re.sub(r" +$", "", done.output, flags=re.MULTILINE)


def slip() -> str:
    """A slip in the README's spec, as `nanogen check` draws it."""
    from nanogen.text.draw import draw

    text = spec().replace('"attention(rms_norm(x))"', '"attnetion(rms_norm(x))"')
    with pytest.raises(Refusal) as caught:
        compile_text(text, name="my_model.toml")
    return draw(caught.value.document, caught.value.diagnostics) + "\n"


def spec() -> str:
    block = SPEC.search(README.read_text())
    assert block
    return block[1]


def written(pattern: re.Pattern[str], make, count: int) -> None:
    """Hold what is written from the repository to it; with UPDATE, write it."""
    text = README.read_text()
    assert len(pattern.findall(text)) == count
    wanted = pattern.sub(make, text)
    if os.environ.get("UPDATE"):
        README.write_text(wanted)
    assert README.read_text() == wanted, "run `UPDATE=1 make test` to write it again"


def test_the_tree_lists_every_file_with_its_clause():
    written(TREE, lambda m: m[1] + tree() + "\n" + m[3], 1)


def test_the_table_lists_every_model_that_ships():
    written(TABLE, lambda m: m[1] + table() + m[3], 1)


def test_commands_print_what_is_shown(monkeypatch):
    monkeypatch.chdir(ROOT)
    written(PRINTED, lambda m: m[1] + printed(m[2]) + m[4], 5)


def test_the_picture_is_drawn_from_its_spec():
    from nanogen.views.picture import picture

    wanted = picture(compile_file(ROOT / "specs" / "looped.toml").graph)
    if os.environ.get("UPDATE"):
        PICTURE.write_text(wanted)
    assert PICTURE.read_text() == wanted, "run `UPDATE=1 make test` to draw it again"


def test_the_spec_that_is_read_line_by_line_compiles():
    done: Compiled = compile_text(spec())
    assert not done.warnings


SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL))


@pytest.mark.parametrize("line", re.findall(r"^nanogen (.*)$", SHELL, re.MULTILINE))
def test_the_command_line_takes_the_commands(line):
    name, *args = shlex.split(line.split(" #")[0].split(" > ")[0])
    whole = click.Context(cli.cli, **cli.cli.context_settings)
    command = cli.cli.get_command(whole, name)
    assert command is not None
    command.make_context(name, args, parent=whole)


def test_the_commands_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_pictures_are_there():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README.read_text()):
        assert (ROOT / picture).is_file(), picture
