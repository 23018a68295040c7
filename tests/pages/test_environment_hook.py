from __future__ import annotations

import pytest

from tests.pages.support import Pages

pytest_plugins = ["pytester"]

CONFTEST = """
import os
from contextlib import contextmanager
from pathlib import Path
from runbooks.pages.hookspecs import PageEnvironment

HERE = Path(__file__).parent

def log(text):
    with (HERE / "log").open("a") as file:
        file.write(text + "\\n")

@contextmanager
def server(name):
    log(f"up {name}")
    folder = HERE / "server"
    folder.mkdir(exist_ok=True)
    try:
        yield PageEnvironment({"SERVER": name, "PWD_BEFORE": os.getcwd(), "UNWANTED": None}, folder)
    finally:
        log(f"down {name}")

@contextmanager
def broken():
    raise RuntimeError("port 8189 is taken")
    yield

def pytest_runbooks_environment(page, config):
    assert config.rootpath == HERE
    log(f"asked {page.name} {page.docstring}")
    if page.meta.get("needs") == "server":
        return server(page.title)
    if page.meta.get("needs") == "broken":
        return broken()
"""

A = """
---
title: A
needs: server
---

## One

```bash
test "$SERVER" = A
test -z "${UNWANTED+x}"
test "$(basename "$PWD")" = server
touch from-bash
```

## Two

```python
import os
assert os.environ["SERVER"] == "A"
assert os.listdir() == ["from-bash"]
```
"""


def log_of(pages: Pages) -> list[str]:
    path = pages.root / "log"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def project(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> Pages:
    monkeypatch.setenv("UNWANTED", "1")
    pages.write("conftest.py", CONFTEST)
    pages.write("a.md", A)
    pages.write("b.md", '```bash\ntest -z "${SERVER+x}"\necho $UNWANTED\n```\n\n```output\n1\n```\n')
    return pages


def test_a_page_runs_in_the_environment_that_the_hook_gives_it(project: Pages) -> None:
    project.write("m.py", '"""M.\n\n```python\nimport os; assert "SERVER" not in os.environ\n```\n"""\n')
    project.run().assert_outcomes(passed=4)
    assert log_of(project) == ["asked a.md None", "up A", "down A", "asked b.md None", "asked m.py "]


@pytest.mark.parametrize("args", [[], ["-x"], ["-k", "two"]])
@pytest.mark.parametrize("broken", ["raise ValueError", "raise KeyboardInterrupt"])
def test_the_environment_is_left_however_the_page_ends(project: Pages, args: list[str], broken: str) -> None:
    project.write("a.md", f"{A}\n```python\n{broken}\n```\n")
    project.run("a.md", *args)
    assert log_of(project) == ["asked a.md None", "up A", "down A"]


def test_the_environment_of_a_page_without_a_selected_step_is_not_made(project: Pages) -> None:
    project.run("-k", "top").assert_outcomes(passed=1, deselected=2)
    assert log_of(project) == ["asked b.md None"]


def test_an_environment_that_cannot_be_made_is_told_once_in_full(project: Pages) -> None:
    project.write("a.md", A.replace("needs: server", "needs: broken"))
    result = project.run("a.md")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "a.md:1: the page's environment could not be made: RuntimeError: port 8189 is taken",
            '*conftest.py", line *, in broken',
            "a.md:1: not run: the page's environment could not be made, see its first step",
        ]
    )
    assert log_of(project) == ["asked a.md None"]


def test_the_environment_of_a_page_with_errors_is_not_made(project: Pages) -> None:
    project.write("a.md", A + "\n```bash notest\ntrue\n```\n")
    project.run("a.md").assert_outcomes(failed=4)
    assert log_of(project) == []
