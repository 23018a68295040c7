import os
import time

from celery import Celery
from redis import Redis
from settings import get_settings  # type: ignore[import-not-found]

from runbooks.drift.celery import report_settings

app = Celery("shop", broker=os.environ["REDIS_URL"])
report_settings(app, get_settings, every=0.4)


@app.task  # type: ignore[untyped-decorator]
def pack(order: str, seconds: float) -> None:
    time.sleep(seconds)
    with Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.rpush(order, f"{os.getpid()} {get_settings().warehouse_url}")


@app.task  # type: ignore[untyped-decorator]
def pack_slowly(order: str, seconds: float) -> None:
    """Asks for the settings twice."""
    began = get_settings().warehouse_url
    time.sleep(seconds)
    with Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.rpush(order, f"{os.getpid()} {began} {get_settings().warehouse_url}")
