"""Put a running server under load, and hold every answer against what the same request gets alone.

    nanogen serve RUN &
    python benchmarks/serve_load.py http://127.0.0.1:8000 --pid $!

For a minute, 64 clients stream answers, and one of ten goes away midway; beside them come malformed JSON, huge
bodies, readers that do not read and 1,000 connections that idle. Each request is one of a few, with a seed, so
every whole answer must be the text that was asked for alone before. Prints figures, and exits 1 where an answer
was lost or mixed, a row outlived its reader by a second, memory grew, or anything got stuck.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import random
import re
import resource
import socket
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from attrs import define, field, frozen

CHAT = "/v1/chat/completions"
PROMPTS = ("The cat sat on the mat and", "Once upon a time", "日本の首都は", "1 + 12 = 13, and 2 + 2 =")
SEEDS = (1, 2, 3)
PATIENCE = 60.0  # seconds for any one request
SECONDS_TO_FREE = 1.0
UNREAD_SECONDS = 3.0
PROBES = 10  # times that rows are left while nobody else asks
HUGE = 64 << 20  # bytes of a huge body, as it says; little of it is sent
MALFORMED = (b"", b"{", b"[]", b'{"messages": [}', b"\xff\xfe\x00", b'{"messages": 7}', b"[" * 5_000)
IDLE_STARTS = (b"", b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n")
MOST = {"clients": 512, "seconds": 600, "idle": 5_000, "tokens": 1_024}


@frozen
class Case:
    """A request that has one right answer."""

    prompt: str
    seed: int
    tokens: int

    def body(self, **more: object) -> dict:
        messages = [{"role": "user", "content": self.prompt}]
        asked = {"messages": messages, "seed": self.seed, "max_tokens": self.tokens, "temperature": 0.9}
        return {**asked, "stream": True, **more}


@frozen
class Seen:
    """A whole answer."""

    text: str
    tokens: int
    finish: str


@define
class Found:
    """What the clients saw of the server."""

    counts: Counter[str] = field(factory=Counter)
    first: list[float] = field(factory=list)  # seconds to the first token of each
    tokens: int = 0
    faults: list[str] = field(factory=list)
    held: int = 0  # most samples that nobody had asked for within the last second
    freed: list[float] = field(factory=list)  # seconds until rows were free, where nobody else asked
    memory: list[int] = field(factory=list)  # bytes of the server, once a second
    _open: int = 0  # samples of requests that are open
    _left: deque[tuple[float, int]] = field(factory=deque)  # when the others were left, and their samples

    def fault(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        self.faults.append(f"{kind}: {text}")

    @contextmanager
    def asking(self, samples: int = 1) -> Iterator[None]:
        self._open += samples
        try:
            yield
        finally:
            self._open -= samples
            self._left.append((time.monotonic(), samples))

    def asked_since(self, moment: float) -> int:
        """Samples that somebody waited for at that moment or later."""
        while self._left and self._left[0][0] < moment:
            self._left.popleft()
        return self._open + sum(samples for _, samples in self._left)


@frozen
class Server:
    """The server under load, as its clients reach it."""

    url: str
    token: str | None

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            self.url,
            headers=self.headers,
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
            connector=aiohttp.TCPConnector(limit=0),
        )

    async def connect(self, *, room: int = 1 << 12) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection; the system takes in `room` bytes for it while it does not read."""
        plain = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET)
        plain.setblocking(False)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        await asyncio.get_running_loop().sock_connect(plain, self.address)
        return await asyncio.open_connection(sock=plain, limit=room)

    def head(self, length: int) -> bytes:
        host, port = self.address
        lines = [f"POST {CHAT} HTTP/1.1", f"Host: {host}:{port}", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()


# -- answers


async def ask(
    session: aiohttp.ClientSession, case: Case, found: Found, *, leave_after: int | None = None
) -> Seen | None:
    """A whole answer; None where it was left after so many events, or has to be asked for again, or is lost."""
    begin = time.monotonic()
    async with session.post(CHAT, json=case.body()) as response:
        if response.status in (429, 503):
            found.counts["told to come again"] += 1
            await asyncio.sleep(float(response.headers.get("Retry-After", 1)))
            return None
        if response.status != 200:
            found.fault("refused", f"{response.status} {(await response.text())[:200]}")
            return None
        seen, events = Seen("", 0, ""), 0
        while leave_after is None or events < leave_after:
            line = await response.content.readline()
            if not line:
                found.fault("lost", f"the answer ended after {seen.text!r}")
                return None
            if not line.startswith(b"data: "):
                continue
            if line.startswith(b"data: [DONE]"):
                return whole(seen, found)
            before, seen, events = seen, added(seen, json.loads(line[6:]), found), events + 1
            if seen.text and not before.text:
                found.first.append(time.monotonic() - begin)
        response.close()
        found.counts["abandoned"] += 1
    return None


def added(seen: Seen, chunk: dict, found: Found) -> Seen:
    if "error" in chunk:
        found.fault("broken off", chunk["error"]["message"])
        return seen
    choice = chunk["choices"][0]
    text = seen.text + (choice["delta"].get("content") or "")
    if choice["finish_reason"] is None:
        return Seen(text, seen.tokens, seen.finish)
    return Seen(text, chunk["nanogen"]["tokens"], choice["finish_reason"])


def whole(seen: Seen, found: Found) -> Seen | None:
    if not seen.finish:
        found.fault("lost", f"no finish after {seen.text!r}")
        return None
    found.tokens += seen.tokens
    return seen


async def ask_alone(server: Server, cases: list[Case]) -> dict[Case, Seen | None]:
    """The right answers: each request while no other runs."""
    async with server.session() as session:
        return {case: await ask(session, case, Found()) for case in cases}


async def client(
    server: Server, answers: dict[Case, Seen], found: Found, until: float, draws: random.Random
) -> None:
    """Ask one thing after another; one of ten is left before its end."""
    async with server.session() as session:
        while time.monotonic() < until:
            case = draws.choice(list(answers))
            leaves = draws.random() < 0.1
            after = draws.randrange(max(1, answers[case].tokens)) if leaves else None
            try:
                with found.asking():
                    seen = await ask(session, case, found, leave_after=after)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                found.fault("stuck" if isinstance(error, TimeoutError) else "lost", repr(error))
                continue
            if seen is None:
                continue
            found.counts["whole"] += 1
            if seen != answers[case]:
                found.fault("mixed", f"{case}: {seen} instead of {answers[case]}")


# -- what disturbs them


async def malformed(server: Server, found: Found) -> None:
    async with server.session() as session, session.post(CHAT, data=random.choice(MALFORMED)) as response:
        if response.status != 400:
            found.fault("malformed JSON passed", str(response.status))
    found.counts["malformed bodies"] += 1


async def huge(server: Server, found: Found) -> None:
    reader, writer = await server.connect()
    answer = b""
    with suppress(ConnectionError):
        writer.write(server.head(HUGE))
        for _ in range(64):
            writer.write(b" " * (1 << 16))
            await asyncio.wait_for(writer.drain(), PATIENCE)
    with suppress(ConnectionError):
        answer = await asyncio.wait_for(reader.read(1 << 10), PATIENCE)
    writer.transport.abort()
    if answer and b" 413 " not in answer.split(b"\r\n")[0]:
        found.fault("huge body passed", repr(answer[:80]))
    found.counts["huge bodies"] += 1


async def unread(server: Server, found: Found, case: Case) -> None:
    """Ask for much, and read nothing of it."""
    body = json.dumps(case.body(n=4, max_tokens=MOST["tokens"])).encode()
    with found.asking(4):
        _, writer = await server.connect()
        writer.write(server.head(len(body)) + body)
        await asyncio.sleep(UNREAD_SECONDS)
        writer.transport.abort()
    found.counts["answers that nobody read"] += 1


async def again(what: Callable[[], Awaitable[None]], found: Found, until: float, *, every: float) -> None:
    while time.monotonic() < until:
        try:
            await what()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            found.fault("stuck", f"a disturbance was not answered: {error!r}")
        await asyncio.sleep(max(0.0, min(every, until - time.monotonic())))


async def idle(server: Server, found: Found, until: float, count: int) -> None:
    """So many connections that say nothing, or half of a head; those that are closed are opened again."""
    held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    while time.monotonic() < until:
        still = [pair for pair in held if not pair[0].at_eof()]
        found.counts["idle connections closed by the server"] += len(held) - len(still)
        held = still
        for number in range(min(100, count - len(held))):
            pair = await server.connect()
            pair[1].write(IDLE_STARTS[number % 2])
            held.append(pair)
        found.counts["idle connections"] = max(found.counts["idle connections"], len(held))
        await asyncio.sleep(0.1)
    for _, writer in held:
        writer.transport.abort()


# -- what is watched


async def health(session: aiohttp.ClientSession) -> int:
    """Samples that run or wait."""
    async with session.get("/health") as response:
        told = await response.json()
        return told["running"] + told["waiting"]


async def watch(server: Server, found: Found, until: float, pid: int | None) -> None:
    """Ten times a second: nothing runs that nobody has asked for within the last second."""
    async with server.session() as session:
        for count in range(10**9):
            if time.monotonic() >= until:
                return
            begin = time.monotonic()
            running = await health(session)
            found.held = max(found.held, running - found.asked_since(begin - SECONDS_TO_FREE))
            if pid is not None and count % 10 == 0:
                found.memory.append(resident(pid))
            await asyncio.sleep(0.1)


def resident(pid: int) -> int:
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1]) << 10


