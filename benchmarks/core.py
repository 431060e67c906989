"""CORE's speed and memory on this machine: many questions at once, beside one question at a time.

    python -m benchmarks.core FOLDER [STRIDE] [SPEC] [DIM=NUMBER ...]    # a bundle; every 25th row and `nanochat_2025`
                                                                         # unless said, with the dims below

The other way is nanochat's: the options of one question as rows of one plain pass over all of it, with logits and
losses everywhere. Both score the same rows of every task, prompts and ids included, with a model of 5 million
parameters in float32, and must give the same figures.

Seconds of what is scored are scaled to all rows of a task. Many questions at once are read by compiled code, and the
seconds that it takes to compile, with nothing cached, are added as they are: it is done once, whatever the number of
rows. They are seconds of the clock, so nothing else should be at work.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._inductor.config as inductor
import torch.nn.functional as F
from attrs import frozen
from torch import nn

from nanogen.compiler import compile_file
from nanogen.shelf import find
from runtime.faults import Fault
from runtime.primitives import Now
from runtime.questions import Question, Score
from runtime.scoring import WORTH, Scorer
from runtime.tokenizer import Tokenizer
from stages.benching.decoding import living
from stages.tasks.core import Bundle, Encoder, Task, is_right, prompts, question, read_bundle

DIMS = {"depth": 4, "width": 256, "vocab": 4096, "context": 2048}
ROWS, STRIDE, TIMES = 500, 25, 2
Found = list[list[Score]]


@frozen
class Asked:
    """A task's rows, and which of them are scored."""

    task: Task
    rows: list[dict[str, Any]]
    places: range

    def questions(self, tokenizer: Tokenizer, encoder: Encoder | None) -> list[Question]:
        """As ids; without an encoder, which remembers what it has met, each text is encoded by itself."""
        fresh = (encoder or Encoder(tokenizer.encode, tokenizer.bos) for _ in self.places)
        made = (question(self.task, self.rows, n, e) for n, e in zip(self.places, fresh, strict=True))
        return [one.within(DIMS["context"]) for one in made]

    def ids(self, tokenizer: Tokenizer) -> int:
        """About how many are read of all rows, shared ones once."""
        found = self.questions(tokenizer, Encoder(tokenizer.encode, tokenizer.bos))
        return sum(one.shared for one in found) * len(self.rows) // len(self.places)

    def right(self, found: Found) -> int:
        return sum(is_right(self.task, self.rows[n], s) for n, s in zip(self.places, found, strict=True))


def main() -> None:
    folder, stride = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else STRIDE
    bundle = read_bundle(folder)
    asked = [found for task in bundle.tasks if (found := ask(bundle, task, stride))]
    dims = DIMS | {name: int(value) for name, value in (one.split("=") for one in sys.argv[4:])}
    tokenizer = Tokenizer.train(texts(asked), vocab=dims["vocab"])
    spec = sys.argv[3] if len(sys.argv) > 3 else "nanochat_2025"
    compiled = compile_file(find(spec, "model"), dims)
    model = living(compiled)
    scorer = Scorer(model, compiled.blueprint, compile_from=WORTH)

    def at_once(one: Asked) -> Found:
        return scorer.score(one.questions(tokenizer, Encoder(tokenizer.encode, tokenizer.bos)))

    def by_itself(one: Asked) -> Found:
        return [plain(model, q) for q in one.questions(tokenizer, None)]

    print(f"{spec}, {compiled.blueprint['count']:,} parameters, a context of {DIMS['context']:,}")
    print(f"{torch.get_num_threads()} threads, every {stride}th row, seconds, the best of {TIMES} in turn")
    start = peak()
    compiling = seconds_to_compile(scorer, sum(one.ids(tokenizer) for one in asked))
    print(f"{peak() - start:.0f} MiB to compile")
    memory = [peak_after(at_once, one) - start for one in asked]
    print(f"{'task':32} {'rows':>4} {'plain':>8} {'at once':>8} {'ratio':>6} {'memory':>8}  of all rows")
    totals = [0.0, 0.0]
    for one, held in zip(asked, memory, strict=True):
        times = alternately(lambda o=one: by_itself(o), lambda o=one: at_once(o), one)
        whole = [seconds * len(one.rows) / len(one.places) for seconds in times]
        totals = [total + seconds for total, seconds in zip(totals, whole, strict=True)]
        figures = f"{whole[0]:>8.1f} {whole[1]:>8.1f} {whole[0] / whole[1]:>5.1f}x {held:>4.0f} MiB"
        print(f"{one.task.label:32} {len(one.rows):>4} {figures}", flush=True)
    totals[1] += compiling
    print(f"{'compiling, once':46} {compiling:>8.1f}")
    print(f"{'all':37} {totals[0]:>8.1f} {totals[1]:>8.1f} {totals[0] / totals[1]:>5.1f}x")
    print(
        f"memory at most, beside the model: {memory[-1]:.0f} MiB at once, {peak() - start:.0f} MiB with the plain way"
    )


def ask(bundle: Bundle, task: Task, stride: int) -> Asked | None:
    try:
        rows = bundle.rows(task, ROWS)
    except Fault as fault:
        print(f"{task.label}: not run: {fault.message}")
        return None
    return Asked(task, rows, range(0, len(rows), stride))


def texts(asked: list[Asked]) -> list[str]:
    return [text for one in asked for n in one.places for text in prompts(one.task, one.rows, n)[-1:]]


@torch.inference_mode()
def plain(model: nn.Module, asked: Question) -> list[Score]:
    """One question, its options padded to one length."""
    ids = torch.zeros(len(asked.options), asked.longest, dtype=torch.int64)
    for row, option in enumerate(asked.options):
        ids[row, : len(option.ids)] = torch.tensor(option.ids)
    logits = model(ids, Now.start(ids))
    wanted = ids.roll(-1, 1)
    nats = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none").view(ids.shape)
    likeliest = logits.argmax(-1) == wanted
    found = []
    for row, option in enumerate(asked.options):
        span = slice(option.start - 1, len(option.ids) - 1)
        tokens = len(option.ids) - option.start
        found.append(Score(float(nats[row, span].double().sum()), tokens, bool(likeliest[row, span].all())))
    return found


def alternately(first: Callable[[], Found], second: Callable[[], Found], asked: Asked) -> list[float]:
    """The least seconds of each, run in turn; their figures must be equal."""
    best = [float("inf")] * 2
    for _ in range(TIMES):
        figures = []
        for place, run in enumerate((first, second)):
            started = time.perf_counter()
            figures.append(run())
            best[place] = min(best[place], time.perf_counter() - started)
        check(*figures, asked)  # pyright: ignore[reportCallIssue]
    return best


def check(plainly: Found, at_once: Found, asked: Asked) -> None:
    for one, other in zip(plainly, at_once, strict=True):
        for a, b in zip(one, other, strict=True):
            assert abs(a.mean - b.mean) < 1e-4, (asked.task.label, a, b)
            assert (a.tokens, a.greedy) == (b.tokens, b.greedy), asked.task.label
    assert asked.right(plainly) == asked.right(at_once), asked.task.label


def seconds_to_compile(scorer: Scorer, ids: int) -> float:
    """Seconds until a scorer is ready for so many ids."""
    inductor.force_disable_caches = True
    started = time.perf_counter()
    scorer.expect(ids)
    return time.perf_counter() - started


def peak() -> float:
    """The most memory that this process has held, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def peak_after(run: Callable[[Asked], Found], asked: Asked) -> float:
    run(asked)
    return peak()


if __name__ == "__main__":
    main()
