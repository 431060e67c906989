"""Every mistake of `mistakes.py` is one message with its place and its help, and nothing has been done by then."""

import re
from pathlib import Path

import pytest

from nanogen.cli import main
from tests.stages.mistakes import MISTAKES, Mistake

COMMANDS = [
    (name, command)
    for name, mistake in MISTAKES.items()
    for command in ("check", "run")
    if not (command == "check" and mistake.file == "own.toml")  # it is a spec, and a right one
]


def told(command: str, path: Path, mistake: Mistake, capsys, monkeypatch) -> str:
    """What the command says of it."""
    monkeypatch.delenv("NANOGEN_DATA", raising=False)
    runs = str(path.parent / mistake.runs)
    monkeypatch.setattr("sys.argv", ["nanogen", command, str(path), "--runs", runs])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    assert stop.value.code == 1, out + err
    return out + err


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[" ".join(pair) for pair in COMMANDS])
def test_a_mistake_is_one_message_before_any_work(name, command, tmp_path, capsys, monkeypatch):
    mistake = MISTAKES[name]
    path = mistake.write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    text = told(command, path, mistake, capsys, monkeypatch)
    assert len(re.findall(r"(?m)^(?:error|warning)(?:\[NG\d+\])?: ", text)) == 1, text
    assert "Traceback" not in text
    assert mistake.says in text
    assert mistake.at in shown_line(text), text
    [help] = re.findall(r"(?m)^ = help: (.+)$", text)
    assert mistake.help in help
    assert sorted(tmp_path.rglob("*")) == before


def shown_line(text: str) -> str:
    """The line of a file that a message stands at; empty where it stands at none."""
    found = re.search(r"(?m)^ *--> .*:(\d+):\d+$", text)
    if found is None:
        return ""
    line = re.search(rf"(?m)^ *{found[1]} \| (.*)$", text)
    assert line is not None, text
    return line[1]


def test_without_a_mistake_there_is_nothing_to_tell(tmp_path, monkeypatch, capsys):
    path = Mistake().write(tmp_path)
    monkeypatch.setattr("sys.argv", ["nanogen", "check", str(path), "--runs", str(tmp_path / "runs")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert capsys.readouterr().out == "1 file read, no faults\n"


def test_there_are_forty():
    assert len(MISTAKES) >= 40
    assert all(mistake.at or mistake.says for mistake in MISTAKES.values())
    assert all(mistake.help for mistake in MISTAKES.values())
