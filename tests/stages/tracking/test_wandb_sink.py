"""Weights & Biases, in place of which a small fake stands: what it is given, and that it is never asked a question."""

import sys
import types

import pytest

from runtime.faults import Fault
from stages.logs.run_folder import RunFolder
from stages.tracking import wandb_sink
from stages.tracking.forward import Forwarder
from stages.tracking.ledger import Ledger
from stages.tracking.wandb_sink import Wandb
from tests.stages.watching.folders import make_open


class Fake(types.ModuleType):
    """`wandb` as far as it is used: runs by their ids, each with its rows by their steps, as the server has them."""

    def __init__(self):
        super().__init__("wandb")
        self.api = types.SimpleNamespace(api_key=None)
        self.inits, self.rows, self.metrics = [], {}, []

    def init(self, **settings):
        self.inits.append(settings)
        rows = self.rows.setdefault(settings["id"], {})
        return FakeRun(rows, self.metrics, max(rows, default=-1) + 1 if rows else 0)


class FakeRun:
    def __init__(self, rows, metrics, starting_step):
        self.rows, self.metrics, self.starting_step, self.finished = rows, metrics, starting_step, False
        self.url = "https://example.org/run"

    def define_metric(self, name, **settings):
        self.metrics.append((name, settings))

    def log(self, figures, step):
        assert step not in self.rows, "a line was sent twice"
        self.rows[step] = figures

    def finish(self):
        self.finished = True


@pytest.fixture
def wandb(monkeypatch):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_PROJECT", *wandb_sink.QUIET):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    fake = Fake()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def forward(run, *, offline: bool = False) -> Wandb:
    sink = Wandb(run, offline)
    made = Forwarder(RunFolder(run), "wandb", sink, Ledger.read(run))
    made.pump(last=True)
    made.close()
    return sink


def test_a_stage_is_a_run_in_a_group_with_its_steps_as_the_axis(tmp_path, wandb):
    run = tmp_path / "mine"
    make_open(run, "base", steps=3)
    forward(run)
    (init,) = wandb.inits
    assert (init["project"], init["name"], init["group"], init["resume"]) == (
        "nanogen",
        "mine/base",
        "mine",
        "allow",
    )
    assert init["config"]["parameters"] == 3_000_000
    assert wandb.metrics == [("step", {}), ("*", {"step_metric": "step"})]
    rows = wandb.rows[init["id"]]
    assert list(rows) == [1, 2, 3, 4]
    assert rows[4]["step"] == 2
    assert rows[4]["train/loss"] == 4.96
    assert rows[1]["validation/bits_per_byte"] == 4.5


def test_a_later_call_goes_on_in_the_same_run(tmp_path, wandb):
    stage = make_open(tmp_path, "base", steps=3)
    forward(tmp_path)
    with (stage / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "step": 3, "loss": 2.0}\n')
    forward(tmp_path)
    assert len({init["id"] for init in wandb.inits}) == 1
    assert [list(rows) for rows in wandb.rows.values()] == [[1, 2, 3, 4, 5]]


def test_a_line_that_the_server_has_is_not_sent_though_a_kill_kept_it_from_being_noted(
    tmp_path, wandb, monkeypatch
):
    make_open(tmp_path, "base", steps=3)
    ledger = Ledger.read(tmp_path)
    mark = ledger.mark("wandb", RunFolder(tmp_path).stages()[0], "abc")
    ledger.save()
    made = Forwarder(RunFolder(tmp_path), "wandb", Wandb(tmp_path, False), ledger)
    monkeypatch.setattr(Ledger, "save", lambda self: None)
    made.pump(last=True)
    assert mark.lines == 5
    forward(tmp_path)  # reads what was saved: nothing
    assert [list(rows) for rows in wandb.rows.values()] == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("environment", "offline", "mode", "told"),
    [
        ({}, False, "offline", "no key"),
        ({"WANDB_API_KEY": "k"}, True, "offline", "as asked"),
        (
            {"WANDB_API_KEY": "k", "WANDB_BASE_URL": "http://127.0.0.1:9"},
            False,
            "offline",
            "127.0.0.1 is not reached",
        ),
        ({"WANDB_API_KEY": "k", "WANDB_MODE": "disabled"}, False, "disabled", "https://example.org/run"),
    ],
)
def test_where_it_cannot_be_reached_it_writes_to_a_folder(
    tmp_path, wandb, monkeypatch, environment, offline, mode, told
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    make_open(tmp_path, "base", steps=1)
    sink = forward(tmp_path, offline=offline)
    assert wandb.inits[0]["mode"] == mode
    assert told in sink.about()


def test_where_there_is_a_key_and_a_server_it_is_online(tmp_path, wandb, monkeypatch):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        wandb.api.api_key = "k"
        make_open(tmp_path, "base", steps=1)
        sink = forward(tmp_path)
    assert wandb.inits[0]["mode"] == "online"
    assert sink.about() == "https://example.org/run"


def test_without_the_package_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as the import system marks what is not there
    make_open(tmp_path, "base", steps=1)
    with pytest.raises(Fault, match="the package `wandb` is not installed") as caught:
        forward(tmp_path)
    assert "nanogen[track]" in caught.value.help
