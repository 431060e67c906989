"""`nanogen chat` as people use it: one answer, a piped conversation, a terminal with Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from nanogen.cli import cli


@pytest.fixture(autouse=True)
def here(trained_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained_run)


def chat(*args: str, typed: str = "") -> str:
    done = CliRunner().invoke(cli, ["chat", "small.toml", "--dtype", "float32", *args], input=typed)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_one_answer_and_a_seed_repeats_it():
    one = chat("-p", "Paragraph 1", "--tokens", "9", "--seed", "5")
    assert one == chat("-p", "Paragraph 1", "--tokens", "9", "--seed", "5")
    assert one != chat("-p", "Paragraph 1", "--tokens", "9", "--seed", "6")
    assert len(one.strip()) > 4


def test_a_piped_conversation_with_commands(tmp_path: Path):
    saved = tmp_path / "talk.md"
    typed = "\n".join(
        [
            "Paragraph 2", "/temperature 0", "/topk 3", "/tokens 4", "/help", "two \\", "lines",
            f"/save {saved}", f"/save {saved}", "/temprature 1", "/topk 0", "/clear", "/quit", "never read",
        ]
    )  # fmt: skip
    out = chat(typed=typed)
    assert out.startswith("small/base: ")
    assert "a base model" in out
    assert "now 0" in out
    assert "now 3" in out
    assert "4 messages in" in out
    assert "exists; name another file" in out
    assert "did you mean `temperature`?" in out
    assert "`0` is no whole number of at least 1" in out
    assert "never read" not in out
    text = saved.read_text()
    assert text.startswith("# small/base")
    assert "two \nlines" in text
    assert text.count("**assistant**") == 2


def test_a_message_beyond_the_context_is_told_and_the_conversation_goes_on():
    out = chat(typed="x y z " * 60 + "\nParagraph 3\n")
    assert "and the context holds 64 with the answer; write a shorter one" in out
    assert out.rstrip().splitlines()[-1]


def test_in_a_terminal_ctrl_c_ends_the_answer_and_not_the_program(trained_run: Path):
    main, side = pty.openpty()
    command = [sys.executable, "-m", "nanogen", "chat", "small.toml", "--tokens", "40"]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "TERM": "dumb"}

    def heard() -> None:
        """What a shell starts in the background does not hear Ctrl-C, nor does what that starts."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command,
        stdin=side,
        stdout=side,
        stderr=side,
        env=env,
        start_new_session=True,
        preexec_fn=heard,
    ) as running:
        os.close(side)

        def shown(wanted: str, seconds: float = 60) -> bool:
            text, until = "", time.monotonic() + seconds
            while not re.search(wanted, text) and time.monotonic() < until:
                if select.select([main], [], [], 0.2)[0]:
                    text += os.read(main, 4096).decode(errors="replace")
            return bool(re.search(wanted, text))

        def interrupted() -> bool:
            """At the prompt it drops the line; the prompt is printed before it is read at, and what comes then is lost."""
            running.send_signal(signal.SIGINT)
            return shown("> $", seconds=3)

        try:
            assert shown("> $")
            os.write(main, b"Paragraph 4\n")
            assert shown("Paragraph 4")
            running.send_signal(signal.SIGINT)
            assert shown(
                r"\n> $"
            )  # whether the answer had not begun, was being written, or was there already
            assert any(interrupted() for _ in range(20))
            os.write(main, b"/quit\n")
            assert running.wait(30) == 0
        finally:
            running.kill()
            os.close(main)


def test_what_a_model_writes_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch):
    from runtime.tokenizer import Tokenizer

    monkeypatch.setattr(Tokenizer, "decode_bytes", lambda self, ids: b"\x1b[2J\x07[bold]hey[/bold]")
    out = chat("-p", "Paragraph 5", "--tokens", "3")
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]hey[/bold]" in out  # as it is, not as markup


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("small.toml", "--dial", "r=3"), "the model has no dial `r`"),
        (("small.toml", "--stage", "bass"), "has no stage `bass`"),
        (("nosuch",), "nosuch"),
    ],
)
def test_mistakes_are_one_message(call, args: tuple[str, ...], message: str):
    code, _, err = call("chat", *args)
    assert code == 1
    assert message in err
