"""The process of one measurement: `python -m stages.benching.child`, an order on its input, JSON as its last line.

Lines before it are what was measured so far, for whoever has no time to wait for the rest.

A process each, so that compiled code is found in the cache alone, that the most memory held is that of one
measurement, and that what does not fit ends nothing else.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanogen.compiler import Compiled, compile_file
from runtime.faults import is_out_of_memory
from stages.benching.order import OUT_OF_MEMORY, Order

if TYPE_CHECKING:
    from runtime.device import Machine
    from runtime.training import Trainer

WARM = 2  # steps before the first that counts, beside the one that compiles


def main() -> int:
    order = Order.read(json.loads(sys.stdin.read()))
    compiled = compile_file(Path(order.spec), order.overrides)
    try:
        found = {"train": train, "decode": decode}[order.what](order, compiled)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        found = {"fault": OUT_OF_MEMORY}
    print(json.dumps(found))
    return 0


def train(order: Order, compiled: Compiled) -> dict[str, Any]:
    """Seconds of the first step, and of samples of some steps; random tokens, dials at their defaults."""
    import torch

    from runtime.device import describe, machine, ready_to_train

    ready_to_train()  # as stages train
    chosen = machine(dtype=order.dtype, compiled=order.compiled)
    held = _held(chosen)
    trainer = trainer_of(order, compiled, chosen)
    if order.float8:
        trainer.use_float8()
    draws = torch.Generator().manual_seed(0)
    ids = torch.randint(compiled.graph.vocab, (order.rows, order.length + 1), generator=draws)
    batch = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    dials = {name: dial["default"] for name, dial in compiled.blueprint["dials"].items()}

    def steps(count: int) -> float:
        begun = time.perf_counter()
        for _ in range(count):
            trainer.learn([batch], dials=dials)
        _wait(chosen)
        return (time.perf_counter() - begun) / count

    first = steps(1)
    steps(WARM)
    samples = [steps(order.sizes.steps) for _ in range(order.sizes.repeats)]
    peak = _held(chosen, most=True) - held
    return {**_facts(chosen, describe()), "first": first, "steps": samples, "peak": peak}


def trainer_of(order: Order, compiled: Compiled, chosen: Machine) -> Trainer:
    from runtime.model import build, initialize
    from stages.pretrain import Settings
    from stages.progress import Reporter
    from stages.training import recipe
    from stages.training.start import make_trainer
    from stages.work import Work

    settings = Settings(
        steps=10_000,
        batch_tokens=order.step_tokens,
        rows=order.rows,
        length=order.length,
        optimizer=order.optimizer,
    )
    model = build(compiled.source, compiled.blueprint, device=chosen.device)
    initialize(model, compiled.blueprint, seed=0)
    made = recipe.settle(settings, compiled)
    work = Work("bench", "train", settings, (), Path(tempfile.gettempdir()), 0, Reporter(), compiled)
    return make_trainer(work, compiled, model, chosen, made, loader=None)


def decode(order: Order, compiled: Compiled) -> dict[str, Any]:
    """Tokens a second at each batch, the seconds until each first ran, and what memory gives."""
    import torch

    from runtime.decoding.engine import Engine
    from runtime.decoding.prepack import prepare
    from runtime.device import describe
    from stages.benching.decoding import bandwidth, engine_rate, living
    from stages.models.trained import decoding_machine

    chosen = decoding_machine(dtype=order.dtype, compiled=order.compiled)
    read = bandwidth(chosen.device)
    model = living(compiled, device=chosen.device)
    prepare(model, chosen.torch_dtype)
    found, rates, first, sizes = {}, {}, {}, order.sizes
    for batch in sizes.batches:
        draws = torch.Generator().manual_seed(batch)
        prompts = torch.randint(compiled.graph.vocab, (batch, sizes.prompt), generator=draws).tolist()
        engine = Engine(
            model,
            compiled.blueprint,
            rows=batch,
            context=sizes.prompt + sizes.new,
            dtype=chosen.torch_dtype,
            compiled=chosen.compiles,
        )
        begun = time.perf_counter()
        try:
            engine_rate(engine, prompts, sizes.new)
            first[str(batch)] = time.perf_counter() - begun
            rates[str(batch)] = [engine_rate(engine, prompts, sizes.new) for _ in range(sizes.repeats)]
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            rates[str(batch)] = []  # larger ones may not fit either, and say so themselves
        del engine
        found = {**_facts(chosen, describe()), "rates": rates, "first": first, "bandwidth": read}
        print(json.dumps(found), flush=True)
    return found


# -- the device


def _facts(chosen: Machine, described: dict[str, str]) -> dict[str, Any]:
    return {
        "device": chosen.device,
        "dtype": chosen.dtype,
        "compiled": chosen.compiles,
        "environment": described,
    }


def _wait(chosen: Machine) -> None:
    import torch

    if chosen.device == "cuda":
        torch.cuda.synchronize()
    elif chosen.device == "mps":
        torch.mps.synchronize()


def _held(chosen: Machine, *, most: bool = False) -> int:
    """Bytes that are held: of a GPU what torch has allocated there, else what this process has of memory."""
    if chosen.device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() if most else torch.cuda.memory_allocated()
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit  # it only grows: the most so far


if __name__ == "__main__":
    sys.exit(main())
