"""Which tests stay on one process of pytest-xdist, as the steps of a page do: those that share what is slow to make."""

from __future__ import annotations

from binascii import crc32

from runbooks.pages.pytest_xdist import PageScheduler

SITE = "tests/site/"
"""It is built once for each process that tests it, and keeps a core busy: beside it, others wait for their workers."""
TOGETHER = frozenset(
    f"tests/{name}.py"
    for name in (
        "adopt/test_reload",
        "adopt/test_status",
        "adopt/test_strict",
        "genonaut/test_health",
        "genonaut/test_stack",
        "genonaut/test_startcheck",
        "genonaut/test_status_page",
        "lab/test_up",
        "workers/test_restart",
    )
)
"""Files whose tests share a lab or an installation that takes seconds to start."""


class Scheduler(PageScheduler):
    """Pages and ``TOGETHER`` as a whole, the site's tests on one process in three, all other tests one by one."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(SITE):
            return f"{SITE}{crc32(nodeid.encode()) % max(1, self.numnodes // 3)}"
        file = nodeid.partition("::")[0]
        return file if file in TOGETHER else str(super()._split_scope(nodeid))
