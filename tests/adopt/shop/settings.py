"""The settings of an application that knows nothing of ours, read once a process, as everybody does it."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    warehouse_url: str
    timeout: float
    api_password: str
    greeting: str


@lru_cache
def get_settings() -> Settings:
    return Settings(**json.loads(Path("shop.json").read_text()))
