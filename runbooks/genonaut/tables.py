"""The tables of the job store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Or a retry of a deleted job would run for its successor. PostgreSQL never does.
_NEVER_REUSE_AN_ID = {"sqlite_autoincrement": True}
_Json = JSON().with_variant(JSONB(), "postgresql")


def utc_now() -> datetime:
    """The time as the application stores and shows it: UTC, without an offset."""
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    """The application's tables."""


class User(Base):
    """Somebody who may create jobs."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(255), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ContentItem(Base):
    """A picture that a job made. ``content_data`` is its path."""

    __tablename__ = "content_items"
    __table_args__ = _NEVER_REUSE_AN_ID

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(50))
    content_data: Mapped[str] = mapped_column(Text)
    prompt: Mapped[str] = mapped_column(Text)
    creator_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    item_metadata: Mapped[dict[str, Any]] = mapped_column(_Json)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class GenerationJob(Base):
    """One picture asked for. ``status`` is pending, running, completed, failed or cancelled."""

    __tablename__ = "generation_jobs"
    __table_args__ = _NEVER_REUSE_AN_ID

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    job_type: Mapped[str] = mapped_column(String(50))
    prompt: Mapped[str] = mapped_column(Text)
    params: Mapped[dict[str, Any]] = mapped_column(_Json)
    status: Mapped[str] = mapped_column(String(20), default="pending", index=True)
    content_id: Mapped[int | None] = mapped_column(ForeignKey("content_items.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    error_message: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    celery_task_id: Mapped[str | None] = mapped_column(String(255))
    negative_prompt: Mapped[str | None] = mapped_column(Text)
    checkpoint_model: Mapped[str | None] = mapped_column(String(255))
    lora_models: Mapped[list[dict[str, Any]]] = mapped_column(_Json)
    width: Mapped[int]
    height: Mapped[int]
    batch_size: Mapped[int]
    comfyui_prompt_id: Mapped[str | None] = mapped_column(String(255))
