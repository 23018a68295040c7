"""This package alone in a fresh environment, and somebody else's Markdown: the page engine does what its page says.

Run it with `make elsewhere`, as CI does. `make test` does not collect it: it installs from where pip does (20 s).
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from tests.elsewhere.repository import write_repository
from tests.kernie.test_install import NOT_WANTED

ROOT = Path(__file__).parents[2]
FOREIGN = ("celery", "kombu", "redis", "aiohttp", "PIL", "runbooks.kernie", "runbooks.lab", "runbooks.genonaut")
"""What the page engine has no business with: what else is in this package, and what only that needs."""
WATCH = f"""
    import os, sys

    class Watch:
        def find_spec(self, name, path=None, target=None):
            for one in {FOREIGN}:
                if name == one or name.startswith(one + "."):
                    with open(os.environ["ASKED_FOR"], "a") as file:
                        file.write(name + chr(10))

    if "ASKED_FOR" in os.environ:
        sys.meta_path.insert(0, Watch())
    """
"""Notes each import of ``FOREIGN`` in that environment, whether or not it is there, in every process."""


@dataclass(frozen=True)
class Elsewhere:
    """A fresh environment, and a repository in which its commands are run.

    Attributes:
        bin: the environment's commands.
        here: the repository.
        asked_for: the file that lists which of ``FOREIGN`` were imported.
    """

    bin: Path
    here: Path
    asked_for: Path

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment as a user who has nothing but it and Debian's own commands."""
        environ = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.here.parent), "LANG": "C.UTF-8"}
        return subprocess.run(
            [self.bin / command, *arguments],
            cwd=self.here,
            env=environ | {"ASKED_FOR": str(self.asked_for)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def imported(self) -> set[str]:
        """Which of ``FOREIGN`` were asked for."""
        return set(self.asked_for.read_text().split()) if self.asked_for.exists() else set()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """The folder of a fresh environment with this package and pytest, and what was in it before pytest."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check"]

    def install(*what: str) -> None:
        ended = subprocess.run([*pip, "install", *what], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr

    install(str(ROOT))
    listed = subprocess.run([*pip, "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout
    install("pytest")
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "watch_imports.py").write_text(dedent(WATCH))
    (packages / "watch_imports.pth").write_text("import watch_imports\n")
    return folder, {line.partition("==")[0].lower() for line in listed.splitlines()}


@pytest.fixture
def elsewhere(environment: tuple[Path, set[str]], tmp_path: Path) -> Elsewhere:
    """Somebody else's repository, whose code is installed as with ``pip install -e .``."""
    here = tmp_path / "tides"
    write_repository(here)
    (packages,) = environment[0].glob("lib/python*/site-packages")
    (packages / "tides.pth").write_text(f"{here}\n")
    return Elsewhere(environment[0] / "bin", here, tmp_path / "asked-for")


def test_no_docs_tool_no_celery_and_no_mock_comes_along(environment: tuple[Path, set[str]]) -> None:
    installed = environment[1]
    assert "genonaut-runbooks" in installed
    assert not installed & (NOT_WANTED | {"aiohttp", "pillow", "jinja2", "pytest-markdown-docs"})


def test_pytest_runs_every_page_with_its_includes_its_server_and_its_line_ends(elsewhere: Elsewhere) -> None:
    run = elsewhere.run("pytest", "--markdown-docs", "-v", "README.md", "docs")
    assert run.returncode == 0, run.stdout + run.stderr
    for step in ("README.md::use-it[bash-3]", "docs/library.md::as-a-library[console]", "docs/server.md::on-a-server"):
        assert step in run.stdout
    assert run.stdout.count("docs/windows.md::") == 2
    assert "16 blocks: 10 executed, 4 outputs, 2 exempt" in run.stdout
    assert not (elsewhere.here / "today.txt").exists(), "its roll-back was executed, too"


def test_pytest_is_red_at_the_line_that_is_wrong_and_at_a_block_that_nobody_accounts_for(elsewhere: Elsewhere) -> None:
    run = elsewhere.run("pytest", "--markdown-docs", "drafts")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "drafts/stale.md:8: 'high water 06:55 4.6 m' was expected, 'high water 07:10 4.8 m' was seen" in run.stdout
    assert "drafts/untouched.md:3" in run.stdout
    assert "1 unaccounted" in run.stdout


def test_check_names_what_is_to_be_mended_and_where(elsewhere: Elsewhere) -> None:
    good = elsewhere.run("runbooks", "check", "README.md", "docs")
    assert (good.returncode, good.stdout, good.stderr) == (0, "4 pages: nothing to mend.\n", "")
    bad = elsewhere.run("runbooks", "check", "drafts")
    assert bad.returncode == 1
    assert "drafts/untouched.md:3:1: this yaml block is not executed, no output and not exempt" in bad.stdout
    assert "drafts/untouched.md:7:20: the link 'gone.md' leads nowhere: there is no such file" in bad.stdout
    assert bad.stderr == "2 pages: 2 findings.\n"


def test_run_asks_before_it_changes_something_and_with_yes_does_it_and_keeps_a_record(elsewhere: Elsewhere) -> None:
    refused = elsewhere.run("runbooks", "run", "README.md")
    assert refused.returncode == 2
    assert "Say yes to all with --yes, or only look with --only-checks." in refused.stderr
    assert not (elsewhere.here / "today.txt").exists()
    run = elsewhere.run("runbooks", "run", "README.md", "--yes")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Target: live" in run.stdout
    assert "TIDES_TABLE=tables/harbour.csv  (the page's default)" in run.stdout
    assert "Passed: 2 passed, in " in run.stdout
    assert (elsewhere.here / "today.txt").read_text() == "high water 07:10 4.8 m\n"
    assert "-README-" in elsewhere.run("runbooks", "history", "--last", "1").stdout


def test_a_run_that_fails_says_what_the_page_says_for_that_case(elsewhere: Elsewhere) -> None:
    run = elsewhere.run("runbooks", "run", "drafts/stale.md")
    assert run.returncode == 1, run.stderr
    assert "If it differs: the harbour was measured again." in run.stdout


def test_update_writes_what_was_seen_and_keeps_what_varies(elsewhere: Elsewhere) -> None:
    page = elsewhere.here / "drafts" / "stale.md"
    before = page.read_text()
    run = elsewhere.run("runbooks", "update", "drafts/stale.md", "--yes")
    assert run.returncode == 0, run.stdout + run.stderr
    assert page.read_text() == before.replace("06:55 4.6", "07:10 4.8")


def test_update_keeps_the_line_ends_of_windows(elsewhere: Elsewhere) -> None:
    page = elsewhere.here / "docs" / "windows.md"
    before = page.read_bytes()
    page.write_bytes(before.replace(b"4 heights", b"5 heights"))
    run = elsewhere.run("runbooks", "update", "docs/windows.md", "--yes")
    assert run.returncode == 0, run.stdout + run.stderr
    assert page.read_bytes() == before


@pytest.mark.parametrize(
    "command",
    [
        # pytest itself loads the fixture that this package offers for the mock: without that, the rest is the pages'.
        ("pytest", "-p", "no:runbooks_kernie", "--markdown-docs", "README.md", "docs"),
        ("runbooks", "check", "README.md", "docs"),
        ("runbooks", "run", "README.md", "--yes"),
        ("runbooks", "update", "docs/windows.md"),
        ("runbooks", "history"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_no_command_imports_celery_the_mock_or_the_lab(elsewhere: Elsewhere, command: tuple[str, ...]) -> None:
    run = elsewhere.run(*command)
    assert run.returncode == 0, run.stdout + run.stderr
    assert elsewhere.imported() == set()


def test_no_module_of_the_room_imports_them_and_the_watch_would_see_it(elsewhere: Elsewhere) -> None:
    every = (
        "import pkgutil, importlib, runbooks.pages as room\n"
        "names = [one.name for one in pkgutil.walk_packages(room.__path__, 'runbooks.pages.')]\n"
        "names.remove('runbooks.pages.pytest_xdist')\n"
        "print(*[importlib.import_module(name).__name__ for name in names])"
    )
    run = elsewhere.run("python", "-c", every)
    assert run.returncode == 0, run.stderr
    assert "runbooks.pages.pytest_collect" in run.stdout
    assert elsewhere.imported() == set()
    assert elsewhere.run("python", "-c", "import runbooks.kernie.options").returncode == 0
    assert elsewhere.run("python", "-c", "import celery").returncode == 1
    assert elsewhere.imported() == {"runbooks.kernie", "runbooks.kernie.options", "celery"}
