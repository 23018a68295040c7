"""The settings of an application that knows nothing of ours, read once a process, as everybody does it."""

from functools import lru_cache

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_", env_file="shop.env", frozen=True)

    warehouse_url: str
    timeout: float = 30.0
    api_password: str
    greeting: str


@lru_cache
def get_settings() -> Settings:
    return Settings()
