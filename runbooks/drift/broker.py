"""Ask a broker whether it answers and who is connected to which of its databases.

Speaks the few words of the Redis protocol itself: a machine with the helpers alone has no Redis library, and one wants
an answer within a second also from a server that is stopped.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from io import BufferedReader
from typing import TypeAlias
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

Reply: TypeAlias = bytes | int | list["Reply"] | None


class State(StrEnum):
    """How a broker answers."""

    ANSWERS = "answers"
    DOWN = "down"
    REFUSES = "refuses"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class BrokerSeen:
    """What was seen of a broker.

    Attributes:
        url: as it was given, credentials included.
        state: how it answers.
        says: that in words, to follow the URL in a sentence.
        database: number of the database that the URL names.
        clients: for each connection to it (``127.0.0.1:40512``) the database it uses; None when it does not tell.
    """

    url: str = field(repr=False)
    state: State
    says: str
    database: int = 0
    clients: Mapping[str, int] | None = None


REASONS = {
    "NOAUTH": "it wants a password",
    "WRONGPASS": "user or password is wrong",
    "without any password configured": "it has no password, and the URL gives one",
    "out of range": "it has no database of that number",
    "NOPERM": "this user may not do that",
    "LOADING": "it is still loading its data",
    "max number of clients": "it has too many clients",
}
"""What stands in an error of the server, and what it means."""


class _Refused(Exception):  # noqa: N818 - its text goes into a sentence
    """The server answered with an error."""


@dataclass(frozen=True)
class _Place:
    """Where a broker's URL leads."""

    address: tuple[str, int] | str
    tls: bool
    user: str | None
    password: str | None = field(repr=False)
    database: int


def look_at_broker(url: str, timeout: float = 0.7) -> BrokerSeen:
    """Whether a Redis server answers at ``url``, and who is connected to it. Nothing is written there.

    Args:
        url: such as ``redis://:password@localhost:6379/0``; ``rediss`` and ``redis+socket`` too.
        timeout: seconds to connect, and for each answer.
    """
    try:
        place = _place(urlsplit(url))
    except ValueError:
        return BrokerSeen(url, State.REFUSES, "that is not the URL of a Redis server")
    if place is None:
        return BrokerSeen(url, State.UNKNOWN, "it is no Redis server, and only those are asked")
    try:
        with closing(_connect(place, timeout)) as connection, connection.makefile("rb") as answers:
            _greet(connection, answers, place)
            clients = _clients(connection, answers)
    except TimeoutError:
        return BrokerSeen(url, State.DOWN, f"it does not answer within {timeout:g} s", place.database)
    except _Refused as refused:
        return BrokerSeen(url, State.REFUSES, f"it refuses: {refused}", place.database)
    except ssl.SSLError as error:
        return BrokerSeen(url, State.REFUSES, f"TLS fails: {error.reason or 'unknown reason'}", place.database)
    except ConnectionRefusedError:
        return BrokerSeen(url, State.DOWN, "nothing listens there", place.database)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return BrokerSeen(url, State.DOWN, f"it cannot be reached ({reason})", place.database)
    except ValueError:
        return BrokerSeen(url, State.REFUSES, "what answers there is no Redis server", place.database)
    return BrokerSeen(url, State.ANSWERS, "answers", place.database, clients)


def address_of(url: str) -> tuple[str, int] | None:
    """Host and port of a broker's URL; None for a socket file and for a URL that cannot be used."""
    try:
        parts = urlsplit(url)
        return (parts.hostname, parts.port or 6379) if parts.hostname else None
    except ValueError:
        return None


def _place(parts: SplitResult) -> _Place | None:
    """Where the URL leads; None for a broker of another kind.

    Raises:
        ValueError: a port or database that is no number.
    """
    query = parse_qs(parts.query)
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if parts.scheme in ("redis+socket", "unix"):
        number = query.get("virtual_host", query.get("db", ["0"]))[0]
        return _Place(parts.path, False, user, password, int(number.strip("/") or 0))
    if parts.scheme not in ("redis", "rediss"):
        return None
    number = query.get("db", [parts.path.strip("/")])[0]
    address = (parts.hostname or "localhost", parts.port or 6379)
    return _Place(address, parts.scheme == "rediss", user, password, int(number or 0))


def _connect(place: _Place, timeout: float) -> socket.socket:
    if isinstance(place.address, str):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(place.address)
        return connection
    connection = socket.create_connection(place.address, timeout)
    if place.tls:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=place.address[0])
    return connection


def _greet(connection: socket.socket, answers: BufferedReader, place: _Place) -> None:
    if place.password is not None:
        _say(connection, answers, "AUTH", *([place.user] if place.user else []), place.password)
    if place.database:
        _say(connection, answers, "SELECT", str(place.database))
    if _say(connection, answers, "PING") != b"PONG":
        raise ValueError("no Redis server")


def _clients(connection: socket.socket, answers: BufferedReader) -> dict[str, int] | None:
    try:
        listed = _say(connection, answers, "CLIENT", "LIST")
    except _Refused:
        return None
    if not isinstance(listed, bytes):
        return None
    found = {}
    for line in listed.decode("utf-8", "replace").splitlines():
        fields = dict(part.partition("=")[::2] for part in line.split(" "))
        if "addr" in fields and fields.get("db", "").isdigit():
            found[fields["addr"]] = int(fields["db"])
    return found


def _say(connection: socket.socket, answers: BufferedReader, *words: str) -> Reply:
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        text = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(text), text))
    connection.sendall(b"".join(parts))
    return _reply(answers)


def _reply(answers: BufferedReader) -> Reply:
    """One reply.

    Raises:
        _Refused: it is an error.
        ValueError: that is not the Redis protocol.
    """
    line = answers.readline(1 << 16)
    kind, rest = line[:1], line[1:].rstrip(b"\r\n")
    if kind == b"+":
        return rest
    if kind == b"-":
        raise _Refused(_reason(rest.decode("utf-8", "replace")))
    if kind == b":":
        return int(rest)
    if kind == b"$":
        length = int(rest)
        return None if length < 0 else answers.read(length + 2)[:-2]
    raise ValueError("no Redis protocol")


def _reason(error: str) -> str:
    """Why it refuses, in words. Nothing is quoted: an error may repeat what was sent."""
    for sign, words in REASONS.items():
        if sign in error:
            return words
    return f"the error begins with {error.partition(' ')[0][:20]!r}"
