"""Faults on demand, and the journal of what arrived."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any

import aiohttp
import pytest
from PIL import Image, UnidentifiedImageError

from runbooks.kernie.testing import RunningMock, running_mock
from tests.kernie.workflows import run, run_well, saved, saving, text_to_image
from tests.support.waiting import wait_until


def status_of(mock: RunningMock, path: str, body: Any = None) -> int:
    try:
        mock.get(path) if body is None else mock.post(path, body)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return 200


def test_a_fault_strikes_as_often_as_it_was_told_to(kernie: RunningMock) -> None:
    kernie.fault("500", times=2, path="/history")
    assert [status_of(kernie, path) for path in ("/history", "/queue", "/history/x", "/history")] == [
        500,
        200,
        500,
        200,
    ]


def test_a_fault_and_a_filter_of_the_journal_mean_the_path_below_api_too(kernie: RunningMock) -> None:
    kernie.fault("500", path="/history")
    assert [status_of(kernie, path) for path in ("/api/history", "/api/queue", "/history")] == [500, 200, 500]
    assert [seen["path"] for seen in kernie.requests("path=/history")] == ["/api/history", "/history"]
    assert [seen["path"] for seen in kernie.requests("path=/api/que*")] == ["/api/queue"]


@pytest.mark.parametrize("kind", ["oom", "truncated_image"])
def test_a_fault_of_runs_strikes_a_prompt_that_ran_before(kind: str, kernie: RunningMock) -> None:
    def good(entry: dict[str, Any]) -> bool:
        return entry["status"]["completed"] and all(
            path.read_bytes()[-8:-4] == b"IEND" for path in saved(kernie, entry)
        )

    assert good(run(kernie, saving()))
    kernie.fault(kind, times=1)
    assert not good(run(kernie, saving()))
    assert good(run(kernie, saving()))


def test_a_refused_connection_gets_no_answer(kernie: RunningMock) -> None:
    kernie.fault("refuse", times=1)
    with pytest.raises((http.client.HTTPException, ConnectionError, urllib.error.URLError)):
        kernie.get("/queue")
    assert status_of(kernie, "/queue") == 200


def test_a_slow_answer_comes_after_its_time(kernie: RunningMock) -> None:
    kernie.fault("slow", seconds=0.2, method="get", path="/queue")
    started = time.monotonic()
    kernie.get("/queue")
    assert time.monotonic() - started >= 0.2


def test_a_request_that_hangs_is_answered_when_faults_are_cleared(kernie: RunningMock) -> None:
    async def ask() -> int:
        async with aiohttp.ClientSession() as session:
            asking = asyncio.create_task(session.get(kernie.url + "/queue"))
            done, _ = await asyncio.wait([asking], timeout=0.2)
            assert not done
            await session.delete(kernie.url + "/kernie/faults")
            return (await asyncio.wait_for(asking, 5)).status

    kernie.fault("hang")
    assert asyncio.run(ask()) == 200


def test_a_full_queue_takes_no_prompt(kernie: RunningMock) -> None:
    kernie.fault("full_queue", times=1)
    assert status_of(kernie, "/queue") == 200
    assert status_of(kernie, "/prompt", {"prompt": saving()}) == 503
    run_well(kernie, saving())


def test_a_sampler_out_of_memory_fails_the_prompt_as_on_a_real_server(kernie: RunningMock) -> None:
    kernie.fault("oom", times=1)
    error = dict(run(kernie, text_to_image())["status"]["messages"])["execution_error"]
    assert (error["node_id"], error["exception_type"]) == ("3", "torch.OutOfMemoryError")
    run_well(kernie, text_to_image())


def test_a_truncated_picture_cannot_be_read(kernie: RunningMock) -> None:
    kernie.fault("truncated_image", times=1)
    (path,) = saved(kernie, run_well(kernie, saving(1, side=64)))
    with pytest.raises((OSError, SyntaxError, UnidentifiedImageError)), Image.open(path) as picture:
        picture.load()


def test_sockets_are_dropped_in_the_middle_of_a_run(kernie: RunningMock) -> None:
    async def messages() -> list[str]:
        async with aiohttp.ClientSession() as session, session.ws_connect(kernie.url + "/ws?clientId=c") as socket:
            body = json.dumps({"prompt": text_to_image(), "client_id": "c"})
            await session.post(kernie.url + "/prompt", data=body)
            return [json.loads(message.data)["type"] async for message in socket]

    kernie.fault("drop_socket", times=1)
    told = asyncio.run(asyncio.wait_for(messages(), 10))
    assert "execution_success" not in told
    wait_until(lambda: kernie.get("/")["counts"]["completed"] == 1, 5, "the prompt to end all the same")


@pytest.mark.parametrize(
    "wish",
    [
        {},
        [],
        {"kind": "no such"},
        {"kind": "slow", "seconds": "x"},
        {"kind": "slow", "times": 0},
        {"kind": "slow", "seconds": float("inf")},
        {"kind": "slow", "seconds": float("nan")},
        {"kind": "oom", "x": 1},
    ],
)
def test_a_fault_that_does_not_exist_is_explained(wish: Any, shared: RunningMock) -> None:
    assert status_of(shared, "/kernie/faults", wish) == 400
    assert shared.get("/kernie/faults") == {"faults": []}


def test_faults_can_be_on_from_the_start() -> None:
    with running_mock(faults=("500:times=1,path=/queue",)) as mock:
        assert [status_of(mock, "/queue"), status_of(mock, "/queue")] == [500, 200]


def test_the_journal_holds_what_arrived_and_can_be_filtered_and_emptied(kernie: RunningMock) -> None:
    run_well(kernie, saving())
    status_of(kernie, "/view?filename=nope.png")
    (posted,) = kernie.requests("path=/prompt&method=post")
    assert posted["json"]["prompt"]["2"]["class_type"] == "SaveImage"
    assert posted["status"] == 200
    assert [seen["query"] for seen in kernie.requests("status=404")] == ["filename=nope.png"]
    assert all(seen["path"].startswith("/history") for seen in kernie.requests("path=/history*"))
    assert kernie.requests(f"since={kernie.requests()[-1]['number']}") == []
    assert status_of(kernie, "/kernie/requests?since=x") == 400
    urllib.request.urlopen(urllib.request.Request(kernie.url + "/kernie/requests", method="DELETE"), timeout=5).close()
    assert kernie.requests() == []


def test_the_journal_shows_a_websocket_while_it_is_open_and_only_once(kernie: RunningMock) -> None:
    async def connect() -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.ws_connect(kernie.url + "/ws?clientId=me") as socket:
            await socket.receive_json(timeout=5)
            async with session.get(kernie.url + "/kernie/requests?path=/ws") as answer:
                found: list[dict[str, Any]] = (await answer.json())["requests"]
                return found

    (opened,) = asyncio.run(connect())
    assert (opened["status"], opened["query"]) == (101, "clientId=me")
    wait_until(lambda: len(kernie.mock.sessions) == 0, 5, "the socket to be closed")
    assert kernie.requests("path=/ws") == [opened]


def test_a_reset_leaves_nothing_but_files(kernie: RunningMock) -> None:
    run_well(kernie, text_to_image())
    kernie.fault("slow", seconds=60, path="/never")
    kernie.reset()
    assert kernie.get("/history") == {}
    assert kernie.get("/kernie/faults") == {"faults": []}
    assert kernie.get("/models/checkpoints") == []
    assert kernie.get("/")["counts"]["received"] == 0
    assert len(list(kernie.output_dir.iterdir())) == 1
    assert run_well(kernie, text_to_image())["prompt"][0] == 0


def test_a_reset_stops_what_runs() -> None:
    with running_mock(delay=60) as mock:
        mock.post("/prompt", {"prompt": text_to_image()})
        mock.post("/prompt", {"prompt": text_to_image()})
        mock.reset()
        assert mock.get("/queue") == {"queue_running": [], "queue_pending": []}
        assert mock.get("/history") == {}


def test_the_differences_are_told(shared: RunningMock) -> None:
    assert all(each["what"] and each["why"] for each in shared.get("/kernie/differences"))
