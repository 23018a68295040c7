from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runbooks.errors import UserError
from runbooks.lab.ports import HIGHEST, LOWEST, Reservations, holder_of, is_free, require_free
from runbooks.lab.processes import lab_environment
from tests.support.waiting import wait_until


@pytest.fixture
def reservations() -> Iterator[Reservations]:
    with Reservations() as made:
        yield made


def listen_on(port: int) -> closing[socket.socket]:
    return closing(socket.create_server(("127.0.0.1", port)))


def test_a_chosen_port_is_refused_to_clients_and_not_chosen_again(reservations: Reservations) -> None:
    port = reservations.choose()
    assert LOWEST <= port < HIGHEST
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))


def test_a_server_can_listen_on_a_port_that_was_handed_over(reservations: Reservations) -> None:
    port = reservations.choose()
    reservations.hand_over(port)
    with listen_on(port), socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) == 0


def test_a_port_is_held_for_its_server_until_it_listens(reservations: Reservations) -> None:
    port = reservations.choose()
    reservations.hand_over(port)
    held = reservations.fileno(port) is not None
    assert held == (sys.platform == "linux")


def test_many_ports_are_all_different() -> None:
    with Reservations() as one, Reservations() as other:
        ports = [made.choose() for _ in range(20) for made in (one, other)]
    assert len(set(ports)) == 40


def test_released_ports_are_free(reservations: Reservations) -> None:
    port = reservations.choose()
    reservations.release(port)
    reservations.release(port)
    assert is_free(port)


def test_a_taken_port_is_named_with_its_holder_and_what_to_do(reservations: Reservations) -> None:
    port = reservations.choose()
    require_free(port, "API")
    with listen_on(port):
        assert not is_free(port)
        holder = holder_of(port)
        assert holder is not None
        assert holder.pid == os.getpid()
        with pytest.raises(UserError) as error:
            require_free(port, "API")
    assert error.value.what.startswith(f"Port {port}, wanted for the API, is taken by pid {os.getpid()} (")
    assert "python" in error.value.what
    assert error.value.do == f"Stop it with: kill {os.getpid()}, or use other ports with --free-ports."


def test_a_port_that_another_lab_holds_is_freed_by_stopping_that_lab(reservations: Reservations) -> None:
    port = reservations.choose()
    code = "import socket, sys; listening = socket.create_server(('127.0.0.1', int(sys.argv[1]))); input()"
    environ = lab_environment(Path("/some lab"), "local-demo", ())
    with subprocess.Popen([sys.executable, "-c", code, str(port)], env=environ, stdin=subprocess.PIPE) as server:
        wait_until(lambda: not is_free(port), 10, "the server to listen")
        with pytest.raises(UserError) as error:
            require_free(port, "API")
        server.kill()
    assert error.value.do.startswith("Stop it with: runbooks down --root '/some lab', or use")


def test_a_holder_that_the_system_does_not_tell_is_said_to_be_another_user_s(
    reservations: Reservations, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = reservations.choose()
    monkeypatch.setattr("psutil.net_connections", lambda _kind: [])
    with listen_on(port), pytest.raises(UserError, match="taken by a process of another user"):
        require_free(port, "mock")


def test_a_port_on_which_nobody_listens_has_no_holder(reservations: Reservations) -> None:
    assert holder_of(reservations.choose()) is None
