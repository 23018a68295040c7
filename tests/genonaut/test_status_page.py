"""The status page over HTTP: what it finds, what it never shows, and that nobody who watches costs anybody else."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from runbooks.drift import comfy
from runbooks.drift.health import Watch
from runbooks.drift.web.answers import prefers_json
from runbooks.genonaut.api.app import create_app
from runbooks.genonaut.health import FilesNow
from runbooks.genonaut.store import JobStore
from runbooks.genonaut.web.board import Board
from runbooks.genonaut.web.comfy import Looker
from runbooks.genonaut.web.status import make_live, router
from runbooks.lab import Lab
from runbooks.settings import load_settings
from tests.comfyui.fake import FakeComfyUI
from tests.genonaut.conftest import FakeQueue, new_job, served
from tests.support.waiting import wait_until

SECRET = "hunter2correcthorse"


class Watched:
    """A lab, and what its status page says."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.url = lab.environment()["API_URL"]
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=10)

    def seen(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("/status.json").json()
        return found

    def kinds(self) -> list[str]:
        return [finding["id"] for finding in self.seen()["findings"]]

    def wait_for(self, condition: Callable[[], object], timeout: float, message: str) -> None:
        try:
            wait_until(condition, timeout, message)
        except AssertionError as error:
            raise AssertionError(f"{error}; the page says {json.dumps(self.seen(), indent=1)}") from None

    def process(self, service: str) -> psutil.Process:
        pid = self.lab.state.service(service).pid
        assert pid
        return psutil.Process(pid)

    def median_ms(self) -> float:
        seconds = []
        for _ in range(25):
            began = time.perf_counter()
            self.client.get("/status.json")
            seconds.append(time.perf_counter() - began)
        return statistics.median(seconds) * 1000

    def follow(self, query: str = "") -> socket.socket:
        """Open a stream of events, and read its first one."""
        parts = urlsplit(self.url)
        connection = socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=5)
        connection.sendall(f"GET /status/events{query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        told = b""
        while b"event: status" not in told:
            part = connection.recv(65536)
            assert part, told
            told += part
        return connection


@contextmanager
def watched(root: Path) -> Iterator[Watched]:
    with pytest.MonkeyPatch.context() as patch:
        # The broker is stopped here, so it must be an embedded one.
        for name in ("REDIS_URL", "CELERY_BROKER_URL"):
            patch.delenv(name, raising=False)
        lab = Lab.start(root, free_ports=True)
    watched = Watched(lab)
    try:
        yield watched
    finally:
        watched.client.close()
        lab.discard()


@pytest.mark.e2e
def test_what_the_page_tells_of_processes_that_are_suspended_and_of_a_broker_that_is_gone(tmp_path: Path) -> None:
    with watched(tmp_path / "lab") as page:
        page.wait_for(lambda: page.seen()["status"] == "pass", 15, "all is not well")
        _a_healthy_lab_is_told_in_every_form(page)
        _who_watches_costs_nobody_a_thread_and_is_forgotten(page)
        _silence_is_told_and_delays_nothing(page)
        _the_broker_goes(page)
        _the_api_ends_at_once_with_somebody_watching(page)


def _a_healthy_lab_is_told_in_every_form(page: Watched) -> None:
    seen = page.seen()
    environment = page.lab.environment()
    roles = {process["role"] for process in seen["processes"]}
    assert roles == {"api", "worker main", "pool child"}
    for process in seen["processes"]:
        assert process["comfyui_url"] == environment["MOCK_URL"]
        assert (process["stale"], process["agrees_with_files"]) == ([], True)
        assert process["last_word"]
        assert process["started"]
    (comfyui,) = seen["services"]["comfyui"]
    assert (comfyui["state"], comfyui["output"]) == ("up", "kernie-gen answers, a mock")
    assert comfyui["output_dir"] == environment["MOCK_OUTPUT_DIR"]
    assert "worker main" in comfyui["used_by"]
    broker = seen["services"]["broker"]
    assert broker["url"] == environment["REDIS_URL"]
    started = datetime.fromtimestamp(page.process("broker").create_time(), UTC)
    assert abs(datetime.fromisoformat(broker["since"]) - started) < timedelta(seconds=3)
    assert seen["queue"] == {"waiting": 0, "reserved": 0, "pending": 0, "running": 0}

    html = page.client.get("/status", headers={"Accept": "text/html,*/*"})
    assert html.headers["content-type"].startswith("text/html")
    for text in ("All is well.", environment["MOCK_URL"], "Holds what the files say.", "There are none yet"):
        assert text in html.text
    assert page.client.get("/status", headers={"Accept": "application/json"}).json()["status"] == "pass"


def _who_watches_costs_nobody_a_thread_and_is_forgotten(page: Watched) -> None:
    api = page.process("api")

    def connections() -> int:
        return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port for each in api.net_connections())

    port = urlsplit(page.url).port
    page.follow().close()
    threads, before = api.num_threads(), connections()
    with ExitStack() as open_ones:
        for number in range(40):
            open_ones.enter_context(closing(page.follow("?as=html" if number % 2 else "")))
        assert connections() >= before + 40
        assert api.num_threads() <= threads + 4, "a stream holds a thread"
        # On an idle machine 4 ms.
        assert page.median_ms() < 40
    wait_until(lambda: connections() <= before, 5, "who has gone is still served")


