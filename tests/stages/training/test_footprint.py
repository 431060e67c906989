"""What a stage takes is what the ledger says, and what torch writes."""

from nanogen.load import Load
from runtime.capacity import capacity
from runtime.checkpoint import KEPT
from stages.training.footprint import SAVES, Footprint, MicroBatch


def test_saves_that_are_counted_are_those_that_are_there_at_once():
    assert SAVES == KEPT + 2


def test_a_stage_that_trains_takes_what_it_writes(trained_run, write_run):
    run = write_run(("context = 16", "context = 64"), ("batch_tokens = 64", "batch_tokens = 128"))
    base = run.stage("base")
    found: Footprint = base.kind.disk(base.settings, base.compiled)  # pyright: ignore[reportAttributeAccessIssue]
    weights = (trained_run / "runs/small/base/weights.safetensors").stat().st_size
    assert found.kept <= weights < found.kept + 20_000  # with names and shapes
    assert found.passing == SAVES * (found.kept + _moments(base.compiled))


def _moments(compiled) -> int:
    from nanogen.answers.memory import ledger
    from runtime import optimizer_memory

    return ledger(compiled.graph, Load(1, 1), 4, optimizer_memory).optimizer


def test_gradients_of_earlier_micro_batches_count_where_there_are_some(write_run):
    compiled = write_run().compiled
    alone, among = (MicroBatch(Load(8, 16), count).ledger(compiled, 4) for count in (1, 2))
    assert not alone.accumulates
    assert among.accumulates
    assert alone.total < among.total
    assert MicroBatch(Load(8, 16), None).ledger(compiled, 4) == among


def test_a_step_is_what_the_stage_computes(write_run):
    base = write_run().stage("base")
    step: MicroBatch = base.kind.micro_batch(base.settings, base.compiled, capacity())  # pyright: ignore[reportAttributeAccessIssue]
    assert (step.load.rows, step.load.tokens, step.accumulation) == (2, 16, 2)


def test_a_corpus_takes_its_text_at_most(write_run, texts):
    size = sum(path.stat().st_size for path in texts.iterdir())
    whole = write_run().stage("corpus")
    assert whole.kind.disk(whole.settings, None) == Footprint(size)  # pyright: ignore[reportAttributeAccessIssue]
    part = write_run(("validation = 0.2", "validation = 0.2, characters = 500")).stage("corpus")
    assert part.kind.disk(part.settings, None) == Footprint(500)  # pyright: ignore[reportAttributeAccessIssue]
