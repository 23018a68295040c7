"""Samplers: they take time, tell their steps, and decide on the picture by seed and prompt."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: D103
from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from runbooks.kernie.nodes.inputs import FLOAT, INT, choice, link, seed
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.values import Conditioning, Latent, Model, Recipe
from runbooks.kernie.pictures import draw

NODES = Nodes()

# Names and order as ComfyUI 0.33 has them.
SAMPLERS = [
    "euler",
    "euler_cfg_pp",
    "euler_ancestral",
    "euler_ancestral_cfg_pp",
    "heun",
    "heunpp2",
    "exp_heun_2_x0",
    "exp_heun_2_x0_sde",
    "dpm_2",
    "dpm_2_ancestral",
    "lms",
    "dpm_fast",
    "dpm_adaptive",
    "dpmpp_2s_ancestral",
    "dpmpp_2s_ancestral_cfg_pp",
    "dpmpp_sde",
    "dpmpp_sde_gpu",
    "dpmpp_2m",
    "dpmpp_2m_cfg_pp",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_gpu",
    "dpmpp_2m_sde_heun",
    "dpmpp_2m_sde_heun_gpu",
    "dpmpp_3m_sde",
    "dpmpp_3m_sde_gpu",
    "ddpm",
    "lcm",
    "ipndm",
    "ipndm_v",
    "deis",
    "res_multistep",
    "res_multistep_cfg_pp",
    "res_multistep_ancestral",
    "res_multistep_ancestral_cfg_pp",
    "gradient_estimation",
    "gradient_estimation_cfg_pp",
    "er_sde",
    "seeds_2",
    "seeds_3",
    "sa_solver",
    "sa_solver_pece",
    "ddim",
    "uni_pc",
    "uni_pc_bh2",
]
SCHEDULERS = [
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
]
PREVIEW_PART = 2


async def sample(run: Any, latent: Latent, recipe: Recipe, steps: int) -> Latent:
    """Tell the steps and return the latent that holds the recipe."""
    base = run.mock.options.seed
    details = recipe.details if base is None else (*recipe.details, str(base))
    if latent.pictures:
        origin = hashlib.sha256(b"".join(frame.tobytes() for frame in latent.pictures)).hexdigest()
        details = (*details, origin)
    elif latent.recipe is not None:
        details = (*details, repr(latent.recipe))
    recipe = replace(recipe, details=details)
    shown = draw(recipe, (max(latent.width // 2, 1), max(latent.height // 2, 1))) if run.wants_previews else None
    await run.steps(steps, (lambda _: shown) if shown is not None else None)
    return Latent(latent.width, latent.height, latent.batch, recipe)


def _model_input() -> dict[str, Any]:
    return {"model": link("MODEL", described=True)}


def _guidance() -> dict[str, Any]:
    return {
        "cfg": FLOAT(8.0, 0.0, 100.0, 0.1, round=0.01),
        "sampler_name": choice(*SAMPLERS, described=True),
        "scheduler": choice(*SCHEDULERS, described=True),
        "positive": link("CONDITIONING", described=True),
        "negative": link("CONDITIONING", described=True),
        "latent_image": link("LATENT", described=True),
    }


@NODES.node(
    "KSampler",
    display_name="KSampler",
    category="model/sampling",
    samples=True,
    required={
        **_model_input(),
        "seed": seed(),
        "steps": INT(20, 1, 10000),
        **_guidance(),
        "denoise": FLOAT(1.0, 0.0, 1.0, 0.01),
    },
    outputs=("LATENT",),
)
async def ksampler(
    run: Any,
    model: Model,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    denoise: float,
) -> tuple[Latent]:
    told = (repr(model), negative.text, str(cfg), sampler_name, scheduler, str(denoise), *positive.notes)
    return (await sample(run, latent_image, Recipe(seed, positive.text, told), steps),)
