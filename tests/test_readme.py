"""What the README says is held to the repository: its tree, its commands, its spec."""

import ast
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
ROOMS = ("specs", "nanogen", "runtime", "stages", "web")
TREE = re.compile(r"(<!-- tree -->\n```\n)(.*?)(```)", re.DOTALL)


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


def test_the_tree_lists_every_file_with_its_clause():
    text = README.read_text()
    assert TREE.search(text)
    wanted = TREE.sub(lambda m: m[1] + tree() + "\n" + m[3], text)
    if os.environ.get("UPDATE"):
        README.write_text(wanted)
    assert README.read_text() == wanted, "run `UPDATE=1 make test` to write the tree again"


def test_the_spec_that_is_read_line_by_line_compiles():
    from nanogen.compiler import compile_text

    block = re.search(r"```toml\n(kind .*?)```", README.read_text(), re.DOTALL)
    assert block
    assert not compile_text(block[1]).warnings


def test_the_commands_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_pictures_are_there():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README.read_text()):
        assert (ROOT / picture).is_file(), picture
