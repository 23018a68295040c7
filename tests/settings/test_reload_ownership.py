"""A value that a Makefile exported from a file follows the file; one that a shell exported shadows it, and is named."""

from __future__ import annotations

import logging

import pytest

from runbooks.settings import Reloader
from runbooks.settings.ownership import OWNED
from tests.reload.installation import NEW, OLD, TARGET, Installation, wait_for_url
from tests.support.waiting import wait_until

SHELL = "http://localhost:5555"


def wait_for_shadow(reloader: Reloader) -> list[str]:
    wait_until(lambda: reloader.look().shadowed, 10, "an edit to be seen as shadowed")
    return [str(edit) for edit in reloader.state.shadowed]


def test_a_value_that_the_makefile_exported_from_the_file_follows_the_file(installation: Installation) -> None:
    installation.environ |= {"COMFYUI_URL": OLD, "HOME": "/home/somebody"}
    reloader = installation.start()
    assert str(reloader.state.loaded.origin("comfyui-url")) == "env/.env.local-demo:1"
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    wait_for_url(reloader, NEW)
    assert not reloader.state.shadowed
    installation.target.write_text("# nothing any more\n")
    wait_for_url(reloader, "http://localhost:1")
    assert "COMFYUI_URL" not in installation.environ
    assert installation.environ["HOME"] == "/home/somebody"


def test_a_value_exported_from_the_shared_file_follows_it_and_gives_way_to_the_target_file(
    installation: Installation,
) -> None:
    installation.target.write_text("# nothing\n")
    installation.shared.write_text(f"COMFYUI_URL={OLD}\n")
    installation.environ["COMFYUI_URL"] = OLD
    reloader = installation.start()
    installation.shared.write_text(f"COMFYUI_URL={NEW}\n")
    wait_for_url(reloader, NEW)
    installation.target.write_text("COMFYUI_URL=http://localhost:4\n")
    wait_for_url(reloader, "http://localhost:4")


