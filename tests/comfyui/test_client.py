"""What a worker learns from ComfyUI, and the words in which it says what went wrong."""

from __future__ import annotations

import re
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.comfyui import (
    ComfyUIAnswerError,
    ComfyUIConnectionError,
    ComfyUIError,
    ComfyUIRejectedError,
    ComfyUITimeoutError,
    ComfyUIWorkerClient,
    ComfyUIWorkflowError,
)
from runbooks.settings import Settings
from tests.comfyui.fake import PROMPT_ID, Answer, FakeComfyUI, closed_port, history

WORKFLOW = {"9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "probe"}}}


def test_a_workflow_is_posted_with_its_client_id(comfyui: FakeComfyUI, client: ComfyUIWorkerClient) -> None:
    comfyui.on_prompt(Answer({"prompt_id": PROMPT_ID, "number": 0, "node_errors": {}}))
    assert client.submit_generation(WORKFLOW, client_id="4") == PROMPT_ID
    assert comfyui.requests == [("POST", "/prompt", {"prompt": WORKFLOW, "client_id": "4"})]


def test_a_prompt_is_waited_for_while_the_history_is_empty(comfyui: FakeComfyUI, client: ComfyUIWorkerClient) -> None:
    done = history(outputs={}, status={"status_str": "success", "completed": True, "messages": []})
    comfyui.on_history(Answer({}), Answer({}), done)
    assert client.wait_for_outputs(PROMPT_ID) == done.body[PROMPT_ID]
    assert len(comfyui.requests) == 3


def test_the_caller_can_end_the_waiting(comfyui: FakeComfyUI, client: ComfyUIWorkerClient) -> None:
    comfyui.on_history(Answer({}))

    def cancelled() -> None:
        if len(comfyui.requests) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        client.wait_for_outputs(PROMPT_ID, between_looks=cancelled)


def test_a_prompt_that_does_not_end_is_given_up(comfyui: FakeComfyUI, tmp_path: Path) -> None:
    comfyui.on_history(Answer({}))
    with (
        ComfyUIWorkerClient(comfyui.url, tmp_path, poll_interval=0.01, max_wait_time=0.05) as client,
        pytest.raises(ComfyUIWorkflowError, match=rf"^Workflow {PROMPT_ID} timed out after 0.05 seconds$"),
    ):
        client.wait_for_outputs(PROMPT_ID)
    assert len(comfyui.requests) > 1


def test_nothing_listening_reads_as_in_the_incident(tmp_path: Path) -> None:
    with (
        closed_port() as port,
        ComfyUIWorkerClient(f"http://localhost:{port}", tmp_path) as client,
        pytest.raises(ComfyUIConnectionError) as caught,
    ):
        client.submit_generation(WORKFLOW, client_id="1")
    # urllib3 names its connection object, by address or by host, and the error's number is the system's.
    said = re.sub(
        r"NewConnectionError\(.*?HTTPConnection.*?: (.*)\[Errno \d+\] (.*?)['\"]\)\)$", r"\1\2", str(caught.value)
    )
    assert said == (
        f"Failed to connect to ComfyUI at http://localhost:{port}: HTTPConnectionPool(host='localhost', port={port}): "
        "Max retries exceeded with url: /prompt (Caused by Failed to establish a new connection: Connection refused"
    )


def test_a_server_that_hangs_is_left_after_the_timeout(comfyui: FakeComfyUI, tmp_path: Path) -> None:
    comfyui.on_prompt(Answer(hang=True))
    with (
        ComfyUIWorkerClient(comfyui.url, tmp_path, timeout=0.1) as client,
        pytest.raises(ComfyUITimeoutError) as caught,
    ):
        client.submit_generation(WORKFLOW, client_id="1")
    assert str(caught.value) == f"ComfyUI at {comfyui.url} did not answer POST /prompt within 0.1 s"


def test_a_connection_that_breaks_while_waiting_is_a_connection_error(
    comfyui: FakeComfyUI, client: ComfyUIWorkerClient
) -> None:
    comfyui.on_history(Answer({}), Answer(cut=True))
    with pytest.raises(ComfyUIConnectionError, match=f"^Failed to connect to ComfyUI at {comfyui.url}: "):
        client.wait_for_outputs(PROMPT_ID)


def test_a_rejected_workflow_names_every_node_and_fault(comfyui: FakeComfyUI, client: ComfyUIWorkerClient) -> None:
    faults = {
        "4": {
            "errors": [
                {
                    "type": "value_not_in_list",
                    "message": "Value not in list",
                    "details": "ckpt_name: 'v1-5-pruned-emaonly.safetensors' not in []",
                    "extra_info": {},
                }
            ],
            "dependent_outputs": ["9"],
            "class_type": "CheckpointLoaderSimple",
        },
        "3": {
            "errors": [
                {
                    "type": "value_smaller_than_min",
                    "message": "Value -1 smaller than min of 0",
                    "details": "seed",
                    "extra_info": {},
                },
                {
                    "type": "required_input_missing",
                    "message": "Required input is missing",
                    "details": "steps",
                    "extra_info": {},
                },
            ],
            "dependent_outputs": ["9"],
            "class_type": "KSampler",
        },
    }
    error = {
        "type": "prompt_outputs_failed_validation",
        "message": "Prompt outputs failed validation",
        "details": "",
        "extra_info": {},
    }
    comfyui.on_prompt(Answer({"error": error, "node_errors": faults}, 400))
    with pytest.raises(ComfyUIRejectedError) as caught:
        client.submit_generation(WORKFLOW, client_id="1")
    assert str(caught.value) == (
        f"ComfyUI at {comfyui.url} rejected the workflow: Prompt outputs failed validation. "
        "node 4 (CheckpointLoaderSimple): Value not in list (ckpt_name: 'v1-5-pruned-emaonly.safetensors' not in []). "
        "node 3 (KSampler): Value -1 smaller than min of 0 (seed); Required input is missing (steps)"
    )


def test_an_error_without_nodes_is_readable_too(comfyui: FakeComfyUI, client: ComfyUIWorkerClient) -> None:
    error = {
        "type": "missing_node_type",
        "message": "Node 'Pretty' not found. The custom node may not be installed.",
        "details": "Node ID '#1'",
        "extra_info": {},
    }
    comfyui.on_prompt(Answer({"error": error, "node_errors": {}}, 400))
    with pytest.raises(ComfyUIRejectedError, match=r"Node 'Pretty' not found\. The .* installed \(Node ID '#1'\)$"):
        client.submit_generation(WORKFLOW, client_id="1")


def test_a_rejection_in_other_words_is_shown_as_it_is(comfyui: FakeComfyUI, client: ComfyUIWorkerClient) -> None:
    comfyui.on_prompt(Answer({"detail": [{"type": "missing", "loc": ["body", "prompt"]}]}, 422))
    with pytest.raises(ComfyUIRejectedError, match=r"rejected the workflow: \[\{'type': 'missing'"):
        client.submit_generation(WORKFLOW, client_id="1")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer("<html>nginx</html>", 404, "text/html"), "answered 404 Not Found (text/html): is that ComfyUI?"),
        (Answer("<html>hello</html>", 200, "text/html"), "answered 200 OK (text/html): is that ComfyUI?"),
        (Answer("Server got itself in trouble", 500, "text/plain"), "answered 500 Internal Server Error (text/plain)"),
        (Answer({"detail": "Not Found"}, 404), "answered 404 Not Found (application/json; charset=utf-8)"),
        (Answer([1, 2]), "answered 200 OK (application/json; charset=utf-8): is that ComfyUI?"),
        (Answer({"status": "ok"}), "took the prompt but gave no prompt_id: is that ComfyUI?"),
        (Answer({"prompt_id": None}), "took the prompt but gave no prompt_id: is that ComfyUI?"),
    ],
)
def test_a_server_that_is_not_comfyui_is_suspected(
    comfyui: FakeComfyUI, client: ComfyUIWorkerClient, answer: Answer, said: str
) -> None:
    comfyui.on_prompt(answer)
    with pytest.raises(ComfyUIAnswerError) as caught:
        client.submit_generation(WORKFLOW, client_id="1")
    assert said in str(caught.value)
    assert comfyui.url in str(caught.value)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (
            [
                ["execution_start", {"prompt_id": PROMPT_ID}],
                [
                    "execution_error",
                    {
                        "node_id": "3",
                        "node_type": "GoldenRaise",
                        "exception_message": "late\n",
                        "exception_type": "ValueError",
                    },
                ],
            ],
            "ComfyUI failed at node 3 (GoldenRaise): ValueError: late",
        ),
        (
            [["execution_interrupted", {"node_id": "5", "node_type": "KSampler"}]],
            "ComfyUI was told to interrupt the prompt at node 5 (KSampler)",
        ),
        ([], f"ComfyUI reports an error for prompt {PROMPT_ID} and does not say which"),
    ],
)
def test_a_prompt_that_failed_names_node_and_message(
    comfyui: FakeComfyUI, client: ComfyUIWorkerClient, messages: list[Any], said: str
) -> None:
    comfyui.on_history(history(outputs={}, status={"status_str": "error", "completed": False, "messages": messages}))
    with pytest.raises(ComfyUIWorkflowError) as caught:
        client.wait_for_outputs(PROMPT_ID)
    assert str(caught.value) == said


