"""Scoring many questions at once gives the figures of a plain pass over each option, whatever the model is made of."""

from __future__ import annotations

from random import Random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nanogen.compiler import Compiled, compile_file, compile_text
from nanogen.shelf import find
from runtime import scoring
from runtime.decoding.prepack import can_prepack, prepack
from runtime.model import build, initialize
from runtime.primitives import Now
from runtime.questions import Option, Question, Score
from runtime.reading import Reader
from runtime.scoring import Scorer, is_out_of_memory
from tests.runtime.decoding.test_engine import SPEC as LOOPED

LATE = """
kind = "model"
language = 1
[dims]
vocab = 40
context = 64
[stack.trunk]
layers = 3
q = "linear(x, 16)"
a = "attend(split(q, 2), split(x, 2), split(x, 2), window=6)"
x = "x + causal_conv(flatten(a), 3)"
[model]
embed = "embedding(tokens, vocab, 16)"
trunk = "trunk(embed)"
late = "rms_norm(trunk + shift(trunk, 2))"
logits = "linear(late, vocab, init=normal(1))"
"""
BESIDE = LATE.replace("trunk + shift(trunk, 2)", "trunk - at(trunk, 1)")
MEMORYLESS = """
kind = "model"
language = 1
[dims]
vocab = 40
context = 64
[model]
embed = "embedding(tokens, vocab, 16)"
logits = "linear(embed, vocab, init=normal(1))"
"""
SMALL = {"depth": 2, "width": 64, "heads": 2, "vocab": 40, "context": 64}


def shipped(name: str, **dims: int) -> Compiled:
    return compile_file(find(name, "model"), dims)


MODELS = {
    "windows, convolutions, shifts, noise and a loop": lambda: compile_text(LOOPED),
    "a shift after the layers": lambda: compile_text(LATE),
    "an inner layer beside the last": lambda: compile_text(BESIDE),
    "no past at all": lambda: compile_text(MEMORYLESS),
    "nanochat_2025": lambda: shipped("nanochat_2025", **SMALL),
    "nanochat_2026": lambda: shipped("nanochat_2026", **SMALL),
    "saint_iberis_tiny": lambda: shipped("saint_iberis_tiny", depth=2, width=64, vocab=300, context=64),
}


def made(compiled: Compiled) -> nn.Module:
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=3)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():  # zeros would hide mistakes
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=noise))
    return model.eval()


def questions(vocab: int = 40, count: int = 23, longest: int = 60) -> list[Question]:
    """Options after a shared start, options with a shared end, and single ones, of all lengths."""
    draw = Random(5)

    def ids(most: int) -> list[int]:
        return [draw.randrange(vocab) for _ in range(draw.randint(1, most))]

    made = []
    for number in range(count):
        before, after = [0, *ids(longest - 20)], ids(9)
        if number % 3 == 0:
            ways = [before + ids(9) for _ in range(draw.randint(2, 4))]
            options = [Option(tuple(way), len(before)) for way in ways]
        elif number % 3 == 1:
            ways = [before + ids(9) + after for _ in range(2)]
            options = [Option(tuple(way), len(way) - len(after)) for way in ways]
        else:
            options = [Option(tuple(before + after), len(before))]
        made.append(Question(tuple(options)))
    one = [Option((0, 5, 6, n), 3) for n in range(4)]  # differ in what is scored alone
    return [*made, Question(tuple(one)), Question((Option((0, 7), 1),))]


@torch.no_grad()
def plain(model: nn.Module, option: Option, dials: dict[str, int]) -> Score:
    """One option by itself, in one pass over all of it."""
    ids = torch.tensor([option.ids])
    logits = model(ids, Now.start(ids, dials=dials))[0, option.start - 1 : -1].float()
    wanted = ids[0, option.start :]
    nats = F.cross_entropy(logits, wanted, reduction="none").double()
    return Score(float(nats.sum()), len(wanted), bool((logits.argmax(-1) == wanted).all()))


def check(found: list[list[Score]], model: nn.Module, asked: list[Question], dials: dict[str, int]) -> None:
    for scores, question in zip(found, asked, strict=True):
        wanted = [plain(model, option, dials) for option in question.options]
        assert [s.tokens for s in scores] == [w.tokens for w in wanted]
        assert [s.greedy for s in scores] == [w.greedy for w in wanted]
        assert [s.mean for s in scores] == pytest.approx([w.mean for w in wanted], abs=1e-4)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("held", "passed", "count"), [(8192, 512, 23), (300, 40, 23), (1, 1, 3)])
def test_figures_are_those_of_a_plain_pass(name, held, passed, count):
    compiled = MODELS[name]()
    model, asked = made(compiled), questions(count=count)
    scorer = Scorer(model, compiled.blueprint, held=held)
    scorer.passed = passed
    check(scorer.score(asked), model, asked, {})


