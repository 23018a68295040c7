"""The job store, on SQLite and (where DATABASE_URL names one) on PostgreSQL."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from runbooks.errors import UserError
from runbooks.genonaut.store import DEMO_USER_ID, JobStore, open_engine, prepare
from runbooks.genonaut.tables import Job, generation_jobs
from tests.genonaut.conftest import new_job

pytestmark = pytest.mark.e2e


def test_a_job_has_the_columns_of_its_table() -> None:
    assert list(Job.__dataclass_fields__) == [column.name for column in generation_jobs.columns]


def test_preparing_twice_keeps_what_is_there(database_url: str, store: JobStore, job: Job) -> None:
    prepare(database_url)
    assert store.get(job.id) == job
    assert store.user_exists(DEMO_USER_ID)
    assert not store.user_exists(uuid4())


def test_several_processes_may_prepare_at_once(database_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prepare, [database_url] * 8))
    store = JobStore(database_url)
    assert new_job(store).id == 1
    store.close()


def test_several_writers_lose_nothing_and_fail_nothing(database_url: str, store: JobStore) -> None:
    def work(_: int) -> int:
        own = JobStore(database_url)
        job = new_job(own)
        for status in ("running", "failed", "running", "completed"):
            assert own.change(job.id, status=status)
        own.close()
        return job.id

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(work, range(24)))
    assert len(set(ids)) == 24
    assert {store.get(job_id).status for job_id in ids} == {"completed"}  # type: ignore[union-attr]


def test_the_first_of_two_changes_wins(store: JobStore, job: Job) -> None:
    assert store.change(job.id, only_from=("pending",), status="cancelled")
    assert store.change(job.id, only_from=("pending", "running"), status="running") is None
    found = store.get(job.id)
    assert found
    assert found.status == "cancelled"


def test_a_change_is_dated(store: JobStore, job: Job) -> None:
    changed = store.change(job.id, status="running")
    assert changed
    assert changed.updated_at > job.updated_at
    assert changed.created_at == job.created_at


def test_no_content_is_left_of_a_job_that_was_cancelled_before_it_was_complete(store: JobStore, job: Job) -> None:
    content = {
        "title": "fox",
        "content_type": "image",
        "content_data": "/fox.png",
        "prompt": "a fox",
        "creator_id": DEMO_USER_ID,
        "item_metadata": {},
    }
    store.change(job.id, status="cancelled")
    assert store.complete(job.id, ("pending", "running"), content) is None
    second = new_job(store)
    completed = store.complete(second.id, ("pending", "running"), content)
    assert completed
    assert completed.status == "completed"
    first_content = completed.content_id
    third = store.complete(new_job(store).id, ("pending",), content)
    assert third
    assert third.content_id == (first_content or 0) + 1


def test_the_id_of_a_deleted_job_is_not_given_again(store: JobStore, job: Job) -> None:
    assert store.delete(job.id, unless=("running",))
    assert not store.delete(job.id)
    assert new_job(store).id > job.id


def test_sqlite_readers_and_writers_do_not_wait_for_each_other(tmp_path: Path) -> None:
    prepare(f"sqlite:///{tmp_path / 'jobs.db'}")
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_postgresql_is_understood_as_people_write_it(scheme: str) -> None:
    engine = open_engine(f"{scheme}://genonaut:secret@db.example:5433/jobs")
    assert engine.driver == "psycopg"
    assert (engine.url.host, engine.url.port, engine.url.password) == ("db.example", 5433, "secret")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("jobs.db", "The database URL is not one. Write DATABASE_URL like sqlite:///jobs.db"),
        ("sqlite://", "names a SQLite database in memory, which no second process can see."),
        ("sqlite:///:memory:", "names a SQLite database in memory, which no second process can see."),
        ("oracle8://db/jobs", "There is no driver here for a database URL that starts with oracle8:"),
        ("mysql://db/jobs", "There is no driver here for a database URL that starts with mysql:"),
        ("sqlite:////no/such/folder/jobs.db", "cannot be used: unable to open database file."),
        ("postgresql://genonaut:secret@127.0.0.1:1/jobs", "genonaut:***@127.0.0.1:1/jobs cannot be used: "),
        ("postgresql://127.0.0.1:1/jobs?password=secret", "127.0.0.1:1/jobs cannot be used: "),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(url: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        prepare(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_text("prompt: a red fox\n" * 100)
    with pytest.raises(UserError, match=r"jobs.db cannot be used: file is not a database"):
        prepare(f"sqlite:///{tmp_path / 'jobs.db'}")
