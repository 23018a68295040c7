"""A job as a workflow in ComfyUI's API format."""

from __future__ import annotations

from typing import Any

from runbooks.genonaut.tables import Job

SAMPLER_DEFAULTS: dict[str, Any] = {
    "steps": 28,
    "cfg": 5.5,
    "sampler_name": "euler",
    "scheduler": "normal",
    "denoise": 1.0,
}


def build_workflow(job: Job) -> dict[str, Any]:
    """The text-to-image workflow of the real worker: seven nodes, and one more for each LoRA.

    The seed is the job's id unless ``sampler_params`` has one, so that two jobs differ and a retry does not. Values of
    ``sampler_params`` go to ComfyUI as they are; it says what is wrong with them.
    """
    given = job.params.get("sampler_params") or {}
    sampler = {name: given.get(name, default) for name, default in {"seed": job.id, **SAMPLER_DEFAULTS}.items()}
    loras, model, clip = _loras(job.lora_models)
    return {
        "1": _node("CheckpointLoaderSimple", ckpt_name=job.checkpoint_model),
        "2": _node("CLIPTextEncode", clip=clip, text=job.prompt),
        "3": _node("CLIPTextEncode", clip=clip, text=job.negative_prompt or ""),
        "4": _node("EmptyLatentImage", width=job.width, height=job.height, batch_size=job.batch_size),
        "5": _node("KSampler", **sampler, model=model, positive=["2", 0], negative=["3", 0], latent_image=["4", 0]),
        "6": _node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": _node("SaveImage", images=["6", 0], filename_prefix=f"gen_job_{job.id}"),
        **loras,
    }


def _loras(models: list[dict[str, Any]]) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """The LoRA nodes in a chain after the checkpoint, and the outputs that the rest of the workflow uses."""
    nodes: dict[str, Any] = {}
    model, clip = ["1", 0], ["1", 1]
    for number, lora in enumerate(models, start=8):
        strengths = {name: lora.get(name, 0.8) for name in ("strength_model", "strength_clip")}
        nodes[str(number)] = _node("LoraLoader", lora_name=lora["name"], **strengths, model=model, clip=clip)
        model, clip = [str(number), 0], [str(number), 1]
    return nodes, model, clip


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}
