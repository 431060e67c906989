"""The load test passes on a server that is right, and finds one that mixes answers up."""

from argparse import Namespace
from collections import deque
from typing import Any

import pytest
from attrs import evolve

from benchmarks import serve_load
from runtime.decoding.request import Request
from tests.web.conftest import Live
from tests.web.scripted import ScriptedEngine, on_loopback, scripted_service, small_tokenizer
from web.app import make_app
from web.replica import Replica

ANSWERS = {
    "cat": "the cat {seed}",
    "Once": "upon {seed} a time {seed} ",
    "日本": "日本 {seed}",
    "12": "{seed}" * 20,
}


@pytest.fixture
def found(monkeypatch):
    """What a short load finds."""
    monkeypatch.setattr(serve_load, "PROBES", 2)
    monkeypatch.setattr(serve_load, "UNREAD_SECONDS", 0.2)

    def run(server: Live, capsys: Any) -> tuple[bool, str]:
        options = Namespace(clients=8, seconds=0.7, idle=50, tokens=40, pid=None, growth=16)
        whole = serve_load.measured(serve_load.Server(server.url, None), options)
        return whole, capsys.readouterr().out

    return run


def test_a_server_that_is_right_passes(live, found, capsys):
    right, told = found(live(ANSWERS, rows=4, delay=0.002), capsys)
    assert right, told
    assert "WRONG" not in told
    for figure in (
        "whole",
        "abandoned",
        "malformed bodies",
        "huge bodies",
        "idle connections",
        "p50 and p99",
    ):
        assert figure in told


class Mixing(ScriptedEngine):
    """Now and then, a request gets what another one asked for."""

    def _script(self, request: Request, sample: int) -> deque[int]:
        if len(self.requests) > 20 and len(self.requests) % 5 == 0:
            return deque(small_tokenizer().encode("somebody else's"))
        return super()._script(request, sample)


def test_answers_that_are_mixed_up_are_found(found, capsys):
    engine = Mixing(small_tokenizer(), ANSWERS, rows=4, delay=0.002)
    mixing = evolve(scripted_service({}), replicas=(Replica(engine),))
    with on_loopback(make_app(mixing)) as url:
        right, told = found(Live(url, mixing), capsys)
    assert not right
    assert "WRONG mixed" in told


def test_only_this_machine_is_put_under_load(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["serve_load.py", "http://example.org:8000"])
    with pytest.raises(SystemExit):
        serve_load.main()
    assert "only a server on this machine" in capsys.readouterr().err