def test_pictures_are_looked_for_in_the_output_folder(client: ComfyUIWorkerClient, tmp_path: Path) -> None:
    images = [
        {"filename": "a.png", "subfolder": "", "type": "output"},
        {"filename": "b.png", "subfolder": "day/one", "type": "output"},
        {"filename": "preview.png", "subfolder": "", "type": "temp"},
    ]
    entry = {"outputs": {"7": {"images": images}, "8": {"text": ["no picture"]}}}
    assert client.output_paths(entry) == [tmp_path / "a.png", tmp_path / "day/one/b.png"]


@pytest.mark.parametrize(
    ("subfolder", "filename"), [("", "../secret.png"), ("../..", "secret.png"), ("", "/etc/passwd"), ("", ".")]
)
def test_a_file_name_that_leaves_the_output_folder_is_refused(
    client: ComfyUIWorkerClient, subfolder: str, filename: str
) -> None:
    entry = {"outputs": {"7": {"images": [{"filename": filename, "subfolder": subfolder, "type": "output"}]}}}
    with pytest.raises(ComfyUIAnswerError, match="which is outside"):
        client.output_paths(entry)


def test_a_client_takes_its_values_from_the_settings() -> None:
    settings = Settings(
        comfyui_url="http://localhost:8189/",
        comfyui_output_dir="/pictures",
        comfyui_timeout=7,
        comfyui_poll_interval=0.5,
        comfyui_max_wait_time=90,
    )
    with ComfyUIWorkerClient.from_settings(settings) as client:
        found = (client.url, client.output_dir, client.timeout, client.poll_interval, client.max_wait_time)
    assert found == ("http://localhost:8189", Path("/pictures"), 7, 0.5, 90)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["outputs", "images", "filename", "type", "subfolder", "status_str", "messages", "errors"])
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(outputs=json_values, status=json_values)
def test_no_history_whatever_its_shape_raises_anything_but_a_comfyui_error(outputs: Any, status: Any) -> None:
    from runbooks.comfyui import _raise_if_failed

    entry = {"outputs": outputs, "status": status}
    with suppress(ComfyUIError):
        _raise_if_failed(entry, PROMPT_ID)
    with suppress(ComfyUIError):
        ComfyUIWorkerClient("http://localhost", "/pictures").output_paths(entry)