async def probe(server: Server, found: Found, case: Case) -> None:
    """Leave some answers while nobody else asks, and see how long their rows stay taken."""
    body = json.dumps(case.body(max_tokens=MOST["tokens"])).encode()
    async with server.session() as session:
        for _ in range(PROBES):
            writers = [(await server.connect())[1] for _ in range(4)]
            for writer in writers:
                writer.write(server.head(len(body)) + body)
            await asyncio.sleep(random.uniform(0.02, 0.2))
            for writer in writers:
                writer.transport.abort()
            found.freed.append(await seconds_until_free(session))


async def seconds_until_free(session: aiohttp.ClientSession) -> float:
    begin = time.monotonic()
    while await health(session) > 0:
        if time.monotonic() - begin > PATIENCE:
            break
        await asyncio.sleep(0.002)
    return time.monotonic() - begin


# -- the whole


async def load(server: Server, options: argparse.Namespace) -> tuple[Found, float]:
    """What was found, and how many seconds the load lasted."""
    cases = [
        Case(p, seed, 1 + options.tokens * (n + 1) // len(PROMPTS))
        for n, p in enumerate(PROMPTS)
        for seed in SEEDS
    ]
    found, draws = Found(), random.Random(0)
    answers = {case: seen for case, seen in (await ask_alone(server, cases)).items() if seen is not None}
    if len(answers) < len(cases):
        sys.exit("some requests are not answered even alone")
    begin = time.monotonic()
    until = begin + options.seconds
    work = [
        client(server, answers, found, until, random.Random(draws.random())) for _ in range(options.clients)
    ]
    work += [
        again(lambda: malformed(server, found), found, until, every=0.2),
        again(lambda: huge(server, found), found, until, every=0.5),
        again(lambda: unread(server, found, cases[0]), found, until, every=1.0),
        idle(server, found, until, options.idle),
        watch(server, found, until, options.pid),
    ]
    await asyncio.wait_for(asyncio.gather(*work), options.seconds + 3 * PATIENCE)
    lasted = time.monotonic() - begin
    async with server.session() as session:
        found.freed.append(await seconds_until_free(session))
    await probe(server, found, cases[-1])
    if await ask_alone(server, cases) != answers:
        found.fault("mixed", "after the load, the same requests alone have other answers")
    return found, lasted


def report(found: Found, lasted: float, options: argparse.Namespace) -> bool:
    """Print the figures; False where something is wrong."""
    counts = found.counts
    ranks = statistics.quantiles(found.first, n=100) if len(found.first) > 1 else [0.0] * 99
    rows = [
        ("clients, seconds", f"{options.clients}, {lasted:.1f}"),
        *((name, f"{count:,}") for name, count in sorted(counts.items())),
        ("tokens per second, of whole answers", f"{found.tokens / lasted:,.0f}"),
        ("seconds to the first token, p50 and p99", f"{ranks[49]:.3f}, {ranks[98]:.3f}"),
        ("seconds until left rows were free, most of all", f"{max(found.freed):.3f}"),
        ("samples that nobody had asked for in the last second", f"{max(0, found.held)}"),
    ]
    grown = 0
    if len(found.memory) >= 8:
        quarter = len(found.memory) // 4
        early, late = (
            statistics.median(part) for part in (found.memory[quarter : 2 * quarter], found.memory[-quarter:])
        )
        grown = (late - early) / 2**20
        rows.append(("MiB of the server, early and late", f"{early / 2**20:,.0f}, {late / 2**20:,.0f}"))
    for name, value in rows:
        print(f"{name:<55} {value:>15}")
    wrong = [*found.faults]
    if max(found.freed) > SECONDS_TO_FREE or found.held > 0:
        wrong.append(f"rows were held for more than {SECONDS_TO_FREE:g} s by nobody")
    if grown > options.growth:
        wrong.append(f"memory grew by {grown:.0f} MiB, and {options.growth:g} are allowed")
    if not counts["whole"]:
        wrong.append("there is no whole answer")
    for text in wrong[:20]:
        print("WRONG", text)
    return not wrong


def measured(server: Server, options: argparse.Namespace) -> bool:
    return report(*asyncio.run(load(server, options)), options)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--pid", type=int, help="of the server, for its memory")
    parser.add_argument("--token")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--idle", type=int, default=1_000, help="connections")
    parser.add_argument("--tokens", type=int, default=64, help="of the longest answers")
    parser.add_argument("--growth", type=float, default=16, help="MiB that the server may grow by")
    options = parser.parse_args()
    for name, most in MOST.items():
        if not 0 <= getattr(options, name) <= most:
            parser.error(f"--{name} goes up to {most:,}")
    server = Server(options.url.rstrip("/"), options.token)
    if server.address[0] != "localhost" and not is_loopback(server.address[0]):
        parser.error("only a server on this machine is put under load")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8_192)), hard))
    return 0 if measured(server, options) else 1


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
