"""Server-sent events: one look for all, nobody's thread, nobody waited for."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from runbooks.drift.web.live import RETRY, Live, TooManyStreams

FORMS: dict[str, Callable[[dict[str, Any]], str]] = {"json": json.dumps, "words": lambda seen: f"it is {seen['state']}"}


class Seen:
    """Something to look at, which counts the looks and the threads that are at it."""

    def __init__(self) -> None:
        self.state, self.looks, self.threads = "first", 0, set[int]()

    def __call__(self) -> dict[str, Any]:
        self.looks += 1
        self.threads.add(threading.get_ident())
        return {"state": self.state, "time": self.looks, "processes": [{"pid": 1, "age": self.looks}]}


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(within())


async def next_data(stream: AsyncGenerator[str, None]) -> str:
    """The data of the next event."""
    text = await anext(stream)
    if text == RETRY:
        text = await anext(stream)
    lines = text.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["id", "event", "data", ""], text
    return lines[2].removeprefix("data: ")


def test_a_change_reaches_everybody_who_watches_in_the_form_that_they_want() -> None:
    async def story() -> None:
        seen = Seen()
        live = Live(seen, FORMS, every=0.02)
        async with aclosing(live.stream("json")) as one, aclosing(live.stream("words")) as other:
            assert json.loads(await next_data(one))["state"] == "first"
            assert await next_data(other) == "it is first"
            seen.state = "second"
            while json.loads(await next_data(one))["state"] != "second":
                pass
            while await next_data(other) != "it is second":
                pass
            assert live.watching == 2
        live.end()

    run(story)


def test_nothing_new_is_not_sent_though_times_go_on() -> None:
    async def story() -> None:
        seen = Seen()
        live = Live(seen, FORMS, every=0.01)
        stream = live.stream("json")
        await next_data(stream)
        silent = asyncio.ensure_future(next_data(stream))
        while seen.looks < 10:
            await asyncio.sleep(0.01)
        assert not silent.done()
        silent.cancel()
        live.end()

    run(story)


def test_nobody_looks_while_nobody_watches_and_who_has_gone_is_forgotten() -> None:
    async def story() -> None:
        seen = Seen()
        live = Live(seen, FORMS, every=0.01)
        streams = [live.stream("json") for _ in range(5)]
        tasks = [asyncio.ensure_future(next_data(stream)) for stream in streams]
        await asyncio.gather(*tasks)
        assert live.watching == 5
        waiting = [asyncio.ensure_future(next_data(stream)) for stream in streams]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert live.watching == 0
        while any(not task.done() for task in asyncio.all_tasks() - {asyncio.current_task()}):
            await asyncio.sleep(0.01)
        looks = seen.looks
        seen.state = "later"
        async with aclosing(live.stream("json")) as late:
            assert json.loads(await next_data(late))["state"] == "later", "what was seen long ago is not told as new"
        assert seen.looks > looks

    run(story)


def test_the_end_ends_all_streams_at_once() -> None:
    async def story() -> None:
        live = Live(Seen(), FORMS, every=5)
        streams = [live.stream("json") for _ in range(3)]
        for stream in streams:
            await next_data(stream)
        asyncio.get_running_loop().call_soon(live.end)
        for stream in streams:
            assert [text async for text in stream] == []
        assert live.watching == 0

    run(story)


def test_a_look_that_fails_ends_no_stream(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        seen = Seen()
        broken = iter([True, True])

        def look() -> dict[str, Any]:
            if next(broken, False):
                raise RuntimeError("the store has gone")
            return seen()

        live = Live(look, FORMS, every=0.01)
        assert json.loads(await next_data(live.stream("json")))["state"] == "first"
        live.end()

    run(story)
    assert "The status could not be told" in caplog.text


def test_there_is_a_limit() -> None:
    async def story() -> None:
        live = Live(Seen(), FORMS, every=0.01, most=2)
        streams = [live.stream("json") for _ in range(2)]
        for stream in streams:
            await next_data(stream)
        with pytest.raises(TooManyStreams):
            live.stream("json")
        live.end()

    run(story)