@given(error=json_values, node_errors=json_values, detail=json_values)
def test_no_rejection_whatever_its_shape_is_without_words(error: Any, node_errors: Any, detail: Any) -> None:
    from runbooks.comfyui import _rejection

    assert _rejection({"error": error, "node_errors": node_errors, "detail": detail})


@pytest.mark.parametrize("end", ["{port}", "{port}/below?token=hunter2-query", "no-port"])
def test_the_login_of_a_url_stands_in_no_error(tmp_path: Path, end: str) -> None:
    url = f"http://me:hunter2@127.0.0.1:{end.format(port=closed_port())}"
    with ComfyUIWorkerClient(url, tmp_path) as client, pytest.raises(ComfyUIConnectionError) as failed:
        client.submit_generation(WORKFLOW, client_id="4")
    assert str(failed.value).startswith("Failed to connect to ComfyUI at http://me:****@127.0.0.1:")
    assert "hunter2" not in "".join(traceback.format_exception(failed.value)), "a worker logs the whole of it"


@pytest.mark.parametrize(
    "answer", [Answer({}), Answer({"error": {"message": "no"}}, status=400), Answer("?", status=502)]
)
def test_the_login_of_a_url_stands_in_no_word_about_its_answer(
    comfyui: FakeComfyUI, tmp_path: Path, answer: Answer
) -> None:
    comfyui.on_prompt(answer)
    url = comfyui.url.replace("://", "://me:hunter2@")
    with ComfyUIWorkerClient(url, tmp_path) as client, pytest.raises(ComfyUIError) as failed:
        client.submit_generation(WORKFLOW, client_id="4")
    assert "://me:****@" in str(failed.value)
