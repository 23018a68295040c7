"""What `make test` gives to one process of pytest-xdist as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scheduling import SITE, TOGETHER, Scheduler

ROOT = Path(__file__).parents[1]


class FakeConfig:
    """As much of pytest's configuration as the scheduler looks at."""

    def __init__(self, processes: int) -> None:
        self._processes = processes

    def getvalue(self, name: str) -> list[str]:
        assert name == "tx"
        return ["popen"] * self._processes


@pytest.mark.parametrize("path", sorted({SITE, *TOGETHER}))
def test_what_stays_together_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_site_keeps_one_process_in_three_and_pages_and_shared_labs_stay_whole() -> None:
    def scopes(processes: int, *nodeids: str) -> list[str]:
        scheduler = Scheduler(FakeConfig(processes))
        return [scheduler._split_scope(nodeid) for nodeid in nodeids]

    site = [f"{SITE}test_{name}.py::test_it[{number}]" for name in "ab" for number in range(20)]
    assert [len({*scopes(processes, *site)}) for processes in (2, 3, 6)] == [1, 1, 2]
    lab, page, other = "tests/lab/test_up.py", "docs/runbooks/index.md", "tests/lab/test_stop.py::test_a"
    assert scopes(3, f"{lab}::A::test_a", f"{page}::x[bash]", other) == [lab, page, other]
