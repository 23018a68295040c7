"""A page is a proof only if breaking any one of its steps turns it red, at that step's line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from runbooks.pages import Session, parse_page, terminal_environment
from runbooks.pages.expected import compare
from runbooks.pages.model import Block, Page
from tests.support.stacks import stack

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


@contextmanager
def session_of(page: Page) -> Iterator[Session]:
    with stack(str(page.meta["stack"])) as environment:
        variables = {name: value for name, value in environment.variables.items() if value is not None}
        environ = terminal_environment() | variables
        with Session(page, environ=environ, cwd=ROOT, shown=environment.shown) as session:
            yield session


def broken(step: Block) -> Block:
    """The step with a mistake in its first line, before anything that it changes."""
    mistake = "a_mistake_in_this_line" if step.runner == "python" else "a-mistake-in-this-line"
    return replace(step, code=f"{mistake}\n{step.code}", lines=(step.lines[0], *step.lines))


def wrong_outputs(step: Block) -> Iterator[tuple[int, str]]:
    """The expected output with one line of it changed, for every line that is not a mere wildcard."""
    assert step.expected is not None
    lines = step.expected.text.splitlines()
    for index, line in enumerate(lines):
        if line.strip() not in ("", "..."):
            yield index, "\n".join([*lines[:index], f"{line} and more", *lines[index + 1 :]])


@pytest.mark.e2e
@each_page
def test_breaking_any_one_step_of_a_page_turns_it_red_at_that_line(path: Path) -> None:
    page = read(path)
    with session_of(page) as session:
        for step in page.steps:
            failed = session.run(broken(step))
            assert not failed.passed, f"{path.name}:{step.line} passed with a mistake in it"
            assert failed.line == step.lines[0]
            assert "mistake" in f"{failed.error}{failed.output}"

            result = session.run(step)
            result.check()
            if step.expected is not None:
                seen = session.as_shown(result.output)
                mutants = list(wrong_outputs(step))
                assert mutants, f"{path.name}:{step.expected.line} expects nothing in particular"
                for index, text in mutants:
                    mismatch = compare(text, seen)
                    assert mismatch is not None, f"{path.name}:{step.expected.line + index} is not compared"


@pytest.mark.e2e
def test_pytest_reports_a_broken_step_at_its_line_and_fails(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "runbooks" / "verify-a-generation.md").read_text(encoding="utf-8")
    page = tmp_path / "broken.md"
    page.write_text(text.replace("    completed\n    None\n", "    failed\n    None\n"), encoding="utf-8")
    line = page.read_text(encoding="utf-8").splitlines().index("    failed") + 1
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
    assert re.search(rf"broken\.md:{line}: 'failed' was expected, 'completed' was seen", run.stdout), run.stdout