@pytest.mark.parametrize("r", [1, 5])
def test_dials_stand_where_they_are_put(r):
    compiled = compile_text(LOOPED)
    model, asked = made(compiled), questions(count=6)
    found = Scorer(model, compiled.blueprint, dials={"r": r}).score(asked)
    check(found, model, asked, {"r": r})
    assert found != Scorer(model, compiled.blueprint).score(asked)


@pytest.mark.skipif(not can_prepack("cpu", torch.float32), reason="this torch has no such kernels")
def test_a_model_laid_out_for_decoding_gives_the_same():
    compiled = MODELS["saint_iberis_tiny"]()
    model, asked = made(compiled), questions(vocab=300)
    wanted = Scorer(model, compiled.blueprint).score(asked)
    prepack(model, torch.float32)
    found = Scorer(model, compiled.blueprint).score(asked)
    for ours, theirs in zip(found, wanted, strict=True):
        assert [s.mean for s in ours] == pytest.approx([s.mean for s in theirs], abs=1e-4)


def test_a_likeliest_continuation_is_told():
    compiled = MODELS["nanochat_2025"]()
    model = made(compiled)
    ids = [0, 4, 9]
    for _ in range(5):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    other = [*ids[:-1], (ids[-1] + 1) % 40]
    asked = [Question((Option(tuple(ids), 3),)), Question((Option(tuple(other), 3),))]
    found = Scorer(model, compiled.blueprint).score(asked)
    assert [scores[0].greedy for scores in found] == [True, False]


# -- work


def positions(monkeypatch) -> list[int]:
    """Positions of every pass that a model makes from now on."""
    seen: list[int] = []
    start = Now.start.__func__

    def counted(cls, tokens, *rest, **more):
        seen.append(tokens.numel())
        return start(cls, tokens, *rest, **more)

    monkeypatch.setattr(Now, "start", classmethod(counted))
    return seen


def test_what_options_share_is_read_once(monkeypatch):
    compiled = MODELS["nanochat_2025"]()
    scorer = Scorer(made(compiled), compiled.blueprint)
    before = tuple(range(40))
    asked = [Question(tuple(Option((*before, n, n + 1), 40) for n in range(4)))] * 5
    seen = positions(monkeypatch)
    scorer.score(asked)
    assert sum(seen) == 5 * (39 + 4 * 2)


def test_options_of_one_id_are_one_pass(monkeypatch):
    compiled = MODELS["nanochat_2025"]()
    scorer = Scorer(made(compiled), compiled.blueprint)
    seen = positions(monkeypatch)
    scorer.score([Question(tuple(Option((*range(40), n), 40) for n in range(4)))])
    assert sum(seen) == 39 + 1


def test_no_more_positions_are_at_work_than_may_be(monkeypatch):
    compiled = MODELS["nanochat_2025"]()
    scorer = Scorer(made(compiled), compiled.blueprint, held=256)
    pasts: list[int] = []
    plain_past = scorer.reader.past

    def past(rows, capacity):
        pasts.append(rows * capacity)
        return plain_past(rows, capacity)

    monkeypatch.setattr(Reader, "past", lambda self, rows, capacity: past(rows, capacity))
    scorer.score(questions())
    assert max(pasts) <= 256
    assert len(pasts) > 3


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("full"), MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory")],
)
def test_what_does_not_fit_in_memory_is_halved(monkeypatch, error):
    compiled = MODELS["nanochat_2025"]()
    model, asked, done = made(compiled), questions(), []
    scorer = Scorer(model, compiled.blueprint, held=2048)
    plain_past = Reader.past

    def past(self, rows, capacity):
        if rows * capacity > 600:
            raise error
        return plain_past(self, rows, capacity)

    monkeypatch.setattr(Reader, "past", past)
    check(scorer.score(asked, done.append), model, asked, {})
    assert scorer.held < 2048
    assert done == sorted(done)
    assert done[-1] == len(asked)


def test_what_never_fits_is_raised(monkeypatch):
    compiled = MODELS["nanochat_2025"]()
    scorer = Scorer(made(compiled), compiled.blueprint)

    def past(self, rows, capacity):
        raise MemoryError

    monkeypatch.setattr(Reader, "past", past)
    with pytest.raises(MemoryError):
        scorer.score(questions())
    assert scorer.held <= scoring.LEAST


def test_another_error_is_not_taken_for_lack_of_memory():
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


def test_reading_is_compiled_where_enough_is_read(monkeypatch):
    compiled = MODELS["nanochat_2025"]()
    model, called = made(compiled), []
    monkeypatch.setattr(Reader, "compile", lambda self: called.append(self))
    Scorer(model, compiled.blueprint).expect(10**12)
    scorer = Scorer(model, compiled.blueprint, compile_from=1000)
    scorer.expect(1000)
    assert not called
    scorer.expect(1001)
    assert called == [scorer.reader]
