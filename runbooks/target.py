"""Which installation a step talks to, and what a step asks of it: the page's ``curl`` in Python."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from runbooks.errors import UserError

JOBS = "/api/v1/generation-jobs/"
ENDED = frozenset({"completed", "failed", "cancelled"})
DEMO_USER = "121e194b-4caa-4b81-ad4f-86ca3919d5b9"


@dataclass(frozen=True)
class Job:
    """A generation job as the API shows it.

    Attributes:
        id: number of the job.
        status: ``pending``, ``running``, ``completed``, ``failed`` or ``cancelled``. ``failed`` is not final while
            Celery has retries left (4 attempts in all): prove a repair with a new job, never with an old one.
        error_message: why the last attempt failed, with the ComfyUI URL that the worker used.
        prompt_id: id of the prompt that ComfyUI accepted, None until then.
        output_paths: files of the pictures, empty until ``completed``.
        data: the API's whole answer.
    """

    id: int
    status: str
    error_message: str | None = None
    prompt_id: str | None = None
    output_paths: tuple[Path, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def ended(self) -> bool:
        """Whether the job is neither pending nor running."""
        return self.status in ENDED

    @classmethod
    def from_api(cls, data: Mapping[str, Any]) -> Job:
        """Read the JSON object of ``GET /api/v1/generation-jobs/{id}``.

        Raises:
            UserError: the object is not a job.
        """
        if not {"id", "status"} <= set(data):
            raise UserError(f"The API answered {data!r}, which is not a job.", "Check API_URL and who holds that port.")
        return cls(
            id=data["id"],
            status=data["status"],
            error_message=data.get("error_message"),
            prompt_id=data.get("comfyui_prompt_id"),
            output_paths=tuple(Path(path) for path in (data.get("params") or {}).get("output_paths", ())),
            data=data,
        )


@dataclass(frozen=True)
class Target:
    """One installation: where its API and its mock answer, and where its files are.

    ``Target.from_environment()`` takes every value from the environment, with the incident's values as defaults, so
    that a page's setup block works as printed on a developer's machine and on any port in CI.

    ```python
    from runbooks.target import Target

    target = Target.from_environment({"API_URL": "http://127.0.0.1:9001"})
    print(target.api_url, target.mock_url, target.env_target)
    ```

    ```output
    http://127.0.0.1:9001 http://localhost:8189 local-demo
    ```
    """

    api_url: str = "http://127.0.0.1:8001"
    mock_url: str = "http://localhost:8189"
    real_url: str = "http://localhost:8000"
    root: Path = Path(".lab")
    env_target: str = "local-demo"
    mock_output_dir: Path = Path(".lab/output/kernie-gen")
    real_output_dir: Path = Path(".lab/output/comfyui")
    mock_log: Path = Path(".lab/logs/kernie-gen.log")
    worker_log: Path = Path(".lab/logs/worker.log")
    user_id: str = DEMO_USER

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Target:
        """Read the variables that a page exports: ``API_URL``, ``MOCK_URL``, ``GENONAUT_ROOT`` and the like.

        ``COMFYUI_REAL_URL``, ``ENV_TARGET``, ``USER_ID``, ``MOCK_OUTPUT_DIR``, ``COMFYUI_REAL_OUTPUT_DIR``,
        ``MOCK_LOG`` and ``WORKER_LOG`` are the others; the paths start at ``GENONAUT_ROOT`` when they are not given.

        Args:
            environ: the environment to read; ``os.environ`` by default.
        """
        environ = os.environ if environ is None else environ
        root = Path(environ.get("GENONAUT_ROOT", cls.root)).absolute()

        def path(name: str, default: str) -> Path:
            return Path(environ.get(name, root / default))

        return cls(
            api_url=environ.get("API_URL", cls.api_url).rstrip("/"),
            mock_url=environ.get("MOCK_URL", cls.mock_url).rstrip("/"),
            real_url=environ.get("COMFYUI_REAL_URL", cls.real_url).rstrip("/"),
            root=root,
            env_target=environ.get("ENV_TARGET", cls.env_target),
            mock_output_dir=path("MOCK_OUTPUT_DIR", "output/kernie-gen"),
            real_output_dir=path("COMFYUI_REAL_OUTPUT_DIR", "output/comfyui"),
            mock_log=path("MOCK_LOG", "logs/kernie-gen.log"),
            worker_log=path("WORKER_LOG", "logs/worker.log"),
            user_id=environ.get("USER_ID", cls.user_id),
        )

    def check_mock(self) -> dict[str, Any]:
        """Ask the mock who it is, as ``curl $MOCK_URL/`` does.

        Raises:
            UserError: nothing answers there, or something that is not kernie-gen.
        """
        data = _json(request("GET", f"{self.mock_url}/", "Start it with: make kernie-gen"))
        if not (isinstance(data, dict) and data.get("status") == "ok"):
            raise UserError(
                f"What answers at {self.mock_url} is not the mock.", "Check MOCK_URL and who holds that port."
            )
        return data

    def check_api(self) -> dict[str, Any]:
        """Ask the API for its health. It answers 200 also when unhealthy, and knows of the database alone.

        Raises:
            UserError: nothing answers there, or something that is not the API.
        """
        data = _json(request("GET", f"{self.api_url}/api/v1/health", "Start it with: make api-demo"))
        if not (isinstance(data, dict) and "database" in data):
            raise UserError(f"What answers at {self.api_url} is not the API.", "Check API_URL and who holds that port.")
        return data

    def create_job(self, prompt: str = "a red fox in snow", width: int = 512, height: int = 512) -> Job:
        """Click "generate": create a job and return it as it is then (``pending``).

        Args:
            prompt: what the picture should show.
            width: of the picture, pixels.
            height: of the picture, pixels.

        Raises:
            UserError: the API does not answer or refuses the job; 503 means that no worker answers the broker.
        """
        body = {"user_id": self.user_id, "job_type": "image", "prompt": prompt, "width": width, "height": height}
        return Job.from_api(_json(request("POST", self.api_url + JOBS, "Start it with: make api-demo", body)))

    def get_job(self, job_id: int) -> Job:
        """Look at a job once.

        Raises:
            UserError: the API does not answer, or has no such job.
        """
        return Job.from_api(_json(request("GET", f"{self.api_url}{JOBS}{job_id}", "Start it with: make api-demo")))

    def wait_for_job(self, job_id: int, timeout: float = 60.0, interval: float = 0.1) -> Job:
        """Look at a job until it is ``completed``, ``failed`` or ``cancelled``, and return it.

        Args:
            job_id: number of the job.
            timeout: seconds until giving up.
            interval: seconds between two looks.

        Raises:
            UserError: the job is still pending or running after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while not (job := self.get_job(job_id)).ended:
            if time.monotonic() > deadline:
                raise UserError(
                    f"Job {job_id} is still {job.status} after {timeout:g} s.",
                    "pending: no worker takes it. running: ComfyUI is slow, or the worker was killed. "
                    f"Look into {self.worker_log}",
                )
            time.sleep(interval)
        return job

    def prompts_received(self) -> list[str]:
        """The lines of the mock's log that show an accepted ``POST /prompt``, oldest first.

        Raises:
            UserError: the log cannot be read.
        """
        try:
            lines = self.mock_log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise UserError(
                f"The mock's log {self.mock_log} cannot be read: {error.strerror}.",
                "Set MOCK_LOG to the file that the mock's output goes to.",
            ) from error
        return [line for line in lines if '"POST /prompt HTTP/1.1" 200' in line]


