from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runbooks.errors import UserError
from runbooks.pages.stamps import code_digest, page_digest, read_stamps
from tests.pages.support import Pages

pytest_plugins = ["pytester"]

INI = """
[pytest]
runbooks_stamps = build/stamps.json
runbooks_stamps_code = code lock.txt
"""
PAGE = """
## One

```bash
head -n 1 part.txt
```

```output
a
```

## Two

```{.bash data-if="false"}
exit 1
```

```bash
--8<-- "part.txt:2:2"
```

```{.yaml data-exempt="a sample"}
a: 1
```
"""


@pytest.fixture
def project(pages: Pages) -> Pages:
    pages.write("pytest.ini", INI)
    pages.write("page.md", PAGE)
    pages.write("part.txt", "a\ntrue\n")
    pages.write("lock.txt", "")
    pages.write("code/a.py", "")
    return pages


def stamps(pages: Pages) -> dict[str, dict[str, Any]]:
    file = pages.root / "build" / "stamps.json"
    found: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return found


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *who, *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def test_a_run_in_which_every_step_passed_stamps_the_page_with_its_commit(project: Pages) -> None:
    git(project.root, "init", "-q")
    git(project.root, "add", "page.md")
    git(project.root, "commit", "-qm", "a")
    project.run().assert_outcomes(passed=2, skipped=1)
    stamp = stamps(project)["page.md"]
    assert stamp["commit"] == git(project.root, "rev-parse", "--short=12", "HEAD")
    assert (stamp["steps"], stamp["outputs"]) == (2, 1)
    assert stamp["seconds"] > 0
    assert stamp["at"].endswith("+00:00")


def test_a_page_that_was_only_run_in_part_gets_no_stamp(project: Pages) -> None:
    project.run("-k", "two").assert_outcomes(passed=1, skipped=1, deselected=1)
    assert stamps(project) == {}


def test_a_page_that_fails_loses_the_stamp_it_had_and_other_pages_keep_theirs(project: Pages) -> None:
    project.write("other.md", "```bash\ntrue\n```\n")
    project.write("page.md", PAGE.replace('--8<-- "part.txt:2:2"', "test ! -e broken"))
    project.run().assert_outcomes(passed=3, skipped=1)
    assert set(stamps(project)) == {"other.md", "page.md"}
    project.write("broken", "")
    project.run("page.md").assert_outcomes(passed=1, failed=1, skipped=1)
    assert set(stamps(project)) == {"other.md"}


def test_a_stamp_is_no_longer_true_when_the_page_what_it_includes_or_the_code_has_changed(project: Pages) -> None:
    def is_true() -> bool:
        stamp = read_stamps(project.root / "build" / "stamps.json")["page.md"]
        now = (page_digest(project.root / "page.md", project.root), code_digest(project.root, ["code", "lock.txt"]))
        return (stamp.page, stamp.code) == now

    for name, text in {"page.md": PAGE + "More.\n", "part.txt": "a\n:\n", "code/a.py": "b", "lock.txt": "b"}.items():
        project.run()
        assert is_true()
        project.write(name, text)
        assert not is_true(), name


def test_pages_on_two_processes_are_stamped_as_on_one(project: Pages) -> None:
    project.plugins += ["-p", "xdist.plugin", "-n", "2"]
    for name in ("b", "c"):
        project.write(f"{name}.md", "```bash\ntrue\n```\n\n```bash\ntrue\n```\n")
    project.run("b.md", "c.md").assert_outcomes(passed=4)
    assert {name: stamp["steps"] for name, stamp in stamps(project).items()} == {"b.md": 2, "c.md": 2}


def test_code_that_changes_while_pages_run_stamps_none(project: Pages) -> None:
    project.write("changing.md", "```bash\necho 1 >> code/a.py\n```\n")
    project.run("changing.md").assert_outcomes(passed=1)
    assert stamps(project) == {}


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "stamps.json").write_text("[]")
    with pytest.raises(UserError, match="holds no stamps"):
        read_stamps(tmp_path / "stamps.json")
