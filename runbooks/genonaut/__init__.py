"""Genonaut in miniature: an API, a job store and a Celery worker that work, and fail, as the real application does."""

from importlib.metadata import version

NAME = "genonaut"
"""Name under which API and worker report what they run with."""
VERSION = version("genonaut-runbooks")
