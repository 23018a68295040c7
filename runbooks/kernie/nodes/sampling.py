"""Samplers: they take time, tell their steps, and decide on the picture by seed and prompt."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runbooks.kernie.frames import Preview
from runbooks.kernie.nodes.inputs import BOOLEAN, FLOAT, INT, Input, choice, link, modern, seed
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.values import Conditioning, Latent, Model, Pictures, Recipe
from runbooks.kernie.pictures import draw

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()
CATEGORY = "model/sampling"

# Names and order as ComfyUI 0.33 has them.
SAMPLERS = (
    "euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 exp_heun_2_x0 exp_heun_2_x0_sde dpm_2 "
    "dpm_2_ancestral lms dpm_fast dpm_adaptive dpmpp_2s_ancestral dpmpp_2s_ancestral_cfg_pp dpmpp_sde dpmpp_sde_gpu "
    "dpmpp_2m dpmpp_2m_cfg_pp dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu dpmpp_3m_sde "
    "dpmpp_3m_sde_gpu ddpm lcm ipndm ipndm_v deis res_multistep res_multistep_cfg_pp res_multistep_ancestral "
    "res_multistep_ancestral_cfg_pp gradient_estimation gradient_estimation_cfg_pp er_sde seeds_2 seeds_3 sa_solver "
    "sa_solver_pece ddim uni_pc uni_pc_bh2"
)
SCHEDULERS = "simple sgm_uniform karras exponential ddim_uniform beta normal linear_quadratic kl_optimal"


async def sample(run: NodeRun, latent: Latent, recipe: Recipe, steps: int) -> Latent:
    """Tell the steps and return the latent that holds the recipe. What the latent held before is part of it."""
    told = [*recipe.details, *latent.notes]
    if run.mock.options.seed is not None:
        told.append(f"base seed {run.mock.options.seed}")
    if latent.pictures:
        told.append(Pictures(latent.pictures).fingerprint())
    if latent.recipe is not None:
        told.append(repr(latent.recipe))
    recipe = replace(recipe, details=tuple(told))
    size = (max(latent.width // 2, 1), max(latent.height // 2, 1))
    preview = await run.in_thread(_preview, recipe, size) if run.wants_previews else None
    await run.steps(steps, preview)
    return Latent(latent.width, latent.height, latent.batch, recipe, first=latent.first)


def _preview(recipe: Recipe, size: tuple[int, int]) -> Preview:
    return Preview(draw(recipe, size)).prepared()


def recipe_of(seed: int, model: Model, positive: Conditioning, negative: Conditioning, *how: object) -> Recipe:
    """A picture's recipe: the text is shown in it, all else only makes it another one."""
    told = (repr(model), *positive.notes, repr(negative), *map(str, how))
    return Recipe(seed, positive.text, told)


def _cfg() -> Input:
    return FLOAT(8.0, 0.0, 100.0, 0.1, round=0.01)


def _guidance(*, described: bool) -> dict[str, Input]:
    return {
        "cfg": _cfg(),
        "sampler_name": choice(*SAMPLERS.split(), described=described),
        "scheduler": choice(*SCHEDULERS.split(), described=described),
        "positive": link("CONDITIONING", described=described),
        "negative": link("CONDITIONING", described=described),
        "latent_image": link("LATENT", described=described),
    }


