"""Which keys there are, their types and their defaults."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected a URL such as http://localhost:8189")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("expected a port from 0 to 65535 at the end of the URL") from None
    return value.rstrip("/")


NEEDS_RESTART = frozenset({"redis-url", "celery-broker-url", "database-url", "api-host", "api-port"})
"""Keys that a running process cannot change: connections, pools and the listening socket are made from them once."""


def needs_restart(variable: str) -> bool:
    """Whether a change of this variable needs a restart even where the settings follow their files.

    Celery's own variables do: pool size and the like are read once, when the worker starts.
    """
    own = variable.startswith("CELERY_") or variable in ("CONFIG_RELOAD", "ENV_TARGET")
    return own or variable.replace("_", "-").lower() in NEEDS_RESTART


HttpUrl = Annotated[str, AfterValidator(_http_url)]


class Settings(BaseModel):
    """What the API and the worker run with. Keys of the JSON files are these names with hyphens.

    A key that is not here is left alone: the files of a real installation have many more.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=lambda name: name.replace("_", "-"), populate_by_name=True
    )

    comfyui_url: HttpUrl
    """Base URL of the ComfyUI that the worker posts prompts to."""
    comfyui_output_dir: str
    """Folder in which that ComfyUI writes pictures. A tilde is not expanded, as in the real application."""
    comfyui_timeout: PositiveFloat = 30.0
    """Seconds the worker waits for one HTTP answer of ComfyUI."""
    comfyui_poll_interval: PositiveFloat = 2.0
    """Seconds between two looks at ``/history/{prompt_id}``."""
    comfyui_max_wait_time: PositiveFloat = 900.0
    """Seconds after which the worker gives a prompt up."""
    redis_url: str = "redis://localhost:6379/0"
    """Broker and result store of Celery."""
    celery_broker_url: str | None = None
    """Broker, where it is not the one of ``redis_url``."""
    database_url: str = "sqlite:///genonaut.db"
    """Job store, as a SQLAlchemy URL. A relative SQLite path starts at the working directory."""
    api_host: str = "127.0.0.1"
    """Address on which the API listens."""
    api_port: int = Field(default=8001, ge=0, le=65535)
    """Port on which the API listens."""

    @property
    def broker_url(self) -> str:
        """The broker that Celery really uses."""
        return self.celery_broker_url or self.redis_url