def _silence_is_told_and_delays_nothing(page: Watched) -> None:
    main = page.process("worker")
    child = main.children()[0]
    for process in (main, child):
        process.suspend()
    silent = ["worker-suspended", "process-silent"]
    page.wait_for(lambda: page.kinds() == silent, 15, "that two processes are suspended is not told")
    suspended, quiet = page.seen()["findings"]
    assert suspended["cure"] == f"`kill -CONT {main.pid}`"
    assert f"Pool child {child.pid}: no word since" in quiet["what"]
    assert page.seen()["status"] == "warn"
    assert page.client.get("/status").text.count("</span> silent</span>") == 2
    assert page.median_ms() < 40
    for process in (main, child):
        process.resume()
    page.wait_for(lambda: page.seen()["status"] == "pass", 10, "they do not speak again")


def _the_broker_goes(page: Watched) -> None:
    page.process("broker").kill()
    page.wait_for(lambda: page.seen()["status"] == "fail", 5, "a broker that is gone is not told")
    seen = page.seen()
    assert [finding["id"] for finding in seen["findings"]] == ["broker-down"]
    assert (seen["services"]["broker"]["state"], seen["processes"]) == ("down", [])
    since = datetime.fromisoformat(seen["services"]["broker"]["since"])
    assert timedelta() < datetime.now(UTC) - since < timedelta(seconds=10)
    assert datetime.fromisoformat(page.seen()["findings"][0]["since"]) - since < timedelta(milliseconds=1)
    html = page.client.get("/status").text
    assert "Not working." in html
    assert "Nothing is known of it while the broker does not answer." in html
    refused = page.client.post("/", data={"prompt": "a red fox", "size": "512x768"})
    assert "the broker does not answer" in refused.text


def _the_api_ends_at_once_with_somebody_watching(page: Watched) -> None:
    api = page.process("api")
    with closing(page.follow()), closing(page.follow("?as=html")) as stream:
        os.kill(api.pid, signal.SIGTERM)
        began = time.monotonic()
        while stream.recv(65536):
            pass
        wait_until(lambda: not api.is_running() or api.status() == psutil.STATUS_ZOMBIE, 5, "the API stays")
        # A second more than a look at a broker that is gone takes.
        assert time.monotonic() - began < 3
    log = page.lab.state.service("api").log
    assert log
    assert "Cancel" not in log.read_text(), "it was waited for"
    assert "Traceback" not in log.read_text()


