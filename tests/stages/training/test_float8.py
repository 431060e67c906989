"""Training in 8 bits: what it learns, that it goes on bit for bit, what is evaluated, and who decides."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from nanogen.answers.float8 import float8_flops
from nanogen.answers.flops import training
from nanogen.compiler import Compiled, compile_file
from nanogen.load import Load
from nanogen.shelf import find
from runtime.capacity import Capacity
from runtime.checkpoint import write_save
from runtime.device import machine
from runtime.faults import Fault
from runtime.float8_gain import Gain
from runtime.model import build, initialize
from runtime.ranks import ALONE, Ranks
from runtime.training import Trainer
from stages.pretrain import Settings
from stages.progress import Reporter
from stages.running.comparison import differences
from stages.running.runner import execute
from stages.training import recipe
from stages.training.float8 import ENOUGH, WORDS, choose, planned, refusal, settle, share_of
from stages.training.start import make_trainer
from stages.work import Work

SIZES = {"depth": 2, "width": 128, "heads": 2, "vocab": 64, "context": 32}
ROWS, STEPS = 8, 50
NEAR = 0.05  # nats that training in 8 bits may end apart from training in bfloat16
WIDE = ("width = 64", "width = 128")
ASKED = ('dtype = "float32"', 'dtype = "bfloat16", float8 = "yes"')


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_file(find("nanochat_2025", "model"), SIZES)


def trainer_of(compiled: Compiled) -> Trainer:
    settings = Settings(steps=STEPS, batch_tokens=ROWS * 32, rows=ROWS)  # pyright: ignore[reportArgumentType]
    on = machine(dtype="bfloat16", compiled="no")
    model = build(compiled.source, compiled.blueprint, device="cpu")
    initialize(model, compiled.blueprint, seed=0)
    work = Work("test", "train", settings, (), Path(), 0, Reporter(), compiled)
    return make_trainer(work, compiled, model, on, recipe.settle(settings, compiled), loader=None)


def batch(step: int) -> tuple[Tensor, Tensor]:
    """Ids that mostly follow from the one before the last, which only attention can find."""
    draws = torch.Generator().manual_seed(step)
    ids = torch.randint(64, (ROWS, 33), generator=draws)
    for place in range(2, 33):
        known = (5 * ids[:, place - 2] + 3) % 64
        ids[:, place] = torch.where(torch.rand(ROWS, generator=draws) < 0.9, known, ids[:, place])
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


# -- what is learnt


def test_a_model_learns_as_much_as_in_bfloat16(compiled):
    """It must have learnt: of 4.2 nats half go, and the layers are what takes them. And it was not bfloat16."""
    plain, narrow = trainer_of(compiled), trainer_of(compiled)
    narrow.use_float8()
    losses = [[t.learn([batch(step)]).loss for step in range(STEPS)] for t in (plain, narrow)]
    ends = [sum(some[-10:]) / 10 for some in losses]
    assert losses[0][0] > 4
    assert ends[0] < 2.5
    assert abs(ends[1] - ends[0]) < NEAR
    assert losses[0][1:] != losses[1][1:]


def test_an_evaluation_is_in_bfloat16(compiled):
    narrow = trainer_of(compiled)
    narrow.use_float8()
    for step in range(3):
        narrow.learn([batch(step)])
    plain = trainer_of(compiled)
    plain.model.load_state_dict(narrow.model.state_dict())
    inputs, targets = batch(1)
    assert torch.equal(narrow.losses(inputs, targets), plain.losses(inputs, targets))
    assert narrow.float8 is not None
    with narrow.float8.turned_on():
        assert not torch.equal(narrow.losses(inputs, targets), plain.losses(inputs, targets))


def test_what_is_multiplied_in_8_bits_is_what_was_counted(compiled, monkeypatch):
    """The sizes of all products of a step, forward and backward."""
    trainer = trainer_of(compiled)
    trainer.use_float8()
    flops, plain = [], torch._scaled_mm  # pyright: ignore[reportPrivateImportUsage]

    def counted(a: Tensor, b: Tensor, **more: Any) -> Tensor:
        flops.append(2 * a.shape[0] * a.shape[1] * b.shape[1])
        assert b.stride(0) == 1  # in columns
        return plain(a, b, **more)

    monkeypatch.setattr(torch, "_scaled_mm", counted)
    trainer.learn([batch(0)])
    assert sum(flops) == float8_flops(compiled.graph, Load(ROWS, 32))
    assert len(flops) == 3 * len(compiled.blueprint["float8"])


# -- a stage


def of(folder: Path, name: str = "base") -> tuple[list[dict[str, Any]], dict[str, Any]]:
    lines = (folder / name / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], json.loads((folder / name / "result.json").read_text())


def test_a_stage_says_what_it_does(write_run, told, tmp_path):
    run = write_run(WIDE, ASKED)
    events, result = of(execute(run, tmp_path / "runs", told[0]))
    share = share_of(run.stage("base").compiled.graph, 16)
    assert "float8: on, as asked; what is not compiled is slower by it" in told[1].getvalue()
    assert events[0]["float8"] == round(share, 4)
    assert result["environment"]["float8"] == f"{share:.0%} of the matmuls"
    assert 0.5 < share < 1


def test_flops_are_those_of_a_run_in_bfloat16(write_run, told, tmp_path):
    """They are the graph's, whatever its maps are multiplied by."""
    narrow = execute(write_run(WIDE, ASKED), tmp_path / "narrow", told[0])
    plain = execute(write_run(WIDE, ('dtype = "float32"', 'dtype = "bfloat16"')), tmp_path / "plain", told[0])
    assert of(narrow)[1]["flops"] == of(plain)[1]["flops"] > 0