@NODES.node(
    "KSampler",
    category=CATEGORY,
    samples=True,
    required={
        "model": link("MODEL", described=True),
        "seed": seed(),
        "steps": INT(20, 1, 10000),
        **_guidance(described=True),
        "denoise": FLOAT(1.0, 0.0, 1.0, 0.01),
    },
    outputs=("LATENT",),
)
async def ksampler(
    run: NodeRun,
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
    recipe = recipe_of(seed, model, positive, negative, cfg, sampler_name, scheduler, denoise)
    return (await sample(run, latent_image, recipe, steps),)


@NODES.node(
    "KSamplerAdvanced",
    display_name="KSampler (Advanced)",
    category=CATEGORY,
    samples=True,
    required={
        "model": link("MODEL"),
        "add_noise": choice("enable", "disable", advanced=True),
        "noise_seed": seed(),
        "steps": INT(20, 1, 10000),
        **_guidance(described=False),
        "start_at_step": INT(0, 0, 10000, advanced=True),
        "end_at_step": INT(10000, 0, 10000, advanced=True),
        "return_with_leftover_noise": choice("disable", "enable", advanced=True),
    },
    outputs=("LATENT",),
)
async def ksampler_advanced(
    run: NodeRun,
    model: Model,
    add_noise: str,
    noise_seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    start_at_step: int,
    end_at_step: int,
    return_with_leftover_noise: str,
) -> tuple[Latent]:
    how = (cfg, sampler_name, scheduler, add_noise, start_at_step, end_at_step, return_with_leftover_noise)
    recipe = recipe_of(noise_seed, model, positive, negative, *how)
    return (await sample(run, latent_image, recipe, max(min(steps, end_at_step) - start_at_step, 1)),)


# The parts of a sampler, as Flux and SD3 workflows put them together.
MODULE = "comfy_extras.nodes_custom_sampler"


@dataclass(frozen=True)
class Guider:
    """What steers a sampler."""

    model: Model
    positive: Conditioning
    negative: Conditioning
    how: str


@dataclass(frozen=True)
class Sigmas:
    """A schedule: how many steps, and what makes it different from another one."""

    steps: int
    how: str


@NODES.node(
    "RandomNoise",
    category="model/sampling/noise",
    module=MODULE,
    required=modern({"noise_seed": seed()}),
    outputs=("NOISE",),
)
async def random_noise(run: NodeRun, noise_seed: int) -> tuple[int]:
    return (noise_seed,)


@NODES.node("DisableNoise", category="model/sampling/noise", module=MODULE, outputs=("NOISE",))
async def no_noise(run: NodeRun) -> tuple[int]:
    return (0,)


@NODES.node(
    "KSamplerSelect",
    category="model/sampling/samplers",
    module=MODULE,
    required=modern({"sampler_name": choice(*SAMPLERS.split())}),
    outputs=("SAMPLER",),
)
async def select_sampler(run: NodeRun, sampler_name: str) -> tuple[str]:
    return (sampler_name,)


@NODES.node(
    "BasicScheduler",
    category="model/sampling/schedulers",
    module=MODULE,
    required=modern(
        {
            "model": link("MODEL"),
            "scheduler": choice(*SCHEDULERS.split()),
            "steps": INT(20, 1, 10000),
            "denoise": FLOAT(1.0, 0.0, 1.0, 0.01),
        }
    ),
    outputs=("SIGMAS",),
)
async def basic_scheduler(run: NodeRun, model: Model, scheduler: str, steps: int, denoise: float) -> tuple[Sigmas]:
    return (Sigmas(steps, f"{scheduler} {denoise}"),)


@NODES.node(
    "SplitSigmas",
    category="model/sampling/sigmas",
    module=MODULE,
    required=modern({"sigmas": link("SIGMAS"), "step": INT(0, 0, 10000)}),
    outputs=("SIGMAS", "SIGMAS"),
    output_names=("high_sigmas", "low_sigmas"),
)
async def split_sigmas(run: NodeRun, sigmas: Sigmas, step: int) -> tuple[Sigmas, Sigmas]:
    high = min(step, sigmas.steps)
    return Sigmas(high, f"{sigmas.how} high"), Sigmas(sigmas.steps - high, f"{sigmas.how} low")


@NODES.node(
    "BasicGuider",
    display_name="Basic Guider",
    category="model/sampling/guiders",
    module=MODULE,
    required=modern({"model": link("MODEL"), "conditioning": link("CONDITIONING")}),
    outputs=("GUIDER",),
)
async def basic_guider(run: NodeRun, model: Model, conditioning: Conditioning) -> tuple[Guider]:
    return (Guider(model, conditioning, Conditioning(), "basic"),)


@NODES.node(
    "CFGGuider",
    display_name="CFG Guider",
    category="model/sampling/guiders",
    module=MODULE,
    required=modern(
        {"model": link("MODEL"), "positive": link("CONDITIONING"), "negative": link("CONDITIONING"), "cfg": _cfg()}
    ),
    outputs=("GUIDER",),
)
async def cfg_guider(
    run: NodeRun, model: Model, positive: Conditioning, negative: Conditioning, cfg: float
) -> tuple[Guider]:
    return (Guider(model, positive, negative, f"cfg {cfg}"),)


@NODES.node(
    "DualCFGGuider",
    display_name="Dual CFG Guider",
    category="model/sampling/guiders",
    module=MODULE,
    required=modern(
        {
            "model": link("MODEL"),
            "cond1": link("CONDITIONING"),
            "cond2": link("CONDITIONING"),
            "negative": link("CONDITIONING"),
            "cfg_conds": _cfg(),
            "cfg_cond2_negative": _cfg(),
            "style": choice("regular", "nested"),
        }
    ),
    outputs=("GUIDER",),
)
async def dual_cfg_guider(
    run: NodeRun, model: Model, cond1: Conditioning, cond2: Conditioning, negative: Conditioning, **how: Any
) -> tuple[Guider]:
    return (Guider(model, cond1.joined(cond2, "dual"), negative, f"dual {how}"),)


@NODES.node(
    "SamplerCustomAdvanced",
    category="model/sampling/custom",
    module=MODULE,
    samples=True,
    required=modern(
        {
            "noise": link("NOISE"),
            "guider": link("GUIDER"),
            "sampler": link("SAMPLER"),
            "sigmas": link("SIGMAS"),
            "latent_image": link("LATENT"),
        }
    ),
    outputs=("LATENT", "LATENT"),
    output_names=("output", "denoised_output"),
)
async def sampler_custom_advanced(
    run: NodeRun, noise: int, guider: Guider, sampler: str, sigmas: Sigmas, latent_image: Latent
) -> tuple[Latent, Latent]:
    recipe = recipe_of(noise, guider.model, guider.positive, guider.negative, guider.how, sampler, sigmas)
    latent = await sample(run, latent_image, recipe, sigmas.steps)
    return latent, latent


@NODES.node(
    "SamplerCustom",
    category="model/sampling/custom",
    module=MODULE,
    samples=True,
    required=modern(
        {
            "model": link("MODEL"),
            "add_noise": BOOLEAN(default=True, advanced=True),
            "noise_seed": seed(),
            "cfg": _cfg(),
            "positive": link("CONDITIONING"),
            "negative": link("CONDITIONING"),
            "sampler": link("SAMPLER"),
            "sigmas": link("SIGMAS"),
            "latent_image": link("LATENT"),
        }
    ),
    outputs=("LATENT", "LATENT"),
    output_names=("output", "denoised_output"),
)
async def sampler_custom(
    run: NodeRun,
    model: Model,
    add_noise: bool,
    noise_seed: int,
    cfg: float,
    positive: Conditioning,
    negative: Conditioning,
    sampler: str,
    sigmas: Sigmas,
    latent_image: Latent,
) -> tuple[Latent, Latent]:
    recipe = recipe_of(noise_seed, model, positive, negative, cfg, sampler, sigmas, add_noise)
    latent = await sample(run, latent_image, recipe, sigmas.steps)
    return latent, latent
