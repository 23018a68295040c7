"""What `run.py` tries is what the docs say. The clients themselves need PyPI and npm; CI tries them with `run.py`."""

from __future__ import annotations

import json
import re

import pytest

from tests.clients.clients import CLIENTS, CONSTRAINTS, HERE, Client, FromNpm, FromPyPI
from tests.clients.run import STEPS, TABLE, told_in

ROWS = [line.split(" | ") for line in TABLE.read_text(encoding="utf-8").splitlines()[2:]]


def test_every_client_has_its_row_and_no_other() -> None:
    assert [row[0] for row in ROWS] == [f"| `{client.name}` {client.version}" for client in CLIENTS]


def test_no_client_fails_and_at_least_eight_do_everything() -> None:
    outcomes = [row[1 : 1 + len(STEPS)] for row in ROWS]
    assert not [each for row in outcomes for each in row if not re.match("yes|not offered", each)]
    assert sum(all(each.startswith("yes") for each in row) for row in outcomes) >= 8


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.slug)
def test_versions_are_pinned_exactly(client: Client) -> None:
    if isinstance(client, FromPyPI):
        assert f"{client.name}=={client.version}\n" in CONSTRAINTS.read_text(encoding="utf-8")
        return
    assert isinstance(client, FromNpm)
    folder = HERE / "node" / client.slug
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    locked = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert wanted[client.name] == client.version
    assert all(locked[f"node_modules/{name}"]["version"] == version for name, version in wanted.items())
    assert all("integrity" in package for name, package in locked.items() if name)


def test_what_a_driver_tells_is_found_between_what_its_client_prints() -> None:
    said = 'Queue: 1{"step": "read", "note": ""}Queue: 0\n{"step": "upload", "note": "{}"}\n{"other": 1}\n'
    assert [each["step"] for each in told_in(said)] == ["read", "upload"]
