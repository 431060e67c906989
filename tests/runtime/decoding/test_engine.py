"""The engine: rows that join and leave midway are each as if alone, and every request comes to its end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from random import Random

import pytest
import torch
from attrs import evolve
from torch import nn

from nanogen.compiler import Compiled, compile_text
from runtime.decoding.engine import Engine
from runtime.decoding.generation import answers
from runtime.decoding.prepack import can_prepack, prepack
from runtime.decoding.request import End, Request, Sampling, Token
from runtime.faults import Fault
from runtime.model import build, initialize
from runtime.primitives import Now

VOCAB, CONTEXT = 40, 64
SPEC = """
kind = "model"
language = 1
[dims]
vocab = 40
context = 64
[dial.r]
default = 2
max = 9
[module.attention]
args = { window = "none" }
q = "linear(x, 16)"
k = "linear(x, 8)"
mix = "attend(rope(split(q, 4), 100), rope(split(k, 2), 100), split(k, 2), window=window)"
y = "linear(flatten(mix), 16)"
[stack.trunk]
layers = 2
a = "attention(rms_norm(x), window=6 if i else none)"
c = "causal_conv(a + shift(x, 2), 3)"
x = "x + c"
[loop.think]
inputs = ["s", "e"]
times = "r"
mix = "attention(rms_norm(s + e))"
s = "rms_norm(s + mix)"
[model]
embed = "embedding(tokens, vocab, 16)"
trunk = "trunk(embed + noise(embed, 0.1))"
think = "think(trunk, embed)"
logits = "linear(think, vocab, init=normal(1))"
"""
STACK = """
[stack.trunk]
layers = 3
a = "attention(rms_norm(x), window=6)"
x = "x + causal_conv(a, 3)"
[model]
embed = "embedding(tokens, vocab, 16)"
trunk = "trunk(embed)"
late = "rms_norm(trunk + shift(trunk, 2))"
logits = "linear(late, vocab, init=normal(1))"
"""
GREEDY = Sampling(temperature=0)
PROMPTS = [(3, 1, 4, 1, 5), (9,), tuple(range(30)), (2, 7, 1, 8, 2, 8, 1, 8), (1, 1)]


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_text(SPEC)


def made(compiled: Compiled) -> nn.Module:
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=3)
    return model.eval()


@pytest.fixture(scope="module")
def model(compiled: Compiled) -> nn.Module:
    return made(compiled)


@pytest.fixture
def engine(compiled: Compiled, model: nn.Module):
    def make(**settings) -> Engine:
        return Engine(model, compiled.blueprint, **settings)

    return make


def forward(model: nn.Module, prompt: Sequence[int], tokens: int, *, seed: int = 0, r: int = 2) -> list[int]:
    """Greedy tokens of the full forward pass."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(tokens):
            now = Now.start(torch.tensor([ids]), dials={"r": r}, seed=seed)
            ids.append(int(model(torch.tensor([ids]), now)[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("rows", [1, 2, 32])
@pytest.mark.parametrize("chunk", [3, 512])
def test_unequal_prompts_that_join_midway_are_the_full_forward(engine, model, rows: int, chunk: int):
    requests = [Request(p, 12 + 3 * n, GREEDY) for n, p in enumerate(PROMPTS)]
    found = answers(engine(rows=rows, chunk=chunk), requests)
    assert found == [[forward(model, r.prompt, r.tokens)] for r in requests]
    assert len({tuple(row) for (row,) in found}) == len(PROMPTS)


def test_prepacked_weights_write_the_same(compiled: Compiled, model: nn.Module):
    if not can_prepack("cpu", torch.float32):
        pytest.skip("this torch has no such kernels")
    packed = made(compiled)
    prepack(packed, torch.float32)
    assert {n for n, _ in packed.named_parameters()} == {n for n, _ in model.named_parameters()}
    found = answers(Engine(packed, compiled.blueprint), [Request(p, 20, GREEDY) for p in PROMPTS])
    assert found == [[forward(model, p, 20)] for p in PROMPTS]


def test_steps_are_compiled_for_one_row_and_for_any_number():
    compiled = compile_text(f"{SPEC[: SPEC.index('[stack')]}{STACK}")
    model = made(compiled)
    if can_prepack("cpu", torch.float32):
        prepack(model, torch.float32)
    requests = [Request(p, 20, GREEDY) for p in PROMPTS]
    found = answers(Engine(model, compiled.blueprint, rows=3, compiled=True), requests)
    assert found == answers(Engine(model, compiled.blueprint, rows=3), requests)
    assert found == answers(Engine(model, compiled.blueprint, rows=5, compiled=True), requests)
    assert found == [[forward(model, p, 20)] for p in PROMPTS]


def test_a_sampled_row_is_the_same_alone_and_in_a_crowd(engine):
    free = Sampling(temperature=1.0, top_p=0.95, seed=11)
    one = Request(PROMPTS[0], 25, free)
    alone = answers(engine(), [one])[0]
    crowd = [Request(PROMPTS[n % 5], 10 + n, evolve(free, seed=n, top_k=n + 1)) for n in range(31)]
    assert answers(engine(), [*crowd[:15], one, *crowd[15:]])[15] == alone
    late = engine()
    for request in crowd:
        late.submit(request)
    for _ in range(5):
        late.step()
    assert answers(late, [one])[0] == alone


def test_samples_of_a_prompt_are_independent_and_can_be_more_than_there_are_rows(engine):
    request = Request(PROMPTS[2], 20, Sampling(seed=5), samples=9)
    found = answers(engine(), [request])[0]
    assert len({tuple(row) for row in found}) == 9
    assert answers(engine(rows=4), [request, Request((5,), 3, GREEDY)])[0] == found
    assert answers(engine(), [evolve(request, samples=2)])[0] == found[:2]


@pytest.mark.parametrize("r", [1, 2, 5])
def test_dials_are_of_a_request(engine, model, r: int):
    requests = [Request(PROMPTS[0], 15, GREEDY, dials={"r": t}) for t in (4, r)] + [
        Request((7, 7), 9, GREEDY)
    ]
    found = answers(engine(), requests)
    assert found[1:] == [[forward(model, PROMPTS[0], 15, r=r)], [forward(model, (7, 7), 9)]]
    assert found[0] == [forward(model, PROMPTS[0], 15, r=4)]


def test_what_a_model_draws_follows_from_the_seed_of_the_request(engine, model):
    requests = [Request(PROMPTS[0], 15, Sampling(0, seed=s), samples=2) for s in (0, 8)]
    for request, rows in zip(requests, answers(engine(), requests), strict=True):
        assert rows == [forward(model, PROMPTS[0], 15, seed=request.sampling.seed)] * 2


def test_a_row_ends_before_a_stop_id(engine, model):
    whole = forward(model, PROMPTS[0], 20)
    stop = whole[6]
    working = engine()
    number = working.submit(Request(PROMPTS[0], 20, GREEDY, stop=frozenset({stop, 39})))
    events = [e for e in everything(working) if e.request == number]
    assert [e.id for e in events if isinstance(e, Token)] == whole[: whole.index(stop)]
    assert events[-1] == End(number, 0, "stop", stop)


def test_a_row_ends_with_its_tokens_or_with_the_context(engine):
    working = engine(context=16)
    for prompt, tokens in (((1, 2, 3), 5), (PROMPTS[3], 100), ((1,) * 15, 100), ((1,), 0)):
        working.submit(Request(prompt, tokens, GREEDY, samples=2))
    events = everything(working)
    lengths = [
        [sum(e.request == n and e.sample == s for e in events) - 1 for s in (0, 1)] for n in (1, 2, 3, 4)
    ]
    assert lengths == [[5, 5], [8, 8], [1, 1], [0, 0]]
    assert {e.reason for e in events if isinstance(e, End)} == {"length"}
    assert not working.busy


def test_what_has_ended_is_not_computed_and_no_pass_is_for_nothing(engine, model):
    """A row leaves with its last token, and after the last row's there is no pass more."""
    rows: list[int] = []
    hook = model.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    working = engine()
    for tokens in (2, 5, 3):
        working.submit(Request((1, 2), tokens, GREEDY))
    everything(working)
    hook.remove()
    assert rows == [3, 3, 2, 1, 1]


def test_cancelled_rows_leave_and_the_others_do_not_notice(engine, model):
    working = engine(rows=3)
    numbers = [working.submit(Request(p, 20, GREEDY, samples=1 + n)) for n, p in enumerate(PROMPTS[:4])]
    for _ in range(4):
        early = working.step()
    assert early
    working.cancel(numbers[0])
    working.cancel(numbers[1], sample=0)
    working.cancel(numbers[3])
    working.cancel(numbers[3])
    assert (working.running, working.waiting) == (1, 3)
    rest = everything(working)
    assert {(e.request, e.sample) for e in rest} == {(2, 1), (3, 0), (3, 1), (3, 2)}
    assert [e.id for e in rest if e.request == 3 and e.sample == 2 and isinstance(e, Token)] == forward(
        model, PROMPTS[2], 20
    )
    assert (working.running, working.waiting, working.busy) == (0, 0, False)


class Echo:
    """A tool that answers the first 3 times with two tokens of its own."""

    def __init__(self):
        self.told: list[int] = []
        self.left = 3

    def see(self, token: int) -> list[int]:
        self.told.append(token)
        self.left -= 1
        return [30 + self.left, 20] if self.left >= 0 else []


def test_a_tool_puts_tokens_into_its_row(engine, model):
    tools = []

    def tool() -> Echo:
        tools.append(Echo())
        return tools[-1]

    working = engine()
    working.submit(Request(PROMPTS[0], 12, evolve(GREEDY, logprobs=0), tool=tool))
    working.submit(Request(PROMPTS[0], 12, GREEDY))
    events = [e for e in everything(working) if isinstance(e, Token)]
    row = [e for e in events if e.request == 1]
    ids = [e.id for e in row]
    first = forward(model, PROMPTS[0], 1)
    assert ids[:7] == [*first, 32, 20, 31, 20, 30, 20]
    assert ids[7:] == forward(model, (*PROMPTS[0], *ids[:7]), 5)
    assert [e.forced for e in row] == [False] + [True] * 6 + [False] * 5
    assert [e.logprob is None for e in row] == [e.forced for e in row]
    assert tools[0].told == ids
    assert [e.id for e in events if e.request == 2] == forward(model, PROMPTS[0], 12)


def test_log_probabilities_are_those_of_the_full_forward(engine, model):
    working = engine()
    working.submit(Request(PROMPTS[0], 8, Sampling(1.5, top_k=3, seed=4, logprobs=4)))
    working.submit(Request(PROMPTS[1], 8, Sampling(logprobs=None)))
    events = [e for e in everything(working) if isinstance(e, Token)]
    asked, not_asked = ([e for e in events if e.request == n] for n in (1, 2))
    ids = torch.tensor([[*PROMPTS[0], *(e.id for e in asked)]])
    with torch.no_grad():
        logs = model(ids, Now.start(ids, seed=4)).log_softmax(-1)[0, len(PROMPTS[0]) - 1 :]
    for place, event in enumerate(asked):
        assert event.logprob == pytest.approx(float(logs[place, event.id]), abs=1e-4)
        best = logs[place].topk(4)
        assert [id for id, _ in event.top] == best.indices.tolist()
        assert [p for _, p in event.top] == pytest.approx(best.values.tolist(), abs=1e-4)
    assert all(e.logprob is None and e.top == () for e in not_asked)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_and_goes_each_row_is_as_if_alone(engine, seed: int):
    """Requests of every kind come, run and are cancelled in a random order; who stays has its own tokens."""
    random = Random(seed)
    working, kept, found = engine(rows=4, chunk=5), dict[int, Request](), dict[tuple[int, int], list[int]]()
    for _ in range(60):
        if random.random() < 0.3:
            request = Request(
                random.choice(PROMPTS),
                random.randint(1, 20),
                Sampling(random.choice((0, 0.9)), random.choice((None, 4)), seed=random.randint(0, 99)),
                random.randint(1, 3),
                dials={"r": random.randint(1, 3)},
            )
            kept[working.submit(request)] = request
        if kept and random.random() < 0.1:
            gone = random.choice(sorted(kept))
            del kept[gone]
            working.cancel(gone)
        collect(working.step(), found)
    collect(everything(working), found)
    for number, request in kept.items():
        rows = [found.get((number, sample), []) for sample in range(request.samples)]
        assert rows == answers(engine(rows=1), [request])[0], request


def collect(events: list, found: dict[tuple[int, int], list[int]]) -> None:
    for event in events:
        if isinstance(event, Token):
            found.setdefault((event.request, event.sample), []).append(event.id)


def everything(engine: Engine) -> list:
    events = []
    for _ in count():
        if not engine.busy:
            return events
        events += engine.step()


def test_prompts_are_read_between_steps(engine):
    working = engine(chunk=4)
    working.submit(Request((1,), 40, GREEDY))
    working.step()
    working.submit(Request(PROMPTS[2], 3, GREEDY))
    steps = [{e.request for e in working.step()} for _ in range(9)]
    assert steps[:7] == [{1}] * 7  # 29 positions, 4 at a time
    assert steps[7:] == [{1, 2}] * 2


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request((), 3), "the prompt is empty"),
        (Request((1,) * 64, 3), "64 tokens, and the context holds 64"),
        (Request((1, 40), 3), "the id 40, and the model knows 40"),
        (Request((-1,), 3), "the id -1"),
        (Request((1,), 3, dials={"r": 10}), "goes from 1 to 9"),
        (Request((1,), 3, dials={"s": 1}), "no dial `s`"),
    ],
)
def test_what_cannot_be_answered_is_refused_at_once(engine, request_: Request, message: str):
    working = engine()
    with pytest.raises(Fault, match=message):
        working.submit(request_)
    assert not working.busy


