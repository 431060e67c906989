"""Processes that train one model together: who they are, what they tell each other, and what is told when one is gone.

They find each other by the environment that torchrun sets (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT). Tensors of a
model go by NCCL on CUDA and by gloo elsewhere; numbers, orders and waits go by gloo, so that a rank that dies is seen
at once wherever the others wait. Knows nothing of models, files or stages; alone it does nothing and loads no torch.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from attrs import define, field

from runtime.faults import Fault, is_out_of_memory

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
TIMEOUT = timedelta(
    seconds=50
)  # of what all ranks come to at about one time: a minute at most until the end is told
PATIENT = timedelta(
    days=7
)  # of what one rank does while the others wait; a death is seen at once all the same
JOINING = timedelta(minutes=10)  # machines of a queue do not start at once
ROLL_CALL = 3.0  # seconds in which those that are left say so
FAULT = "fault"


class Lost(Fault):
    """Other ranks are gone or have failed. One of those that are left `speaks`, the others end without a word."""

    def __init__(self, message: str, help: str, *, speaks: bool, signal: int = 0) -> None:
        super().__init__(message, help)
        self.speaks, self.signal = speaks, signal


@define(eq=False)
class Ranks:
    """One of `count` processes. What it has to say to the others does nothing where there are none."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this one writes saves, logs and results."""
        return self.rank == 0

    def total(self, *numbers: float, patient: bool = False) -> list[float]:
        """The sums over all ranks, the same for each of them."""
        return list(numbers)

    def most(self, *numbers: int) -> list[int]:
        """The largest over all ranks: what any of them wants."""
        return list(numbers)

    def meet(self) -> None:
        """Wait for all, however long one of them takes."""

    def tell(self, order: dict[str, Any] | None) -> None:
        """Hand an order from the first rank to all others."""

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """What is done within, the first rank has done before the others begin."""
        if not self.leads:
            self.meet()
        yield
        if self.leads:
            self.meet()

    def measured(self, sums: Callable[[], Sequence[float]], size: int) -> list[float]:
        """The totals of the `size` numbers that each rank finds; where one is out of memory, all are."""
        return list(sums())


ALONE = Ranks()


