"""The job store: every question and every change that the API and the worker have for the database.

Each method is one short transaction, and one that writes begins with its write: several processes share a SQLite file,
and a transaction that first reads and then writes would be refused there instead of waiting for its turn.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, create_engine, delete, event, exists, func, insert, literal, select, text, update
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from runbooks.errors import UserError
from runbooks.genonaut.tables import Job, JobLine, content_items, generation_jobs, metadata, users, utc_now

DEMO_USER_ID = UUID("121e194b-4caa-4b81-ad4f-86ca3919d5b9")
"""The user of the incident; ``prepare`` makes it."""

_LOCK_TIMEOUT = 15.0  # seconds to wait for another process's write
_CONNECT_TIMEOUT = 5  # seconds to wait for a database server
_PREPARE_LOCK = 0x67656E6F  # any number that this application alone uses: PostgreSQL's advisory locks are numbers


def prepare(database_url: str) -> None:
    """Create what is missing: the tables and the demo user. Safe to call again, and from several processes at once.

    Raises:
        UserError: the URL is not one, its driver is not installed, or the database does not answer.
    """
    engine = open_engine(database_url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                _write_ahead(connection)
            _create_missing(connection)
    except DBAPIError as error:
        # SQLAlchemy masks a password before the host, but not one in the query.
        shown = engine.url.set(query={}).render_as_string()
        raise UserError(
            f"The job store {shown} cannot be used: {_reason(error)}.",
            "Check DATABASE_URL, and that the database runs and that this user may write to it.",
        ) from error
    finally:
        engine.dispose()


def _write_ahead(connection: Connection) -> None:
    """Let readers and a writer work at once. SQLite refuses this switch, instead of waiting, while another makes it."""
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            connection.execute(text("PRAGMA journal_mode=WAL"))
        except OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
        finally:
            connection.rollback()


def _create_missing(connection: Connection) -> None:
    with connection.begin():
        if connection.dialect.name == "postgresql":
            # IF NOT EXISTS is no protection there: two sessions that create one table at once collide.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PREPARE_LOCK})
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
        demo = select(literal(DEMO_USER_ID), literal("demo"), literal(utc_now()))
        demo = demo.where(~exists().where(users.c.id == DEMO_USER_ID))
        connection.execute(insert(users).from_select(["id", "username", "created_at"], demo))


def open_engine(database_url: str, **options: Any) -> Engine:
    """An engine for a URL as people write it: ``postgres://`` and ``postgresql://`` mean psycopg 3.

    Raises:
        UserError: the URL is not one or of no use here, or its driver is not installed.
    """
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise UserError(
            "The database URL is not one.", "Write DATABASE_URL like sqlite:///jobs.db or postgresql://user@host/name"
        ) from error
    if url.drivername.split("+")[0] in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    connect_args: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT}
    if url.drivername.split("+")[0] == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise UserError(
                "The database URL names a SQLite database in memory, which no second process can see.",
                "Name a file, such as sqlite:///jobs.db",
            )
        connect_args = {"timeout": _LOCK_TIMEOUT}
    try:
        engine = create_engine(url, connect_args=connect_args, **options)
    except (NoSuchModuleError, ImportError) as error:
        raise UserError(
            f"There is no driver here for a database URL that starts with {url.drivername}:",
            "Use SQLite, or PostgreSQL after: pip install 'genonaut-runbooks[postgres]'",
        ) from error
    event.listen(engine, "connect", _tune_sqlite)
    return engine


def _tune_sqlite(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=NORMAL")


def _reason(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0].rstrip(".")


class JobStore:
    """Jobs, users and content. Connections are made on first use: construct it after a fork, not before."""

    def __init__(self, database_url: str) -> None:
        # A connection for each of the forty threads that the API has, instead of requests that wait for one.
        self._engine = open_engine(database_url, pool_pre_ping=True, pool_size=5, max_overflow=35)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def check(self) -> None:
        """Ask the database for an answer.

        Raises:
            sqlalchemy.exc.DBAPIError: it has none. The other methods raise it, too.
        """
        with self._engine.connect() as connection:
            connection.execute(select(1))

    def user_exists(self, user_id: UUID) -> bool:
        """Whether there is such a user."""
        with self._engine.connect() as connection:
            return connection.scalar(select(users.c.id).where(users.c.id == user_id)) is not None

    def add(self, **values: Any) -> Job:
        """Store a new job, pending, with these columns."""
        now = utc_now()
        statement = insert(generation_jobs).values(status="pending", created_at=now, updated_at=now, **values)
        with self._engine.begin() as connection:
            return Job(*connection.execute(statement.returning(generation_jobs)).one())

    def get(self, job_id: int) -> Job | None:
        """The job, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(select(generation_jobs).where(generation_jobs.c.id == job_id)).one_or_none()
        return None if row is None else Job(*row)

    def overview(self, last: int) -> tuple[list[JobLine], dict[str, int]]:
        """The jobs created last, the newest first, and how many are pending and running in all."""
        columns = [generation_jobs.c[field.name] for field in fields(JobLine)]
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).order_by(generation_jobs.c.id.desc()).limit(last))
            return [JobLine(*row) for row in rows], _count(connection, ("pending", "running"))

    def count(self, *states: str, before: int) -> dict[str, int]:
        """How many of the jobs created before this one are in each of these states."""
        with self._engine.connect() as connection:
            return _count(connection, states, before)

    def picture(self, job_id: int) -> str | None:
        """The path of the picture that a completed job made, as its worker stored it; None when there is none."""
        jobs, content = generation_jobs.c, content_items.c
        statement = select(content.content_data).join(generation_jobs, jobs.content_id == content.id)
        with self._engine.connect() as connection:
            path: str | None = connection.scalar(
                statement.where(jobs.id == job_id, jobs.status == "completed", content.content_type == "image")
            )
        return path

    def delete(self, job_id: int, unless: Iterable[str] = ()) -> bool:
        """Delete the job unless it is in one of these states; False when it was not deleted."""
        jobs = generation_jobs.c
        with self._engine.begin() as connection:
            statement = delete(generation_jobs).where(jobs.id == job_id, jobs.status.not_in(list(unless)))
            return connection.execute(statement).rowcount > 0

    def change(self, job_id: int, only_from: Iterable[str] | None = None, **values: Any) -> Job | None:
        """Set columns of the job, if it is in one of the states ``only_from`` (None: any), and return it as it is now.

        None when there is no such job in such a state. The question and the change are one statement, so of an
        operator who cancels and a worker that reports, the first one wins.
        """
        with self._engine.begin() as connection:
            return _change(connection, job_id, only_from, values)

    def complete(self, job_id: int, only_from: Iterable[str], content: Mapping[str, Any], **values: Any) -> Job | None:
        """Store the content that the job made and end it as completed, both or neither; None as in ``change``."""
        now = utc_now()
        with self._engine.connect() as connection, connection.begin() as transaction:
            stored = connection.execute(
                insert(content_items).values(created_at=now, **content).returning(content_items.c.id)
            )
            values |= {"status": "completed", "content_id": stored.scalar_one(), "completed_at": now}
            job = _change(connection, job_id, only_from, values)
            if job is None:
                transaction.rollback()
            return job


def _change(connection: Connection, job_id: int, only_from: Iterable[str] | None, values: dict[str, Any]) -> Job | None:
    jobs = generation_jobs.c
    statement = update(generation_jobs).where(jobs.id == job_id).values(updated_at=utc_now(), **values)
    if only_from is not None:
        statement = statement.where(jobs.status.in_(list(only_from)))
    row = connection.execute(statement.returning(generation_jobs)).one_or_none()
    return None if row is None else Job(*row)


def _count(connection: Connection, states: Iterable[str], before: int | None = None) -> dict[str, int]:
    jobs, states = generation_jobs.c, list(states)
    statement = select(jobs.status, func.count()).where(jobs.status.in_(states)).group_by(jobs.status)
    if before is not None:
        statement = statement.where(jobs.id < before)
    found = {row[0]: row[1] for row in connection.execute(statement)}
    return {state: found.get(state, 0) for state in states}
