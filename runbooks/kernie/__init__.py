"""kernie-gen: a mock ComfyUI server that real ComfyUI clients accept.

One command, no GPU, no models: `kernie-gen --output-dir DIR`. The room imports nothing else of this project, so it is
useful alone. In a test, use the pytest fixture `kernie`.
"""