def request(method: str, url: str, start: str, body: object = None) -> httpx.Response:
    """One HTTP request with a readable end: the answer, or a ``UserError`` that says what to do.

    Args:
        method: such as ``GET``.
        url: the whole URL.
        start: what to do when nothing listens there.
        body: sent as JSON when it is not None.

    Raises:
        UserError: nothing answers within 10 s, or the answer is an error (status 400 and up).
    """
    place = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    # A proxy of the environment has no business between this machine and itself.
    own = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    try:
        with httpx.Client(timeout=10.0, trust_env=not own) as client:
            response = client.request(method, url, json=body)
    except httpx.TimeoutException as error:
        raise UserError(f"{place} did not answer within 10 s.", "It hangs or is stopped: look into its log.") from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise UserError(f"{place} does not answer: {error}.", f"{start}") from error
    if response.is_error:
        raise UserError(f"{method} {url} was answered {response.status_code}: {_reason(response)}", _cure(response))
    return response


def _reason(response: httpx.Response) -> str:
    try:
        detail = response.json()["detail"]
        return str(detail["error"]["message"]) if isinstance(detail, dict) else json.dumps(detail)
    except (ValueError, KeyError, TypeError):
        return response.text.strip()[:200] or response.reason_phrase


def _cure(response: httpx.Response) -> str:
    if response.status_code == 503:
        return "The API got no answer from a worker: start one (make celery-demo), or check that the broker is up."
    return "Read the message above; the API's log has more."


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise UserError(
            f"{response.request.url} answered something that is not JSON.", "Check the URL and who holds that port."
        ) from error
