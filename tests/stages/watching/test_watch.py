"""A run as it is seen while it works, when it was cut off, when it is done; and what a terminal must not be given."""

import fcntl
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from runtime.manifest import write_manifest
from stages.logs.run_folder import RunFolder
from stages.watching.screen import plain, screen
from stages.watching.watch import Watch, last_lines
from tests.stages.watching.folders import make_done, make_open

H100 = "1 x NVIDIA H100 80GB HBM3"


@contextmanager
def at_work(run: Path):
    """As the runner has it: the lock is held."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def seen(run: Path, *planned: str, hardware: str | None = None) -> str:
    return plain(Watch(RunFolder(run, planned), hardware).look())


def test_a_run_where_nothing_has_begun(tmp_path):
    text = seen(tmp_path / "run", "corpus", "base")
    assert "nothing has begun yet" in text
    assert "then: corpus, base" in text


def test_a_stage_at_work_has_its_block_and_those_that_are_done_a_line(tmp_path):
    run = tmp_path / "run"
    make_done(run, "corpus", "dataset", {"train": {"documents": 12, "bytes": 3400}})
    make_open(run, "base", steps=50)
    with at_work(run):
        text = seen(run, "corpus", "base", "sft")
    done = next(line for line in text.splitlines() if "corpus" in line)
    assert done.split()[:3] == ["✓", "corpus", "dataset"]
    assert "1 min 05 s" in done
    assert "12 documents" in done
    for wanted in (
        "run  at work",
        "3M parameters",
        "50%",
        "step 50 of 100",
        "50 s left",
        "128 tokens/s",
        "then: sft",
    ):
        assert wanted in text, wanted
    assert "loss        4.0200" in text
    assert "4.5000 bits per byte at step 0" in text
    assert "█" in text


def test_a_share_of_the_peak_is_told_where_the_peak_is_known_and_never_as_zero(tmp_path):
    make_open(tmp_path / "a", "base", steps=9, gpu=H100, flops=10**14)
    assert "200 TFLOP/s · MFU 20.2% of h100" in seen(tmp_path / "a")
    make_open(tmp_path / "b", "base", steps=9, gpu=H100, flops=10**7)
    assert "MFU 2.02e-06% of h100" in seen(tmp_path / "b")
    make_open(tmp_path / "c", "base", steps=9)
    assert "2 TFLOP/s" in seen(tmp_path / "c")
    assert "MFU" not in seen(tmp_path / "c")
    assert "MFU" not in seen(tmp_path / "c", hardware="cpu")  # whose bfloat16 is not native
    assert "MFU 1.6% of dgx_spark" in seen(tmp_path / "c", hardware="dgx_spark")


def test_products_in_8_bits_are_told_and_held_against_their_own_peak(tmp_path):
    make_open(tmp_path / "a", "base", steps=9, gpu=H100, flops=10**14, float8=0.75)
    text = seen(tmp_path / "a")
    assert "bfloat16 · 75% of the matmuls in float8" in text
    assert "200 TFLOP/s · MFU 12.6% of h100" in text
    make_open(tmp_path / "b", "base", steps=9, gpu=H100, float8=0.0)
    assert "float8" not in seen(tmp_path / "b")


def test_a_run_that_was_cut_off_is_not_at_work(tmp_path):
    make_open(tmp_path / "run", "base", steps=50)
    text = seen(tmp_path / "run")
    assert "run  stopped" in text
    assert "base  cut off" in text
    assert "left" not in text


def test_a_look_goes_on_where_the_last_one_was_and_back_where_the_log_was_cut(tmp_path):
    run = tmp_path / "run"
    stage = make_open(run, "base", steps=50)
    before = (stage / "metrics.jsonl").read_bytes()
    watch = Watch(RunFolder(run))
    watch.look()
    with (stage / "metrics.jsonl").open("ab") as file:
        file.write(b'{"kind": "step", "step": 60, "loss": 1.0}\n{"kind": "st')
    assert "step 61 of 100" in plain(watch.look())
    (stage / "metrics.jsonl").write_bytes(before[: before.index(b'{"kind": "step", "step": 20,')])
    assert "step 20 of 100" in plain(watch.look())
    write_manifest(stage, {"identity": "abc", "needs": {}, "uses": "pretrain", "seconds": 3.0})
    assert watch.look().state == "done"


def test_what_a_model_wrote_reaches_no_terminal_as_commands(tmp_path):
    run = tmp_path / "run"
    evil = "\x1b]0;owned\x07 [bold red]text[/] \x9b31m\u202e"
    make_done(run, "evaluation", "evaluate_base", {"samples": [{"prompt": evil, "text": evil}]})
    (run / "run.log").write_text(f"told {evil}\n")
    text = seen(run)
    assert text.count("[bold red]text[/]") == 3  # and it is no markup
    assert all(c == "\n" or c.isprintable() for c in text)


def test_samples_and_the_end_of_the_log_are_shown(tmp_path):
    run = tmp_path / "run"
    make_done(
        run,
        "evaluation",
        "evaluate_base",
        {"samples": [{"prompt": "", "text": "a"}, {"prompt": "The", "text": " cat"}]},
    )
    make_done(run, "rl", "rl", {"samples": 8})  # a count of them
    (run / "run.log").write_text("".join(f"line {n}\n\n" for n in range(5000)))
    text = seen(run)
    assert "sample of evaluation" in text
    assert "The cat" in text
    assert [f"line {n}" in text for n in (4995, 4996, 4999)] == [False, True, True]
    assert last_lines(run / "none.log", 3) == ()


@pytest.mark.parametrize("height", [12, 16, 24])
def test_on_a_low_terminal_the_stage_at_work_stays(tmp_path, height):
    run = tmp_path / "run"
    for n in range(12):
        make_done(run, f"stage_{n:02d}", "dataset", {})
    make_open(run, "train", steps=5)
    (run / "run.log").write_text("said\n" * 9)
    console = Console(width=80, height=height, color_system=None)
    with console.capture() as captured:
        console.print(screen(Watch(RunFolder(run)).look(), 80, height=height, hint="q leaves"))
    lines = captured.get().rstrip("\n").split("\n")
    assert len(lines) <= height
    assert any("step 5 of 100" in line for line in lines)
    assert "q leaves" in lines[-1]


def test_in_a_terminal_it_is_drawn_until_q_and_ends_by_itself_once_the_run_is_done(tmp_path):
    run = tmp_path / "run"
    stage = make_open(run, "base", steps=50)
    with Terminal("watch", str(run)) as screen_:
        screen_.wait_for(b"step 50 of 100")
        screen_.type(b"q")
        assert screen_.ended() == 0
    with Terminal("watch", str(run)) as screen_:
        screen_.wait_for(b"step 50 of 100")
        screen_.type(b"\x03")
        assert screen_.ended() == 0
        assert b"Traceback" not in screen_.seen
    with Terminal("watch", str(run)) as screen_:
        screen_.wait_for(b"step 50 of 100")
        write_manifest(stage, {"identity": "abc", "needs": {}, "uses": "pretrain", "seconds": 3.0})
        assert screen_.ended() == 0
        assert b"\xe2\x9c\x93" in screen_.seen  # the mark of a stage that is done


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, *args: str) -> None:
        import os
        import pty

        self.master, slave = pty.openpty()
        command = [sys.executable, "-m", "nanogen", *args]
        env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
        root = Path(__file__).parents[3]
        self.process = subprocess.Popen(
            command,
            cwd=root,
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_owns,
        )
        os.close(slave)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        import os

        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def type(self, keys: bytes) -> None:
        import os

        os.write(self.master, keys)

    def wait_for(self, text: bytes) -> None:
        while text not in self.seen:
            assert self.read(30), f"{text!r} was not shown: {self.seen!r}"

    def ended(self) -> int:
        while self.read(30):
            pass
        return self.process.wait(timeout=30)

    def read(self, seconds: float) -> bool:
        """Whether more came; nothing comes of a terminal whose process has ended."""
        import os
        import select

        ready, _, _ = select.select([self.master], [], [], seconds)
        try:
            more = os.read(self.master, 65536) if ready else b""
        except OSError:
            more = b""
        self.seen += more
        return bool(more)


def _owns() -> None:
    """Make the terminal the one that Ctrl-C is pressed in, whatever whoever runs the tests does with that."""
    import fcntl as control
    import signal
    import termios

    signal.signal(signal.SIGINT, signal.default_int_handler)
    control.ioctl(0, termios.TIOCSCTTY, 0)
