"""`nanogen doctor` as people call it: lines with what to do, JSON, and an exit code."""

import json

from stages.doctor import examine
from stages.doctor.finding import missing, ok, untried, warning


def test_this_machine_is_looked_at(call, tmp_path):
    code, out, err = call("doctor", "--runs", str(tmp_path), "--json")
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert {"python", "torch", "attention", "threads", "memory", "clock", "network", "sandbox"} <= {
        one["about"] for one in found
    }


def test_each_state_is_drawn_with_what_to_do(call, monkeypatch):
    found = [ok("torch", "2.13"), warning("memory", "little", "end something"), untried("mps", "not here")]
    monkeypatch.setattr(examine, "examine", lambda runs: found)
    code, out, _ = call("doctor")
    assert code == 0
    assert "→ end something" in out
    assert "1 ok, 1 warning, 1 not tried" in out
    found.append(missing("packages", "not installed: torch", "install it", needed=True))
    code, out, _ = call("doctor")
    assert code == 1
    assert "no run works without packages" in out
