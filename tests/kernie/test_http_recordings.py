"""The mock answers every recorded HTTP request as the real ComfyUI did, in the recorded order."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbooks.kernie.models import FOLDERS
from runbooks.kernie.testing import RunningMock, running_mock
from tests.kernie.matching import Matcher, body_of, image_differences
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
FILES = sorted((HERE / "recordings" / "http").glob("*.json"))
CASES = {int(path.name[:3]): json.loads(path.read_text()) for path in FILES}
DIFFERENT = {"root.get": "GET / says what the mock is; see runbooks/kernie/differences.py"}

# Cases during which a prompt runs; before any other one, the queue is empty.
BUSY = {*range(270, 296), 308, 310}
IGNORED_HEADERS = {"date", "server", "etag", "last-modified", "content-length"}
# What lists cut by the recorder, and counts that left-out cases have a share in, can be held to.
STRUCTURE_ONLY = {"system_stats.get", "system_stats.api-alias", "origin.accept-gzip"}


def prompts_shown(value: Any) -> Iterator[list[Any]]:
    """Every `[number, id, prompt, extra_data, outputs]` somewhere in the recordings."""
    if isinstance(value, dict):
        for each in value.values():
            yield from prompts_shown(each)
    elif isinstance(value, list):
        if len(value) == 5 and isinstance(value[1], str) and isinstance(value[2], dict) and isinstance(value[4], list):
            yield value
        else:
            for each in value:
                yield from prompts_shown(each)


SHOWN = {prompt[1]: prompt for case in CASES.values() for prompt in prompts_shown(case["response"]["body"])}


def saving(colour: int) -> dict[str, Any]:
    size = {"width": 64, "height": 64, "batch_size": 1}
    return {
        "1": {"class_type": "EmptyImage", "inputs": {**size, "color": colour}},
        "2": {"class_type": "SaveImage", "inputs": {"filename_prefix": "golden", "images": ["1", 0]}},
    }


def stepping(seed: int) -> dict[str, Any]:
    inputs = {"steps": 200, "seconds_per_step": 0.05, "preview": False, "seed": seed}
    return {
        "1": {"class_type": "GoldenSteps", "inputs": inputs},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }


def left_out(prompt_id: str, number: float, prompt: dict[str, Any]) -> list[Any]:
    return [number, prompt_id, prompt, {}, []]


# Prompts of left-out cases on which later recordings depend: case -> what to post before it. Where a recording
# shows the prompt it is taken from there, else from what is known of it (its number, what its answer tells).
BEFORE: dict[int, list[list[Any]]] = {
    131: [SHOWN["e83c4e29-1398-43c9-9c79-6ff46ec946e4"]],
    194: [SHOWN["c90ca840-b894-49ec-8f7d-716379d07f11"]],
    197: [left_out("021b2691-714d-4f26-9213-2861d6d2516b", 89, saving(256))],
    202: [left_out("00000000-0000-4000-8000-000000000001", 93, saving(302))],
    227: [left_out("dec93882-ab22-4e6e-8c9e-c5e464d1e6f2", 111, saving(317))],
    231: [SHOWN["94a73310-57c3-4beb-bdcc-e4b9bec34f4e"]],
    233: [SHOWN["34660dfd-306c-46a6-8454-3d49aa89c94d"]],
    269: [
        SHOWN["0774c3e1-033e-4f1d-8e22-e278f699a75d"],
        SHOWN["1311d53c-ebd4-4475-bd24-92ba05869d2f"],
        SHOWN["6c1bb429-1e66-471a-bd2d-bafbe9a5172d"],
        SHOWN["b1b48196-870b-4cca-a5f0-2932feaccad4"],
        SHOWN["2360e6b4-e20f-4426-b3d1-8d0bd0e05bc6"],
    ],
    307: [left_out("9b16ecc4-6aec-4701-b9ba-5f2223ac8c10", 125, stepping(7))],
    308: [
        left_out("e8a53623-77c5-428b-8508-283db5b8c258", 126, stepping(8)),
        left_out("0336df57-e79f-42b5-9775-88dc1b212ebe", 127, saving(405)),
    ],
    309: [
        SHOWN["758bbc7e-0dc0-4dc8-9d13-ff6ce28c8a35"],
        left_out("00000000-0000-4000-8000-000000000007", 50.0, saving(1)),
    ],
}
FILES_UPLOADED_BEFORE_343 = {"note.txt": b"hello", "x.html": b"<b>hi</b>", "x.svg": b"<svg/>"}


class Replay:
    """Sends the recorded requests to a mock and keeps what differs."""

    def __init__(self, mock: RunningMock) -> None:
        self.mock = mock
        self.matcher = Matcher(str(mock.mock.folders.base))
        self.found: dict[str, list[str]] = {}

    def run(self) -> None:
        earlier = 0
        for number, case in CASES.items():
            self._prepare(number)
            if number != earlier + 1:
                self._make_up_for_left_out(number)
            self.found[f"{number:03}-{case['case']}"] = self._exchange(case)
            earlier = number

    def _prepare(self, number: int) -> None:
        """Bring about what the left-out cases before this one left behind."""
        if number == 311:
            self._send("POST", "/interrupt", b"{}")
        if number not in BUSY:
            self._wait_until_idle()
        for wanted, prompt_id, prompt, extra_data, _ in BEFORE.get(number, ()):
            self._post_prompt(wanted, prompt_id, prompt, extra_data)
        if number == 269:
            self._wait_for("/queue", lambda queue: len(queue["queue_running"]) == 1)
        if number == 343:
            for name, content in FILES_UPLOADED_BEFORE_343.items():
                (self.mock.input_dir / name).write_bytes(content)

    def _post_prompt(self, number: Any, prompt_id: str, prompt: dict[str, Any], extra_data: dict[str, Any]) -> None:
        kept = {key: value for key, value in extra_data.items() if key not in ("client_id", "create_time")}
        body: dict[str, Any] = {"prompt": prompt, "extra_data": kept}
        if "client_id" in extra_data:
            body["client_id"] = extra_data["client_id"]
        if prompt_id.startswith("00000000"):
            body["prompt_id"] = prompt_id
        if isinstance(number, float):
            body["number"] = number
        else:
            body["front"] = number < 0
            self._count_up_to(abs(number))
        _, _, answer = self._send("POST", "/prompt", json.dumps(body).encode())
        assert json.loads(answer)["number"] == number
        assert self.matcher.learn(prompt_id, json.loads(answer)["prompt_id"])
        if number == 126 or number == 128:
            self._wait_for("/queue", lambda queue: len(queue["queue_running"]) == 1)
        elif isinstance(number, int) and 0 <= number < 116:
            self._wait_until_idle()

    def _make_up_for_left_out(self, number: int) -> None:
        """Use up the numbers of left-out cases, so that the next one in an unbroken row of cases is as recorded."""
        first, rejected = number, 0
        while number in CASES and (number == first or number not in BEFORE):
            answer = CASES[number]["response"]["body"].get("json")
            wanted = answer.get("number") if isinstance(answer, dict) else None
            if isinstance(wanted, int):
                self._count_up_to(abs(wanted) - rejected)
                return
            rejected += CASES[number]["request"]["path"] == "/prompt" and CASES[number]["response"]["status"] == 400
            number += 1

    def _count_up_to(self, number: int) -> None:
        """Rejected prompts use up a number, too: make up for those that were left out."""
        assert self.mock.mock.number <= number, "more prompts were counted here than on the real server"
        while self.mock.mock.number < number:
            self._send("POST", "/prompt", b"{}")

    def _wait_until_idle(self) -> None:
        self._wait_for("/prompt", lambda busy: busy["exec_info"]["queue_remaining"] == 0)

    def _wait_for(self, path: str, condition: Any) -> None:
        wait_until(lambda: condition(json.loads(self._send("GET", path)[2])), 10, f"{path} as wanted", 0.002)

    def _exchange(self, case: dict[str, Any]) -> list[str]:
        request, wanted = case["request"], case["response"]
        body = body_of(request, self.matcher)
        headers = {name: value for name, value in request["headers"].items() if name != "Content-Length"}
        status, got, content = self._send(request["method"], self.matcher.here(request["path"]), body, headers)
        if case["case"] in DIFFERENT:
            return []
        if status != wanted["status"]:
            return [f"status {wanted['status']} is here {status}: {content[:300]!r}"]
        recorded = {name: self.matcher.here(value) for name, value in wanted["headers"]}
        return _header_differences(recorded, got) + self._body_differences(case, wanted["body"], content)

    def _body_differences(self, case: dict[str, Any], wanted: dict[str, Any], content: bytes) -> list[str]:
        if wanted["kind"] == "empty":
            return [] if content == b"" else [f"an empty body is here {content[:300]!r}"]
        if wanted["kind"] == "text":
            return [] if content.decode() == wanted["text"] else [f"{wanted['text']!r} is here {content[:300]!r}"]
        if wanted["kind"] == "binary":
            if "image" in wanted:
                return image_differences(wanted["image"], content)
            return [] if content == base64.b64decode(wanted["base64"]) else [f"other bytes: {content!r}"]
        recorded, actual = wanted["json"], json.loads(content)
        if case["case"] in STRUCTURE_ONLY:
            recorded, actual = _kinds(recorded), _kinds(actual)
        elif wanted.get("truncated"):
            recorded, actual = self._cut(recorded, actual)
        return self.matcher.differences(recorded, actual)

    def _cut(self, recorded: Any, actual: Any) -> tuple[Any, Any]:
        """What a shortened recording still tells of an answer."""
        if isinstance(recorded, list):
            return recorded, actual[: len(recorded)]
        if "pagination" in recorded:
            # Prompts of left-out cases are part of the total.
            assert actual["pagination"]["total"] <= recorded["pagination"].pop("total")
            del actual["pagination"]["total"]
            return recorded, actual
        kept = [self.matcher.names.get(key) for key in recorded]
        return recorded, {key: value for key, value in actual.items() if key in kept}

    def _send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.mock.url.removeprefix("http://"), timeout=10)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in (headers or {"Host": "127.0.0.1:18188"}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content
        finally:
            connection.close()


def _header_differences(recorded: dict[str, str], got: dict[str, str]) -> list[str]:
    wanted = {name.lower(): value for name, value in recorded.items()}
    if "etag" in wanted and not {"etag", "last-modified"} <= got.keys():
        return ["ETag or Last-Modified is missing"]
    for headers in (wanted, got):
        for name in IGNORED_HEADERS:
            headers.pop(name, None)
        if "content-range" in headers:
            headers["content-range"] = headers["content-range"].split("/")[0]
    return [] if wanted == got else [f"headers {wanted} are here {got}"]


def _kinds(value: Any) -> Any:
    """The shape of a value: its keys and types."""
    if isinstance(value, dict):
        return {key: _kinds(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_kinds(each) for each in value[:1]]
    return type(value).__name__


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    none: dict[str, tuple[str, ...]] = dict.fromkeys(FOLDERS, ())
    nodes = (str(HERE / "golden_nodes.py"),)
    with running_mock(base_dir=tmp_path_factory.mktemp("kernie"), models=none, nodes=nodes) as mock:
        done = Replay(mock)
        done.run()
        yield done


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_the_answer_is_the_recorded_one(name: str, replay: Replay) -> None:
    assert replay.found[name] == []
