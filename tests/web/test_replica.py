"""The engine works in its own thread: what it hands out arrives in order, and what is left runs no longer."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from runtime.chat.conversation import Chat
from runtime.chat.message import Message, Part
from runtime.decoding.request import End, Request, Token
from runtime.faults import Fault
from tests.web.scripted import ScriptedEngine, small_tokenizer
from web.replica import Broken, Events, FellBehind, Replica

ANSWERS = {"long": "la " * 500, "short": "ok", "fail": "{fail}"}


def asked(text: str, **fields) -> Request:
    prompt = Chat(small_tokenizer()).prompt([Message("user", (Part("text", text),))])
    return Request(prompt, 1_000, **fields)


def with_replica(work: Callable[[Replica, ScriptedEngine], Awaitable[None]], **engine) -> None:
    """Run `work` on a loop beside a replica."""

    async def run() -> None:
        scripted = ScriptedEngine(small_tokenizer(), ANSWERS, **engine)
        replica = Replica(scripted)
        await replica.start()
        try:
            async with asyncio.timeout(10):
                await work(replica, scripted)
        finally:
            await replica.close()

    asyncio.run(run())


async def all_of(events: Events) -> list[tuple[int, Token | End]]:
    return [told async for told in events]


async def until(happened: Callable[[], bool]) -> None:
    while not happened():
        await asyncio.sleep(0.001)


def test_every_token_arrives_in_order_and_then_the_end():
    async def work(replica, engine):
        async with replica.stream(asked("short"), asked("echoed", samples=2)) as events:
            told = await all_of(events)
        texts: dict[tuple[int, int], list[int]] = {}
        for place, event in told:
            if isinstance(event, Token):
                texts.setdefault((place, event.sample), []).append(event.id)
        encode = small_tokenizer().encode
        assert texts == {(0, 0): encode("ok"), (1, 0): encode("echoed"), (1, 1): encode("echoed")}
        assert sum(isinstance(event, End) for _, event in told) == 3

    with_replica(work)


def test_leaving_the_block_ends_what_runs():
    async def work(replica, engine):
        async with replica.stream(asked("long", samples=3), behind=10_000) as events:
            await anext(events)
            await until(lambda: replica.running == 3)
            assert replica.load == 3
        assert replica.load == 0
        await until(lambda: replica.running == 0)
        assert engine.cancelled == [(1, None)]

    with_replica(work, delay=0.001)


def test_a_task_that_is_cancelled_while_it_waits_for_a_row_leaves_none_behind():
    async def work(replica, engine):
        async with replica.stream(asked("long"), behind=10_000) as running:
            await anext(running)

            async def wait() -> None:
                async with replica.stream(asked("short")) as events:
                    await anext(events)

            task = asyncio.create_task(wait())
            await until(lambda: replica.waiting == 1)
            task.cancel()
            await until(lambda: replica.waiting == 0)
            assert (replica.running, engine.cancelled) == (1, [(2, None)])

    with_replica(work, rows=1, delay=0.001)


def test_one_sample_is_ended_and_the_others_go_on():
    async def work(replica, engine):
        async with replica.stream(asked("long", samples=2)) as events:
            await anext(events)
            events.cancel(0, 0)
            assert {event.sample for _, event in await all_of(events)} == {1}
        assert (1, 0) in engine.cancelled

    with_replica(work)


def test_a_fault_of_a_request_is_raised_at_the_door_and_spares_the_others():
    async def work(replica, engine):
        with pytest.raises(Fault, match="no dial"):
            async with replica.stream(asked("short"), asked("short", dials={"r": 3})):
                raise AssertionError("it was let in")
        await until(lambda: engine.cancelled == [(1, None)])
        async with replica.stream(asked("short")) as events:
            assert len(await all_of(events)) == 3
        assert replica.ready

    with_replica(work)


def test_a_reader_that_falls_behind_loses_its_rows_and_hears_of_it():
    async def work(replica, engine):
        async with replica.stream(asked("long"), behind=16) as events:
            await until(lambda: len(engine.cancelled) > 0)
            await until(lambda: replica.running == 0)
            with pytest.raises(FellBehind):
                await anext(events)

    with_replica(work)


def test_the_engine_does_not_run_ahead_of_a_loop_that_is_busy():
    async def work(replica, engine):
        async with replica.stream(asked("long"), behind=10_000) as events:
            time.sleep(0.2)  # the loop itself is held up
            await asyncio.sleep(0)
            assert len(events._waiting) <= 16
            assert len(await all_of(events)) > 500

    with_replica(work)


def test_a_step_that_takes_long_holds_up_neither_the_loop_nor_another_replica():
    """Each step waits for a step of the other engine, and for the loop: in one thread none would ever end."""
    together, free = threading.Barrier(2), threading.Event()

    class Slow(ScriptedEngine):
        def step(self):
            together.wait(5)
            assert free.wait(5), "the loop is held up"
            return super().step()

    async def run() -> None:
        replicas = [Replica(Slow(small_tokenizer(), ANSWERS)) for _ in range(2)]
        for replica in replicas:
            await replica.start()
        async with replicas[0].stream(asked("short")) as one, replicas[1].stream(asked("short")) as other:
            await asyncio.sleep(0)
            free.set()
            async with asyncio.timeout(10):
                assert [len(told) for told in await asyncio.gather(all_of(one), all_of(other))] == [3, 3]
        for replica in replicas:
            await replica.close()

    asyncio.run(run())


def test_an_engine_that_fails_ends_all_its_streams_and_takes_no_more(caplog):
    async def work(replica, engine):
        async with replica.stream(asked("long")) as bystander:
            await anext(bystander)
            with pytest.raises(Broken, match="RuntimeError"):
                async with replica.stream(asked("fail")) as events:
                    await anext(events)
            with pytest.raises(Broken):
                await all_of(bystander)
        assert not replica.ready
        with pytest.raises(Broken):
            async with replica.stream(asked("short")):
                raise AssertionError("it was let in")

    with_replica(work, delay=0.001)
    assert "the engine failed" in caplog.text


def test_a_replica_that_closes_ends_its_streams():
    async def run() -> None:
        replica = Replica(ScriptedEngine(small_tokenizer(), ANSWERS, delay=0.01))
        await replica.start()
        async with replica.stream(asked("long")) as events:
            await anext(events)
            await replica.close()
            with pytest.raises(Broken):
                await all_of(events)
        assert not replica._thread.is_alive()

    asyncio.run(run())
