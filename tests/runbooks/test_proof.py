"""A page is a proof only if breaking any one of its steps turns it red, at that step's line.

Each step is broken where it runs, in `pytest --markdown-docs` (conftest.py); here stands that this is noticed.
"""

from __future__ import annotations

import codeop
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pluggy
import pytest

import conftest
from runbooks.lab.troubles import TROUBLES
from runbooks.pages import Page, Result, Session, hookspecs, parse_page
from runbooks.pages.pytest_collect import PageCollection

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(path for path in (ROOT / "docs" / "runbooks").glob("*.md") if path.name != "index.md")
SECTIONS = [
    "Symptom",
    "Impact",
    "Before you start",
    "Confirm that this is it",
    "Steps",
    "Verify with a new job",
    "Roll back",
    "If it was not this",
]

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def read(path: Path) -> Page:
    return parse_page(path, root=ROOT)


@each_page
def test_a_runbook_has_the_canonical_sections_in_their_order(path: Path) -> None:
    page = read(path)
    assert [section.title for section in page.sections if section.level == 2] == SECTIONS
    assert {"title", "description", "symptom", "services", "changes", "stack"} <= set(page.meta)
    assert page.title == page.meta["title"]


@each_page
def test_a_page_says_how_to_start_the_stack_with_its_trouble(path: Path) -> None:
    page = read(path)
    state = str(page.meta["stack"])
    assert (f"`.venv/bin/runbooks up --state {state}`" in page.text) == (state in TROUBLES)


@each_page
def test_a_runbook_begins_with_the_one_command_for_a_reader_in_a_hurry(path: Path) -> None:
    head, _, _ = path.read_text(encoding="utf-8").partition("\n## Symptom")
    assert re.search(r"^\*\*In a hurry:\*\* .", head, re.MULTILINE)


@each_page
def test_a_python_step_can_be_pasted_into_pythons_own_prompt(path: Path) -> None:
    """The prompt ends a loop at an empty line, and at nothing else."""
    for step in read(path).steps:
        if step.language == "python":
            prompt, typed = codeop.CommandCompiler(), ""
            for line in (*step.code.splitlines(), ""):
                typed += f"{line}\n" if line or typed else ""
                try:
                    whole = prompt(typed.removesuffix("\n"), symbol="single")
                except SyntaxError as error:
                    pytest.fail(f"{path.name}:{step.line}: {error.msg} at {line!r}: an empty line belongs before it")
                typed = "" if whole else typed
            assert not typed, f"{path.name}:{step.line} leaves the prompt waiting"


@each_page
def test_a_page_that_changes_the_configuration_rolls_it_back(path: Path) -> None:
    page = read(path)
    edits = [step for step in page.steps if step.changes and re.search(r"sed -i|set_key\(", step.code)]
    assert not edits or any(step.rollback for step in page.steps)


@each_page
def test_a_step_that_restarts_edits_or_creates_says_that_it_changes_something(path: Path) -> None:
    touching = re.compile(r"-X POST|httpx\.post|create_job|sed -i|set_key\(|kill -TERM|rm -|restart_worker\(|--yes")
    silent = [
        f"{path.name}:{step.line}"
        for step in read(path).steps
        if touching.search(step.code) and not (step.changes or step.rollback)
    ]
    assert not silent


def proven(text: str, *, is_runbook: bool = True) -> list[Result]:
    """Run a page as pytest runs it with this project's conftest."""
    page = parse_page(dedent(text).lstrip("\n"), name="page.md")
    if is_runbook:
        page = replace(page, path=PAGES[0])
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(hookspecs)
    manager.register(PageCollection.__new__(PageCollection))
    manager.register(conftest)
    with Session(page) as session:
        return [manager.hook.pytest_runbooks_run_step(session=session, block=step) for step in page.steps]


def test_a_step_that_goes_on_after_a_mistake_turns_its_page_red() -> None:
    text = """
        ```{.bash data-fails="127"}
        no-such-command
        ```
        """
    (result,) = proven(text)
    assert not result.passed
    assert str(result.error).startswith("page.md:1: this step passes with a mistake in its first line")
    (result,) = proven(text, is_runbook=False)
    assert result.passed


def test_an_expected_output_that_accepts_anything_turns_its_page_red() -> None:
    (result,) = proven("""
        ```bash
        echo said
        ```

        ```output
        ...
        ```
        """)
    assert str(result.error).startswith("page.md:6: this output expects nothing in particular")


def test_a_line_that_is_not_compared_turns_its_page_red() -> None:
    (result,) = proven("""
        ```bash
        echo said
        ```

        ```{.output data-match="regex"}
        said|anything
        ```
        """)
    assert str(result.error).startswith("page.md:6: this line of the output is not compared")


def test_steps_that_prove_something_run_once_and_pass(tmp_path: Path) -> None:
    (shell, python) = proven(f"""
        ```bash
        echo once >> {tmp_path}/ran
        cat {tmp_path}/ran
        ```

        ```output
        once
        ```

        ```python
        from pathlib import Path
        ran = Path("{tmp_path}/ran")
        ran.write_text(ran.read_text() + "again")
        print(ran.read_text())
        ```

        ```output
        once
        again
        ```
        """)
    assert (shell.error, python.error) == (None, None)


def test_pytest_reports_a_broken_step_at_its_line_and_fails(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "pitfalls" / "lru-cache.md").read_text(encoding="utf-8")
    page = tmp_path / "broken.md"
    page.write_text(text.replace("\nafter cache_clear(): http", "\nafter cache_clear(): ftp"), encoding="utf-8")
    line = page.read_text(encoding="utf-8").splitlines().index("after cache_clear(): ftp://localhost:8189") + 1
    options = [
        "--markdown-docs",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-p",
        "conftest",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(ROOT), str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(rf"broken\.md:{line}: 'after cache_clear\(\): ftp:\S+ was expected", run.stdout), run.stdout
