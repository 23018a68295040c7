from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from runbooks.errors import UserError
from runbooks.lab import backends
from tests.lab.backends import database_for, redis_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def empty(server: str) -> str:
    with Redis.from_url(server) as client:
        client.flushall()
    return server


def test_each_lab_gets_the_first_empty_database_and_keeps_it(empty: str) -> None:
    with Redis.from_url(f"{empty}/0") as client:
        client.set("jobs", "of another application")
    assert backends.claim_redis(empty, Path("/one")) == f"{empty}/1"
    assert backends.claim_redis(empty, Path("/two")) == f"{empty}/2"
    assert backends.claim_redis(empty, Path("/one")) == f"{empty}/1"
    backends.release_redis(f"{empty}/1", Path("/one"))
    assert backends.claim_redis(empty, Path("/two")) == f"{empty}/2", "although the one before is empty now"


def test_a_number_in_the_url_is_where_the_search_begins(empty: str) -> None:
    assert backends.claim_redis(f"{empty}/2", Path("/one")) == f"{empty}/2"
    assert backends.claim_redis(f"{empty}/2", Path("/two")) == f"{empty}/3"


def test_a_server_without_an_empty_database_is_one_sentence(empty: str) -> None:
    for name in "abcd":
        backends.claim_redis(empty, Path(name))
    with pytest.raises(UserError, match="has no empty database from number 0 on"):
        backends.claim_redis(empty, Path("e"))


def test_only_the_lab_s_own_database_is_emptied(empty: str) -> None:
    own = backends.claim_redis(empty, Path("/one"))
    backends.release_redis(own, Path("/two"))
    with Redis.from_url(own) as client:
        assert client.get(backends.CLAIM) == b"/one"
        backends.release_redis(own, Path("/one"))
        assert client.dbsize() == 0


@pytest.mark.parametrize("url", ["amqp://localhost", "redis://", "localhost:6379"])
def test_a_broker_that_is_no_redis_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="is not a Redis URL"):
        backends.claim_redis(url, Path("/one"))


def test_a_broker_that_does_not_answer_is_one_sentence_without_the_password() -> None:
    with pytest.raises(UserError) as error:
        backends.claim_redis("redis://me:secret@127.0.0.1:1/0", Path("/one"))
    assert error.value.what.startswith("The broker redis://me:***@127.0.0.1:1/0 cannot be used: ")
    assert "unset REDIS_URL" in error.value.do
    assert not backends.broker_answers("redis://127.0.0.1:1/0")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:secret@localhost/0", "redis://:***@localhost/0"),
        ("postgresql://me:secret@localhost:5432/jobs?a=b", "postgresql://me:***@localhost:5432/jobs?a=b"),
        ("sqlite:////tmp/a b.db", "sqlite:////tmp/a b.db"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert backends.without_password(url) == shown


def test_a_job_store_that_does_not_answer_is_one_sentence_without_the_password() -> None:
    with pytest.raises(UserError) as error:
        backends.claim_database("postgresql://me:secret@127.0.0.1:1/jobs", Path("/one"))
    assert error.value.what.startswith("The job store postgresql://me:***@127.0.0.1:1/jobs cannot be used: ")
    assert "unset DATABASE_URL" in error.value.do


@pytest.mark.e2e
def test_two_labs_on_one_database_server_have_jobs_of_their_own(tmp_path: Path) -> None:
    from runbooks.genonaut.store import DEMO_USER_ID, JobStore, prepare

    with database_for(tmp_path / "run" / "one") as one, database_for(tmp_path / "run" / "two") as two:
        stores = []
        for folder, url in (("one", one), ("two", two)):
            (tmp_path / "run" / folder / "run").mkdir(parents=True)
            prepare(url)
            stores.append(JobStore(url))
        job = stores[0].add(
            user_id=DEMO_USER_ID,
            job_type="image_generation",
            prompt="a red fox",
            params={},
            lora_models=[],
            width=64,
            height=64,
            batch_size=1,
        )
        assert [store.get(job.id) is not None for store in stores] == [True, False]
        for store in stores:
            store.close()


@pytest.mark.parametrize("name", ["plain", "a b", 'it\'s "x"', "50% off?", "#1"])
def test_the_url_of_the_job_store_means_the_lab_s_own_file_in_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runbooks.genonaut.store import prepare

    root = tmp_path / name
    (root / "run").mkdir(parents=True)
    monkeypatch.chdir(root)
    prepare(backends.sqlite_url(root))
    assert (root / "run" / "genonaut.db").is_file()
