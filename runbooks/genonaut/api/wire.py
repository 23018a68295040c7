"""What goes over the wire: requests as the real API takes them, answers with its keys in its order."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

IMAGE_JOB = "image_generation"
DEFAULT_CHECKPOINT = "illustriousXL_v01.safetensors"

_PARAMS = ("negative_prompt", "checkpoint_model", "lora_models", "width", "height", "batch_size", "sampler_params")
_OPTIONAL = (*_PARAMS, "params")

Status = Literal["pending", "running", "completed", "failed", "cancelled"]


def _long_name(value: Any) -> Any:
    return IMAGE_JOB if isinstance(value, str) and value.lower() == "image" else value


class Lora(BaseModel):
    """One LoRA of a job; further keys are kept."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1)


class JobRequest(BaseModel):
    """A job to create. Pictures are all that the miniature makes; the real API has more job types."""

    user_id: UUID
    job_type: Annotated[Literal["image_generation"], BeforeValidator(_long_name)]
    prompt: str = Field(min_length=1, max_length=10_000)
    params: dict[str, Any] = Field(default_factory=dict)
    negative_prompt: str = Field("", max_length=20_000)
    checkpoint_model: str = Field(DEFAULT_CHECKPOINT, max_length=255)
    lora_models: list[Lora] = Field(default_factory=list)
    width: int = Field(512, ge=64, le=2048)
    height: int = Field(768, ge=64, le=2048)
    batch_size: int = Field(1, ge=1, le=8)
    sampler_params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _lift_params(cls, data: Any) -> Any:
        """A field may also stand inside ``params``, and null means the default."""
        if not isinstance(data, dict):
            return data
        given = {key: value for key, value in data.items() if value is not None or key not in _OPTIONAL}
        params = given.get("params")
        if not isinstance(params, dict):
            return given
        return {key: params[key] for key in _PARAMS if params.get(key) is not None} | given

    @model_validator(mode="after")
    def _check_that_it_is_storable(self) -> JobRequest:
        """Python's JSON reader lets through what no JSON may hold: NaN, infinity and half a character."""
        free = [self.params, self.sampler_params, [lora.model_dump() for lora in self.lora_models]]
        json.dumps(free, ensure_ascii=False, allow_nan=False).encode()
        return self

    def columns(self) -> dict[str, Any]:
        """The job as the job store has it. What describes the picture stands in ``params`` as well."""
        picture: dict[str, Any] = {
            "negative_prompt": self.negative_prompt,
            "checkpoint_model": self.checkpoint_model,
            "lora_models": [lora.model_dump() for lora in self.lora_models],
            "width": self.width,
            "height": self.height,
            "batch_size": self.batch_size,
        }
        return {
            "user_id": self.user_id,
            "job_type": self.job_type,
            "prompt": self.prompt.strip(),
            "params": {**self.params, **picture, "sampler_params": self.sampler_params},
            **picture,
        }


class StatusRequest(BaseModel):
    """A status that an operator sets by hand."""

    status: Status
    error_message: str | None = None


class CancelRequest(BaseModel):
    """Why a job is cancelled."""

    reason: str | None = None


def in_jsonb_order(value: Any) -> Any:
    """Sort an object's keys as PostgreSQL's JSONB does: shorter first, then by their letters.

    The real API stores ``params`` as JSONB, and this is the order it answers in; on SQLite it would be another.
    """
    if isinstance(value, dict):
        return {key: in_jsonb_order(value[key]) for key in sorted(value, key=lambda key: (len(key.encode()), key))}
    if isinstance(value, list):
        return [in_jsonb_order(item) for item in value]
    return value


class JobAnswer(BaseModel):
    """A job as it stands."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    user_id: UUID
    job_type: str
    prompt: str
    params: Annotated[dict[str, Any], PlainSerializer(in_jsonb_order)]
    status: Status
    content_id: int | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error_message: str | None
    updated_at: datetime
    celery_task_id: str | None
    negative_prompt: str | None
    checkpoint_model: str | None
    lora_models: Annotated[list[dict[str, Any]], PlainSerializer(in_jsonb_order)]
    width: int
    height: int
    batch_size: int
    comfyui_prompt_id: str | None


class DeletedAnswer(BaseModel):
    """That a job is gone."""

    success: bool = True
    message: str


WORKER_DOWN = {
    "error": {
        "message": "The image queuing service is not currently running. "
        "Image generation jobs cannot be created at this time.",
        "service": "celery_worker",
        "status": "unavailable",
        "support_info": {
            "details": "The background worker that processes image generation requests is offline. "
            "Please contact your system administrator or start the Celery worker service."
        },
    }
}
"""Body of the 503, whatever keeps a job from being queued. It blames the worker when the broker is down, too."""
