"""Own nodes that were written for ComfyUI: classes in NODE_CLASS_MAPPINGS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbooks.kernie.errors import KernieError
from runbooks.kernie.nodes.own import load_nodes
from runbooks.kernie.testing import RunningMock, running_mock
from tests.kernie.workflows import node, refused, run, run_well

CLASSES = """
class Repeat:
    CATEGORY = "text"
    RETURN_TYPES = ("STRING", "INT")
    RETURN_NAMES = ("text", "calls")
    FUNCTION = "again"

    def __init__(self):
        self.calls = 0

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"text": ("STRING", {"default": ""}), "times": ("INT", {"default": 2, "min": 1, "max": 9})},
            "optional": {"ending": (["!", "?"],), "mood": ("COMBO", {"options": ["calm", "loud"], "default": "calm"})},
        }

    def again(self, text, times, ending="", mood="calm"):
        self.calls += 1
        return ((text.upper() if mood == "loud" else text) * times + ending, self.calls)


class Show:
    RETURN_TYPES = ()
    FUNCTION = "show"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        hidden = {"me": "UNIQUE_ID", "graph": "PROMPT", "more": "EXTRA_PNGINFO"}
        return {"required": {"text": ("STRING", {"forceInput": True})}, "hidden": hidden}

    def show(self, text, me, graph, more):
        return {"ui": {"text": [text, me, sorted(graph), more]}, "result": ()}


class Later:
    RETURN_TYPES = ("STRING",)
    FUNCTION = "later"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING",), "fails": ("BOOLEAN", {"default": False})}}

    @classmethod
    def IS_CHANGED(cls, text, fails):
        return float("nan") if text == "always" else text

    async def later(self, text, fails):
        if fails:
            raise ValueError("as asked")
        return (text,)


NODE_CLASS_MAPPINGS = {"Repeat": Repeat, "Show": Show, "Later": Later}
NODE_DISPLAY_NAME_MAPPINGS = {"Repeat": "Repeat Text"}
"""


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMock]:
    folder = tmp_path_factory.mktemp("classes")
    (folder / "text_nodes.py").write_text(CLASSES)
    with running_mock(base_dir=folder, nodes=(str(folder / "text_nodes.py"),)) as running:
        yield running


def shown(mock: RunningMock, text: dict[str, Any], **more: Any) -> list[Any]:
    """What Show tells the user of the text that a node gives."""
    prompt = {"1": text, "2": node("Show", text=["1", 0])}
    (told,) = run_well(mock, prompt, **more)["outputs"].values()
    found: list[Any] = told["text"]
    return found


def test_a_class_runs_with_its_inputs_defaults_and_hidden_ones(mock: RunningMock) -> None:
    assert shown(mock, node("Repeat", text="ab", times="2")) == ["abab", "2", ["1", "2"], None]
    loud = node("Repeat", text="ab", times=1, ending="?", mood="loud")
    told = shown(mock, loud, extra_data={"extra_pnginfo": {"workflow": {}}})
    assert told == ["AB?", "2", ["1", "2"], {"workflow": {}}]


def test_a_text_is_the_preview_of_a_job_and_no_output(mock: RunningMock) -> None:
    prompt = {"1": node("Repeat", text="ab" * 900, times=1), "2": node("Show", text=["1", 0])}
    job = mock.get(f"/api/jobs/{run_well(mock, prompt)['prompt'][1]}")
    assert (job["outputs_count"], job["previewable_outputs_count"]) == (0, 0)
    preview = job["preview_output"]
    assert preview == {"content": "ab" * 512, "truncated": True, "nodeId": "2", "mediaType": "text"}


def test_its_inputs_are_checked_as_those_of_any_node(mock: RunningMock) -> None:
    entry = node("Repeat", text="ab", times=99, ending="...", mood="angry")
    found = mock.get("/object_info/Repeat")["Repeat"]
    assert found["input"]["required"]["times"] == ["INT", {"default": 2, "min": 1, "max": 9}]
    assert found["input"]["optional"]["ending"] == [["!", "?"]]
    assert found["input"]["optional"]["mood"][1]["options"] == ["calm", "loud"]
    assert (found["display_name"], found["category"], found["output_name"]) == (
        "Repeat Text",
        "text",
        ["text", "calls"],
    )
    errors = refused(mock, {"1": entry, "2": node("Show", text=["1", 0])})["node_errors"]["1"]["errors"]
    assert [each["type"] for each in errors] == ["value_bigger_than_max", "value_not_in_list", "value_not_in_list"]


def test_one_object_serves_as_long_as_prompts_have_the_node(mock: RunningMock) -> None:
    def calls(text: str) -> str:
        prompt = {"1": node("Repeat", text=text, times=1), "2": node("Show", text=["3", 0])}
        prompt["3"] = node("Repeat", text=text, times=["1", 1])
        (told,) = run_well(mock, prompt)["outputs"].values()
        return str(told["text"][0])

    mock.post("/free", {"free_memory": True})
    assert [calls("a"), calls("b"), calls("c")] == ["a", "bb", "ccc"]


def test_is_changed_decides_whether_it_runs_again(mock: RunningMock) -> None:
    def cached(text: str) -> set[str]:
        prompt = {"1": node("Later", text=text, fails=False), "2": node("Show", text=["1", 0])}
        return set(dict(run_well(mock, prompt)["status"]["messages"])["execution_cached"]["nodes"])

    assert [cached("once"), cached("once")] == [set(), {"1", "2"}]
    assert [cached("always"), cached("always")] == [set(), set()]


def test_what_it_raises_fails_its_prompt_alone(mock: RunningMock) -> None:
    status = run(mock, {"1": node("Later", text="x", fails=True), "2": node("Show", text=["1", 0])})["status"]
    assert dict(status["messages"])["execution_error"]["exception_message"] == "as asked\n"
    assert shown(mock, node("Later", text="y", fails=False))[0] == "y"


def test_a_folder_with_its_own_modules_is_loaded_as_comfyui_loads_it(tmp_path: Path) -> None:
    package = tmp_path / "my-nodes"
    package.mkdir()
    (package / "text_nodes.py").write_text(CLASSES)
    (package / "__init__.py").write_text("from .text_nodes import NODE_CLASS_MAPPINGS\n")
    assert [each.name for each in load_nodes(str(package))] == ["Repeat", "Show", "Later"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import folder_paths", "do not exist here"),
        ("class A: pass\nNODE_CLASS_MAPPINGS = {'A': A}", "A in .* is no node: AttributeError"),
        ("class A:\n    INPUT_IS_LIST = True\nNODE_CLASS_MAPPINGS = {'A': A}", "INPUT_IS_LIST"),
        ("class A:\n    OUTPUT_IS_LIST = (False, True)\nNODE_CLASS_MAPPINGS = {'A': A}", "OUTPUT_IS_LIST"),
        ("NODES = 1", "neither a list NODES"),
    ],
)
def test_what_cannot_be_used_is_explained(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(KernieError, match=said):
        load_nodes(str(tmp_path / "broken.py"))
