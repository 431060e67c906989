"""Rows that a device computes at once: the most that fit, and off a GPU the same on every machine."""

import pytest
from attrs import evolve

from nanogen.compiler import compile_file, compile_text
from nanogen.load import Load
from nanogen.shelf import find
from runtime.capacity import Capacity
from runtime.faults import Fault
from stages.training.fitting import (
    AUTO,
    SHARDED,
    WHOLE,
    check_weights,
    fits,
    micro_batch,
    room,
    why,
    why_sharded,
)
from stages.training.footprint import BATCH, MEMORY, NOTHING, RESULTS, SAID, MicroBatch
from stages.training.pace import MOST_ROWS, sizes

COMPILED = compile_file(find("nanochat_2025", "model"), {"depth": 4, "vocab": 4096, "context": 512})
BATCH_TOKENS = 96 * 512
GPU = Capacity("cuda", memory=80 * 10**9, bfloat16=True, compiler=True)
CPU = Capacity("cpu", memory=80 * 10**9, bfloat16=False, compiler=True)


def settled(
    on: Capacity, rows: int | None = None, batch_tokens: int = BATCH_TOKENS, weights: str = AUTO
) -> MicroBatch:
    return micro_batch(
        COMPILED, batch_tokens=batch_tokens, length=512, rows=rows, dtype="auto", on=on, weights=weights
    )