def test_an_edit_shadowed_by_an_exported_variable_is_named_once_and_not_obeyed(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    installation.environ["COMFYUI_URL"] = SHELL
    reloader = installation.start()
    assert reloader.current().comfyui_url == SHELL
    assert reloader.state.shadowed == (), "nothing was edited yet"
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    assert wait_for_shadow(reloader) == ["COMFYUI_URL (env/.env.local-demo:1)"]
    assert reloader.current().comfyui_url == SHELL
    installation.target.write_text(f"# One line further down.\nCOMFYUI_URL={NEW}\nCOMFYUI_TIMEOUT=7\n")
    wait_until(lambda: reloader.current().comfyui_timeout == 7, 10, "the other edit to be in force")
    assert reloader.current().comfyui_url == SHELL
    assert installation.environ["COMFYUI_URL"] == SHELL
    named = [message for message in caplog.messages if "shadowed" in message]
    assert named == [
        "env/.env.local-demo:1: the edit is shadowed by the exported COMFYUI_URL, which this process keeps."
    ]


def test_an_edit_of_a_json_file_can_be_shadowed_as_well(installation: Installation) -> None:
    installation.target.write_text("# nothing\n")
    installation.environ["COMFYUI_TIMEOUT"] = "5"
    reloader = installation.start()
    installation.base.write_text(
        installation.base.read_text().replace('"comfyui-timeout": 30', '"comfyui-timeout": 60')
    )
    assert wait_for_shadow(reloader) == ["COMFYUI_TIMEOUT (config/base.json:4)"]
    assert reloader.current().comfyui_timeout == 5


def test_a_file_that_comes_to_say_what_was_exported_is_not_shadowed(installation: Installation) -> None:
    installation.environ["COMFYUI_URL"] = SHELL
    reloader = installation.start()
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    wait_for_shadow(reloader)
    installation.target.write_text(f"COMFYUI_URL={SHELL}\n")
    wait_until(lambda: not reloader.look().shadowed, 10, "the shadow to go away")


def test_env_dotenv_wins_over_what_was_exported_and_gives_it_back(installation: Installation) -> None:
    installation.environ["COMFYUI_URL"] = SHELL
    reloader = installation.start()
    installation.override.write_text(f"COMFYUI_URL={NEW}\n")
    wait_for_url(reloader, NEW)
    assert installation.environ["COMFYUI_URL"] == NEW
    assert not reloader.state.shadowed
    installation.override.write_text("# nothing any more\n")
    wait_for_url(reloader, SHELL)
    assert installation.environ["COMFYUI_URL"] == SHELL


def test_a_worker_that_sighup_made_anew_still_follows_its_files(installation: Installation) -> None:
    """It begins again with the environment that the first one had, its own ``load_dotenv`` included."""
    installation.environ |= {"COMFYUI_URL": OLD, "PATH": "/bin"}
    installation.override.write_text("COMFYUI_TIMEOUT=3\n")
    installation.start()
    # Edited while nobody looked: the main process of a worker runs no jobs.
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    installation.override.write_text("# nothing any more\n")
    again = installation.start()
    assert again.current().comfyui_url == NEW
    assert again.current().comfyui_timeout == 30
    assert not again.state.shadowed
    assert installation.environ["PATH"] == "/bin"


def test_a_new_export_over_a_remembered_one_is_somebody_elses(installation: Installation) -> None:
    installation.environ["COMFYUI_URL"] = OLD
    installation.start()
    installation.environ["COMFYUI_URL"] = SHELL
    assert installation.start().current().comfyui_url == SHELL


@pytest.mark.parametrize("damaged", ["", "[]", "{", "1", '{"COMFYUI_URL": 1}'])
def test_a_damaged_memory_of_what_the_files_own_does_no_harm(installation: Installation, damaged: str) -> None:
    installation.environ |= {OWNED: damaged, "COMFYUI_URL": SHELL}
    assert installation.start().current().comfyui_url == SHELL


def test_variables_that_are_no_settings_follow_the_env_files_too(installation: Installation) -> None:
    """A library that reads HF_TOKEN from the environment gets what a process started now would get."""
    installation.environ |= {"HF_TOKEN": "exported", "PATH": "/bin"}
    installation.override.write_text("HF_HOME=/one\nGONE=1\n")
    reloader = installation.start()
    assert installation.environ["HF_HOME"] == "/one"
    installation.override.write_text("HF_HOME=/two\nHF_TOKEN=file\nCOMFYUI_TIMEOUT=7\n")
    wait_until(lambda: reloader.current().comfyui_timeout == 7, 10, "the edit to be in force")
    environ = {name: text for name, text in installation.environ.items() if name != OWNED}
    assert environ == {
        "COMFYUI_URL": OLD,
        "COMFYUI_TIMEOUT": "7",
        "HF_HOME": "/two",
        "HF_TOKEN": "file",
        "PATH": "/bin",
    }


def test_what_the_application_has_set_itself_is_left_alone(installation: Installation) -> None:
    installation.override.write_text("HF_HOME=/one\n")
    reloader = installation.start()
    installation.environ["HF_HOME"] = "/set/by/the/application"
    installation.override.write_text("HF_HOME=/two\nCOMFYUI_TIMEOUT=7\n")
    wait_until(lambda: reloader.current().comfyui_timeout == 7, 10, "the edit to be in force")
    assert installation.environ["HF_HOME"] == "/set/by/the/application"


def test_a_value_that_a_shell_has_expanded_is_kept_and_named(installation: Installation) -> None:
    """What the file will mean to a shell cannot be known, so it is treated as exported, and never quietly."""
    installation.target.write_text("COMFYUI_OUTPUT_DIR=~/one\n")
    installation.environ["COMFYUI_OUTPUT_DIR"] = "/home/somebody/one"
    reloader = installation.start()
    installation.target.write_text("COMFYUI_OUTPUT_DIR=~/two\n")
    assert wait_for_shadow(reloader) == ["COMFYUI_OUTPUT_DIR (env/.env.local-demo:1)"]
    assert reloader.current().comfyui_output_dir == "/home/somebody/one"


def test_the_path_is_not_taken_away_with_its_line(installation: Installation) -> None:
    installation.shared.write_text("PATH=/bin\n")
    installation.environ["PATH"] = "/bin"
    reloader = installation.start()
    installation.shared.write_text("COMFYUI_TIMEOUT=7\n")
    wait_until(lambda: reloader.current().comfyui_timeout == 7, 10, "the edit to be in force")
    assert installation.environ["PATH"] == "/bin"


class AsciiOnly(dict[str, str]):
    """An environment under a locale that cannot spell everything."""

    def __setitem__(self, name: str, text: str) -> None:
        text.encode("ascii")
        super().__setitem__(name, text)


def test_a_value_that_the_environment_cannot_hold_is_refused(installation: Installation) -> None:
    installation.environ = AsciiOnly()
    for name in "ABCDEFGHIJ":
        installation.override.write_text(installation.override.read_text() + f"{name}=1\n")
    reloader = installation.start()
    good = reloader.current()
    installation.override.write_text(installation.override.read_text().replace("=1", "=2"))
    installation.target.write_text("COMFYUI_OUTPUT_DIR=/srv/Bildausgabe/grün\n")
    wait_until(lambda: reloader.look().problem, 10, "the reloader to see a problem")
    assert "cannot stand in the environment" in (reloader.state.problem or "")
    assert reloader.current() is good
    installation.override.write_text(installation.override.read_text().replace("=2", "=3"))
    installation.target.write_text("COMFYUI_OUTPUT_DIR=/srv/green\n")
    wait_until(lambda: reloader.current().comfyui_output_dir == "/srv/green", 10, "the mended edit to be in force")
    # Some of the refused edit was in place before it was found out.
    assert {installation.environ[name] for name in "ABCDEFGHIJ"} == {"3"}


def test_a_value_that_uses_itself_does_not_grow_with_every_reload(installation: Installation) -> None:
    installation.environ["PYTHONPATH"] = "/lib"
    installation.override.write_text("PYTHONPATH=/app:${PYTHONPATH}\n")
    reloader = installation.start()
    for timeout in (7, 8, 9):
        installation.override.write_text(f"PYTHONPATH=/app:${{PYTHONPATH}}\nCOMFYUI_TIMEOUT={timeout}\n")
        wait_until(lambda: reloader.current().comfyui_timeout == timeout, 10, "the edit to be in force")  # noqa: B023
        assert installation.environ["PYTHONPATH"] == "/app:/lib"


def test_a_value_may_use_what_a_lower_file_sets(installation: Installation) -> None:
    installation.shared.write_text("OUTPUT=/srv\n")
    installation.target.write_text("COMFYUI_OUTPUT_DIR=${OUTPUT}/comfyui\n")
    reloader = installation.start()
    assert reloader.current().comfyui_output_dir == "/srv/comfyui"
    installation.shared.write_text("OUTPUT=/data\n")
    wait_until(lambda: reloader.current().comfyui_output_dir == "/data/comfyui", 10, "the value to follow what it uses")


def test_the_marker_holds_no_value(installation: Installation, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    installation.override.write_text("API_TOKEN=hunter2\n")
    installation.start()
    assert "API_TOKEN" in installation.environ[OWNED]
    assert "hunter2" not in installation.environ[OWNED]
    assert TARGET not in caplog.text
