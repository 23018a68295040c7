"""What happens to a prompt: checked, queued, run, told; beyond what the recordings hold."""

from __future__ import annotations

import time
from typing import Any

import pytest
from PIL import Image

from runbooks.kernie.testing import RunningMock, running_mock
from tests.kernie.workflows import ended, node, refused, run, run_well, saved, saving, text_to_image
from tests.support.waiting import wait_until

SLOW = {
    "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
    "2": node("PreviewImage", images=["1", 0]),
}


def error_types(answer: dict[str, Any]) -> dict[str, list[str]]:
    return {node_id: [each["type"] for each in found["errors"]] for node_id, found in answer["node_errors"].items()}


def test_any_model_is_accepted_and_listed_from_then_on(kernie: RunningMock) -> None:
    assert kernie.get("/models/checkpoints") == []
    run_well(kernie, text_to_image())
    assert kernie.get("/models/checkpoints") == ["sd15.safetensors"]
    loader = kernie.get("/object_info/CheckpointLoaderSimple")["CheckpointLoaderSimple"]
    assert loader["input"]["required"]["ckpt_name"][0] == ["sd15.safetensors"]


def test_a_list_of_models_is_binding() -> None:
    with running_mock(models={"checkpoints": ("other.safetensors",)}) as mock:
        assert mock.get("/models/checkpoints") == ["other.safetensors"]
        assert error_types(refused(mock, text_to_image())) == {"4": ["value_not_in_list"]}


def test_a_model_name_must_be_a_name(shared: RunningMock) -> None:
    prompt = text_to_image()
    prompt["4"]["inputs"]["ckpt_name"] = 5
    assert error_types(refused(shared, prompt)) == {"4": ["value_not_in_list"]}


def test_values_are_stored_as_their_input_wants_them(shared: RunningMock) -> None:
    prompt = saving()
    prompt["1"]["inputs"] |= {"width": "16", "height": 16.9, "batch_size": True}
    prompt["2"]["inputs"] |= {"filename_prefix": 5}
    stored = run_well(shared, prompt)["prompt"][2]
    assert stored["1"]["inputs"] == {"width": 16, "height": 16, "batch_size": 1, "color": 0}
    assert stored["2"]["inputs"]["filename_prefix"] == "5"


def test_unknown_inputs_are_ignored_even_where_they_make_a_circle(shared: RunningMock) -> None:
    prompt = saving(11)
    prompt["1"]["inputs"]["nonsense"] = ["2", 0]
    run_well(shared, prompt)


def test_a_faulty_node_that_no_output_needs_does_no_harm(shared: RunningMock) -> None:
    run_well(shared, saving(12) | {"7": node("ImageInvert", image=["8", 0]), "8": node("ImageInvert", image=["7", 0])})


def test_an_output_node_that_depends_on_itself_is_refused(shared: RunningMock) -> None:
    answer = refused(shared, {"2": node("SaveImage", filename_prefix="x", images=["2", 0])})
    assert answer["error"]["details"] == "Dependency cycle detected: 2 (SaveImage) -> 2 (SaveImage)"


def test_a_long_chain_of_nodes_is_refused_or_run_but_harms_nothing(shared: RunningMock) -> None:
    chain = {str(number): node("ImageInvert", image=[str(number + 1), 0]) for number in range(1500)}
    prompt = chain | {"1500": node("EmptyImage", width=8, height=8, batch_size=1, color=0)}
    prompt["out"] = node("PreviewImage", images=["0", 0])
    assert "exception_during" in str(error_types(refused(shared, prompt)))
    assert shared.get("/queue") == {"queue_running": [], "queue_pending": []}


def test_equal_nodes_share_one_result(shared: RunningMock) -> None:
    prompt = saving(13) | {"3": node("SaveImage", filename_prefix="plain", images=["1", 0])}
    entry = run_well(shared, prompt)
    assert entry["outputs"]["2"] == entry["outputs"]["3"]


def test_an_input_file_that_changed_is_read_again(shared: RunningMock) -> None:
    def load(colour: str) -> list[str]:
        Image.new("RGB", (8, 8), colour).save(shared.input_dir / "changing.png")
        prompt = {"1": node("LoadImage", image="changing.png"), "2": node("PreviewImage", images=["1", 0])}
        messages = dict(run_well(shared, prompt)["status"]["messages"])
        cached: list[str] = messages["execution_cached"]["nodes"]
        return cached

    assert load("red") == []
    assert load("blue") == []


def test_the_same_prompt_again_runs_nothing_and_a_changed_one_what_changed(shared: RunningMock) -> None:
    def cached(prompt: dict[str, Any]) -> set[str]:
        return set(dict(run_well(shared, prompt)["status"]["messages"])["execution_cached"]["nodes"])

    prompt = text_to_image(seed=301)
    assert cached(prompt) == set()
    assert cached(prompt) == set(prompt)
    assert cached(text_to_image(seed=302)) == {"4", "5", "6", "7"}
    assert cached(text_to_image(seed=302)) == set(prompt)
    assert cached(saving(303)) == set()
    assert cached(prompt) == set(), "as on the real server, only what the last prompt had is kept"


def test_freed_memory_is_forgotten(shared: RunningMock) -> None:
    run_well(shared, saving(14))
    shared.post("/free", {"free_memory": True})
    assert dict(run_well(shared, saving(14))["status"]["messages"])["execution_cached"]["nodes"] == []