def needed(step: MicroBatch, on: Capacity, rows: int) -> int:
    """Bytes of a step that is cut into so many rows."""
    other = evolve(step, load=evolve(step.load, rows=rows), accumulation=step.own_rows // rows)
    return other.ledger(COMPILED, on.bytes_of("auto")).total


@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("memory", [0.3, 0.5, 1, 2, 4, 80])
def test_a_gpu_takes_the_most_rows_that_divide_the_batch_and_fit(memory: float, devices: int):
    on = evolve(GPU, memory=int(memory * 10**9), devices=devices)
    step = settled(on)
    own, rows = 96 // devices, step.load.rows
    assert rows in sizes(own)
    assert (step.own_rows, step.devices) == (own, devices)
    assert needed(step, on, rows) <= room(on)
    for more in (n for n in sizes(own) if n > rows):
        assert needed(step, on, more) > room(on)
    assert step.bound == (BATCH if rows == own else MEMORY)


def test_the_batch_is_the_same_on_every_machine():
    for on in (CPU, GPU, evolve(GPU, devices=8), evolve(GPU, memory=10**9), evolve(GPU, devices=7)):
        step = settled(on)
        assert step.own_rows * step.devices * step.load.tokens == BATCH_TOKENS


def test_off_a_gpu_results_do_not_hang_on_the_memory():
    for memory in (3 * 10**9, 16 * 10**9, 10**12):
        step = settled(evolve(CPU, memory=memory))
        assert (step.load.rows, step.accumulation, step.bound) == (MOST_ROWS, 12, RESULTS)
    assert settled(CPU, batch_tokens=6 * 512).load.rows == 6
    assert settled(CPU, batch_tokens=7 * 2 * 512).load.rows == 7
    mac = settled(evolve(CPU, device="mps", memory=64 * 10**9))
    assert mac.load.rows == MOST_ROWS


def test_compiled_code_on_a_cpu_keeps_more_of_attention():
    """So where memory is short it has fewer rows, and nothing changes on a GPU, or where nothing compiles."""

    def total(on: Capacity, compile: str) -> int:
        step = micro_batch(
            COMPILED, batch_tokens=BATCH_TOKENS, length=512, rows=8, dtype="auto", on=on, compile=compile
        )
        return step.ledger(COMPILED, on.bytes_of("auto")).total

    more = total(CPU, "auto")
    assert more > 1.1 * total(CPU, "no")
    assert total(evolve(CPU, compiler=False), "auto") == total(CPU, "no")
    assert total(evolve(CPU, compiler=False), "yes") == more
    assert total(GPU, "auto") == total(GPU, "no")
    tight = evolve(CPU, memory=int(total(CPU, "no") / 0.9) + 1)
    given = {"batch_tokens": BATCH_TOKENS, "length": 512, "rows": None, "dtype": "auto", "on": tight}
    assert micro_batch(COMPILED, **given).load.rows == MOST_ROWS
    assert micro_batch(COMPILED, **given, compile="auto").load.rows < MOST_ROWS


def test_off_a_gpu_memory_may_force_fewer_rows():
    step = settled(CPU)
    on = evolve(CPU, memory=int(needed(step, CPU, 4) / 0.9) + 1)
    assert (settled(on).load.rows, settled(on).bound) == (4, MEMORY)


def test_where_not_one_row_fits_one_is_told():
    on = evolve(GPU, memory=10**6)
    step = settled(on)
    assert (step.load.rows, step.bound) == (1, NOTHING)
    assert not fits(COMPILED, step, "auto", on)


def test_what_the_run_file_says_is_taken():
    step = settled(evolve(GPU, memory=10**6), rows=32)
    assert (step.load.rows, step.accumulation, step.bound) == (32, 3, SAID)
    with pytest.raises(Fault, match="does not split into such micro-batches"):
        settled(GPU, rows=5)
    shared = settled(evolve(GPU, devices=8), rows=32)  # a device has no more than 12
    assert (shared.load.rows, shared.accumulation) == (12, 1)
    odd = settled(evolve(GPU, devices=2), rows=2, batch_tokens=6 * 512)  # which has three
    assert (odd.load.rows, odd.accumulation, odd.devices) == (1, 3, 2)


def test_as_many_devices_share_a_step_as_have_equal_parts():
    assert settled(evolve(GPU, devices=7)).devices == 6
    assert settled(evolve(GPU, devices=16), batch_tokens=4 * 512).devices == 4


def test_each_device_keeps_its_part_of_the_optimizer_alone():
    one, eight = (evolve(settled(GPU), devices=n).ledger(COMPILED, 2) for n in (1, 8))
    assert eight.optimizer == -(-one.optimizer // 8)
    assert (eight.weights, eight.gradients) == (one.weights, one.gradients)


@pytest.mark.parametrize(
    ("on", "rows", "told"),
    [
        (GPU, 32, "as the run file says"),
        (GPU, None, "all 96 rows of a batch at once"),
        (CPU, None, "the most up to 8 that divide the 96 rows of a batch"),
        (evolve(GPU, memory=10**9), None, "the most that divide the 96 rows of a batch and fit the memory"),
        (evolve(GPU, memory=10**6), None, "not even one row fits"),
    ],
)
def test_the_reason_is_told(on: Capacity, rows: int | None, told: str):
    assert told in why(settled(on, rows))


# -- weights in parts


def one_row(devices: int) -> int:
    """Bytes of a step with one row on a device that has all weights."""
    return MicroBatch(Load(1, 512), 96 // devices, ranks=devices).ledger(COMPILED, 2).total


@pytest.mark.parametrize("how", ["devices", "ranks"])
def test_weights_lie_in_parts_where_a_device_does_not_hold_them(how: str):
    """As hardware says how many devices there are, or as so many ranks were started."""
    just = int(one_row(4) / 0.9) + 9
    assert not settled(evolve(GPU, memory=just, **{how: 4})).sharded
    on = evolve(GPU, memory=just - 20, **{how: 4})
    step = settled(on)
    assert (step.sharded, step.ranks, step.devices) == (True, 4, 1)
    assert step.own_rows == 96
    assert fits(COMPILED, step, "auto", on)
    assert "with all weights on each, one row would take" in why_sharded(step, COMPILED, "auto", AUTO, on)
    assert not settled(evolve(on, devices=1, ranks=1)).sharded  # there is nobody to share with


def test_a_device_computes_the_most_rows_that_fit_beside_its_part():
    on = evolve(GPU, memory=int(0.12 * 10**9), devices=8)
    step = settled(on, weights=SHARDED)
    assert step.bound == MEMORY
    for rows in sizes(96):
        other = evolve(step, load=evolve(step.load, rows=rows), accumulation=96 // rows)
        if rows > step.load.rows:
            assert other.ledger(COMPILED, 2).total > room(on) or rows == step.load.rows
    assert step.ledger(COMPILED, 2).total <= room(on)


def test_it_is_as_the_run_file_says():
    assert settled(evolve(GPU, devices=4), weights=SHARDED).sharded
    small = evolve(GPU, memory=int(one_row(4) / 0.9) - 9, devices=4)
    assert (settled(small, weights=WHOLE).sharded, settled(small, weights=WHOLE).bound) == (False, NOTHING)
    said = settled(evolve(GPU, ranks=4), rows=6, weights=SHARDED)
    assert (said.load.rows, said.accumulation, said.bound) == (6, 16, SAID)
    assert "as the run file says" in why_sharded(said, COMPILED, "auto", SHARDED, GPU)


def test_where_not_even_parts_fit_one_row_is_told():
    step = settled(evolve(GPU, memory=10**6, devices=4))
    assert (step.sharded, step.load.rows, step.bound) == (True, 1, NOTHING)


def test_off_a_gpu_parts_change_no_rows():
    step = settled(evolve(CPU, ranks=2), weights=SHARDED)
    assert (step.load.rows, step.accumulation, step.bound) == (MOST_ROWS, 12, RESULTS)
    assert (step.rows_at_once(COMPILED), step.passes(COMPILED)) == (
        8,
        6,
    )  # of micro-batches that are all alike
    odd = settled(evolve(CPU, ranks=5), weights=SHARDED)
    assert (odd.rows_at_once(COMPILED), odd.passes(COMPILED)) == (2, 12)


def test_a_model_that_cannot_lie_in_parts_stays_whole():
    text = 'kind = "model"\nlanguage = 1\n[dims]\nvocab = 64\ncontext = 32\nwidth = 16\n[model]\n'
    flat = compile_text(text + 'embed = "embedding(tokens, vocab, width)"\nlogits = "linear(embed, vocab)"')
    check_weights(flat, AUTO)
    with pytest.raises(Fault, match="`weights` is sharded, and the model has no layers"):
        check_weights(flat, SHARDED)
