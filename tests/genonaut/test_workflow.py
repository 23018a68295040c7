"""How a job becomes a workflow. The plain one is held to the recording in test_recordings."""

from __future__ import annotations

from typing import Any

from runbooks.genonaut.store import JobStore
from runbooks.genonaut.worker.workflow import build_workflow
from tests.genonaut.conftest import new_job


def links(workflow: dict[str, Any], node: str) -> dict[str, Any]:
    return {name: value for name, value in workflow[node]["inputs"].items() if isinstance(value, list)}


def test_sampler_values_of_the_job_are_used(store: JobStore) -> None:
    job = new_job(store, params={"sampler_params": {"seed": 7, "steps": 3, "cfg": 1.5, "sampler_name": "dpmpp_2m"}})
    sampler = build_workflow(job)["5"]["inputs"]
    assert {name: value for name, value in sampler.items() if not isinstance(value, list)} == {
        "seed": 7,
        "steps": 3,
        "cfg": 1.5,
        "sampler_name": "dpmpp_2m",
        "scheduler": "normal",
        "denoise": 1.0,
    }


def test_two_jobs_have_two_seeds_and_a_retry_has_the_same(store: JobStore) -> None:
    first, second = new_job(store), new_job(store)
    seeds = [build_workflow(job)["5"]["inputs"]["seed"] for job in (first, second, first)]
    assert seeds[0] == seeds[2] != seeds[1]


def test_loras_stand_in_a_chain_between_checkpoint_and_the_rest(store: JobStore) -> None:
    loras = [{"name": "ink.safetensors", "strength_model": 0.5}, {"name": "snow.safetensors"}]
    workflow = build_workflow(new_job(store, lora_models=loras))
    assert workflow["8"]["inputs"]["lora_name"] == "ink.safetensors"
    assert (workflow["8"]["inputs"]["strength_model"], workflow["8"]["inputs"]["strength_clip"]) == (0.5, 0.8)
    assert links(workflow, "8") == {"model": ["1", 0], "clip": ["1", 1]}
    assert links(workflow, "9") == {"model": ["8", 0], "clip": ["8", 1]}
    assert workflow["5"]["inputs"]["model"] == ["9", 0]
    assert [workflow[node]["inputs"]["clip"] for node in ("2", "3")] == [["9", 1], ["9", 1]]
    assert workflow["6"]["inputs"]["vae"] == ["1", 2]
