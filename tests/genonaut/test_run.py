"""One attempt at a job, against a ComfyUI that answers as it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from runbooks.comfyui import ComfyUIConnectionError, ComfyUIRejectedError, ComfyUIWorkerClient, ComfyUIWorkflowError
from runbooks.genonaut.store import JobStore
from runbooks.genonaut.tables import Job
from runbooks.genonaut.worker.run import JobWithdrawn, run_job
from tests.comfyui.fake import PROMPT_ID, Answer, FakeComfyUI, closed_port, history


def now(store: JobStore, job: Job) -> Job:
    found = store.get(job.id)
    assert found
    return found


def draw(folder: Path, name: str, size: tuple[int, int] = (512, 768)) -> None:
    Image.new("RGB", size, "tomato").save(folder / name)


def test_a_finished_picture_is_moved_and_gets_its_thumbnails(
    store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient, output_dir: Path
) -> None:
    draw(output_dir, "gen_job_1_00001_.png")
    comfyui.finishes("gen_job_1_00001_.png", messages=[["execution_success", {}]])
    run_job(store, job.id, client)

    done = now(store, job)
    assert (done.status, done.error_message, done.comfyui_prompt_id) == ("completed", None, PROMPT_ID)
    assert done.params["workflow_messages"] == [["execution_success", {}]]
    (picture,) = [Path(path) for path in done.params["output_paths"]]
    assert picture.is_file()
    assert not (output_dir / "gen_job_1_00001_.png").exists()
    sizes = {}
    for paths in done.params["thumbnails"][picture.name].values():
        for path in paths:
            with Image.open(path) as thumbnail:
                sizes[Path(path).name.rpartition("_")[2]] = (thumbnail.format, thumbnail.size)
    assert sizes == {
        f"{edge}x{edge}.{kind.lower()}": (kind, (edge * 2 // 3, edge))
        for edge in (150, 300, 600)
        for kind in ("PNG", "WEBP")
    }


def test_the_job_is_running_with_its_prompt_id_while_comfyui_works(
    store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient, output_dir: Path
) -> None:
    seen = []
    comfyui.finishes("fox.png")
    draw(output_dir, "fox.png")
    get = store.get

    def look(job_id: int) -> Job | None:
        found = get(job_id)
        seen.append(found)
        return found

    store.get = look  # type: ignore[method-assign]
    run_job(store, job.id, client)
    while_it_ran = {(job.status, job.comfyui_prompt_id, job.completed_at) for job in seen if job}
    assert while_it_ran == {("running", PROMPT_ID, None)}


def test_every_picture_of_a_batch_is_filed(
    store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient, output_dir: Path
) -> None:
    for name in ("a.png", "b.png"):
        draw(output_dir, name, (64, 64))
    comfyui.finishes("a.png", "b.png")
    run_job(store, job.id, client)
    params = now(store, job).params
    assert [Path(path).name for path in params["output_paths"]] == [f"gen_{job.id}_a.png", f"gen_{job.id}_b.png"]
    assert list(params["thumbnails"]) == [f"gen_{job.id}_a.png", f"gen_{job.id}_b.png"]


def test_with_another_output_folder_the_picture_is_not_found(
    store: JobStore, job: Job, comfyui: FakeComfyUI, tmp_path: Path
) -> None:
    comfyui.finishes("gen_job_1_00001_.png")
    with (
        ComfyUIWorkerClient(comfyui.url, tmp_path / "the-real-one's", poll_interval=0.01) as client,
        pytest.raises(ComfyUIWorkflowError),
    ):
        run_job(store, job.id, client)
    failed = now(store, job)
    assert failed.status == "failed"
    assert failed.error_message == f"Unable to determine primary image path for job {job.id}"
    assert failed.comfyui_prompt_id == PROMPT_ID
    assert not (tmp_path / "the-real-one's").exists()


def test_a_failure_is_written_to_the_job_and_raised_for_the_retry(store: JobStore, job: Job, output_dir: Path) -> None:
    with (
        closed_port() as port,
        ComfyUIWorkerClient(f"http://localhost:{port}", output_dir) as client,
        pytest.raises(ComfyUIConnectionError) as caught,
    ):
        run_job(store, job.id, client)
    failed = now(store, job)
    assert (failed.status, failed.error_message) == ("failed", str(caught.value))
    assert failed.completed_at is not None


def test_a_retry_begins_with_a_clean_job(
    store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient, output_dir: Path
) -> None:
    comfyui.on_prompt(Answer({"error": {"message": "No prompt provided"}}, 400))
    with pytest.raises(ComfyUIRejectedError):
        run_job(store, job.id, client)
    comfyui.finishes("fox.png")
    draw(output_dir, "fox.png")
    run_job(store, job.id, client)
    done = now(store, job)
    assert (done.status, done.error_message) == ("completed", None)


def test_no_picture_at_all_is_a_failure(
    store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient
) -> None:
    comfyui.finishes()
    with pytest.raises(ComfyUIWorkflowError, match=f"^No output files produced for job {job.id}$"):
        run_job(store, job.id, client)


def test_a_file_that_is_no_picture_is_filed_without_thumbnails(
    store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient, output_dir: Path
) -> None:
    (output_dir / "fox.png").write_text("not a picture")
    comfyui.finishes("fox.png")
    run_job(store, job.id, client)
    assert now(store, job).params["thumbnails"] == {f"gen_{job.id}_fox.png": {}}


@pytest.mark.parametrize("status", ["cancelled", "completed"])
def test_a_job_that_has_ended_is_not_run_again(
    store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient, status: str
) -> None:
    ended = store.change(job.id, status=status)
    with pytest.raises(JobWithdrawn):
        run_job(store, job.id, client)
    assert now(store, job) == ended
    assert comfyui.requests == []


def test_a_job_that_is_not_there_is_left_at_that(store: JobStore, client: ComfyUIWorkerClient) -> None:
    with pytest.raises(JobWithdrawn):
        run_job(store, 41, client)


def test_cancelling_a_running_job_frees_the_worker_at_its_next_look(
    store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient
) -> None:
    comfyui.on_prompt(Answer({"prompt_id": PROMPT_ID}))
    comfyui.on_history(Answer({}))
    looks = iter(range(100))
    get = store.get

    def cancel_at_the_third_look(job_id: int) -> Job | None:
        if next(looks) == 2:
            store.change(job_id, status="cancelled", error_message="Cancelled: enough")
        return get(job_id)

    store.get = cancel_at_the_third_look  # type: ignore[method-assign]
    with pytest.raises(JobWithdrawn):
        run_job(store, job.id, client)
    store.get = get  # type: ignore[method-assign]
    cancelled = now(store, job)
    assert (cancelled.status, cancelled.error_message) == ("cancelled", "Cancelled: enough")
    assert len([path for _, path, _ in comfyui.requests if path.startswith("/history")]) == 2


def test_a_job_cancelled_at_the_last_moment_stays_cancelled(
    store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient, output_dir: Path
) -> None:
    draw(output_dir, "fox.png")
    comfyui.finishes("fox.png")
    find = client.output_paths

    def cancel_and_find(entry: dict[str, object]) -> list[Path]:
        store.change(job.id, status="cancelled")
        return find(entry)

    client.output_paths = cancel_and_find  # type: ignore[method-assign, assignment]
    with pytest.raises(JobWithdrawn):
        run_job(store, job.id, client)
    left = now(store, job)
    assert (left.status, left.content_id) == ("cancelled", None)


def test_a_prompt_that_failed_names_the_node_in_the_job(
    store: JobStore, job: Job, comfyui: FakeComfyUI, client: ComfyUIWorkerClient
) -> None:
    comfyui.on_prompt(Answer({"prompt_id": PROMPT_ID}))
    error = {
        "node_id": "5",
        "node_type": "KSampler",
        "exception_type": "RuntimeError",
        "exception_message": "no memory",
    }
    comfyui.on_history(history(outputs={}, status={"status_str": "error", "messages": [["execution_error", error]]}))
    with pytest.raises(ComfyUIWorkflowError):
        run_job(store, job.id, client)
    assert now(store, job).error_message == "ComfyUI failed at node 5 (KSampler): RuntimeError: no memory"
