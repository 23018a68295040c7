"""What the recordings do not show: edges of the API, and bad input."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from runbooks.genonaut.api.app import create_app
from runbooks.genonaut.api.wire import in_jsonb_order
from runbooks.genonaut.store import DEMO_USER_ID, JobStore
from runbooks.genonaut.tables import Job
from tests.genonaut.conftest import FakeQueue, served

JOBS = "/api/v1/generation-jobs/"
ASKED: dict[str, Any] = {"user_id": str(DEMO_USER_ID), "job_type": "image", "prompt": "a red fox in snow"}


def test_defaults_stand_in_for_what_is_not_said(api: httpx.Client) -> None:
    answer = api.post(JOBS, json={**ASKED, "width": None, "params": None}).json()
    assert (answer["width"], answer["height"], answer["batch_size"]) == (512, 768, 1)


def test_a_value_may_stand_inside_params_and_further_keys_are_kept(api: httpx.Client) -> None:
    params = {"width": 640, "height": 64, "sampler_params": {"steps": 3}, "title": "fox"}
    answer = api.post(JOBS, json={**ASKED, "height": 128, "params": params}).json()
    assert (answer["width"], answer["height"]) == (640, 128)
    assert answer["params"]["width"] == 640
    assert answer["params"]["height"] == 128
    assert answer["params"]["sampler_params"] == {"steps": 3}
    assert answer["params"]["title"] == "fox"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 63),
        ("height", 2049),
        ("batch_size", 9),
        ("width", "wide"),
        ("prompt", ""),
        ("prompt", None),
        ("prompt", "x" * 10_001),
        ("job_type", "video"),
        ("user_id", "nobody"),
        ("lora_models", [{"strength_model": 1}]),
        ("params", [1]),
        ("params", {"width": 1}),
    ],
)
def test_a_value_out_of_range_is_refused_and_named(api: httpx.Client, queue: FakeQueue, field: str, value: Any) -> None:
    response = api.post(JOBS, json={**ASKED, field: value})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"
    assert queue.queued == []


def test_a_prompt_of_blanks_is_refused(api: httpx.Client) -> None:
    response = api.post(JOBS, json={**ASKED, "prompt": "  \n"})
    assert (response.status_code, response.json()) == (422, {"detail": "422: Prompt cannot be empty"})


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"fox"', "\ufeff{}"])
def test_a_body_that_is_not_a_job_is_refused(api: httpx.Client, body: str) -> None:
    response = api.post(JOBS, content=body.encode(), headers={"Content-Type": "application/json"})
    assert response.status_code == 422


@pytest.mark.parametrize("prompt", ["ein Fuchs im Schnee, 雪の狐 🦊", "a\tb\nc", "\"'; DROP TABLE users; --"])
def test_a_prompt_comes_back_as_it_went_in(api: httpx.Client, prompt: str) -> None:
    job_id = api.post(JOBS, json={**ASKED, "prompt": prompt}).json()["id"]
    assert api.get(f"{JOBS}{job_id}").json()["prompt"] == prompt


@pytest.mark.parametrize(
    "value", [r'"a \ud83e fox"', "NaN", "-Infinity", r'["\ud83e"]', "[NaN]", r'{"name": "\ud83e"}']
)
@pytest.mark.parametrize("field", ["prompt", "params", "sampler_params", "lora_models", "width"])
def test_what_python_reads_but_json_does_not_have_is_refused(
    api: httpx.Client, queue: FakeQueue, field: str, value: str
) -> None:
    shape = {"params": '{"x": %s}', "sampler_params": '{"seed": %s}', "lora_models": '[{"name": "a", "x": %s}]'}
    body = json.dumps({**ASKED, field: "HERE"}).replace('"HERE"', shape.get(field, "%s") % value)
    response = api.post(JOBS, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"]
    assert queue.queued == []


def test_what_the_job_store_cannot_hold_is_refused(api: httpx.Client, queue: FakeQueue) -> None:
    """SQLite keeps a zero byte, PostgreSQL does not; neither answers 500."""
    assert api.post(JOBS, json={**ASKED, "prompt": "a\x00b"}).status_code in (201, 422)


@pytest.mark.parametrize("job_id", ["99999999999999999999", "-1", "one", "1.5"])
def test_an_id_that_no_job_can_have_is_refused(api: httpx.Client, job_id: str) -> None:
    assert api.get(f"{JOBS}{job_id}").status_code == 422


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_job_that_has_ended_is_not_cancelled(
    api: httpx.Client, store: JobStore, queue: FakeQueue, job: Job, status: str
) -> None:
    store.change(job.id, status=status)
    response = api.post(f"{JOBS}{job.id}/cancel", json={"reason": "late"})
    assert response.status_code == 422
    assert response.json()["detail"].startswith(f"422: Cannot cancel job with status '{status}'.")
    assert queue.revoked == []


def test_a_job_is_cancelled_without_a_reason(api: httpx.Client, job: Job) -> None:
    answer = api.post(f"{JOBS}{job.id}/cancel").json()
    assert (answer["status"], answer["error_message"]) == ("cancelled", None)


def test_a_job_is_cancelled_while_the_broker_is_down(api: httpx.Client, queue: FakeQueue, job: Job) -> None:
    queue.broker = False
    assert api.post(f"{JOBS}{job.id}/cancel").json()["status"] == "cancelled"


def test_a_job_that_has_ended_is_deleted(api: httpx.Client, store: JobStore, job: Job) -> None:
    store.change(job.id, status="failed")
    answer = api.delete(f"{JOBS}{job.id}")
    assert answer.json() == {"success": True, "message": f"Generation job {job.id} deleted successfully"}
    assert api.get(f"{JOBS}{job.id}").status_code == 404


@pytest.mark.parametrize(("method", "path"), [("POST", "/cancel"), ("DELETE", ""), ("PUT", "/status")])
def test_nothing_is_done_to_a_job_that_is_not_there(api: httpx.Client, method: str, path: str) -> None:
    response = api.request(method, f"{JOBS}41{path}", json={"status": "running"})
    assert (response.status_code, response.json()) == (404, {"detail": "404: GenerationJob with id 41 not found"})


def test_a_failed_status_needs_a_reason(api: httpx.Client, job: Job) -> None:
    response = api.put(f"{JOBS}{job.id}/status", json={"status": "failed"})
    assert (response.status_code, response.json()) == (
        422,
        {"detail": "422: Error message is required for failed jobs"},
    )


def test_an_unknown_status_is_refused(api: httpx.Client, job: Job) -> None:
    assert api.put(f"{JOBS}{job.id}/status", json={"status": "asleep"}).status_code == 422


def test_health_says_what_is_wrong_with_the_database_and_answers_200(
    api: httpx.Client, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "check", _database_gone)
    response = api.get("/api/v1/health")
    assert response.status_code == 200
    answer = response.json()
    assert (answer["status"], answer["database"], answer["error"]) == (
        "unhealthy",
        {"status": "disconnected"},
        "connection refused",
    )


def test_a_job_store_that_is_gone_is_no_traceback(
    api: httpx.Client, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "get", _database_gone)
    response = api.get(f"{JOBS}1")
    assert (response.status_code, response.json()) == (503, {"detail": "503: The job store does not answer"})


def _database_gone(*_: object) -> None:
    raise OperationalError("SELECT 1", {}, Exception("connection refused"))


def test_no_page_of_the_api_loads_from_another_host(api: httpx.Client) -> None:
    assert [api.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]
    assert api.get("/openapi.json").json()["info"]["title"] == "Genonaut in miniature"


def test_objects_are_ordered_as_postgresql_orders_them() -> None:
    value = {"lora_models": [{"name": 1, "id": 2}], "width": 1, "height": 2, "batch_size": 3}
    assert json.dumps(in_jsonb_order(value)) == (
        '{"width": 1, "height": 2, "batch_size": 3, "lora_models": [{"id": 2, "name": 1}]}'
    )


def test_the_store_is_closed_with_the_api(store: JobStore, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(store, "close", lambda: closed.append(True))
    with served(create_app(store, queue)):
        assert closed == []
    assert closed == [True]
