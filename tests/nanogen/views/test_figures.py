"""Numbers and tables as people read them."""

from nanogen.views.figures import bytes_text, columns, seconds_text


def test_bytes():
    cases = [0, 512, 1023, 1024, 1536, 10**6, 73.5 * 2**20, 1010 * 2**20, 5 * 2**40, 3000 * 2**40]
    shown = [
        "0 B",
        "512 B",
        "1,023 B",
        "1 KiB",
        "1.5 KiB",
        "977 KiB",
        "73.5 MiB",
        "1,010 MiB",
        "5 TiB",
        "3,000 TiB",
    ]
    assert [bytes_text(c) for c in cases] == shown


def test_seconds():
    assert [seconds_text(s) for s in (0, 45.4, 200, 3600, 7500, 360_000)] == [
        "0 s", "45 s", "3 min 20 s", "1 h 00 min", "2 h 05 min", "100 h 00 min",
    ]  # fmt: skip


def test_columns():
    assert columns([["a", "1"], ["bcd", "100", "x"]]) == "a      1\nbcd  100  x"
    assert columns([["a", "1"], ["bcd", "100"]], right=False) == "a    1\nbcd  100"