@pytest.mark.parametrize("word", WORDS.keywords["enum"])
def test_every_word_of_the_setting_trains(write_run, told, tmp_path, word):
    asked = ('dtype = "float32"', f'dtype = "bfloat16", float8 = "{word}"')
    events, _ = of(execute(write_run(asked, ("steps = 6", "steps = 1")), tmp_path / "runs", told[0]))
    assert events[-1]["kind"] == "validation"


class Cut(Exception):
    """The process is gone."""


@pytest.mark.parametrize("at", [1, 4])
def test_a_stage_that_was_cut_off_goes_on_bit_for_bit(write_run, told, tmp_path, monkeypatch, at):
    run = write_run(WIDE, ASKED, ("evaluate_every = 3", "evaluate_every = 3, save_minutes = 1e-9"))
    straight = execute(run, tmp_path / "straight", told[0])
    plain = Trainer.run_step

    def cut(trainer: Trainer) -> Any:
        if trainer.step == at:
            raise Cut
        return plain(trainer)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "run_step", cut)
        with pytest.raises(Cut):
            execute(run, tmp_path / "cut", told[0])
    folder = execute(run, tmp_path / "cut", told[0])
    assert "float8: on, as the run began" in told[1].getvalue()
    assert differences(run, straight, folder) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there a probe may find it faster")
def test_without_a_gain_it_stays_as_it_was(write_run, told, tmp_path):
    """Off a GPU nothing is probed, and the weights are those of a run that did not ask."""
    narrow = ('dtype = "float32"', 'dtype = "bfloat16", float8 = "auto"')
    plain = ('dtype = "float32"', 'dtype = "bfloat16"')
    events, _ = of(folder := execute(write_run(WIDE, narrow), tmp_path / "runs", told[0]))
    other = execute(write_run(WIDE, plain), tmp_path / "others", told[0])
    assert "float8: off, a CPU gains nothing by it" in told[1].getvalue()
    assert events[0]["float8"] == 0.0
    assert "float8" not in of(other)[0][0]
    files = [(f / "base" / "weights.safetensors").read_bytes() for f in (folder, other)]
    assert files[0] == files[1]


# -- who decides


def fake(
    large: tuple[str, ...] = ("trunk.0.up",),
    device: str = "cuda",
    compiled: bool = True,
    shards: object = None,
) -> Any:
    used: list[bool] = []
    known = {"large": large, "device": device, "compiled": compiled, "shards": shards}
    found = SimpleNamespace(**known, float8=None, used=used)
    found.use_float8 = lambda: used.append(True)
    return found


def never() -> Gain:
    raise AssertionError("nothing is to be probed")


@pytest.fixture
def ada(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 9))


@pytest.mark.parametrize("times", [ENOUGH - 0.01, ENOUGH, 2.0])
def test_a_probe_decides_by_a_margin(ada, times):
    trainer = fake()
    gain = Gain("trunk.0", 0.004, 0.004 / times)
    on, why = choose("auto", begun=None, trainer=trainer, ranks=ALONE, probe=lambda: gain)
    assert on == (gain.times >= ENOUGH)
    assert why.startswith(
        f"`trunk.0` takes 4.00 ms as it is and {4 / times:.2f} in float8: {times:.2f} times"
    )
    assert (trainer.used, trainer.float8) == (
        [True],
        None,
    )  # made ready for the probe, and left to the choice


@pytest.mark.parametrize("asked", ["auto", "yes"])
@pytest.mark.parametrize("begun", [True, False])
def test_a_run_that_goes_on_does_not_turn(asked, begun):
    on, why = choose(asked, begun=begun, trainer=fake(), ranks=ALONE, probe=never)
    assert (on, why) == (begun, "as the run began")


@pytest.mark.parametrize(
    ("trainer", "why"),
    [
        (fake(large=()), "no linear map of the model is large enough"),
        (fake(device="cpu"), "a CPU gains nothing by it"),
        (fake(compiled=False), "only compiled code gains by it"),
        (fake(device="mps"), "MPS does not multiply 8-bit floats"),
        (fake(shards=True), "ranks hold parts of the weights"),
    ],
)
def test_where_nothing_can_be_gained_nothing_is_probed(trainer, why):
    assert choose("auto", begun=None, trainer=trainer, ranks=ALONE, probe=never) == (False, why)


