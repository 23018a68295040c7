"""Who answers at a ComfyUI URL, asked of servers that answer as the recorded ones did."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runbooks.drift.comfy import Answerer, look_at_url, output_of_real

REAL = {"system": {"comfyui_version": "0.33.0", "argv": ["main.py", "--base-directory", "/srv/comfy"]}, "devices": []}
OWN_MOCK = {"status": "ok", "server": "Mock ComfyUI Server", "version": "0.1.0"}
KERNIE = {**OWN_MOCK, "name": "kernie-gen", "output_dir": "/lab/output/kernie-gen"}
PAGE = "<!doctype html><title>Welcome</title>"


@contextmanager
def served(answers: dict[str, object]) -> Iterator[str]:
    """A server that answers these paths with JSON, or text as HTML, and others with 404."""

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "nginx/1.0\x1b[31m", ""

        def do_GET(self) -> None:
            answer = answers.get(self.path)
            body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def listening(greet: Callable[[socket.socket], object] | None) -> Iterator[str]:
    """A port that takes connections; what it says is up to ``greet``, and with None it says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        thread = None
        if greet is not None:
            thread = threading.Thread(target=lambda: greet(server))
            thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        if thread is not None:
            thread.join()


@pytest.mark.parametrize(
    ("answers", "who", "says", "output"),
    [
        ({"/": PAGE, "/system_stats": REAL}, Answerer.COMFYUI, "ComfyUI 0.33.0 answers", "/srv/comfy/output"),
        ({"/": KERNIE, "/system_stats": REAL}, Answerer.KERNIE_GEN, "kernie-gen answers", "/lab/output/kernie-gen"),
        ({"/": {**KERNIE, "output_dir": "/a\x1b[2J"}}, Answerer.KERNIE_GEN, "kernie-gen answers", None),
        ({"/": OWN_MOCK}, Answerer.GENONAUT_MOCK, "Genonaut's own mock answers", None),
        ({"/": PAGE}, Answerer.OTHER, "GET / is answered 200 by nginx/1.0?[31m", None),
        ({}, Answerer.OTHER, "GET / is answered 404", None),
        ({"/": [1], "/system_stats": {"system": 5}}, Answerer.OTHER, "GET / is answered 200", None),
        ({"/x/": PAGE, "/x/system_stats": REAL}, Answerer.OTHER, "GET / is answered 404", None),
    ],
)
def test_who_answers_is_recognised(answers: dict[str, object], who: Answerer, says: str, output: str | None) -> None:
    with served(answers) as url:
        seen = look_at_url(url)
    assert (seen.who, seen.output) == (who, output)
    assert seen.says.startswith(says)


def test_a_comfyui_below_a_path_is_asked_there() -> None:
    with served({"/x/": PAGE, "/x/system_stats": REAL}) as url:
        assert look_at_url(f"{url}/x/").who is Answerer.COMFYUI


def test_a_port_on_which_nothing_listens_is_nobody() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        seen = look_at_url(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert (seen.who, seen.says) == (Answerer.NOBODY, "nothing listens there")


def test_a_server_that_takes_the_connection_and_is_silent_is_not_waited_for() -> None:
    with listening(None) as url:
        seen = look_at_url(url, timeout=0.1)
    assert (seen.who, seen.says) == (Answerer.SILENT, "something listens and does not answer within 0.1 s")


def test_a_server_of_another_protocol_is_something_else() -> None:
    def greet(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH\r\n")
            connection.recv(1000)

    with listening(greet) as url:
        assert look_at_url(url).who is Answerer.OTHER


@pytest.mark.parametrize(
    "url", ["localhost:8189", "ftp://localhost", "http://", "http://localhost:x", "'http://a'", "http://a..b"]
)
def test_what_is_no_url_is_not_asked(url: str) -> None:
    assert look_at_url(url).who is Answerer.INVALID


@pytest.mark.parametrize(
    ("argv", "folder"),
    [
        (["main.py", "--output-directory", "/pictures", "--base-directory", "/srv"], "/pictures"),
        (["main.py", "--base-directory=/srv"], "/srv/output"),
        (["python", "/opt/ComfyUI/main.py", "--cpu"], "/opt/ComfyUI/output"),
        (["main.py"], "/srv/here/output"),
        (["main.py", "--output-directory", "out"], "/srv/here/out"),
        (["comfy", "launch"], None),
    ],
)
def test_the_output_folder_of_a_real_comfyui_follows_from_its_command_line(argv: list[str], folder: str | None) -> None:
    assert output_of_real(argv, Path("/srv/here")) == (None if folder is None else Path(folder))


def test_a_relative_output_folder_is_not_guessed() -> None:
    assert output_of_real(["main.py"], None) is None
