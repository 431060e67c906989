"""A run's folder as a run leaves it, made without one."""

from pathlib import Path

from runtime.manifest import to_json, write_manifest
from runtime.metrics import CLOCK, METRICS, Metrics


def make_done(run: Path, name: str, uses: str, result: dict) -> None:
    stage = run / name
    stage.mkdir(parents=True)
    (stage / "result.json").write_bytes(to_json(result))
    facts = {"identity": name, "needs": {}, "uses": uses, "seconds": 65.0, "finished": "2026-01-01T00:00:00Z"}
    write_manifest(stage, facts)


def make_open(
    run: Path,
    name: str,
    *,
    steps: int,
    of: int = 100,
    gpu: str | None = None,
    flops: int = 10**12,
    drop: float = 0.0,
    reward: float | None = None,
    float8: float | None = None,
) -> Path:
    """A stage that has made so many steps of half a second."""
    stage = run / name
    stage.mkdir(parents=True)
    (stage / "work.json").write_text('{"identity": "abc", "needs": {}}')
    metrics, clock = Metrics(stage / METRICS), Metrics(stage / CLOCK)
    metrics.log(
        kind="begin",
        steps=of,
        parameters=3_000_000,
        step_flops=flops,
        device="cuda" if gpu else "cpu",
        gpu=gpu,
        dtype="bfloat16",
        **({} if float8 is None else {"float8": float8}),
    )
    metrics.log(kind="validation", step=0, tokens=0, flops=0, bits_per_byte=4.5 - drop)
    clock.log(kind="validation", step=0, seconds=0.0, at=1000.0)
    for step in range(steps):
        made = step + 1
        found = {"loss": round(5 - drop - step / 50, 6)} | ({} if reward is None else {"reward": reward})
        metrics.log(kind="step", step=step, **found, tokens=made * 64, flops=made * flops)
        clock.log(kind="step", step=step, seconds=made * 0.5, tokens_per_second=128.0, at=1000.0 + made)
    return stage
