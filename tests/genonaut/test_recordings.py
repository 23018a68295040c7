"""The API against the recorded exchanges of the real one, in every state that was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from runbooks.comfyui import ComfyUIWorkerClient
from runbooks.genonaut.store import JobStore
from runbooks.genonaut.tables import Job, utc_now
from runbooks.genonaut.worker.run import run_job
from runbooks.genonaut.worker.workflow import build_workflow
from tests.comfyui.fake import PROMPT_ID, FakeComfyUI
from tests.genonaut.conftest import FakeQueue
from tests.genonaut.recordings import FOLDER, Recording, assert_answers_alike, recording


def replay(api: httpx.Client, recorded: Recording, job_id: int | None = None) -> Any:
    """Ask as the recording did, for a job of ours, and hold the answer to it."""
    path = recorded.path
    if job_id is not None:
        number = path.split("/")[4]
        path = path.replace(f"/{number}", f"/{job_id}", 1)
    response = api.request(recorded.method, path, json=recorded.sent)
    assert response.status_code == recorded.status
    assert response.headers["content-type"] == recorded.headers["content-type"]
    answer = json.loads(response.text)
    assert_answers_alike(answer, recorded.answer)
    return answer


def test_a_job_is_created(api: httpx.Client, queue: FakeQueue) -> None:
    answer = replay(api, recording("post_job_201"))
    assert queue.queued == [(answer["id"], answer["celery_task_id"])]


def test_an_unknown_user_is_refused(api: httpx.Client, queue: FakeQueue) -> None:
    replay(api, recording("post_job_404_user"))
    assert queue.queued == []


def test_a_job_without_a_prompt_is_refused(api: httpx.Client) -> None:
    replay(api, recording("post_job_422"))


@pytest.mark.parametrize("name", ["e1_workerdown_post", "e3_redisdown_post"])
def test_without_a_worker_the_service_is_unavailable_and_no_job_is_made(
    api: httpx.Client, queue: FakeQueue, name: str
) -> None:
    queue.worker = False
    replay(api, recording(name))
    assert api.get("/api/v1/generation-jobs/1").status_code == 404


def test_a_broker_that_goes_away_in_between_reads_the_same(api: httpx.Client, queue: FakeQueue) -> None:
    queue.broker = False
    replay(api, recording("e3_redisdown_post"))
    assert api.get("/api/v1/generation-jobs/1").status_code == 404


@pytest.mark.parametrize("name", ["api_health_ok", "e1_workerdown_health", "e3_redisdown_health"])
def test_health_knows_the_database_alone(api: httpx.Client, queue: FakeQueue, name: str) -> None:
    queue.worker = queue.broker = name == "api_health_ok"
    replay(api, recording(name))


def test_a_job_that_is_not_there(api: httpx.Client) -> None:
    replay(api, recording("get_job_404"))


def test_a_pending_job(api: httpx.Client, job: Job) -> None:
    replay(api, recording("get_job_pending"), job.id)


@pytest.mark.parametrize(
    ("name", "prompt_id"), [("get_job_running_1_before_prompt", None), ("get_job_running_2_after_prompt", PROMPT_ID)]
)
def test_a_running_job(api: httpx.Client, store: JobStore, job: Job, name: str, prompt_id: str | None) -> None:
    store.change(job.id, status="running", started_at=utc_now(), comfyui_prompt_id=prompt_id)
    replay(api, recording(name), job.id)


@pytest.mark.parametrize(
    "name", ["get_job_failed_connrefused", "e4_mockdown_get_job_failed", "get_job_failed_outputdir"]
)
def test_a_failed_job(api: httpx.Client, store: JobStore, job: Job, name: str) -> None:
    recorded = recording(name)
    message = recorded.answer["error_message"].replace("job 2", f"job {job.id}")
    recorded.answer["error_message"] = message
    prompt_id = recorded.answer["comfyui_prompt_id"]
    now = utc_now()
    store.change(
        job.id, status="failed", error_message=message, started_at=now, completed_at=now, comfyui_prompt_id=prompt_id
    )
    replay(api, recorded, job.id)


def test_a_completed_job_has_the_recorded_paths_under_its_output_folder(
    api: httpx.Client, store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient, output_dir: Path
) -> None:
    name = f"gen_job_{job.id}_00006_.png"
    Image.new("RGB", (512, 768)).save(output_dir / name)
    comfyui.finishes(name)
    run_job(store, job.id, client)

    text = (FOLDER / "get_job_completed.http").read_text(encoding="utf-8")
    assert "gen_4_gen_job_4_" in text
    recorded = recording("get_job_completed")
    ours = json.dumps(recorded.answer["params"])
    ours = ours.replace("<genonaut>/test/_infra/mock_services/comfyui/output", str(output_dir))
    ours = ours.replace("gen_4_gen_job_4_", f"gen_{job.id}_gen_job_{job.id}_")
    ours = ours.replace("2026/11/23", utc_now().strftime("%Y/%m/%d"))
    ours = ours.replace(recorded.answer["params"]["comfyui_prompt_id"], PROMPT_ID)
    recorded.answer["params"] = json.loads(ours)
    answer = replay(api, recorded, job.id)
    assert answer["params"] == recorded.answer["params"]


def test_a_stuck_job_as_it_stands(api: httpx.Client, store: JobStore, job: Job) -> None:
    store.change(job.id, status="running", started_at=utc_now())
    replay(api, recording("stuck_get"), job.id)


def test_a_stuck_job_is_freed_by_cancelling_it(api: httpx.Client, store: JobStore, queue: FakeQueue, job: Job) -> None:
    store.change(job.id, status="running", started_at=utc_now())
    replay(api, recording("stuck_cancel"), job.id)
    assert queue.revoked == [job.celery_task_id]


def test_a_stuck_job_is_freed_by_setting_its_status(api: httpx.Client, store: JobStore, job: Job) -> None:
    store.change(job.id, status="running", started_at=utc_now())
    replay(api, recording("stuck_put_status"), job.id)


def test_a_running_job_is_not_deleted(api: httpx.Client, store: JobStore, job: Job) -> None:
    store.change(job.id, status="running", started_at=utc_now())
    replay(api, recording("stuck_delete_running"), job.id)
    assert store.get(job.id) is not None


def test_the_worker_posts_the_recorded_workflow(store: JobStore, job: Job) -> None:
    (entry,) = recording("mock_history_completed").answer.values()
    posted = json.loads(json.dumps(build_workflow(job)))
    recorded = json.loads(json.dumps(entry["prompt"][2]).replace("gen_job_4", f"gen_job_{job.id}"))
    # Every job of the real worker has one seed, so all its pictures of one prompt are the same.
    recorded["5"]["inputs"]["seed"] = job.id
    assert posted == recorded


def test_every_recording_is_replayed() -> None:
    """A transcript that no test names would only look like a promise."""
    here = Path(__file__).read_text(encoding="utf-8")
    assert [file.stem for file in FOLDER.glob("*.http") if f'"{file.stem}"' not in here] == []
