"""The client with which a worker talks to ComfyUI, or to the mock in its place.

It posts a prompt, looks at ``/history/{prompt_id}`` until the prompt has ended, and says where the pictures lie. Every
failure is a ``ComfyUIError`` whose text is fit for a job's ``error_message``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from runbooks.redaction import redact_text
from runbooks.settings import Settings


class ComfyUIError(Exception):
    """What went wrong between a worker and ComfyUI, in one readable sentence."""


class ComfyUIConnectionError(ComfyUIError):
    """Nothing listens at the URL, the name does not resolve, or the connection broke."""


class ComfyUITimeoutError(ComfyUIConnectionError):
    """ComfyUI took the connection and did not answer in time."""


class ComfyUIAnswerError(ComfyUIError):
    """Something answered, but not as ComfyUI does: most often another service on that port."""


class ComfyUIRejectedError(ComfyUIError):
    """ComfyUI looked at the prompt and would not queue it."""


class ComfyUIWorkflowError(ComfyUIError):
    """The prompt was queued and ended without a result, or did not end in time."""


class ComfyUIWorkerClient:
    """One ComfyUI, as a worker sees it. Made anew for each job.

    Args:
        url: base URL, such as ``http://localhost:8189``.
        output_dir: folder in which **that** ComfyUI writes its pictures. ComfyUI does not tell, so the two values must
            be changed together; a client with another folder finds no picture.
        timeout: seconds to wait for the connection, and again for the answer, of one HTTP request.
        poll_interval: seconds between two looks at the history.
        max_wait_time: seconds after which a prompt is given up.
    """

    def __init__(
        self,
        url: str,
        output_dir: str | Path,
        timeout: float = 30.0,
        poll_interval: float = 2.0,
        max_wait_time: float = 900.0,
    ) -> None:
        self.url = url.rstrip("/")
        self._shown_url = redact_text(self.url)
        self.output_dir = Path(output_dir)
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.max_wait_time = max_wait_time
        self._session = requests.Session()

    @classmethod
    def from_settings(cls, settings: Settings) -> ComfyUIWorkerClient:
        """The client for the ComfyUI that these settings name."""
        return cls(
            settings.comfyui_url,
            settings.comfyui_output_dir,
            settings.comfyui_timeout,
            settings.comfyui_poll_interval,
            settings.comfyui_max_wait_time,
        )

    def __enter__(self) -> ComfyUIWorkerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to ComfyUI."""
        self._session.close()

    def submit_generation(self, workflow: Mapping[str, Any], client_id: str) -> str:
        """Post a workflow in ComfyUI's API format and return the id of the prompt.

        Raises:
            ComfyUIConnectionError: no connection (``ComfyUITimeoutError``: no answer within ``timeout``).
            ComfyUIRejectedError: ComfyUI would not queue it; the text names the nodes and inputs at fault.
            ComfyUIAnswerError: whatever listens there is not ComfyUI.
        """
        answer = self._ask("POST", "/prompt", json={"prompt": workflow, "client_id": client_id})
        prompt_id = answer.get("prompt_id")
        if not isinstance(prompt_id, str) or not prompt_id:
            raise ComfyUIAnswerError(f"{self._shown_url} took the prompt but gave no prompt_id: is that ComfyUI?")
        return prompt_id

    def wait_for_outputs(self, prompt_id: str, between_looks: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Wait until the prompt has ended and return its history entry (keys ``outputs``, ``status``, …).

        A prompt that ComfyUI has never heard of looks the same as one that has not ended, so a ComfyUI that was
        restarted meanwhile is waited for until ``max_wait_time``.

        Args:
            prompt_id: as ``submit_generation`` returned it.
            between_looks: called before each look; what it raises ends the waiting.

        Raises:
            ComfyUIWorkflowError: the prompt ended in an error (the text names node and message) or not in time.
            ComfyUIError: as ``submit_generation``.
        """
        deadline = time.monotonic() + self.max_wait_time
        while True:
            between_looks()
            entry = self._ask("GET", f"/history/{prompt_id}").get(prompt_id)
            if isinstance(entry, dict):
                _raise_if_failed(entry, prompt_id)
                return entry
            if time.monotonic() + self.poll_interval > deadline:
                raise ComfyUIWorkflowError(f"Workflow {prompt_id} timed out after {self.max_wait_time:g} seconds")
            time.sleep(self.poll_interval)

    def output_paths(self, entry: Mapping[str, Any]) -> list[Path]:
        """Where the pictures of a history entry should lie in ``output_dir``; nobody has looked whether they do.

        Previews (type ``temp``) are left out: ComfyUI keeps them in another folder and deletes them.

        Raises:
            ComfyUIAnswerError: a file name points out of ``output_dir``.
        """
        return [self._inside(image) for image in _images(entry)]

    def _inside(self, image: Mapping[str, Any]) -> Path:
        # The worker moves these files, so a name from the network must not reach beyond the folder.
        # Path.resolve() would follow links, and an output folder that is one is fine.
        base = Path(os.path.normpath(self.output_dir))
        path = Path(os.path.normpath(base / str(image.get("subfolder") or "") / str(image["filename"])))
        if path == base or not path.is_relative_to(base):
            raise ComfyUIAnswerError(f"{self._shown_url} names the file {image['filename']!r}, which is outside {base}")
        return path

    def _ask(self, method: str, path: str, json: Any = None) -> dict[str, Any]:
        try:
            response = self._session.request(method, self.url + path, json=json, timeout=self.timeout)
        except requests.ReadTimeout as error:
            raise ComfyUITimeoutError(
                f"ComfyUI at {self._shown_url} did not answer {method} {path} within {self.timeout:g} s"
            ) from error
        except requests.RequestException as error:
            reason = redact_text(str(error))
            # A worker logs the cause, too.
            cause = error if reason == str(error) else None
            raise ComfyUIConnectionError(f"Failed to connect to ComfyUI at {self._shown_url}: {reason}") from cause
        try:
            body = response.json()
        except requests.JSONDecodeError:
            body = None
        if response.status_code in (400, 422) and isinstance(body, dict):
            raise ComfyUIRejectedError(f"ComfyUI at {self._shown_url} rejected the workflow: {_rejection(body)}")
        if not response.ok or not isinstance(body, dict):
            answer = f"{response.status_code} {response.reason} ({response.headers.get('Content-Type', 'no type')})"
            raise ComfyUIAnswerError(f"{method} {self._shown_url}{path} answered {answer}: is that ComfyUI?")
        return body


def _images(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for output in _object(entry.get("outputs")).values():
        for image in _list(_object(output).get("images")):
            if _object(image).get("filename") and image.get("type", "output") == "output":
                yield image


def _raise_if_failed(entry: Mapping[str, Any], prompt_id: str) -> None:
    status = _object(entry.get("status"))
    if status.get("status_str") != "error":
        return
    for message in _list(status.get("messages")):
        name, data = message if isinstance(message, list) and len(message) == 2 else (None, None)
        data = _object(data)
        node = f"node {data.get('node_id')} ({data.get('node_type')})"
        if name == "execution_error":
            cause = f"{data.get('exception_type')}: {data.get('exception_message')}".strip()
            raise ComfyUIWorkflowError(f"ComfyUI failed at {node}: {cause}")
        if name == "execution_interrupted":
            raise ComfyUIWorkflowError(f"ComfyUI was told to interrupt the prompt at {node}")
    raise ComfyUIWorkflowError(f"ComfyUI reports an error for prompt {prompt_id} and does not say which")


def _rejection(body: Mapping[str, Any]) -> str:
    """ComfyUI's error body as words: the error itself, then each node's errors. Other JSON is shown as it is."""
    error = _object(body.get("error"))
    if not error:
        return str(body.get("detail") or body)
    said = [_sentence(error)]
    for node_id, node in _object(body.get("node_errors")).items():
        faults = "; ".join(_sentence(_object(fault)) for fault in _list(_object(node).get("errors")))
        said.append(f"node {node_id} ({_object(node).get('class_type')}): {faults}")
    return ". ".join(said)


def _sentence(error: Mapping[str, Any]) -> str:
    message = str(error.get("message", "unknown error")).rstrip(". \n")
    # With node errors, ComfyUI joins all their texts into its own details: once is enough.
    details = "" if error.get("type") == "prompt_outputs_failed_validation" else str(error.get("details") or "").strip()
    return f"{message} ({details})" if details else message


# What came over the network may have any shape: a missing or odd part counts as an empty one.


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
