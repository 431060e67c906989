"""Faults as data: kept once, with the nearest known name as help."""

import pytest

from nanogen.text.diagnostics import Diagnostic, Findings, Place, Reject, closest, nearest


def test_a_code_must_be_known():
    with pytest.raises(AssertionError):
        Diagnostic("NG999", "a slip of ours", Place())
    with pytest.raises(AssertionError):
        Reject("NG999", "a slip of ours")


def test_severity_is_the_codes():
    assert Diagnostic("NG402", "unused", Place()).severity == "warning"
    assert Diagnostic("NG201", "unknown", Place()).severity == "error"


def test_the_same_fault_is_kept_once():
    findings = Findings()
    for message in ("one", "one", "two"):
        findings.note("NG201", message, Place(("a",)))
    assert [d.message for d in findings.all] == ["one", "two"]
    once = Findings(once_a_place=True)
    for message in ("one", "two"):
        once.note("NG201", message, Place(("a",)))
    assert [d.message for d in once.all] == ["one"]


def test_warnings_are_no_errors():
    findings = Findings()
    findings.note("NG402", "unused", Place())
    assert findings.errors == []


def test_nearest_names():
    assert nearest("attnetion", ["attention", "mlp"]) == "did you mean `attention`?"
    assert nearest("qqq", ["b", "a"]) == "known here: `a`, `b`"
    assert nearest("qqq", [f"name{k:02}" for k in range(14)]).endswith("`name11` and 2 more")
    assert nearest("x", []) == ""


def test_only_a_sure_slip_is_repaired():
    assert closest("layrs", ["layers", "inputs"]) == "layers"
    assert closest("k", ["kn", "qn"]) is None
    assert closest("width", ["depth"]) is None


def test_a_rejection_gets_its_place():
    fault = Reject("NG301", "5 channels", "use 4", blame="n").at(Place(("model", "q")))
    assert (fault.message, fault.help, fault.place.path) == ("5 channels", "use 4", ("model", "q"))
