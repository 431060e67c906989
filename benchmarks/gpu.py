"""All figures of a GPU in one call, within a time: training, decoding, compiling, and beside plain PyTorch.

    python -m benchmarks.gpu FOLDER [--minutes 9] [--only WORD] [--small]

Parts come in the order of what matters most, each a process of its own with a most of time: one that fails, hangs or
is late costs no other. In FOLDER stand, each line as soon as it is measured, `train.jsonl`, `decode.jsonl`,
`compile.jsonl` and `start.jsonl` of `nanogen bench`, `beside.jsonl`, `doctor.jsonl`, and `parts.jsonl`: every part with
its command, its seconds and how it ended. Training is measured in bfloat16 and, where the device has it, in float8
too. What there is no time for is named, and the same command goes on with it. `--only` takes the parts with a word in
their names; `--small` goes the same way with small models, where no GPU is.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

NEEDED = ("attrs", "cattrs", "click", "networkx", "numpy", "rich", "tomli", "torch")
LEAST = 20.0  # seconds in which a part can come to anything
GRACE = 15.0  # seconds between the end of a part's time and its own
DONE, LATE, FAILED = "done", "its time was over", "failed"
GPT, IBERIS, NEWER = "nanochat_2025", "saint_iberis_d20", "nanochat_2026"
SHALLOW = 2
SMALL = {"width": 128, "vocab": 1024, "context": 128}
MOST = {  # seconds
    "train": 210.0,  # in bfloat16, and in float8
    "train,compile": 270.0,
    "decode": 200.0,
    "compile": 150.0,
    "start": 60.0,
    "beside": 240.0,
}


@frozen
class Part:
    """A model at a depth, and what of it: kinds of `nanogen bench`, or "beside"."""

    spec: str
    depth: int
    what: str

    @property
    def name(self) -> str:
        return f"d{self.depth} {self.spec} {self.what}"

    def command(self, folder: Path, seconds: float) -> list[str]:
        small = self.depth == SHALLOW
        dims: dict[str, Any] = {"depth": self.depth, **(SMALL if small else {})}
        if self.spec == IBERIS:
            dims["attends"] = list(range(1, self.depth, 3))
        sets = [f"--set={name}={json.dumps(value, separators=(',', ':'))}" for name, value in dims.items()]
        if self.what == "beside":
            sizes = ["--rows=4", f"--length={SMALL['context']}", "--rounds=3"] if small else []
            return [sys.executable, "-m", "benchmarks.beside", self.spec, *sets, *sizes]
        sizes = (
            ["--preset=small", f"--length={SMALL['context']}", "--repeats=2"] if small else ["--preset=d20"]
        )
        only = [f"--only={kind}" for kind in self.what.split(",")]
        more = [f"--minutes={seconds / 60:.2f}", f"--into={folder}", "--json"]
        return [sys.executable, "-m", "nanogen", "bench", self.spec, *sets, *sizes, *only, *more]


PARTS = (
    Part(GPT, 20, "train,compile"),
    Part(GPT, 20, "beside"),
    Part(GPT, 20, "decode"),
    Part(GPT, 12, "train"),
    Part(IBERIS, 20, "train"),
    Part(NEWER, 20, "train"),
    Part(GPT, 12, "beside"),
    Part(IBERIS, 20, "decode"),
    Part(NEWER, 20, "decode"),
    Part(GPT, 12, "decode"),
    Part(IBERIS, 12, "train"),
    Part(NEWER, 12, "train"),
    Part(IBERIS, 20, "beside"),
    Part(NEWER, 20, "beside"),
    Part(IBERIS, 12, "decode"),
    Part(NEWER, 12, "decode"),
    Part(IBERIS, 12, "beside"),
    Part(NEWER, 12, "beside"),
    Part(GPT, 12, "compile"),
    Part(GPT, 12, "start"),
)
SMALL_PARTS = tuple(evolve(part, depth=SHALLOW) for part in PARTS if part.depth == 20)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    if lacking := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        print(f"not installed here: {', '.join(lacking)}", file=sys.stderr)
        return 1
    folder, until = options.folder, time.monotonic() + options.minutes * 60
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "doctor.jsonl").open("w") as file:
        subprocess.run([sys.executable, "-m", "nanogen", "doctor", "--json"], stdout=file)
    before, left = done_before(folder), []
    for part in SMALL_PARTS if options.small else PARTS:
        if options.only not in part.name:
            continue
        if part.name in before:
            print(f"{part.name}: done before")
        elif until - time.monotonic() < LEAST or not measure(part, folder, until):
            left.append(part.name)
    print(f"{options.minutes - (until - time.monotonic()) / 60:.1f} minutes")
    if left:
        print(f"not measured: {'; '.join(left)}. The same command goes on with them")
    return int(bool(left))


def done_before(folder: Path) -> set[str]:
    """Parts that stand in the folder."""
    path = folder / "parts.jsonl"
    lines = map(json.loads, path.read_text().splitlines()) if path.is_file() else ()
    return {line["part"] for line in lines if line["ended"] == DONE}


def measure(part: Part, folder: Path, until: float) -> bool:
    """Whether it came to figures; all that it said is kept."""
    seconds = min(MOST[part.what], until - time.monotonic())
    command, begun = part.command(folder, seconds), time.monotonic()
    print(f"{part.name}: {shlex.join(['python', *command[1:]])}", flush=True)
    code, out, err = run(command, seconds + (0.0 if part.what == "beside" else GRACE))
    figures = [line for line in out.splitlines() if line.startswith("{")]
    if part.what == "beside" and figures:
        append(folder / "beside.jsonl", figures[-1])
    late = code is None or not figures or any("its time is over" in line for line in figures)
    ended = FAILED if code else LATE if late else DONE
    spent = round(time.monotonic() - begun, 1)
    told = {"part": part.name, "command": command[1:], "seconds": spent, "ended": ended}
    if ended != DONE:
        told["said"] = err[-2000:]
    append(folder / "parts.jsonl", json.dumps(told))
    for line in figures:
        print(f"  {summary(json.loads(line))}")
    print(f"  {ended}, {spent:.0f} s", flush=True)
    return ended == DONE


def run(command: list[str], seconds: float) -> tuple[int | None, str, str]:
    """Exit code (None where the time was over), output and errors. Whatever it has started ends with it."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=seconds)
        return process.returncode, out, err
    except subprocess.TimeoutExpired:
        _end(process.pid)
        out, err = process.communicate()
        return None, out, err
    except BaseException:
        _end(process.pid)
        raise


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def append(path: Path, line: str) -> None:
    """A line that stands on the disk, whatever becomes of this machine's processes."""
    with path.open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def summary(found: dict[str, Any]) -> str:
    """The figures of one line."""
    if found["what"] == "beside":
        rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in found["tokens_per_second"].items())
        return f"{rates} tokens/s at {found['rows']} rows: {found['times']:.3f} times ({found['plain_is']})"
    parts = []
    for name, figure in found["figures"].items():
        value = figure["median"]
        share = figure["unit"].startswith("of the")
        parts.append(f"{name} {value:.1%}" if share else f"{name} {value:,.4g} {figure['unit']}")
    rows = f" at {found['sizes']['rows']} rows" if "rows" in found["sizes"] else ""
    return f"{found['what']}{rows}: {'; '.join([*parts, *found.get('notes', ())])}"


if __name__ == "__main__":
    sys.exit(main())