# -- turns that share their state


def shared_by_hand(model: nn.Module, prompt: list[int], tokens: int, turns: int) -> list[int]:
    """One turn's tree for all turns, position by position, as looped_nanochat decodes by default."""
    blueprint = compile_text(LOOPED).blueprint
    from runtime.decoding.past import allocate_past

    past = allocate_past(blueprint, rows=1, capacity=32, dtype=torch.float32, dials={"r": 1})
    past["think"] = [past["think"][0]] * turns
    ids = list(prompt)
    first = torch.tensor([prompt[:-1]])
    with torch.no_grad():
        model(first, Now.start(first, past=past, dials={"r": turns}))
        for place in range(len(prompt) - 1, len(prompt) + tokens - 1):
            token = torch.tensor([[ids[place]]])
            now = Now.start(token, positions=torch.tensor([[place]]), past=past, dials={"r": turns})
            ids.append(int(model(token, now)[0, -1].argmax()))
    return ids[len(prompt) :]


LOOPED = SPEC.replace('c = "causal_conv(a + shift(x, 2), 3)"\nx = "x + c"', 'x = "x + a"').replace(
    "embed + noise(embed, 0.1)", "embed"
)


def test_turns_may_share_their_state_and_then_it_is_not_exact():
    compiled = compile_text(LOOPED)
    model = made(compiled)
    request = Request(PROMPTS[0], 20, GREEDY, dials={"r": 4})
    exact = answers(Engine(model, compiled.blueprint), [request])
    assert answers(Engine(model, compiled.blueprint, turns_kept=4), [request]) == exact
    shared = answers(Engine(model, compiled.blueprint, turns_kept=1), [request])
    assert shared == [[shared_by_hand(model, list(PROMPTS[0]), 20, 4)]]
    assert shared != exact


def test_turns_do_not_share_what_is_kept_in_order(compiled: Compiled, model: nn.Module):
    windowed = compile_text(
        SPEC.replace("attention(rms_norm(s + e))", "attention(rms_norm(s + e), window=4)")
    )
    with pytest.raises(Fault, match="whole attention only"):
        Engine(made(windowed), windowed.blueprint, turns_kept=1)
    Engine(model, compiled.blueprint, turns_kept=1)
    plain = compile_text(f"{SPEC[: SPEC.index('[stack')]}{STACK}")
    with pytest.raises(Fault, match="no loop"):
        Engine(made(plain), plain.blueprint, turns_kept=1)
