"""Prompts that tests send."""

from __future__ import annotations

import json
import urllib.error
from typing import Any

import pytest

from runbooks.kernie.testing import RunningMock
from tests.support.waiting import wait_until

Prompt = dict[str, Any]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def text_to_image(seed: int = 7, text: str = "a red fox in snow", side: int = 64, **changes: Any) -> Prompt:
    """The workflow that every ComfyUI example begins with."""
    sampler = {"seed": seed, "steps": 4, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1}
    return {
        "3": node(
            "KSampler",
            model=["4", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
            **{**sampler, **changes},
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name="sd15.safetensors"),
        "5": node("EmptyLatentImage", width=side, height=side, batch_size=1),
        "6": node("CLIPTextEncode", text=text, clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="fox", images=["8", 0]),
    }


def saving(colour: int = 0, prefix: str = "plain", side: int = 16) -> Prompt:
    return {
        "1": node("EmptyImage", width=side, height=side, batch_size=1, color=colour),
        "2": node("SaveImage", filename_prefix=prefix, images=["1", 0]),
    }


def ended(mock: RunningMock, prompt_id: str, timeout: float = 10.0) -> dict[str, Any]:
    """The history entry of a prompt, as soon as there is one."""
    found = wait_until(lambda: mock.get(f"/history/{prompt_id}"), timeout, f"prompt {prompt_id} to end", 0.002)
    entry: dict[str, Any] = found[prompt_id]
    return entry


def run(mock: RunningMock, prompt: Prompt, **more: Any) -> dict[str, Any]:
    """Send a prompt and wait for its history entry."""
    return ended(mock, mock.post("/prompt", {"prompt": prompt, **more})["prompt_id"])


def run_well(mock: RunningMock, prompt: Prompt, **more: Any) -> dict[str, Any]:
    """As `run`; the prompt must succeed."""
    entry = run(mock, prompt, **more)
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"][-1]
    return entry


def saved(mock: RunningMock, entry: dict[str, Any]) -> list[Any]:
    """The files that a prompt wrote into the output folder."""
    return [
        mock.output_dir / image["subfolder"] / image["filename"]
        for outputs in entry["outputs"].values()
        for image in outputs.get("images", [])
        if image["type"] == "output"
    ]


def refused(mock: RunningMock, prompt: dict[str, Any]) -> dict[str, Any]:
    """The answer to a prompt that is not accepted."""
    with pytest.raises(urllib.error.HTTPError) as error:
        mock.post("/prompt", {"prompt": prompt})
    assert error.value.code == 400
    with error.value:
        answer: dict[str, Any] = json.loads(error.value.read())
    return answer
