"""Which model names exist: any, unless the user bound a folder to a list."""

from __future__ import annotations

from pathlib import Path

# Folder names and their order as ComfyUI 0.33 lists them in /models.
FOLDERS = [
    "checkpoints",
    "configs",
    "loras",
    "vae",
    "text_encoders",
    "diffusion_models",
    "clip_vision",
    "style_models",
    "embeddings",
    "diffusers",
    "vae_approx",
    "controlnet",
    "gligen",
    "upscale_models",
    "latent_upscale_models",
    "custom_nodes",
    "datasets",
    "hypernetworks",
    "photomaker",
    "classifiers",
    "model_patches",
    "audio_encoders",
    "background_removal",
    "frame_interpolation",
    "geometry_estimation",
    "optical_flow",
    "detection",
]
# Old names of folders, still understood.
OLD_NAMES = {"clip": "text_encoders", "unet": "diffusion_models"}
EXTENSIONS = [".bin", ".ckpt", ".pkl", ".pt", ".pt2", ".pth", ".safetensors", ".sft"]

# Where each folder of /experiment/models lies, below the base folder.
PLACES = {
    "checkpoints": ["models/checkpoints", "output/checkpoints"],
    "loras": ["models/loras", "output/loras"],
    "vae": ["models/vae", "output/vae"],
    "text_encoders": ["models/text_encoders", "models/clip", "output/clip"],
    "diffusion_models": ["models/unet", "models/diffusion_models", "output/diffusion_models"],
    "controlnet": ["models/controlnet", "models/t2i_adapter"],
}
HIDDEN_FROM_EXPERIMENT = frozenset({"configs", "custom_nodes"})
MAX_SEEN = 1000


class ModelCatalogue:
    """The names of each folder.

    Args:
        bound: folder -> names. A bound folder has exactly these; any other accepts what is asked for, and lists it.
    """

    def __init__(self, bound: dict[str, tuple[str, ...]]) -> None:
        self._bound = {OLD_NAMES.get(folder, folder): list(names) for folder, names in bound.items()}
        self._seen: dict[str, dict[str, None]] = {}

    def folders(self) -> list[str]:
        """All folder names, the user's own last."""
        return [*FOLDERS, *(folder for folder in self._bound if folder not in FOLDERS)]

    def knows(self, folder: str) -> bool:
        """True if the folder exists."""
        return OLD_NAMES.get(folder, folder) in self.folders()

    def names(self, folder: str) -> list[str]:
        """The names of a folder: its list, or what has been asked for."""
        folder = OLD_NAMES.get(folder, folder)
        if folder in self._bound:
            return self._bound[folder]
        return list(self._seen.get(folder, ()))

    def accepts(self, folder: str, name: object) -> bool:
        """True if a prompt may use this name. An unbound folder remembers it."""
        folder = OLD_NAMES.get(folder, folder)
        if folder in self._bound:
            return name in self._bound[folder]
        if not isinstance(name, str) or not name:
            return False
        seen = self._seen.setdefault(folder, {})
        if len(seen) < MAX_SEEN:
            seen[name] = None
        return True

    def places(self, base: Path) -> list[dict[str, object]]:
        """The folders as /experiment/models tells them."""
        return [
            {
                "name": folder,
                "folders": [str(base / place) for place in PLACES.get(folder, [f"models/{folder}"])],
                "extensions": ["folder"] if folder == "diffusers" else EXTENSIONS,
            }
            for folder in self.folders()
            if folder not in HIDDEN_FROM_EXPERIMENT
        ]
