"""Genonaut in miniature: an API, a job store and a Celery worker that work, and fail, as the real application does."""