@pytest.mark.parametrize(("asked", "begun"), [("yes", None), ("yes", True), ("auto", True)])
def test_ranks_that_hold_parts_of_the_weights_are_told_that_they_cannot(asked, begun):
    with pytest.raises(Fault, match="do not go together"):
        choose(asked, begun=begun, trainer=fake(shards=True), ranks=ALONE, probe=never)


class Follower(Ranks):
    """The second of two ranks, whose first found that it is `times` as fast."""

    def __init__(self, times: float) -> None:
        super().__init__(1, 2)
        self.times = times

    def total(self, *numbers: float, patient: bool = False) -> list[float]:
        assert numbers == (0.0,)
        return [self.times]


@pytest.mark.parametrize(("first", "own"), [(1.5, 0.9), (0.9, 1.5)])
def test_of_several_ranks_the_first_decides(ada, first, own):
    gain = Gain("trunk.0", own, 1.0)
    on, _ = choose("auto", begun=None, trainer=fake(), ranks=Follower(first), probe=lambda: gain)
    assert on == (first > 1)


def test_where_it_is_not_asked_nothing_is_said_or_saved(compiled):
    told: list[str] = []
    work: Any = SimpleNamespace(
        settings=SimpleNamespace(float8="no"), tell=SimpleNamespace(line=told.append), ranks=ALONE
    )
    trainer = trainer_of(compiled)
    choice = settle(work, trainer, compiled, begun=None, load=None)
    assert (choice.logged, choice.saved, told, trainer.float8) == ({}, {}, [], None)


def test_a_save_says_what_the_run_does(compiled, tmp_path):
    told: list[str] = []
    work: Any = SimpleNamespace(
        settings=SimpleNamespace(float8="yes"), tell=SimpleNamespace(line=told.append), ranks=ALONE
    )
    trainer = trainer_of(compiled)
    choice = settle(work, trainer, compiled, begun=None, load=Load(2, 32))
    assert choice.saved == {"float8": True}
    assert choice.logged == {"float8": round(share_of(compiled.graph, 32), 4)}
    assert trainer.float8 is not None
    write_save(tmp_path, 0, trainer.groups(), choice.saved)
    assert set(trainer.groups()["weights"]) == {p["path"] for p in compiled.blueprint["parameters"]}


# -- before a run


H100 = Capacity("cuda", 80 * 10**9, True, True, name="NVIDIA H100 80GB HBM3", float8=True)
A100 = Capacity("cuda", 80 * 10**9, True, True, name="NVIDIA A100-SXM4-80GB")


def test_what_is_not_there_is_refused():
    fault = refusal("base", "yes", A100)
    assert fault is not None
    assert fault.message == "`base` is to multiply in float8, and NVIDIA A100-SXM4-80GB does not"
    assert "`auto`" in fault.help or '"auto"' in fault.help
    assert [refusal("base", asked, on) for asked, on in (("yes", H100), ("auto", A100), ("no", A100))] == [
        None
    ] * 3


def test_a_plan_says_why(compiled):
    def found(asked: str, on: Capacity, compile: str = "auto") -> tuple[float, str]:
        settings = Settings(steps=1, float8=asked, compile=compile)
        one = planned("base", settings, on, compiled.graph, 32)
        return one.share, one.why

    share = float8_flops(compiled.graph, Load(1, 32)) / training(compiled.graph, Load(1, 32)).matmul
    assert found("yes", H100) == (share, f"on, as asked: {share:.0%} of the matmuls of a step")
    assert found("auto", H100)[0] == 0
    assert "a probe on the device decides" in found("auto", H100)[1]
    assert found("no", H100)[1].startswith("off; ")
    assert found("no", A100) == (0, "")
    assert found("auto", A100) == (0, "off, there is none")
    assert found("yes", H100, "no") == (0, "on, as asked, and not compiled: reckoned as bfloat16")
    with pytest.raises(Fault):
        found("yes", A100)


def test_float32_is_no_place_for_it(write_run):
    from nanogen.text.diagnostics import Refusal

    with pytest.raises(Refusal) as refused:
        write_run(('dtype = "float32"', 'dtype = "float32", float8 = "yes"'))
    [found] = refused.value.diagnostics
    assert "`float8` is asked for, and so is `dtype` float32" in found.message


def test_results_of_before_are_not_stale_by_a_setting_that_says_nothing(write_run):
    from stages.running.identity import result_settings

    settings = write_run().stage("base").settings
    assert "float8" not in result_settings(settings)
    asked = write_run(('dtype = "float32"', 'dtype = "auto", float8 = "auto"')).stage("base").settings
    assert result_settings(asked)["float8"] == "auto"
