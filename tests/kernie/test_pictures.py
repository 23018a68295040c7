"""What the mock draws and how it writes it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from PIL import Image

from runbooks.kernie.nodes.values import Pictures, Recipe
from runbooks.kernie.pictures import draw
from runbooks.kernie.testing import RunningMock
from tests.kernie.workflows import node, run_well, saved, saving, text_to_image


def test_the_same_seed_prompt_and_size_give_the_same_picture() -> None:
    recipe = Recipe(5, "a fox")
    assert draw(recipe, (64, 48)).tobytes() == draw(Recipe(5, "a fox"), (64, 48)).tobytes()


@pytest.mark.parametrize("other", [Recipe(6, "a fox"), Recipe(5, "a wolf"), Recipe(5, "a fox", ("cfg 8",))])
def test_anything_else_gives_another_picture(other: Recipe) -> None:
    assert draw(other, (64, 48)).tobytes() != draw(Recipe(5, "a fox"), (64, 48)).tobytes()


def test_pictures_of_a_batch_differ() -> None:
    recipe = Recipe(5, "a fox")
    assert draw(recipe, (64, 48), 0).tobytes() != draw(recipe, (64, 48), 1).tobytes()


@pytest.mark.parametrize("text", ["", "line\nline", "\ud800", "日本語のプロンプト", "x" * 5000, "\x00\x07"])
def test_every_text_can_be_written_into_a_picture(text: str) -> None:
    assert draw(Recipe(1, text), (256, 256)).size == (256, 256)


@pytest.mark.parametrize("size", [(1, 1), (8, 512), (512, 8), (97, 97)])
def test_every_size_can_be_drawn(size: tuple[int, int]) -> None:
    assert draw(Recipe(1, "a fox"), size).size == size


def test_a_prompt_writes_a_picture_of_the_size_asked_for_with_its_workflow_inside(shared: RunningMock) -> None:
    workflow = {"id": "wf", "nodes": []}
    entry = run_well(shared, text_to_image(side=128), extra_data={"extra_pnginfo": {"workflow": workflow}})
    (path,) = saved(shared, entry)
    with Image.open(path) as picture:
        chunks: dict[str, str] = picture.text  # type: ignore[attr-defined]
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (128, 128))
    assert json.loads(chunks["workflow"]) == workflow
    assert json.loads(chunks["prompt"]) == entry["prompt"][2]


def test_a_batch_writes_one_file_each(shared: RunningMock) -> None:
    prompt = text_to_image()
    prompt["5"]["inputs"]["batch_size"] = 3
    prompt["9"]["inputs"]["filename_prefix"] = "batch/three_%batch_num%"
    paths = saved(shared, run_well(shared, prompt))
    assert [path.name for path in paths] == ["three_0_00001_.png", "three_1_00002_.png", "three_2_00003_.png"]
    assert {path.parent.name for path in paths} == {"batch"}
    assert len({path.read_bytes() for path in paths}) == 3


def test_the_counter_goes_on_after_the_highest_file_lying_there(shared: RunningMock) -> None:
    (shared.output_dir / "count_00041_.png").write_bytes(b"")
    (shared.output_dir / "count_me_00099_.png").write_bytes(b"")
    (path,) = saved(shared, run_well(shared, saving(1, "count")))
    assert path.name == "count_00042_.png"
    (path,) = saved(shared, run_well(shared, saving(2, "count")))
    assert path.name == "count_00043_.png"
    path.unlink()
    (path,) = saved(shared, run_well(shared, saving(3, "count")))
    assert path.name == "count_00043_.png"


def test_tokens_in_the_prefix_are_filled_in(shared: RunningMock) -> None:
    (path,) = saved(shared, run_well(shared, saving(4, "%year%-%month%-%day%/at_%hour%%minute%_%width%x%height%", 24)))
    assert re.fullmatch(r"at_\d{4}_24x24_00001_\.png", path.name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", path.parent.name)


def test_a_picture_prints_itself_as_a_tensor_does() -> None:
    small = Pictures((Image.new("RGB", (2, 1), (255, 0, 51)),))
    assert repr(small) == "tensor([[[[1.0000, 0.0000, 0.2000],\n          [1.0000, 0.0000, 0.2000]]]])"


def graphs() -> dict[str, Any]:
    """One small graph for each kind of work; the node "out" is shown."""
    picture = {"p": node("EmptyImage", width=32, height=16, batch_size=2, color=255)}
    mask = {"m": node("SolidMask", value=0.5, width=32, height=16)}
    image, stencil = ["p", 0], ["m", 0]
    scaled = {"upscale_method": "bilinear", "image": image}
    as_image = {"out": node("MaskToImage", mask=["n", 0])}
    return {
        "scale": picture | {"out": node("ImageScale", width=0, height=8, crop="center", **scaled)},
        "scale by": picture | {"out": node("ImageScaleBy", scale_by=0.5, **scaled)},
        "megapixels": picture | {"out": node("ImageScaleToTotalPixels", megapixels=0.01, resolution_steps=1, **scaled)},
        "invert": picture | {"out": node("ImageInvert", image=image)},
        "batch": picture | {"out": node("ImageBatch", image1=image, image2=image)},
        "crop": picture | {"out": node("ImageCrop", image=image, width=8, height=8, x=30, y=0)},
        "pad": picture
        | {"out": node("ImagePadForOutpaint", image=image, left=8, top=0, right=0, bottom=8, feathering=4)},
        "upscale": picture
        | {
            "u": node("UpscaleModelLoader", model_name="2x.pth"),
            "out": node("ImageUpscaleWithModel", upscale_model=["u", 0], image=image),
        },
        "composite": picture
        | mask
        | {
            "out": node(
                "ImageCompositeMasked",
                destination=image,
                source=image,
                x=4,
                y=4,
                resize_source=False,
                mask=stencil,
            )
        },
        "grow": mask | as_image | {"n": node("GrowMask", mask=stencil, expand=-2, tapered_corners=True)},
        "feather": mask | as_image | {"n": node("FeatherMask", mask=stencil, left=4, top=4, right=4, bottom=4)},
        "threshold": mask | as_image | {"n": node("ThresholdMask", mask=stencil, value=0.6)},
        "crop mask": mask | as_image | {"n": node("CropMask", mask=stencil, x=0, y=0, width=8, height=8)},
        "invert mask": mask | as_image | {"n": node("InvertMask", mask=stencil)},
        "channel": picture | as_image | {"n": node("ImageToMask", image=image, channel="blue")},
        "combine masks": mask
        | as_image
        | {"n": node("MaskComposite", destination=stencil, source=stencil, x=8, y=8, operation="xor")},
        "latents": picture
        | mask
        | {
            "v": node("VAELoader", vae_name="pixel_space"),
            "a": node("VAEEncode", pixels=image, vae=["v", 0]),
            "b": node("SetLatentNoiseMask", samples=["a", 0], mask=stencil),
            "c": node("RepeatLatentBatch", samples=["b", 0], amount=2),
            "d": node("LatentFromBatch", samples=["c", 0], batch_index=-1, length=1),
            "e": node("LatentUpscaleBy", samples=["d", 0], upscale_method="bislerp", scale_by=2.0),
            "f": node("LatentUpscale", samples=["e", 0], upscale_method="area", width=0, height=64, crop="disabled"),
            "out": node(
                "VAEDecodeTiled",
                samples=["f", 0],
                vae=["v", 0],
                tile_size=512,
                overlap=64,
                temporal_size=64,
                temporal_overlap=8,
            ),
        },
    }


SIZES = {
    "scale": (16, 8),
    "scale by": (16, 8),
    "megapixels": (145, 72),
    "crop": (2, 8),
    "pad": (40, 24),
    "upscale": (64, 32),
    "crop mask": (8, 8),
    "latents": (128, 64),
}


@pytest.mark.parametrize("name", list(graphs()))
def test_a_node_gives_pictures_of_the_right_size(name: str, shared: RunningMock) -> None:
    prompt = graphs()[name] | {"save": node("SaveImage", filename_prefix=f"node_{name}", images=["out", 0])}
    with Image.open(saved(shared, run_well(shared, prompt))[0]) as picture:
        assert picture.size == SIZES.get(name, (32, 16))


def test_a_flux_workflow_of_parts_runs(shared: RunningMock) -> None:
    prompt = {
        "unet": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
        "clip": node("DualCLIPLoader", clip_name1="t5.safetensors", clip_name2="clip_l.safetensors", type="flux"),
        "vae": node("VAELoader", vae_name="ae.safetensors"),
        "text": node("CLIPTextEncode", text="a lighthouse", clip=["clip", 0]),
        "guidance": node("FluxGuidance", conditioning=["text", 0], guidance=3.5),
        "model": node("ModelSamplingFlux", model=["unet", 0], max_shift=1.15, base_shift=0.5, width=64, height=64),
        "guider": node("BasicGuider", model=["model", 0], conditioning=["guidance", 0]),
        "noise": node("RandomNoise", noise_seed=11),
        "sampler": node("KSamplerSelect", sampler_name="euler"),
        "sigmas": node("BasicScheduler", model=["model", 0], scheduler="simple", steps=3, denoise=1.0),
        "latent": node("EmptySD3LatentImage", width=64, height=64, batch_size=1),
        "sample": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["sampler", 0],
            sigmas=["sigmas", 0],
            latent_image=["latent", 0],
        ),
        "decode": node("VAEDecode", samples=["sample", 0], vae=["vae", 0]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="flux"),
    }
    assert len(saved(shared, run_well(shared, prompt))) == 1
    assert shared.get("/models/diffusion_models") == ["flux1-dev.safetensors"]


def test_img2img_depends_on_the_picture_it_starts_from(shared: RunningMock) -> None:
    def from_colour(colour: int) -> bytes:
        prompt = text_to_image(denoise=0.5)
        prompt["1"] = node("EmptyImage", width=64, height=64, batch_size=1, color=colour)
        prompt["5"] = node("VAEEncode", pixels=["1", 0], vae=["4", 2])
        path = saved(shared, run_well(shared, prompt))[0]
        with Image.open(path) as picture:
            return picture.tobytes()

    assert from_colour(1) != from_colour(2)


@pytest.mark.parametrize(("tapered", "white"), [(True, 13), (False, 25)])
def test_a_mask_grows_with_slanted_corners_or_square_ones(tapered: bool, white: int, shared: RunningMock) -> None:
    shape = {"width": 9, "height": 9}
    prompt = {
        "black": node("SolidMask", value=0.0, **shape),
        "dot": node("SolidMask", value=1.0, width=1, height=1),
        "one": node("MaskComposite", destination=["black", 0], source=["dot", 0], x=4, y=4, operation="or"),
        "grown": node("GrowMask", mask=["one", 0], expand=2, tapered_corners=tapered),
        "image": node("MaskToImage", mask=["grown", 0]),
        "save": node("SaveImage", filename_prefix="grown", images=["image", 0]),
    }
    with Image.open(saved(shared, run_well(shared, prompt))[0]) as picture:
        assert picture.histogram()[255] == white  # of the first channel


@pytest.mark.parametrize(
    ("operation", "level"), [("and", 0), ("or", 255), ("xor", 255), ("multiply", 61), ("add", 255)]
)
def test_masks_are_combined_as_on_the_real_server(operation: str, level: int, shared: RunningMock) -> None:
    prompt = {
        "dark": node("SolidMask", value=0.3, width=4, height=4),
        "light": node("SolidMask", value=0.8, width=4, height=4),
        "both": node("MaskComposite", destination=["dark", 0], source=["light", 0], x=0, y=0, operation=operation),
        "image": node("MaskToImage", mask=["both", 0]),
        "save": node("SaveImage", filename_prefix="combined", images=["image", 0]),
    }
    with Image.open(saved(shared, run_well(shared, prompt))[0]) as picture:
        assert abs(picture.tobytes()[0] - level) <= 1
