"""What figures are made of what processes hand back; the processes are stood in for."""

import json

import attrs
import pytest

from nanogen.answers.flops import training
from nanogen.answers.reads import step_bytes
from nanogen.compiler import compile_file
from nanogen.load import Load
from nanogen.shelf import find
from runtime.capacity import Capacity
from runtime.faults import Fault
from stages.benching import bench as benching
from stages.benching.bench import Asked, Bench, Broken, LeftOut
from stages.benching.order import OUT_OF_MEMORY, Model, Order, Sizes
from stages.training.float8 import share_of

SMALL = {"depth": 2, "width": 64, "heads": 1, "vocab": 64, "context": 256}
MODEL = Model("nanochat_2025", SMALL)
SIZES = Sizes(rows=4, length=32, batches=(1, 8), prompt=8, new=8)
HERE = Capacity("cpu", 16 << 30, True, True)
ENVIRONMENT = {"python": "3", "torch": "2", "platform": "L", "processor": "2 x CPU", "threads": "2"}
FACTS = {"device": "cpu", "dtype": "bfloat16", "compiled": True, "environment": ENVIRONMENT}
TRAINED = {**FACTS, "first": 10.5, "steps": [0.5, 0.25, 1.0], "peak": 1000}
DECODED = {
    **FACTS,
    "dtype": "float32",
    "rates": {"1": [100.0, 120.0], "8": []},
    "first": {},
    "bandwidth": 1e9,
}


@pytest.fixture
def bench(monkeypatch):
    """A function from what is asked to a bench, which hands out these answers; and the orders it gave."""
    orders: list[Order] = []

    def make(answers: dict[str, list[dict]], **asked) -> Bench:
        def child(self, order: Order, cache: str, what: str) -> dict:
            self._left(what)
            orders.append(order)
            return answers[order.what].pop(0)

        monkeypatch.setattr(Bench, "_child", child)
        return Bench(Asked((MODEL,), SIZES, **asked), HERE, told.append)

    told: list[str] = []
    make.orders, make.told = orders, told
    return make


def graph():
    return compile_file(find("nanochat_2025", "model"), SMALL).graph


def test_rates_of_training_are_those_of_its_tokens_and_flops(bench):
    (record,) = bench({"train": [TRAINED]}, kinds=("train",)).records()
    figures, tokens = record.figures, 4 * 32
    assert (figures["tokens"].low, figures["tokens"].high) == (tokens / 1.0, tokens / 0.25)
    assert figures["flops"].median == training(graph(), Load(4, 32)).matmul / 0.5
    assert figures["memory"].median == 1000
    assert record.facts["sizes"]["rows"] == 4
    assert record.facts["machine"] == "2 x CPU, 16 GiB"


def test_without_a_peak_no_share_of_it_is_told(bench):
    (record,) = bench({"train": [TRAINED]}, kinds=("train",)).records()
    assert "mfu" not in record.figures
    (record,) = bench({"train": [TRAINED]}, kinds=("train",), on="cpu").records()
    assert "mfu" not in record.figures  # it has none in bfloat16
    (record,) = bench({"train": [TRAINED]}, kinds=("train",), on="h100x8").records()
    assert record.figures["mfu"].median == pytest.approx(record.figures["flops"].median / 989.4e12)
    assert record.notes == ("share: of the peak of h100x8",)


def test_where_the_device_has_it_float8_is_held_against_bfloat16(bench):
    narrow = {**TRAINED, "steps": [0.25, 0.25]}
    wide = {**SMALL, "width": 128}
    one = bench({"train": [TRAINED, narrow], "decode": [DECODED]}, kinds=("train", "decode"), on="h100")
    one.asked = attrs.evolve(one.asked, models=(Model("nanochat_2025", wide),))
    one.capacity = attrs.evolve(HERE, float8=True)
    plain, decoded, other = one.records()
    assert [order.float8 for order in bench.orders] == [False, False, True]
    assert [r.facts["dtype"] for r in (plain, decoded, other)] == ["bfloat16", "float32", "float8"]
    assert plain.key != other.key
    assert other.notes[-1] == "float8: 2.00 times the tokens/s of bfloat16"
    share = share_of(compile_file(find("nanochat_2025", "model"), wide).graph, 32)
    peak = 1 / (share / 1978.9e12 + (1 - share) / 989.4e12)
    assert other.figures["mfu"].median == pytest.approx(other.figures["flops"].median / peak)
    assert plain.figures["mfu"].median == pytest.approx(plain.figures["flops"].median / 989.4e12)


def test_a_model_without_large_maps_is_not_trained_in_float8(bench):
    one = bench({"train": [TRAINED]}, kinds=("train",))
    one.capacity = attrs.evolve(HERE, float8=True)
    assert len(list(one.records())) == 1
    assert bench.told[-1] == "nanochat_2025: no linear map is large enough for float8"


def test_the_device_is_found_by_its_name(bench):
    gpu = {**TRAINED, "device": "cuda", "environment": {**ENVIRONMENT, "gpu": "1 x NVIDIA GeForce RTX 4090"}}
    (record,) = bench({"train": [gpu]}, kinds=("train",)).records()
    assert record.notes == ("share: of the peak of rtx4090",)
    assert record.facts["machine"].startswith("1 x NVIDIA GeForce RTX 4090")


def test_compiling_is_measured_cold_and_warm_and_both_are_samples(bench):
    warm = {**TRAINED, "first": 2.0, "steps": [0.5]}
    cold, trained = bench({"train": [TRAINED, warm]}, kinds=("train", "compile")).records()
    assert (cold.figures["cold"].median, cold.figures["warm"].median) == (10.25, 1.5)
    assert trained.figures["tokens"].samples == 4


