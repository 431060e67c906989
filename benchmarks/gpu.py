"""All figures of a GPU in one call, within a time: what it is, training, decoding, compiling, starting, as JSON lines.

    python -m benchmarks.gpu FOLDER [--minutes 7.5] [--small]

In FOLDER stand `doctor.jsonl` and what `nanogen bench` keeps: `train.jsonl`, `decode.jsonl`, `compile.jsonl`,
`start.jsonl`. Training and decoding at 12 and 20 layers come first, then training in float8 beside that in bfloat16,
where the device has it; what there is no time for is named. `--small`
goes the same way with the small preset, for a machine without a GPU.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

MEASURES = (  # preset, what of it, and the share of the time until which it may take
    ("gpu", ("train", "decode"), 0.85),
    ("d12", ("compile", "start"), 1.0),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with (options.folder / "doctor.jsonl").open("w") as file:
        code = subprocess.run([*NANOGEN, "doctor", "--json"], stdout=file).returncode
    for preset, kinds, until in MEASURES:
        left = options.minutes * until - (time.monotonic() - begun) / 60
        if left <= 0:
            print(f"{preset}, {' and '.join(kinds)}: no time is left", file=sys.stderr)
            continue
        code |= bench("small" if options.small else preset, kinds, left, options.folder)
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes")
    return code


NANOGEN = (sys.executable, "-m", "nanogen")


def bench(preset: str, kinds: tuple[str, ...], minutes: float, folder: Path) -> int:
    """The exit code; figures go to the folder, and to whoever reads along."""
    only = [f"--only={kind}" for kind in kinds]
    options = ["--preset", preset, *only, "--minutes", f"{minutes:.2f}", "--into", str(folder), "--json"]
    return subprocess.run([*NANOGEN, "bench", *options]).returncode


if __name__ == "__main__":
    sys.exit(main())
