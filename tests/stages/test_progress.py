"""The moving line: share, rate and time left."""

import io

from rich.console import Console

from stages.progress import Bar, Reporter


def test_a_bar_tells_share_and_time_left():
    bar = Bar(Console(file=io.StringIO()), "training", total=100, done=20)
    bar.done = 60
    line = bar.line(40.0, "loss 2.5")
    assert "60/100" in line
    assert "loss 2.5" in line
    assert "40 s left" in line  # 40 steps took 40 s, since those before were not of this process


def test_without_a_terminal_lines_are_few_and_the_last_is_there():
    out = io.StringIO()
    with Reporter(Console(file=out, width=120)).bar("training", 1000) as bar:
        for done in range(1, 1001):
            bar.advance(done)
    lines = out.getvalue().splitlines()
    assert len(lines) <= 3
    assert "1,000/1,000" in lines[-1]


def test_what_a_model_wrote_is_not_markup():
    out = io.StringIO()
    Reporter(Console(file=out)).line("[red]not a colour[/red]")
    assert "[red]" in out.getvalue()
