"""Time `nanogen check` on a spec of 200 layers, as a whole process: the median of five must be under 0.3 s.

`python -m benchmarks.check`. Processor time is printed beside wall time, for machines that do other work too.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from stages.benching.starting import timed

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


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deep.toml"
        path.write_text(deep_spec())
        timed(["check", str(path)])  # compiles the bytecode
        spent = [timed(["check", str(path)]) for _ in range(RUNS)]
    wall, processor = (statistics.median(column) for column in zip(*spent, strict=True))
    print(f"nanogen check, {LAYERS} layers: {wall:.3f} s wall, {processor:.3f} s processor, median of {RUNS}")
    return 0 if min(wall, processor) < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
