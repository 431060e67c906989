"""Time `nanogen check` on a spec of 200 layers, as a whole process: the median of five must be under 0.3 s.

`python benchmarks/check.py`. Processor time is printed beside wall time, for machines that do other work too.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS, RUNS, LIMIT = 200, 5, 0.3


def deep_spec() -> str:
    """A U-net of 200 layers that see windows and the values of the first layer, with facts that differ in each."""
    text = (ROOT / "tests/nanogen/good/unet.toml").read_text()
    for old, new in (
        ("depth   = 6", f"depth   = {LAYERS}"),
        (
            'h      = "joined + mix"',
            'scale  = "parameter(init=1 / (i + 1))"\nh      = "joined + scale * mix"',
        ),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


def timed(path: str) -> tuple[float, float]:
    """Seconds of wall and of processor time of one `nanogen check`."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "nanogen", "check", path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deep.toml"
        path.write_text(deep_spec())
        timed(str(path))  # compiles the bytecode
        spent = [timed(str(path)) for _ in range(RUNS)]
    wall, processor = (statistics.median(column) for column in zip(*spent, strict=True))
    print(f"nanogen check, {LAYERS} layers: {wall:.3f} s wall, {processor:.3f} s processor, median of {RUNS}")
    return 0 if min(wall, processor) < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