@define(eq=False)
class Joined(Ranks):
    """A rank among others, in process groups of torch."""

    store: Any = field(default=None, repr=False)
    quick: Any = field(default=None, repr=False)  # gloo groups: what all come to at about one time,
    slow: Any = field(default=None, repr=False)  # and what may take long
    # whether who started all is gone, and with it the place where they leave word
    orphaned: Callable[[], bool] = lambda: False

    def total(self, *numbers: float, patient: bool = False) -> list[float]:
        return self._reduced("SUM", numbers, float, patient)

    def most(self, *numbers: int) -> list[int]:
        return self._reduced("MAX", numbers, int, False)

    def _reduced(self, how: str, numbers: Sequence[float], kind: Any, patient: bool) -> list[Any]:
        import torch
        import torch.distributed as dist

        found = torch.tensor(numbers, dtype=torch.float64)
        with self.guarded():
            dist.all_reduce(found, getattr(dist.ReduceOp, how), group=self.slow if patient else self.quick)
        return [kind(number) for number in found.tolist()]

    def meet(self) -> None:
        self.total(0.0, patient=True)

    def tell(self, order: dict[str, Any] | None) -> None:
        self._broadcast(json.dumps(order).encode())

    def hear(self) -> dict[str, Any] | None:
        """Wait for the next order of the first rank; None is the end."""
        return json.loads(self._broadcast(b""))

    def _broadcast(self, told: bytes) -> bytes:
        import torch
        import torch.distributed as dist

        size = torch.tensor([len(told)])
        with self.guarded():
            dist.broadcast(size, 0, group=self.slow)
            text = torch.tensor(list(told) if told else [0] * int(size), dtype=torch.uint8)
            dist.broadcast(text, 0, group=self.slow)
        return bytes(text.tolist())

    def measured(self, sums: Callable[[], Sequence[float]], size: int) -> list[float]:
        failed: BaseException | None = None
        found: Sequence[float] = [0.0] * size
        try:
            found = sums()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failed = error
        *totals, failures = self.total(*found, float(failed is not None), patient=True)
        if failures:
            raise failed or MemoryError("another rank is out of memory")
        return totals

    # -- when one is gone

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn what torch raises when ranks lose each other into one fault that says which is gone."""
        try:
            yield
        except Fault:
            raise
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise self._lost(error) from None

    def note(self, message: str, signal: int = 0) -> None:
        """Leave why this rank ends, for the others."""
        try:
            told = json.dumps({"rank": self.rank, "message": message, "signal": signal})
            self.store.compare_set(FAULT, "", told)
        except RuntimeError:
            return  # who kept it is gone, and is missed for itself

    def _lost(self, error: RuntimeError) -> Lost:
        help = (
            "what was saved before is intact: the same command goes on from there, with any number of ranks"
        )
        if self.orphaned():
            return Lost("whoever started the ranks is gone", help, speaks=False)
        try:
            told, here = self._roll_call()
        except RuntimeError:  # the first rank kept the store
            return Lost(
                f"rank 0 of {self.count} is gone: it or its machine was killed", help, speaks=self.rank == 1
            )
        if told is not None:
            message = f"rank {told['rank']} has ended: {told['message']}"
            return Lost(message, help, speaks=False, signal=told["signal"])
        gone = [str(rank) for rank in range(self.count) if rank not in here]
        speaks = self.rank == min(here)
        if not gone:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            return Lost(f"the ranks have lost each other: {reason}", help, speaks=speaks)
        named = f"rank{'s' if len(gone) > 1 else ''} {', '.join(gone)} of {self.count}"
        verb, what = (
            ("are", "they or their machines were") if len(gone) > 1 else ("is", "it or its machine was")
        )
        return Lost(f"{named} {verb} gone: {what} killed, or hung for too long", help, speaks=speaks)

    def _roll_call(self) -> tuple[dict[str, Any] | None, set[int]]:
        """Why another rank says that it ended, and who is still here."""
        import torch.distributed as dist

        self.store.set(f"here/{self.rank}", "1")
        # whoever waits for this rank sees now that something is wrong; NCCL might wait for what never comes
        for group in (self.quick, self.slow) if dist.get_backend() == "nccl" else (None,):
            dist.destroy_process_group(group)
        self.quick = self.slow = None
        deadline = time.monotonic() + ROLL_CALL
        here: set[int] = set()
        while time.monotonic() < deadline and len(here) < self.count:
            if self.store.check([FAULT]):
                return json.loads(self.store.get(FAULT)), here
            here = {rank for rank in range(self.count) if self.store.check([f"here/{rank}"])}
            time.sleep(0.1)
        return None, here

    def leave(self) -> None:
        """Part when all is done."""
        import torch.distributed as dist

        self.meet()
        dist.destroy_process_group()


def launched() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1 and "RANK" in os.environ


def join() -> Ranks:
    """Find the others, by the environment; alone where there are none. Raises Fault where they cannot be found."""
    if not launched():
        return ALONE
    if lacking := [name for name in NEEDED if not os.environ.get(name)]:
        names = ", ".join(f"`{name}`" for name in lacking)
        raise Fault(
            f"RANK is set, and {names} is not", "start it by `--ranks`, torchrun or srun, which set all"
        )
    import torch
    import torch.distributed as dist

    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store = _store(rank, count)
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    backend = "nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=TIMEOUT)
    quick = dist.new_group(backend="gloo", timeout=TIMEOUT)
    slow = dist.new_group(backend="gloo", timeout=PATIENT)
    return Joined(rank, count, store, quick, slow)


def _store(rank: int, count: int) -> Any:
    """Where ranks leave word; whoever started them keeps it, or else the first of them."""
    from torch import distributed

    dist: Any = distributed
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    try:
        whole = dist.TCPStore(host, port, None, rank == 0 and not kept, JOINING, wait_for_workers=False)
        store = dist.PrefixStore(f"nanogen/{attempt}", whole)
        store.set(f"joined/{rank}", "1")
        store.wait([f"joined/{other}" for other in range(count)], JOINING)
    except RuntimeError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        message = f"rank {rank} of {count} does not find the others at {host}:{port}: {reason}"
        raise Fault(message, "are all started, and can they reach that address?") from None
    return store