PLANTED = f"""\
COMFYUI_URL=http://me:{SECRET}@127.0.0.1:9/{SECRET}123456789/?token={SECRET}
REDIS_URL=redis://:{SECRET}@127.0.0.1:9/0
DATABASE_URL=postgresql://me:{SECRET}@127.0.0.1:9/genonaut?sslpassword={SECRET}
COMFYUI_API_KEY={SECRET}
"""
ERRORS = (
    f"Failed to connect to ComfyUI at http://me:{SECRET}@127.0.0.1:9: no route",
    f"ComfyUI at http://127.0.0.1:9/?key={SECRET} rejected the workflow: see redis://:{SECRET}@127.0.0.1/0",
    f"OperationalError: postgresql://me:{SECRET}@127.0.0.1/x did not answer",
)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """A board whose settings are full of secrets."""
    for name in ("COMFYUI_URL", "REDIS_URL", "CELERY_BROKER_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "env").mkdir()
    keys = {"comfyui-url": "http://x", "comfyui-output-dir": "/x", "redis-url": "x", "database-url": "x"}
    (tmp_path / "config" / "base.json").write_text(json.dumps(keys))
    (tmp_path / "config" / "local-demo.json").write_text("{}")
    (tmp_path / "env" / ".env.local-demo").write_text(PLANTED)
    settings = load_settings(tmp_path, "local-demo", environ={}).settings
    files = FilesNow(tmp_path, "local-demo")
    return Board(settings, files, Watch(settings.broker_url, "genonaut", files=files), "local-demo")


def test_no_secret_of_settings_urls_or_errors_reaches_page_json_or_events(
    planted: Board, store: JobStore, tmp_path: Path
) -> None:
    jobs = [new_job(store) for _ in ERRORS]
    for job, error in zip(jobs, ERRORS, strict=True):
        store.change(job.id, status="failed", error_message=error)
    # Who asked for it sees the own prompt as it was typed; in the list others see it.
    new_job(store, prompt=f"like http://me:{SECRET}@x")
    app = create_app(store, FakeQueue())
    app.state.board = planted
    app.state.live = make_live(app)
    app.include_router(router)
    with served(app) as api:
        pages = ["/status", "/status.json", *(f"/?job={job.id}" for job in jobs)]
        texts = [api.get(path).text for path in pages]
        for query in ("", "?as=html"):
            with api.stream("GET", f"/status/events{query}") as events:
                lines = events.iter_lines()
                texts.append(next(line for line in lines if line.startswith("data: ")))
        (tmp_path / "env" / ".env.local-demo").write_text(f"COMFYUI_URL {SECRET}\n")
        texts += [api.get(path).text for path in pages]
        app.state.store = JobStore(f"postgresql://me:{SECRET}@127.0.0.1:9/genonaut?sslpassword={SECRET}")
        texts += [api.get(path).text for path in pages]
    assert "The job store does not answer" in texts[-1]
    assert any("127.0.0.1:9" in text for text in texts), "the URLs themselves are shown"
    assert [text for text in texts if SECRET in text] == []
    planted.close()


def test_who_answers_at_a_url_is_looked_at_beside_the_requests() -> None:
    looker = Looker()
    with FakeComfyUI() as fake:
        first = looker.look([fake.url])[fake.url]
        assert first.seen.who is not comfy.Answerer.NOBODY
        began = time.perf_counter()
        for _ in range(100):
            looker.look([fake.url])
        assert time.perf_counter() - began < 0.3, "what is known is told at once"
    nobody = comfy.Answerer.NOBODY
    wait_until(lambda: looker.look([fake.url])[fake.url].seen.who is nobody, 5, "that it is gone is not seen")
    assert looker.look([fake.url])[fake.url].since > first.since


def test_a_comfyui_that_hangs_is_told_as_such_and_waited_for_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        looker = Looker()
        began = time.perf_counter()
        assert looker.look([url])[url].seen.who is comfy.Answerer.SILENT
        assert time.perf_counter() - began < 1.5
        began = time.perf_counter()
        assert looker.look([url])[url].seen.who is comfy.Answerer.SILENT
        assert time.perf_counter() - began < 0.2


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("application/json, text/html", True),
        ("text/html, application/json", False),
    ],
)
def test_a_browser_gets_the_page_and_a_script_gets_json(accept: str, json_wanted: bool) -> None:
    assert prefers_json(accept) is json_wanted
