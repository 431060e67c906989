"""Count what the server does, and write it as Prometheus reads it. Knows nothing of requests but their figures."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

from aiohttp import web

from web.service import Service

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
RATES = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)  # tokens per second


class Histogram:
    """How many values lie at or below each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._counts = bounds, [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> Iterator[str]:
        below = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            below += count
            yield f'{name}_bucket{{le="{bound}"}} {below}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {below}"


class Metrics:
    """All that is counted since the server started."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()  # by route and status
        self.abandoned: Counter[str] = Counter({"gone": 0, "slow": 0})
        self.prompt_tokens = self.tokens = 0
        self.first_token = Histogram(SECONDS)
        self.rate = Histogram(RATES)

    def text(self, service: Service) -> str:
        return "\n".join([*self._counters(), *_gauges(service), *self._histograms(), ""])

    def _counters(self) -> Iterator[str]:
        yield from _head("nanogen_requests_total", "counter", "Requests by route and status")
        for (route, status), count in sorted(self.requests.items()):
            yield f'nanogen_requests_total{{route="{route}",status="{status}"}} {count}'
        yield from _head(
            "nanogen_abandoned_total", "counter", "Answers whose reader went away, or was too slow"
        )
        for reason, count in sorted(self.abandoned.items()):
            yield f'nanogen_abandoned_total{{reason="{reason}"}} {count}'
        yield from _single("nanogen_prompt_tokens_total", "counter", "Tokens of prompts", self.prompt_tokens)
        yield from _single("nanogen_tokens_total", "counter", "Tokens written", self.tokens)

    def _histograms(self) -> Iterator[str]:
        yield from _head("nanogen_first_token_seconds", "histogram", "From the request to its first token")
        yield from self.first_token.lines("nanogen_first_token_seconds")
        yield from _head("nanogen_tokens_per_second", "histogram", "Of a sample, after its first token")
        yield from self.rate.lines("nanogen_tokens_per_second")


def _gauges(service: Service) -> Iterator[str]:
    replicas = service.replicas
    yield from _single("nanogen_replicas", "gauge", "Replicas that are ready", sum(r.ready for r in replicas))
    yield from _single(
        "nanogen_running", "gauge", "Samples that decode now", sum(r.running for r in replicas)
    )
    yield from _single(
        "nanogen_waiting", "gauge", "Samples that wait for a row", sum(r.waiting for r in replicas)
    )


def _head(name: str, kind: str, help: str) -> Iterator[str]:
    yield f"# HELP {name} {help}."
    yield f"# TYPE {name} {kind}"


def _single(name: str, kind: str, help: str, value: float) -> Iterator[str]:
    yield from _head(name, kind, help)
    yield f"{name} {value}"


METRICS = web.AppKey("metrics", Metrics)
