"""A local HTTP server that answers as it is told: ComfyUI, something else, or nothing at all."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

PROMPT_ID = "23b65ef9-5c18-41ae-8365-ee644ee7faeb"


@dataclass
class Answer:
    """One HTTP answer; ``hang`` gives none, ``cut`` closes the connection without one."""

    body: Any = None
    status: int = 200
    content_type: str = "application/json; charset=utf-8"
    hang: bool = False
    cut: bool = False


@dataclass
class FakeComfyUI:
    """Answers each path from its list, the last one again and again. Requests are kept as (method, path, JSON)."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    def __enter__(self) -> FakeComfyUI:
        self._stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, self._stopping))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def on_prompt(self, *answers: Answer) -> None:
        """What POST /prompt answers."""
        self.answers["/prompt"] = list(answers)

    def on_history(self, *answers: Answer, prompt_id: str = PROMPT_ID) -> None:
        """What GET /history/{prompt_id} answers."""
        self.answers[f"/history/{prompt_id}"] = list(answers)

    def finishes(self, *filenames: str, messages: list[Any] | None = None) -> None:
        """Take the prompt, run for one look, and end with these pictures."""
        images = [{"filename": name, "subfolder": "", "type": "output"} for name in filenames]
        status = {"status_str": "success", "completed": True, "messages": messages or []}
        self.on_prompt(Answer({"prompt_id": PROMPT_ID, "number": 0, "node_errors": {}}))
        self.on_history(Answer({}), history(outputs={"7": {"images": images}}, status=status))


def history(**entry: Any) -> Answer:
    """A history that has the prompt."""
    return Answer({PROMPT_ID: entry})


def _handler(fake: FakeComfyUI, stopping: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fake.requests.append((self.command, self.path, json.loads(sent) if sent else None))
            answers = fake.answers.get(self.path, [Answer("404: Not Found", 404, "text/plain")])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer.hang:
                stopping.wait(30)
            if answer.hang or answer.cut:
                self.close_connection = True
                return
            text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that is ours and on which nothing listens: connections are refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