def test_what_is_not_compiled_has_no_compile_time(bench):
    eager = {**TRAINED, "compiled": False}
    found = list(bench({"train": [eager]}, kinds=("train", "compile")).records())
    assert [record.facts["what"] for record in found] == ["train"]


def test_rows_are_halved_until_they_fit(bench):
    full = {"fault": OUT_OF_MEMORY}
    (record,) = bench({"train": [full, full, TRAINED]}, kinds=("train",)).records()
    assert [order.rows for order in bench.orders] == [4, 2, 1]
    assert record.facts["sizes"]["rows"] == 1
    with pytest.raises(Fault, match="does not fit"):
        list(bench({"train": [full] * 3}, kinds=("train",)).records())


def test_decoding_is_held_against_the_bandwidth(bench):
    (record,) = bench({"decode": [DECODED]}, kinds=("decode",)).records()
    limit = 1e9 / step_bytes(graph(), Load(1, 1, 12), 4)
    assert record.figures["batch 1"].median == 110
    assert record.figures["batch 1, bandwidth"].median == pytest.approx(110 / limit)
    assert "batch 8" not in record.figures
    assert record.notes == ("share: of what 1 GB/s allow, measured here", "batch 8: out of memory")
    (record,) = bench({"decode": [DECODED]}, kinds=("decode",), on="cpu").records()
    assert record.notes[0] == "share: of what 51 GB/s allow, the bandwidth of cpu"


def test_what_there_is_no_time_for_is_told(bench):
    assert list(bench({}, kinds=("train", "decode"), seconds=0).records()) == []
    assert [line.partition(" left out")[0] for line in bench.told] == [
        "nanochat_2025: training, 4 rows of 32",
        "nanochat_2025: decoding at batch 1, 8",
    ]


def test_of_several_models_one_that_fails_is_told_and_the_others_are_measured(bench):
    one = bench({"train": [{"fault": OUT_OF_MEMORY}] * 3 + [TRAINED]}, kinds=("train",))
    one.asked = attrs.evolve(one.asked, models=(MODEL, MODEL))
    assert len(list(one.records())) == 1
    assert one.failed == 1
    assert "does not fit" in bench.told[-1]


def test_a_process_that_breaks_is_ours_to_mend(monkeypatch):
    one = Bench(Asked((MODEL,), SIZES), HERE)
    breaks = [benching.sys.executable, "-c", "raise ValueError('shapes differ')"]
    real = benching.subprocess.run
    monkeypatch.setattr(benching.subprocess, "run", lambda command, **options: real(breaks, **options))
    order = one._order("train", MODEL, compile_file(find("nanochat_2025", "model"), SMALL))
    with pytest.raises(Broken, match="shapes differ"):
        one._child(order, "", "training")


def test_a_process_that_takes_too_long_is_ended(monkeypatch):
    one = Bench(Asked((MODEL,), SIZES, seconds=0.2), HERE)
    sleep = [benching.sys.executable, "-c", "import time; time.sleep(60)"]
    real = benching.subprocess.run
    monkeypatch.setattr(benching.subprocess, "run", lambda command, **options: real(sleep, **options))
    with pytest.raises(LeftOut, match="training"):
        one._child(
            one._order("train", MODEL, compile_file(find("nanochat_2025", "model"), SMALL)), "", "training"
        )


def test_what_a_process_had_measured_when_its_time_was_over_is_kept(monkeypatch):
    one = Bench(Asked((MODEL,), SIZES, kinds=("decode",), seconds=3), HERE)
    so_far = json.dumps({**DECODED, "rates": {"1": [100.0, 120.0]}})
    code = f"print({so_far!r}); print('{{\"rates', end='', flush=True); import time; time.sleep(60)"
    real = benching.subprocess.run

    def run(command: list[str], **more):
        measures = "stages.benching.child" in command  # and no call of git
        return real([benching.sys.executable, "-c", code] if measures else command, **more)

    monkeypatch.setattr(benching.subprocess, "run", run)
    (record,) = one.records()
    assert record.figures["batch 1"].median == 110
    assert record.notes[1:] == ("batch 8: left out, its time is over",)


def test_unsaid_as_many_rows_are_taken_as_fit():
    compiled = compile_file(find("nanochat_2025", "model"), {"depth": 12})
    rows = [
        Bench(Asked((MODEL,), Sizes()), attrs.evolve(HERE, memory=gib << 30))
        ._order("train", MODEL, compiled)
        .rows
        for gib in (6, 12, 24, 80, 1000)
    ]
    assert rows == sorted(rows)
    assert rows[0] >= 1
    assert rows[-1] == 32


@pytest.mark.parametrize(("spec", "optimizer"), [("nanochat_2025", "muon_adamw_2025"), ("huginn", None)])
def test_an_optimizer_is_one_that_moves_all_of_the_model(spec, optimizer):
    from stages.pretrain import Settings
    from stages.training import recipe

    compiled = compile_file(find(spec, "model"))
    found = benching._optimizer(compiled)
    assert optimizer in (None, found)
    settled = recipe.settle(Settings(steps=1, optimizer=found), compiled).settled
    assert sum(len(group.paths) for group in settled.groups) == len(compiled.blueprint["parameters"])


def test_more_tokens_than_the_context_holds_are_refused(bench):
    one = bench({"decode": [DECODED]}, kinds=("decode",))
    one.asked = attrs.evolve(one.asked, sizes=attrs.evolve(SIZES, prompt=250))
    with pytest.raises(Fault, match="has a context of 256"):
        list(one.records())
