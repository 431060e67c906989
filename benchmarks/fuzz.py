"""Compile thousands of broken specs: no traceback, no case over two seconds, all within 500 MB.

`python benchmarks/fuzz.py [CASES] [SEED]`, 3,000 unless told; half by byte, half by token, then every kind of
mutation, then the hostile specs of the suite.
"""

import random
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.nanogen import test_fuzz as fuzz  # the mutations and hostile specs that the suite tries some of

MEGABYTES = 500


def main(cases: int, seed: int) -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEGABYTES * 10**6, hard))  # more is a MemoryError, and a failure
    draw_from, spent, failed = random.Random(seed), [], 0
    started = time.perf_counter()
    kinds = {"byte": (fuzz.mutate_bytes,), "token": (fuzz.mutate_tokens,), "any": fuzz.MUTATORS}
    for name, mutators in kinds.items():
        for case in range(cases // 2 if name != "any" else cases):
            text = draw_from.choice(fuzz.TEXTS)
            for _ in range(draw_from.choice([1, 1, 2])):
                text = draw_from.choice(mutators)(text, draw_from)
            failed += tried(f"{name} {case}", text, fuzz.overrides(draw_from), spent)
    for name, (parts, given) in fuzz.HOSTILE.items():
        failed += tried(name, fuzz.hostile(parts), given, spent)
    seconds, slowest = max(spent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{len(spent):,} texts in {time.perf_counter() - started:.0f} s, {failed} failed")
    print(f"slowest {seconds:.2f} s of processor time ({slowest}), limit {fuzz.SECONDS:.0f} s")
    print(f"most memory {peak:.0f} MB, limit {MEGABYTES} MB")
    return 1 if failed or seconds > fuzz.SECONDS else 0


def tried(name: str, text: str, given: dict, spent: list[tuple[float, str]]) -> bool:
    """Whether a text broke the compiler; what it took is added to `spent`."""
    try:
        spent.append((fuzz.outcome(text, given), name))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        print(f"--- {name}: {type(error).__name__}: {error}\n--set {given}\n{text}", file=sys.stderr)
        return True
    return False


if __name__ == "__main__":
    arguments = [int(a) for a in sys.argv[1:]]
    sys.exit(main(*arguments, *(3000, 1)[len(arguments) :]))
