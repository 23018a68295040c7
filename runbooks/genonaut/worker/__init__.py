"""The Celery worker: takes jobs from the queue, has ComfyUI make the pictures, and files them away."""
