"""Everything in which the mock differs from ComfyUI 0.33 on purpose, with the reason. Keep this list short."""

from __future__ import annotations

DIFFERENCES: tuple[tuple[str, str], ...] = (
    ("GET / answers with JSON that says what this is.", "There is no frontend, and a probe wants to know."),
    ("Routes below /kernie.", "Faults, the journal and reset are for testers."),
    ("Any model name is accepted, and listed from then on.", "A tester has no models; --models binds a folder."),
    ("Pictures are drawn from seed, prompt and size.", "No model runs."),
    ("/system_stats tells of this machine; deploy_environment is kernie-gen.", "One must be able to tell the mock."),
    (
        "More than 64 megapixels in one step, or 128 in a prompt, is out of memory.",
        "The mock's own memory stays bounded.",
    ),
    ("History beyond 256 MiB is forgotten, the oldest first.", "The mock's own memory stays bounded."),
    ("A client that leaves 32 MiB unread is disconnected.", "The mock's own memory stays bounded."),
    ("client_id as list or object is taken, and nobody is told.", "The real server stops accepting connections."),
    ("An older socket of the same client closing leaves the newer one alone.", "On the real server it can cut it off."),
    ("Two waiting prompts with the same number and id always get 500.", "There it depends on their places in a heap."),
    ("LoadImage sees nothing outside its folder.", "A mock on a developer's machine must not read other files."),
    (
        "Descriptions in /object_info are empty and there are no tooltips.",
        "They are texts of others; the shape is kept.",
    ),
)

# Routes whose form is ComfyUI's and whose content is made up, with what is made up. All others answer as ComfyUI does.
MOCKED: dict[str, str] = {
    "/embeddings": "the names that `--models embeddings=` gives",
    "/experiment/models": "folders that exist by name only",
    "/experiment/models/{folder}": "files of size 0",
    "/extensions": "none: there is no frontend",
    "/free": "there are no models to unload; cached results are forgotten",
    "/models": "folders that exist by name only",
    "/models/{folder}": "the names that were asked for, or those of `--models`",
    "/object_info": "the nodes below; model names as in `/models`",
    "/object_info/{name}": "the nodes below; model names as in `/models`",
    "/system_stats": "this machine's memory, as of a ComfyUI on CPU",
    "/users": "one user",
    "/view_metadata/{folder}": "not found: there are no model files",
}
