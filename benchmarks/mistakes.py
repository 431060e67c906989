"""Time what every mistake of tests/stages/mistakes.py costs, as a whole process: each must be told in under 2 s.

`python benchmarks/mistakes.py`. Wall time of `nanogen run`; processor time is printed beside it, for machines that do
other work too.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.stages.mistakes import MISTAKES, Mistake  # noqa: E402

LIMIT, SHOWN = 2.0, 5  # seconds, and how many of the slowest are printed


def timed(mistake: Mistake) -> tuple[float, float]:
    """Seconds of wall and of processor time until a mistake is told."""
    with tempfile.TemporaryDirectory() as name:
        path = mistake.write(Path(name))
        whole = [sys.executable, "-m", "nanogen", "run", str(path), "--runs", f"{name}/{mistake.runs}"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.pop("NANOGEN_DATA", None)
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(whole, cwd=ROOT, env=environment, capture_output=True, text=True)
        wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 1, done.stdout + done.stderr
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    found = {name: timed(mistake) for name, mistake in MISTAKES.items()}
    for name in sorted(found, key=lambda name: -found[name][0])[:SHOWN]:
        wall, busy = found[name]
        print(f"{wall:5.2f} s  {busy:5.2f} s of processor  {name}")
    slowest = max(wall for wall, _ in found.values())
    print(f"{len(found)} mistakes, the slowest told in {slowest:.2f} s; the limit is {LIMIT:.0f} s")
    return slowest >= LIMIT


if __name__ == "__main__":
    sys.exit(main())
