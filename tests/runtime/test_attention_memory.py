"""What compiled attention in blocks is said to keep, against what torch's compiler hands from forward to backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nanogen.load import Load, Value
from nanogen.primitives.attend import Attend
from runtime.attention_memory import BLOCK, LONGEST, Blocks, attention, blocks, in_blocks
from runtime.primitives import Now, attend

PARTS = (
    "aot_eager_decomp_partition"  # the compiler up to where it cuts forward from backward, without kernels
)
ROWS, CHANNELS = 2, 32
CASES = [
    (4, 4, 256, None, torch.bfloat16),
    (4, 2, 256, None, torch.float32),
    (4, 2, 200, 70, torch.bfloat16),
    (2, 1, BLOCK, None, torch.bfloat16),
    (2, 2, LONGEST, 129, torch.float32),
]


@pytest.fixture(autouse=True)
def fresh():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def kept_bytes(heads: int, groups: int, tokens: int, window: int | None, dtype: torch.dtype) -> int:
    """Of queries, keys and values that are computed, and so not there in any case."""
    stream, kept = torch.Generator().manual_seed(0), {}
    given = [
        torch.randn(ROWS, tokens, n, CHANNELS, generator=stream).to(dtype).requires_grad_()
        for n in (heads, groups, groups)
    ]

    @torch.compile(backend=PARTS, fullgraph=True, dynamic=False)
    def mixed(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        now = Now.start(torch.zeros(ROWS, tokens, dtype=torch.int64))
        return attend(1.5 * q, 1.5 * k, 1.5 * v, now, window)

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage: Any = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        mixed(*given)
    return sum(kept.values())


@pytest.mark.parametrize(("heads", "groups", "tokens", "window", "dtype"), CASES)
def test_what_is_counted_is_what_is_kept(heads, groups, tokens, window, dtype):
    load = Load(ROWS, tokens, attention=attention("cpu", True), narrow=dtype.itemsize < 4)
    q, k, v = (Value((n, CHANNELS)) for n in (heads, groups, groups))
    counted = Attend(window=window).saved(load, q, q, k, v)
    bytes_counted = counted.run * dtype.itemsize + counted.wide * 4
    assert counted.inputs == ()
    assert bytes_counted == pytest.approx(kept_bytes(heads, groups, tokens, window, dtype), rel=0.01)


def test_blocks_have_every_pair_that_a_window_shows():
    for tokens, window in ((200, None), (200, 70), (130, 1), (64, 500)):
        seen = {(q, k) for q in range(tokens) for k in range(q + 1) if window is None or q - k < window}
        covered = [
            (q, k) for s, e, first in blocks(tokens, window) for q in range(s, e) for k in range(first, e)
        ]
        assert len(covered) == len(set(covered))
        assert seen <= set(covered)


def test_a_kernel_makes_all_again():
    assert attention("cuda", True) is attention("cpu", False) is None
    found = [in_blocks(n, "cpu", True) for n in (BLOCK - 1, BLOCK, LONGEST, LONGEST + 1)]
    assert found == [False, True, True, False]
    assert [Blocks().kept(n, None, False) is None for n in (BLOCK - 1, LONGEST + 1)] == [True, True]
    load, q = Load(1, 256, attention=Blocks()), Value((2, 8))
    eager = Attend().saved(Load(1, 256), q, q, q, q)
    assert Attend(softcap=5.0).saved(load, q, q, q, q) == eager
    assert Attend().saved(load, q, q, q, q) != eager
