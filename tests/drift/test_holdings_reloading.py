"""What is known from outside of a process whose settings follow their files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runbooks.drift import Agreement, Certainty, Holding, compare
from runbooks.settings import read_layers
from tests.reload.installation import NEW, OLD, TARGET, Installation, make_installation

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture
def edited(tmp_path: Path) -> Installation:
    """Files of which every one was edited after the process had started."""
    installation = make_installation(tmp_path / "installation", {"COMFYUI_URL": OLD, "CONFIG_RELOAD": "on-change"})
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    installation.shared.write_text("REDIS_URL=redis://elsewhere\n")
    return installation


def holding(installation: Installation, variable: str, started: datetime = LONG_AGO) -> Holding:
    layers = read_layers(installation.root, TARGET, {})
    (found,) = [each for each in compare(installation.environ, started, layers) if each.variable == variable]
    return found


def test_an_old_value_in_the_environment_of_a_process_that_follows_its_files_is_not_stale(edited: Installation) -> None:
    found = holding(edited, "COMFYUI_URL")
    assert (found.holds, found.agreement, found.certainty) == (NEW, Agreement.SAME, Certainty.LIKELY)
    assert found.why == "it follows its files (CONFIG_RELOAD)"


def test_without_the_switch_it_is(edited: Installation) -> None:
    del edited.environ["CONFIG_RELOAD"]
    assert holding(edited, "COMFYUI_URL").agreement is Agreement.DIFFERS


def test_what_needs_a_restart_is_judged_as_ever(edited: Installation) -> None:
    edited.environ["REDIS_URL"] = "redis://localhost:6379/0"
    assert holding(edited, "REDIS_URL").agreement is Agreement.DIFFERS


def test_the_switch_in_a_file_counts_when_the_file_is_older_than_the_process(edited: Installation) -> None:
    del edited.environ["CONFIG_RELOAD"]
    edited.override.write_text("CONFIG_RELOAD=on-change\n")
    assert holding(edited, "COMFYUI_URL").agreement is Agreement.DIFFERS, "written after the start"
    later = datetime.now(UTC) + timedelta(seconds=1)
    assert holding(edited, "COMFYUI_URL", later).agreement is Agreement.SAME
    edited.override.write_text("CONFIG_RELOAD=\n")
    edited.environ["CONFIG_RELOAD"] = "on-change"
    assert holding(edited, "COMFYUI_URL", later).agreement is Agreement.DIFFERS, "env/.env wins over the environment"
