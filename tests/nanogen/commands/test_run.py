"""`nanogen run` and `nanogen sample` as people call them: what is printed, and the exit code."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nanogen.cli import cli


def nanogen(*args: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "nanogen", *args], cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def here(write_run, tmp_path, monkeypatch):
    write_run()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_prints_card_progress_and_where_the_report_is(here):
    done = CliRunner().invoke(cli, ["run", "small.toml"])
    assert done.exit_code == 0, done.output
    for wanted in ("saint_iberis_tiny", "bytes a token", "bits per byte", "report: runs/small/report.html"):
        assert wanted in done.output
    again = CliRunner().invoke(cli, ["run", "small.toml"])
    assert "nothing to do" in again.output
    sample = CliRunner().invoke(
        cli, ["sample", "small.toml", "-p", "The", "--tokens", "5", "--temperature", "0"]
    )
    assert sample.output.startswith("The")
    assert (
        sample.output
        == CliRunner()
        .invoke(cli, ["sample", "small.toml", "-p", "The", "--tokens", "5", "--temperature", "0"])
        .output
    )


def test_a_looped_model_writes_where_its_dial_is_put(write_run, looped, tmp_path, monkeypatch):
    write_run(looped)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["run", "small.toml"]).exit_code == 0

    def sample(*args: str):
        return CliRunner().invoke(
            cli, ["sample", "small.toml", "-p", "The", "--tokens", "9", "--temperature", "0", *args]
        )

    texts = [sample(*args).output for args in ((), ("--dial", "r=2"), ("--dial", "r=9"))]
    assert texts[0] == texts[1]
    assert texts[2].startswith("The")
    beyond = sample("--dial", "r=10")
    assert str(beyond.exception) == "the dial `r` goes from 1 to 9, and 10 is asked for"
    assert str(sample("--dial", "depth=2").exception) == "the model has no dial `depth`"
    for wrong in ("r", "r=", "r=-1", "r=" + "9" * 5000):
        assert (
            sample("--dial", wrong).exit_code,
            "is not NAME=NUMBER" in sample("--dial", wrong).output,
        ) == (2, True)


def test_sampling_before_training_says_what_to_do(here):
    done = nanogen("sample", "small.toml", cwd=here)
    assert done.returncode == 1
    assert "holds no trained model yet" in done.stderr
    assert "nanogen run small.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_of_the_run_file_is_drawn_and_nothing_is_begun(here):
    path = here / "small.toml"
    path.write_text(path.read_text().replace("steps = 6", "stepz = 6"))
    done = nanogen("run", "small.toml", cwd=here)
    assert done.returncode == 1
    assert "error[NG103]" in done.stderr
    assert "small.toml:" in done.stderr
    assert "did you mean `steps`?" in done.stderr
    assert not (here / "runs").exists()


def test_an_unreadable_text_is_one_message(here, texts):
    (texts / "bad.txt").write_bytes(b"\xff\xfe\xff")
    done = nanogen("run", "small.toml", cwd=here)
    assert done.returncode == 1
    assert "bad.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_rehearsal_stands_beside_the_run_and_says_what_it_was(here):
    done = CliRunner().invoke(cli, ["run", "small.toml", "--rehearse"])
    assert done.exit_code == 0, done.output
    assert "has no table `[rehearse]` of small dims" in done.output
    assert "report: runs/small-rehearsal/report.html" in done.output
    assert "the run itself: nanogen run small.toml" in done.output
    assert not Path("runs/small").exists()
