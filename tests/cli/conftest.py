"""What the tests of the page commands share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cli.desk import PAGE, Desk
from tests.support.waiting import wait_until


def left_in(folder: Path) -> list[psutil.Process]:
    """The processes whose working directory is in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An operator's desk with a page on it; every process that is started there must end."""
    desk = Desk(tmp_path)
    desk.write(PAGE)
    yield desk
    wait_until(lambda: not left_in(tmp_path), 20, "everything that was started in the test's folder has ended")
