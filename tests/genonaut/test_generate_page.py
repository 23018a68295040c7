"""The generate page: a plain form that works without a script, and a picture that nobody can talk into being a file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from runbooks.genonaut.api.app import create_app
from runbooks.genonaut.store import DEMO_USER_ID, JobStore
from runbooks.genonaut.tables import Job, utc_now
from tests.genonaut.conftest import FakeQueue, new_job, served

FORM = {"prompt": "a red fox in snow", "size": "512x768"}
MARKUP = '</textarea><script>alert("x")</script><img src=x onerror=alert(1)>'


def completed(store: JobStore, path: Path | str, **more: Any) -> Job:
    """A job that its worker has completed with a picture at this path."""
    job = new_job(store)
    content = {
        "title": job.prompt,
        "content_type": "image",
        "content_data": str(path).replace("JOB", str(job.id)),
        "prompt": job.prompt,
        "creator_id": DEMO_USER_ID,
        "item_metadata": {},
    }
    done = store.complete(job.id, ("pending",), content | more)
    assert done
    return done


def filed(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / "output" / "generations" / str(DEMO_USER_ID) / "2026"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def test_the_form_makes_a_job_and_leads_to_it(api: httpx.Client, store: JobStore, queue: FakeQueue) -> None:
    assert "Generate" in api.get("/").text
    answer = api.post("/", data=FORM)
    assert answer.status_code == 303, "who reloads the page asks for no second picture"
    ((job_id, _),) = queue.queued
    assert answer.headers["location"] == f"/?job={job_id}#job"
    job = store.get(job_id)
    assert job
    assert (job.prompt, job.width, job.height, job.status) == ("a red fox in snow", 512, 768, "pending")
    page = api.get(f"/?job={job_id}").text
    assert "The job waits for the worker." in page
    assert '<meta http-equiv="refresh"' in page, "without a script it is looked at again"
    assert "Look again" in page


def test_a_job_says_how_many_are_before_it(api: httpx.Client, store: JobStore) -> None:
    jobs = [new_job(store) for _ in range(3)]
    assert "2 jobs are before it" in api.get(f"/?job={jobs[-1].id}").text
    store.change(jobs[0].id, status="cancelled")
    assert "1 job is before it" in api.get(f"/jobs/{jobs[-1].id}/panel").text


def test_a_job_that_does_not_end_leads_to_the_page_that_says_why(api: httpx.Client, store: JobStore) -> None:
    long_ago = utc_now() - timedelta(minutes=5)
    job = new_job(store)
    assert "more than a minute" not in api.get(f"/?job={job.id}").text
    store.change(job.id, created_at=long_ago)
    waiting = api.get(f"/?job={job.id}").text
    assert "No worker has taken it for more than a minute." in waiting
    assert "/troubleshooting/#a-job-stays-pending" in waiting
    store.change(job.id, status="running", started_at=utc_now())
    assert "more than a minute" not in api.get(f"/?job={job.id}").text
    store.change(job.id, started_at=long_ago)
    assert "/runbooks/job-stuck-in-running/" in api.get(f"/jobs/{job.id}/panel").text
    store.change(job.id, status="a status of later versions")
    assert "Nothing more is known of it." in api.get(f"/?job={job.id}").text


def test_no_worker_is_told_in_words_and_what_was_typed_stays(
    api: httpx.Client, store: JobStore, queue: FakeQueue
) -> None:
    queue.worker = False
    answer = api.post("/", data={"prompt": "my long prompt", "size": "768x512"})
    assert answer.status_code == 503
    assert "no worker answers" in answer.text
    assert "/troubleshooting/#503-image-queuing-service" in answer.text
    assert "my long prompt</textarea>" in answer.text
    assert '<option value="768x512" selected>' in answer.text
    assert store.overview(1)[0] == []


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"prompt": "   ", "size": "512x768"}, "Write what the picture shall show."),
        ({"size": "512x768"}, "Write what the picture shall show."),
        ({"prompt": "x", "size": "1x1"}, "That is no size."),
        ({"prompt": "x", "size": "huge"}, "That is no size."),
        ({"prompt": "x"}, "That is no size."),
        ({"prompt": "x" * 10_001, "size": "512x768"}, "longer than 10 000 characters"),
    ],
)
def test_what_cannot_be_made_is_refused_in_words(
    api: httpx.Client, queue: FakeQueue, form: dict[str, str], says: str
) -> None:
    answer = api.post("/", data=form)
    assert answer.status_code == 422
    assert says in answer.text
    assert queue.queued == []


def test_a_form_of_another_site_and_one_without_end_are_refused(api: httpx.Client, queue: FakeQueue) -> None:
    assert api.post("/", data=FORM, headers={"Origin": "http://elsewhere.example"}).status_code == 403
    assert api.post("/", data=FORM, headers={"Origin": "null"}).status_code == 403
    assert api.post("/", data={"prompt": "x" * 100_000}).status_code == 413
    assert queue.queued == []
    own = f"http://{api.base_url.netloc.decode()}"
    assert api.post("/", data=FORM, headers={"Origin": own}).status_code == 303


def test_markup_in_a_prompt_or_an_error_is_shown_as_text(api: httpx.Client, store: JobStore) -> None:
    job = new_job(store, prompt=MARKUP)
    store.change(job.id, status="failed", error_message=f"ComfyUI at http://x rejected the workflow: {MARKUP}")
    for path in (f"/?job={job.id}", f"/jobs/{job.id}/panel"):
        page = api.get(path)
        assert "&lt;script&gt;" in page.text
        for dangerous in ("<script>", "<img src=x"):
            assert dangerous not in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "&lt;script&gt;" in api.post("/", data={"prompt": MARKUP, "size": MARKUP}).text


def test_a_page_asks_no_other_host_and_needs_no_build(api: httpx.Client) -> None:
    page = api.get("/").text
    used = [part.split('"')[0] for part in page.split('src="')[1:]] + ["/static/pages.css", "/static/mark.svg"]
    assert all(path.startswith("/static/") for path in used)
    for path in used:
        assert api.get(path).status_code == 200, path


def test_a_completed_job_shows_its_picture(api: httpx.Client, store: JobStore, tmp_path: Path) -> None:
    for ending, kind in (("png", "image/png"), ("jpg", "image/jpeg"), ("webp", "image/webp")):
        job = completed(store, filed(tmp_path, f"gen_JOB_x.{ending}"))
        path = Path(str(store.picture(job.id)))
        Image.new("RGB", (8, 8)).save(path)
        assert f'src="/jobs/{job.id}/picture"' in api.get(f"/?job={job.id}").text
        answer = api.get(f"/jobs/{job.id}/picture")
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.content == path.read_bytes()
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_picture_that_is_gone_is_told_in_words(api: httpx.Client, store: JobStore, tmp_path: Path) -> None:
    job = completed(store, filed(tmp_path, "gen_JOB_x.png"))
    assert "its file is gone" in api.get(f"/?job={job.id}").text
    assert api.get(f"/jobs/{job.id}/picture").status_code == 404


def test_only_pictures_that_the_worker_filed_for_this_job_are_sent(
    api: httpx.Client, store: JobStore, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    text = filed(tmp_path, "text")
    text.write_text("no picture\n")
    jobs = [completed(store, secret), completed(store, "/etc/passwd"), completed(store, tmp_path)]
    link = completed(store, filed(tmp_path, "gen_JOB_link.png"))
    Path(str(store.picture(link.id))).symlink_to(secret)
    not_one = completed(store, filed(tmp_path, "gen_JOB_text.png"))
    Path(str(store.picture(not_one.id))).write_text("<script>")
    other = completed(store, filed(tmp_path, "gen_0_other.png"))
    elsewhere = completed(store, tmp_path / "gen_JOB_elsewhere.png")
    for job in (other, elsewhere):
        Image.new("RGB", (8, 8)).save(Path(str(store.picture(job.id))))
    for job in (*jobs, link, not_one, other, elsewhere):
        assert api.get(f"/jobs/{job.id}/picture").status_code == 404


def test_who_asks_for_a_job_cannot_name_the_file_that_is_sent(
    api: httpx.Client, store: JobStore, tmp_path: Path
) -> None:
    path = filed(tmp_path, "gen_1_planted.png")
    Image.new("RGB", (8, 8)).save(path)
    body = {
        "user_id": str(DEMO_USER_ID),
        "job_type": "image",
        "prompt": "x",
        "params": {"output_paths": [str(path)], "content_data": str(path)},
    }
    job_id = api.post("/api/v1/generation-jobs/", json=body).json()["id"]
    api.put(f"/api/v1/generation-jobs/{job_id}/status", json={"status": "completed"})
    assert store.get(job_id)
    assert api.get(f"/jobs/{job_id}/picture").status_code == 404


def test_a_job_that_is_not_there_is_told(api: httpx.Client) -> None:
    for number, named in (("999", "999"), ("abc", "abc"), ("-1", "-1"), ("9" * 40, "9" * 20), ("<b>", "&lt;b&gt;")):
        answer = api.get("/", params={"job": number})
        assert (answer.status_code, f"There is no job {named}." in answer.text) == (404, True)
    assert api.get("/jobs/999/panel").status_code == 404
    assert api.get("/jobs/999/picture").status_code == 404


def test_a_job_store_that_does_not_answer_is_told(tmp_path: Path) -> None:
    store = JobStore(f"sqlite:///{tmp_path / 'no' / 'folder' / 'jobs.db'}")
    with served(create_app(store, FakeQueue())) as api:
        for answer in (api.get("/?job=1"), api.post("/", data=FORM)):
            assert answer.status_code == 503
            assert "The job store does not answer." in answer.text
        assert api.get("/jobs/1/panel").status_code == 503


def test_the_store_tells_the_last_jobs_and_counts_them(store: JobStore) -> None:
    jobs = [new_job(store) for _ in range(4)]
    store.change(jobs[0].id, status="running", started_at=utc_now())
    store.change(jobs[1].id, status="failed", error_message="no")
    last, counts = store.overview(3)
    assert [(line.id, line.error_message) for line in last] == [
        (jobs[3].id, None),
        (jobs[2].id, None),
        (jobs[1].id, "no"),
    ]
    assert counts == {"pending": 2, "running": 1}
    assert store.count("pending", "running", before=jobs[3].id) == {"pending": 1, "running": 1}
