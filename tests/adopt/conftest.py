from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.adopt.broker import Broker
from tests.adopt.shop_processes import Shop

_databases = count()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture
def redis_url(broker: Broker) -> str:
    """A database that nobody else uses."""
    return broker.url(next(_databases))


@pytest.fixture(scope="module")
def open_shop(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Shop]]:
    """Open shops; all that they started is ended."""
    shops: list[Shop] = []

    def opened(redis_url: str | None = None) -> Shop:
        shops.append(Shop(tmp_path_factory.mktemp("adopt") / "shop", redis_url or broker.url(next(_databases))))
        return shops[-1]

    yield opened
    for shop in shops:
        shop.remove()
