from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runbooks.drift import Agreement, Certainty, Holding, changed_files, compare, words_of_files
from runbooks.settings import Layers, read_layers

FILES = {
    "config/base.json": '{"comfyui-url": "http://base", "comfyui-timeout": 30, "debug": true}',
    "config/local-demo.json": '{"comfyui-timeout": 60}',
    "env/.env.shared": "REDIS_URL=redis://shared\nNOT_IN_JSON=shared\n",
    "env/.env.local-demo": "COMFYUI_URL=http://localhost:8189\n",
    "env/.env": "LAST=word\n",
}
LONG_AGO = 1_000_000_000.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def now_and_later() -> datetime:
    """A process that starts after everything that was written until now."""
    return datetime.now(UTC) + timedelta(milliseconds=50)


def holding(root: Path, variable: str, environ: dict[str, str], started: datetime) -> Holding:
    (found,) = [
        each for each in compare(environ, started, read_layers(root, "local-demo", {})) if each.variable == variable
    ]
    return found


def test_the_file_that_wins_is_named_for_every_variable(root: Path) -> None:
    words = words_of_files(read_layers(root, "local-demo", {}))
    assert {name: (word.value, str(word.origin)) for name, word in words.items()} == {
        "COMFYUI_URL": ("http://localhost:8189", "env/.env.local-demo:1"),
        "COMFYUI_TIMEOUT": (60, "config/local-demo.json:1"),
        "DEBUG": (True, "config/base.json:1"),
        "REDIS_URL": ("redis://shared", "env/.env.shared:1"),
        "NOT_IN_JSON": ("shared", "env/.env.shared:2"),
        "LAST": ("word", "env/.env:1"),
    }


def test_the_environment_that_layers_were_read_with_has_no_say(root: Path) -> None:
    layers = read_layers(root, "local-demo", {"COMFYUI_URL": "http://exported"})
    assert words_of_files(layers)["COMFYUI_URL"].value == "http://localhost:8189"


def test_an_old_value_in_the_environment_is_certain(root: Path) -> None:
    found = holding(root, "COMFYUI_URL", {"COMFYUI_URL": "http://localhost:8000"}, now_and_later())
    assert (found.agreement, found.certainty) == (Agreement.DIFFERS, Certainty.CERTAIN)
    assert (found.holds, found.says) == ("http://localhost:8000", "http://localhost:8189")


def test_the_same_value_is_certain_too(root: Path) -> None:
    found = holding(root, "COMFYUI_TIMEOUT", {"COMFYUI_TIMEOUT": "60"}, now_and_later())
    assert (found.agreement, found.certainty) == (Agreement.SAME, Certainty.CERTAIN)


def test_a_value_from_a_file_is_known_while_no_file_has_changed(root: Path) -> None:
    found = holding(root, "COMFYUI_TIMEOUT", {}, now_and_later())
    assert (found.agreement, found.certainty, found.holds) == (Agreement.SAME, Certainty.CERTAIN, "60")


@pytest.mark.parametrize(
    ("variable", "file"),
    [("COMFYUI_TIMEOUT", "config/local-demo.json"), ("LAST", "env/.env"), ("DEBUG", "config/base.json")],
)
def test_a_process_older_than_the_file_is_likely_stale(root: Path, variable: str, file: str) -> None:
    started = now_and_later()
    late = (started + timedelta(seconds=5)).timestamp()
    os.utime(root / file, (late, late))
    found = holding(root, variable, {}, started)
    assert (found.agreement, found.certainty, found.holds) == (Agreement.UNKNOWN, Certainty.LIKELY, None)
    assert file in found.why


def test_a_change_of_another_file_leaves_it_open(root: Path) -> None:
    started = now_and_later()
    late = (started + timedelta(seconds=5)).timestamp()
    os.utime(root / "env/.env.shared", (late, late))
    found = holding(root, "COMFYUI_TIMEOUT", {}, started)
    assert (found.agreement, found.certainty) == (Agreement.UNKNOWN, Certainty.UNKNOWN)


def test_a_changed_env_file_cannot_have_set_what_a_sourcing_starter_did_not_export(root: Path) -> None:
    started = now_and_later()
    late = (started + timedelta(seconds=5)).timestamp()
    os.utime(root / "env/.env.shared", (late, late))
    found = holding(root, "COMFYUI_TIMEOUT", {"REDIS_URL": "redis://shared"}, started)
    assert (found.agreement, found.certainty, found.holds) == (Agreement.SAME, Certainty.LIKELY, "60")


def test_a_changed_last_file_makes_even_the_environment_only_likely(root: Path) -> None:
    """A line that has been deleted from env/.env may have won over the environment."""
    started = now_and_later()
    late = (started + timedelta(seconds=5)).timestamp()
    os.utime(root / "env/.env", (late, late))
    found = holding(root, "COMFYUI_URL", {"COMFYUI_URL": "http://localhost:8000"}, started)
    assert (found.agreement, found.certainty) == (Agreement.DIFFERS, Certainty.LIKELY)


def test_a_file_moved_into_place_with_an_old_date_counts_as_changed(root: Path) -> None:
    layers: Layers = read_layers(root, "local-demo", {})
    os.utime(root / "env" / ".env.shared", (LONG_AGO, LONG_AGO))
    before = datetime.fromtimestamp(LONG_AGO + 1, UTC)
    assert root / "env" / ".env.shared" in changed_files(layers, before)
    assert changed_files(layers, now_and_later()) == {}


def test_numbers_and_truth_are_compared_as_an_env_file_would_spell_them(root: Path) -> None:
    assert holding(root, "DEBUG", {"DEBUG": "true"}, now_and_later()).agreement is Agreement.SAME
    assert holding(root, "DEBUG", {"DEBUG": "false"}, now_and_later()).agreement is Agreement.DIFFERS
