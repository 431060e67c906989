"""The call that measures a GPU: what it asks for, in which order, and within which time."""

import subprocess
import types

import pytest

from benchmarks import gpu


@pytest.fixture
def asked(monkeypatch):
    """The commands that it gives."""
    commands = []

    def run(command, **options):
        commands.append(command[3:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(gpu, "subprocess", types.SimpleNamespace(run=run))
    return commands


def test_it_asks_for_everything_within_the_time(asked, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["gpu", str(tmp_path / "out"), "--minutes", "6"])
    assert gpu.main() == 0
    doctor, first, second = asked
    assert doctor == ["doctor", "--json"]
    assert first[:5] == ["bench", "--preset", "gpu", "--only=train", "--only=decode"]
    assert second[:5] == ["bench", "--preset", "d12", "--only=compile", "--only=start"]
    minutes = [float(command[command.index("--minutes") + 1]) for command in (first, second)]
    assert 0 < minutes[0] < minutes[1] <= 6
    assert {command[command.index("--into") + 1] for command in (first, second)} == {str(tmp_path / "out")}


def test_its_trial_goes_the_same_way(asked, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["gpu", str(tmp_path / "out"), "--small"])
    assert gpu.main() == 0
    assert [command[2] for command in asked[1:]] == ["small", "small"]


def test_where_no_time_is_left_it_says_so(asked, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["gpu", str(tmp_path / "out"), "--minutes", "0"])
    gpu.main()
    assert len(asked) == 1
    assert "no time is left" in capsys.readouterr().err
