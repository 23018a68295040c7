"""What a page's Python steps ask of an installation, against a small server that answers as told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from runbooks import Job, Target, UserError

Answer = tuple[int, Any]


class Server(ThreadingHTTPServer):
    """Answers ``METHOD path`` from a dict; a list is answered one by one, its last for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer | list[Answer]] = {}
        self.bodies: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length:
            self.server.bodies.append(json.loads(self.rfile.read(length)))
        found = self.server.answers.get(f"{self.command} {self.path}", (404, {"detail": "Not Found"}))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        status, body = found
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def target(server: Server, tmp_path: Path) -> Target:
    environ = {"API_URL": server.url + "/", "MOCK_URL": server.url, "GENONAUT_ROOT": str(tmp_path)}
    return Target.from_environment(environ)


def job(status: str, **more: Any) -> dict[str, Any]:
    return {"id": 7, "status": status, "error_message": None, "params": {}, **more}


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_without_an_environment_the_target_is_that_of_the_incident() -> None:
    target = Target.from_environment({})
    assert (target.api_url, target.mock_url, target.real_url) == (
        "http://127.0.0.1:8001",
        "http://localhost:8189",
        "http://localhost:8000",
    )
    assert target.mock_log == Path.cwd() / ".lab" / "logs" / "kernie-gen.log"


def test_paths_start_at_the_root_unless_they_are_given(tmp_path: Path) -> None:
    target = Target.from_environment({"GENONAUT_ROOT": str(tmp_path), "MOCK_LOG": "/var/log/mock.log"})
    assert target.mock_output_dir == tmp_path / "output" / "kernie-gen"
    assert target.mock_log == Path("/var/log/mock.log")


def test_a_click_on_generate_sends_user_prompt_and_size(server: Server, target: Target) -> None:
    server.answers["POST /api/v1/generation-jobs/"] = (201, job("pending"))
    created = target.create_job("a red fox", width=256, height=320)
    assert (created.id, created.status, created.ended) == (7, "pending", False)
    assert server.bodies == [
        {"user_id": target.user_id, "job_type": "image", "prompt": "a red fox", "width": 256, "height": 320}
    ]


def test_waiting_for_a_job_returns_it_once_it_has_ended(server: Server, target: Target) -> None:
    done = job("completed", comfyui_prompt_id="p", params={"output_paths": ["/out/a.png"]})
    server.answers["GET /api/v1/generation-jobs/7"] = [(200, job("pending")), (200, job("running")), (200, done)]
    ended = target.wait_for_job(7, timeout=5, interval=0.01)
    assert (ended.status, ended.prompt_id, ended.output_paths) == ("completed", "p", (Path("/out/a.png"),))


def test_waiting_ends_with_the_status_and_where_to_look(server: Server, target: Target) -> None:
    server.answers["GET /api/v1/generation-jobs/7"] = (200, job("pending"))
    with pytest.raises(
        UserError, match=r"Job 7 is still pending after 0 s\. pending: no worker takes it\..*worker\.log"
    ):
        target.wait_for_job(7, timeout=0, interval=0.01)


def test_the_refusal_of_the_api_is_told_in_its_own_words(server: Server, target: Target) -> None:
    message = "The image queuing service is not currently running."
    server.answers["POST /api/v1/generation-jobs/"] = (503, {"detail": {"error": {"message": message}}})
    with pytest.raises(UserError, match=r"answered 503: The image queuing .* start one \(make celery-demo\)"):
        target.create_job()


@pytest.mark.parametrize(
    ("body", "told"),
    [({"detail": "404: no job"}, r'"404: no job"'), ("<h1>Oops</h1>", "<h1>Oops</h1>"), ("", "Not Found")],
)
def test_any_other_error_is_told_as_it_came(server: Server, target: Target, body: Any, told: str) -> None:
    server.answers["GET /api/v1/generation-jobs/9"] = (404, body)
    with pytest.raises(UserError, match=f"answered 404: {told}"):
        target.get_job(9)


Ask = Callable[[Target], object]


@pytest.mark.parametrize(
    ("ask", "cure"),
    [(Target.check_api, "make api-demo"), (Target.check_mock, "make kernie-gen"), (Target.create_job, "make api-demo")],
)
def test_what_does_not_listen_is_named_with_how_to_start_it(ask: Ask, cure: str) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(UserError, match=rf"^{url} does not answer: .*Connection refused.* Start it with: {cure}"):
        ask(Target(api_url=url, mock_url=url))


def test_the_mock_is_known_by_its_answer(server: Server, target: Target) -> None:
    server.answers["GET /"] = (200, {"status": "ok", "version": "1"})
    assert target.check_mock()["version"] == "1"


@pytest.mark.parametrize("body", [{"hello": "world"}, [], "<html>"])
def test_another_server_on_the_port_is_not_taken_for_the_mock_the_api_or_a_job(
    server: Server, target: Target, body: Any
) -> None:
    for path in ("/", "/api/v1/health", "/api/v1/generation-jobs/1"):
        server.answers[f"GET {path}"] = (200, body)
    for ask in (target.check_mock, target.check_api, lambda: target.get_job(1)):
        with pytest.raises(UserError, match=r"is not the mock|is not the API|is not JSON|is not a job"):
            ask()


def test_only_accepted_prompts_count_as_received(target: Target) -> None:
    target.mock_log.parent.mkdir()
    target.mock_log.write_text(
        'INFO:     127.0.0.1:5 - "GET / HTTP/1.1" 200 OK\n'
        'INFO:     127.0.0.1:5 - "POST /prompt HTTP/1.1" 400 Bad Request\n'
        'INFO:     127.0.0.1:6 - "POST /prompt HTTP/1.1" 200 OK\n'
    )
    assert target.prompts_received() == ['INFO:     127.0.0.1:6 - "POST /prompt HTTP/1.1" 200 OK']


def test_a_missing_log_says_which_variable_to_set(target: Target) -> None:
    with pytest.raises(UserError, match=r"No such file.*Set MOCK_LOG"):
        target.prompts_received()


def test_a_job_without_pictures_has_no_paths() -> None:
    assert Job.from_api({"id": 1, "status": "failed", "params": None}).output_paths == ()