def test_a_picture_too_big_for_any_memory_fails_as_on_a_real_server(shared: RunningMock) -> None:
    entry = run(shared, saving(15, side=16384))
    error = dict(entry["status"]["messages"])["execution_error"]
    assert error["exception_type"] == "torch.OutOfMemoryError"


@pytest.mark.parametrize("prefix", ["x\0y", "a" * 5000, "\ud800"])
def test_a_name_that_no_file_can_have_fails_the_prompt_alone(prefix: str, shared: RunningMock) -> None:
    assert run(shared, saving(16, prefix))["status"]["status_str"] == "error"
    run_well(shared, saving(16))


def test_a_run_takes_at_least_its_delay_and_speed_shortens_it() -> None:
    with running_mock(delay=0.3) as mock:
        started = time.monotonic()
        run_well(mock, text_to_image())
        assert time.monotonic() - started >= 0.3
    with running_mock(delay=30, speed=100) as mock:
        started = time.monotonic()
        run_well(mock, SLOW)
        assert 0.3 <= time.monotonic() - started < 10


def test_prompts_run_by_number_and_front_goes_first() -> None:
    with running_mock(delay=30) as mock:
        first = mock.post("/prompt", {"prompt": SLOW})["prompt_id"]
        wait_until_running(mock, first)
        later = [mock.post("/prompt", {"prompt": saving(number), **how})["prompt_id"] for number, how in enumerate(HOW)]
        order = [entry.prompt_id for entry in sorted(mock.mock.queue.waiting)]
        assert order == [later[2], later[1], later[0], later[3]]
        for prompt_id in (first, *order):
            wait_until_running(mock, prompt_id)
            mock.post("/interrupt", {"prompt_id": prompt_id})
        wait_until(lambda: list(mock.get("/history")) == [first, *order], 5, "all to have run in this order", 0.002)


HOW: list[dict[str, Any]] = [{}, {"number": -1}, {"front": True}, {"number": 99}]


def wait_until_running(mock: RunningMock, prompt_id: str) -> None:
    wait_until(lambda: running_id(mock) == prompt_id, 5, f"{prompt_id} to run", 0.002)


def running_id(mock: RunningMock) -> str | None:
    running = mock.get("/queue")["queue_running"]
    return running[0][1] if running else None


def test_an_interrupt_ends_a_run_at_once_and_only_the_one_it_names() -> None:
    with running_mock(delay=60) as mock:
        prompt_id = mock.post("/prompt", {"prompt": text_to_image()})["prompt_id"]
        wait_until_running(mock, prompt_id)
        mock.post("/interrupt", {"prompt_id": "00000000-0000-4000-8000-000000000404"})
        assert running_id(mock) == prompt_id
        mock.post("/interrupt", {"prompt_id": prompt_id})
        entry = ended(mock, prompt_id, 5)
        assert entry["status"]["messages"][-1][0] == "execution_interrupted"
        assert mock.get(f"/api/jobs/{prompt_id}")["status"] == "cancelled"


def test_the_root_counts_what_happened(kernie: RunningMock) -> None:
    run_well(kernie, saving())
    run(kernie, saving(0, "../../outside"))
    about = kernie.get("/")
    assert about["name"] == "kernie-gen"
    assert (about["status"], about["server"]) == ("ok", "Mock ComfyUI Server")
    assert about["counts"] == {"received": 2, "queued": 0, "running": 0, "completed": 1, "failed": 1}
    assert about["output_dir"] == str(kernie.output_dir)
    assert about["uptime"] > 0


def test_a_seed_makes_ids_and_pictures_repeatable_and_its_own() -> None:
    def once(seed: int | None) -> tuple[str, bytes]:
        with running_mock(seed=seed) as mock:
            entry = run_well(mock, text_to_image())
            return entry["prompt"][1], saved(mock, entry)[0].read_bytes()[-2000:]

    assert once(1) == once(1)
    assert once(1)[0] != once(2)[0]
    assert once(1)[1] != once(2)[1]


def test_a_client_id_that_is_no_text_is_taken_and_nobody_is_told(shared: RunningMock) -> None:
    strange: list[Any] = [[], {"a": 1}, 5]
    for client_id in strange:
        run_well(shared, saving(17), client_id=client_id)


def test_secrets_never_come_back(shared: RunningMock) -> None:
    entry = run_well(shared, saving(18), extra_data={"api_key_comfy_org": "SECRET", "auth_token_comfy_org": "SECRET"})
    assert "SECRET" not in str(entry)
    assert "SECRET" not in str(shared.requests("path=/prompt"))


def test_every_node_type_is_told_in_the_shape_of_the_recorded_ones(shared: RunningMock) -> None:
    all_types = shared.get("/object_info")
    recorded = set(all_types["PreviewImage"])
    assert len(all_types) > 75
    for name, about in all_types.items():
        assert set(about) - {"deprecated"} == recorded, name
        assert about["name"] == name
        assert {group: list(inputs) for group, inputs in about["input"].items()} == about["input_order"]
        assert len(about["output"]) == len(about["output_is_list"]) == len(about["output_name"])
        assert shared.get(f"/object_info/{name}") == {name: about}
