"""The tables of the job store, and a job as Python sees it.

SQLAlchemy without its object mapper: the mapper would add a quarter of a second to the start of every process, for
three tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Column, DateTime, ForeignKey, Integer, MetaData, String, Table, Text, Uuid

metadata = MetaData()


def utc_now() -> datetime:
    """The time as the application stores and shows it: UTC, without an offset."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class Job:
    """One picture asked for, as it stood when it was read. ``generation_jobs`` has these columns in this order."""

    id: int
    user_id: UUID
    job_type: str
    prompt: str
    params: dict[str, Any]
    status: str
    """pending, running, completed, failed or cancelled"""
    content_id: int | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error_message: str | None
    updated_at: datetime
    celery_task_id: str | None
    negative_prompt: str | None
    checkpoint_model: str | None
    lora_models: list[dict[str, Any]]
    width: int
    height: int
    batch_size: int
    comfyui_prompt_id: str | None


@dataclass(frozen=True)
class JobLine:
    """A job in a list: without what describes the picture, which is long."""

    id: int
    prompt: str
    status: str
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("username", String(255), nullable=False, unique=True),
    Column("created_at", DateTime, nullable=False),
)

content_items = Table(
    "content_items",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("title", String(255), nullable=False),
    Column("content_type", String(50), nullable=False),
    Column("content_data", Text, nullable=False, doc="path of the picture"),
    Column("prompt", Text, nullable=False),
    Column("creator_id", ForeignKey("users.id"), nullable=False),
    Column("item_metadata", JSON, nullable=False),
    Column("created_at", DateTime, nullable=False),
)

generation_jobs = Table(
    "generation_jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("job_type", String(50), nullable=False),
    Column("prompt", Text, nullable=False),
    Column("params", JSON, nullable=False),
    Column("status", String(20), nullable=False, index=True),
    Column("content_id", ForeignKey("content_items.id")),
    Column("created_at", DateTime, nullable=False),
    Column("started_at", DateTime),
    Column("completed_at", DateTime),
    Column("error_message", Text),
    Column("updated_at", DateTime, nullable=False),
    Column("celery_task_id", String(255)),
    Column("negative_prompt", Text),
    Column("checkpoint_model", String(255)),
    Column("lora_models", JSON, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("comfyui_prompt_id", String(255)),
    # Or a retry of a deleted job would run for its successor. PostgreSQL never gives an id twice.
    sqlite_autoincrement=True,
)
