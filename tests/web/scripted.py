"""A server without a model: its engine's tokens follow from the prompt, by a script. For tests of server and page.

    with on_loopback(scripted_app({"cat": "It sat on the <|python_start|>1+1<|python_end|> mats."})) as url: ...

The first key that is in what the user said last chooses the answer; without one, the user is echoed. In an
answer, special tokens are written in their text form, `{seed}` and `{sample}` are filled in, and so are dials, as
`{r}`. The answer `{fail}` breaks the engine.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from aiohttp import web
from attrs import define, field

from runtime.chat.conversation import Chat, Plain
from runtime.decoding.request import End, Request, Token, Tool
from runtime.dials import check_dials
from runtime.faults import Fault
from runtime.tokenizer import Tokenizer
from web.app import make_app
from web.replica import Replica
from web.service import Options, Service
from web.serving import listening

TEXTS = ["the cat sat on the mat, and the dog sat on the cat"] * 4 + [
    "日本語のテキスト 🙂 naïve café",
    "1 + 12 = 13\n\n",
]
SPECIAL = re.compile(r"(<\|\w+\|>)")
ROWS = 8
FACTS = {"step": 300, "trained": "2026-01-31", "parameters": 5_100_800}


@cache
def small_tokenizer() -> Tokenizer:
    """Characters beyond ASCII are several tokens each."""
    return Tokenizer.train(TEXTS, vocab=300)


@define(eq=False)
class _Row:
    number: int
    sample: int
    request: Request
    script: deque[int]
    tool: Tool | None
    forced: deque[int] = field(factory=deque)
    written: int = 0


class ScriptedEngine:
    """Has the methods of the engine, and notes in `cancelled` what it was told to drop."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        answers: Mapping[str, str],
        *,
        rows: int = ROWS,
        context: int = 8_192,
        delay: float = 0.0,
        dials: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.rows, self.context, self.dials = rows, context, dials or {}
        self.cancelled: list[tuple[int, int | None]] = []
        self.requests: list[Request] = []
        self._tokenizer, self._answers, self._delay = tokenizer, answers, delay
        self._running: list[_Row] = []
        self._waiting: deque[_Row] = deque()

    def submit(self, request: Request) -> int:
        if not 0 < len(request.prompt) < self.context:
            raise Fault(
                f"the prompt has {len(request.prompt):,} tokens, and the context holds {self.context:,}"
            )
        if any(not 0 <= id < self._tokenizer.vocab for id in request.prompt):
            raise Fault("the prompt has an id that the model does not know")
        check_dials(self.dials, request.dials)
        self.requests.append(request)
        number = len(self.requests)
        for sample in range(request.samples):
            script, tool = self._script(request, sample), request.tool() if request.tool else None
            self._waiting.append(_Row(number, sample, request, script, tool))
        return number

    def cancel(self, number: int, sample: int | None = None) -> None:
        self.cancelled.append((number, sample))

        def stays(row: _Row) -> bool:
            return row.number != number or sample not in (None, row.sample)

        self._running = [row for row in self._running if stays(row)]
        self._waiting = deque(row for row in self._waiting if stays(row))

    @property
    def busy(self) -> bool:
        return self.running + self.waiting > 0

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def step(self) -> list[Token | End]:
        time.sleep(self._delay)
        while self._waiting and self.running < self.rows:
            self._running.append(self._waiting.popleft())
        events: list[Token | End] = []
        for row in list(self._running):
            events += self._next(row)
            if isinstance(events[-1], End):
                self._running.remove(row)
        return events

    def _next(self, row: _Row) -> list[Token | End]:
        forced = len(row.forced) > 0
        source = row.forced if forced else row.script
        if not source:
            return [End(row.number, row.sample, "stop")]
        id = source.popleft()
        if id < 0:
            raise RuntimeError("the script says that the engine fails")
        assert forced or id not in row.request.never, f"the script draws {id}, which is never drawn"
        row.written += 1
        if row.tool is not None:
            row.forced.extend(row.tool.see(id))
        token = Token(row.number, row.sample, id, forced, **({} if forced else self._scores(row.request, id)))
        full = row.written >= row.request.tokens or len(row.request.prompt) + row.written >= self.context
        return [token, End(row.number, row.sample, "length")] if full else [token]

    def _scores(self, request: Request, id: int) -> dict[str, Any]:
        """The drawn token has half of the chances, the next id a quarter, and so on."""
        count = request.sampling.logprobs
        if count is None:
            return {}
        top = tuple(((id + n) % self._tokenizer.vocab, -0.5 * (n + 1)) for n in range(count))
        return {"logprob": -0.5, "top": top}

    def _script(self, request: Request, sample: int) -> deque[int]:
        said = self._said(request.prompt)
        answer = next((answer for key, answer in self._answers.items() if key in said), said)
        dials = {name: request.dials.get(name, dial["default"]) for name, dial in self.dials.items()}
        for name, value in {"seed": request.sampling.seed, "sample": sample, **dials}.items():
            answer = answer.replace(f"{{{name}}}", str(value))
        if answer == "{fail}":
            return deque([-1])
        ids: deque[int] = deque()
        for piece in SPECIAL.split(answer):
            special = self._tokenizer.special.get(piece) if SPECIAL.fullmatch(piece) else None
            ids.extend(self._tokenizer.encode(piece) if special is None else [special])
        return ids

    def _said(self, prompt: tuple[int, ...]) -> str:
        """The user's last words; all of a prompt that has no users."""
        special = self._tokenizer.special
        ids = list(prompt)
        while special["user_start"] in ids:
            del ids[: ids.index(special["user_start"]) + 1]
        if special["user_end"] in ids:
            del ids[ids.index(special["user_end"]) :]
        return self._tokenizer.decode([id for id in ids if id != special["bos"]])


def scripted_service(
    answers: Mapping[str, str], *, plain: bool = False, replicas: int = 1, **engine: Any
) -> Service:
    """A service of scripted engines; `engine` may say rows, context, delay and dials."""
    tokenizer = small_tokenizer()
    engines = [ScriptedEngine(tokenizer, answers, **engine) for _ in range(replicas)]
    return Service(
        name="quickstart/base",
        format=Plain(tokenizer) if plain else Chat(tokenizer),
        tokenizer=tokenizer,
        replicas=tuple(Replica(engine) for engine in engines),
        facts=FACTS,
    )


def scripted_app(
    answers: Mapping[str, str], *, options: Options | None = None, **service: Any
) -> web.Application:
    """The whole application on scripted engines, for one start of it."""
    return make_app(scripted_service(answers, **service), options)


@contextmanager
def on_loopback(app: web.Application, *, port: int = 0) -> Iterator[str]:
    """Serve an application from a thread, on a port that is free; gives its URL."""
    started: deque[str] = deque()
    up, loop, end = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        async with listening(app, port=port) as url:
            started.append(url)
            up.set()
            await end.wait()

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(run())
        finally:
            up.set()

    thread = threading.Thread(target=work, name="server")
    thread.start()
    up.wait()
    try:
        yield started[0]
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(end.set)
        thread.join()
