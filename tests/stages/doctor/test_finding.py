"""What a finding may be, and which of them stop a run."""

import pytest

from stages.doctor.finding import Finding, missing, ok, untried, warning


def test_states_are_four():
    with pytest.raises(ValueError, match="state"):
        Finding("a", "fine", "b")


def test_only_what_is_missing_and_needed_stops():
    assert missing("a", "b", "c", needed=True).stops
    others = [missing("a", "b", "c"), ok("a", "b"), warning("a", "b", "c"), untried("a", "b")]
    assert not any(one.stops for one in others)


def test_as_json_it_is_plain():
    assert missing("a", "b", "c", needed=True).plain() == {
        "about": "a",
        "state": "missing",
        "said": "b",
        "help": "c",
        "needed": True,
    }
