"""The fixture `kernie` for tests of applications, and own nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbooks.kernie.errors import KernieError
from runbooks.kernie.testing import RunningMock, running_mock
from tests.kernie.workflows import node, run, run_well

OWN_NODES = """
import time
from runbooks.kernie.nodes.inputs import INT, STRING, link
from runbooks.kernie.nodes.registry import Nodes, Result

NODES = Nodes()


@NODES.node("Repeat", required={"text": STRING(default=""), "times": INT(2, 1, 9)}, outputs=("STRING",))
def repeat(run, text, times):
    for step in range(times):
        run.wait(0.001)
        time.sleep(0.001)
        run.progress(step + 1, times)
    return (text * times,)


@NODES.node("Show", required={"text": link("STRING")}, is_output=True)
async def show(run, text):
    return Result(ui={"text": [text]})


@NODES.node("Exit", required={"text": STRING(default="")}, is_output=True)
def leave(run, text):
    raise SystemExit(text)


@NODES.node("Unspeakable", is_output=True)
async def unspeakable(run):
    return Result(ui={"text": [object()]})
"""


class TestWithOptions:
    @pytest.fixture
    def kernie_options(self) -> dict[str, Any]:
        return {"models": {"loras": ("mine.safetensors",)}}

    def test_options_are_chosen_by_overriding_a_fixture(self, kernie: RunningMock) -> None:
        assert kernie.get("/models/loras") == ["mine.safetensors"]


def test_the_mock_lives_in_the_folder_of_the_test(kernie: RunningMock, tmp_path: Path) -> None:
    assert kernie.output_dir == tmp_path / "kernie" / "output"


def test_two_mocks_run_side_by_side() -> None:
    with running_mock() as one, running_mock() as other:
        assert one.url != other.url
        assert one.get("/queue") == other.get("/queue")


def test_nothing_is_left_of_a_mock_that_was_stopped() -> None:
    with running_mock() as mock:
        base = mock.output_dir.parent
        assert base.is_dir()
    assert not base.exists()
    with pytest.raises(OSError, match="refused"):
        mock.get("/queue")


def test_a_mock_that_cannot_start_says_so() -> None:
    with pytest.raises(KernieError, match=r"no\.such\.module"), running_mock(nodes=("no.such.module",)):
        pass


@pytest.fixture
def with_own_nodes(tmp_path: Path) -> Any:
    (tmp_path / "own.py").write_text(OWN_NODES)
    with running_mock(base_dir=tmp_path, nodes=(str(tmp_path / "own.py"),)) as mock:
        yield mock


def test_own_nodes_are_a_few_lines_each(with_own_nodes: RunningMock) -> None:
    entry = run_well(
        with_own_nodes, {"1": node("Repeat", text="ab", times=3), "2": node("Show", text=["1", 0])}, client_id="c"
    )
    assert entry["outputs"] == {"2": {"text": ["ababab"]}}


@pytest.mark.parametrize("prompt", [{"1": node("Exit", text="bye")}, {"1": node("Unspeakable")}])
def test_what_an_own_node_does_wrong_fails_its_prompt_alone(prompt: Any, with_own_nodes: RunningMock) -> None:
    assert run(with_own_nodes, prompt)["status"]["status_str"] == "error"
    run_well(with_own_nodes, {"1": node("Repeat", text="x", times=1), "2": node("Show", text=["1", 0])})
