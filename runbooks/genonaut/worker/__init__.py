"""The Celery worker: takes jobs from the queue, has ComfyUI make the pictures, and files them away."""

GENERATION_QUEUE = "generation"
"""The queue that jobs wait in."""
RUN_JOB = "genonaut.worker.tasks.run_comfy_job"
"""Name of the task that runs one, as in the real worker."""
