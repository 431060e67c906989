"""The report shows what a model wrote as text, whatever it wrote."""

from stages.reporting.curves import curves
from stages.reporting.page import Section, as_html, as_markdown

LOSS = (("loss", "training loss"), ("bits_per_byte", "validation"))
HOSTILE = '</pre><script>alert(1)</script>```\n# not a heading & "more"'


def test_a_hostile_sample_is_text():
    sections = [Section("Evaluation", facts=(("a", "<b>"),), samples=(("The", HOSTILE),))]
    page = as_html("a <run>", sections)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<title>a &lt;run&gt;</title>" in page
    fence = "````"
    assert f"{fence}\nThe{HOSTILE}\n{fence}" in as_markdown("a", sections)


def test_curves_are_the_same_bytes_for_the_same_log():
    events = [{"kind": "step", "tokens": n, "loss": 9 - n} for n in range(3)]
    events += [{"kind": "validation", "tokens": n, "bits_per_byte": 3.0 - n} for n in (0, 2)]
    assert curves(events, *LOSS) == curves(events, *LOSS)
    assert curves(events, *LOSS).startswith("<svg")
    assert curves([], *LOSS) == ""
