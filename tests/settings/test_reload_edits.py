"""Which edits a reloading process sees, which it takes up, and what it keeps when one is broken."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runbooks.settings import Loaded, Reloader, signature
from runbooks.settings.signature import Stamp, signature_of
from tests.reload.edits import EDITS, Edit
from tests.reload.installation import NEW, OLD, TARGET, Installation, wait_for_problem, wait_for_url
from tests.support.waiting import wait_until

LAST = "http://localhost:8190"


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("file", ["base", "target", "override"])
def test_an_edit_is_in_force_however_it_is_made(installation: Installation, edit: Edit, file: str) -> None:
    path: Path = getattr(installation, file)
    if file == "base":
        installation.target.write_text("# nothing\n")

    def text(url: str) -> str:
        return json.dumps({**base, "comfyui-url": url}) + "\n" if file == "base" else f"COMFYUI_URL={url}\n"

    base = json.loads(installation.base.read_text())
    path.write_text(text(OLD))
    reloader = installation.start()
    assert reloader.current().comfyui_url == OLD
    for url in (NEW, OLD, NEW):
        edit(path, text(url))
        wait_for_url(reloader, url)
        assert reloader.state.problem is None


def test_fifty_edits_in_every_way_end_with_the_last_one(installation: Installation) -> None:
    reloader = installation.start()
    for number in range(50):
        EDITS[number % len(EDITS)](installation.target, f"COMFYUI_URL=http://localhost:{1000 + number}\n")
        reloader.current()
    wait_for_url(reloader, "http://localhost:1049")
    assert reloader.state.problem is None


def test_an_edit_within_the_same_tick_as_the_start_is_seen(installation: Installation) -> None:
    # Same inode, same size, and most often the same tick of the file system's clock as the first reading.
    installation.target.write_text(f"COMFYUI_URL={OLD}\n")
    reloader = installation.start()
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    wait_for_url(reloader, NEW)


def test_an_edit_within_the_same_second_is_seen_where_the_clock_counts_seconds(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network and older file systems: two states of a file, and the same stamp."""
    exact = signature._stamp

    def in_seconds(path: Path) -> Stamp:
        stamp = exact(path)
        return (*(time // 10**9 * 10**9 for time in stamp[:2]), *stamp[2:]) if len(stamp) > 1 else stamp

    monkeypatch.setattr(signature, "_stamp", in_seconds)
    reloader = installation.start()

    def edit_twice_within_a_second() -> bool:
        installation.target.write_text(f"COMFYUI_URL={NEW}\n")
        before = signature_of([installation.target])
        for _ in range(20):
            reloader.current()
        installation.target.write_text(f"COMFYUI_URL={LAST}\n")
        return signature_of([installation.target]) == before

    wait_until(edit_twice_within_a_second, 10, "two edits within a second")
    wait_for_url(reloader, LAST)


def test_a_file_that_is_still_being_written_is_not_read(installation: Installation) -> None:
    reloader = installation.start(settle=60)
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    installation.base.write_text("half of")
    for _ in range(50):
        assert reloader.current().comfyui_url == OLD
    assert reloader.state.problem is None


class EditedWhileItReads(Reloader):
    """Its files change between their signature and their reading, once."""

    edit: Callable[[], object] | None = None

    def _read(self) -> Loaded:
        loaded = super()._read()
        if self.edit:
            self.edit()
            self.edit = None
        return loaded


def test_a_file_that_changes_while_it_is_read_is_read_again(installation: Installation) -> None:
    reloader = EditedWhileItReads(installation.root, TARGET, installation.environ, every=0.0, settle=0.02)
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    reloader.edit = lambda: installation.target.write_text(f"COMFYUI_URL={LAST}\n")
    seen = set()

    def last() -> bool:
        seen.add(reloader.current().comfyui_url)
        return reloader.edit is None and LAST in seen

    wait_until(last, 10, "the last edit to be in force")
    assert seen == {OLD, LAST}


def test_a_file_on_a_disk_whose_clock_is_ahead_is_in_force_all_the_same(installation: Installation) -> None:
    reloader = installation.start()
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    os.utime(installation.target, (time.time() + 3600, time.time() + 3600))
    wait_for_url(reloader, NEW)


def test_a_file_that_came_to_rest_long_ago_is_in_force_at_the_first_look(installation: Installation) -> None:
    """An idle worker: its next job is on the new value, not only the one after."""
    installation.override.unlink()  # a layer that was never there is no reason to wait
    reloader = installation.start(settle=0.05)
    probe = installation.start(settle=0.05)
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    wait_for_url(probe, NEW)  # so much time has passed
    assert reloader.current().comfyui_url == NEW


def test_a_change_of_the_folder_itself_is_seen(installation: Installation) -> None:
    """The whole ``env`` folder is a link, as with a checkout per release."""
    env = installation.root / "env"
    env.rename(installation.root / "env-1")
    env.symlink_to("env-1")
    reloader = installation.start()
    (installation.root / "env-2").mkdir()
    for name in (".env", ".env.shared", ".env.local-demo"):
        text = f"COMFYUI_URL={NEW}\n" if name == ".env.local-demo" else "# nothing\n"
        (installation.root / "env-2" / name).write_text(text)
    link = installation.root / "env.new"
    link.symlink_to("env-2")
    link.replace(env)
    wait_for_url(reloader, NEW)


def _delete(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    path.write_text("")


def _write(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text)

    return write


def _not_text(path: Path) -> None:
    path.write_bytes(b"COMFYUI_URL=\xff\xfe\n")


def _zeros(path: Path) -> None:
    path.write_bytes(b"\0" * 30)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "deleted": (_delete, "env/.env.local-demo is gone"),
    "truncated": (_truncate, "env/.env.local-demo is empty"),
    "no assignment": (_write("COMFYUI_URL\n"), ".env.local-demo:1 is …, expected KEY=value"),
    "no URL": (_write("COMFYUI_URL=localhost:8189\n"), "env/.env.local-demo:1: comfyui-url is …; expected a URL"),
    "no number": (_write("COMFYUI_TIMEOUT=soon\n"), "env/.env.local-demo:1: comfyui-timeout is …"),
    "not text": (_not_text, ".env.local-demo is not UTF-8"),
    "zeros after a power cut": (_zeros, ".env.local-demo holds zero bytes"),
    "a folder in its place": (_folder, ".env.local-demo cannot be read: is a directory"),
    "a link to nowhere": (_dangling, "env/.env.local-demo is gone"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_edit_keeps_the_last_good_settings_and_says_so_once(
    installation: Installation, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    breaks, expected = BROKEN[how]
    reloader = installation.start(patience=0.1)
    good = reloader.current()
    breaks(installation.target)
    assert expected in wait_for_problem(reloader)
    assert reloader.state.problem_since is not None
    for _ in range(5):
        assert reloader.current() is good
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "the last good settings are" in warnings[0]
    assert expected in warnings[0]


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_edit_that_is_mended_is_in_force(
    installation: Installation, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reloader = installation.start(patience=0.1)
    BROKEN[how][0](installation.target)
    wait_for_problem(reloader)
    if installation.target.is_dir():
        installation.target.rmdir()
    installation.target.unlink(missing_ok=True)
    installation.target.write_text(f"COMFYUI_URL={NEW}\n")
    wait_for_url(reloader, NEW)
    assert reloader.state.problem is None
    assert caplog.records[-1].getMessage() == "Settings changed: comfyui-url (env/.env.local-demo:1)"


def test_a_broken_edit_that_is_taken_back_is_said_to_be_mended(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reloader = installation.start()
    good = reloader.current()
    installation.base.write_text("{")
    assert "base.json:1:2 is not JSON" in wait_for_problem(reloader)
    installation.base.write_text(json.dumps({"comfyui-url": "http://localhost:1", "comfyui-output-dir": "output"}))
    wait_until(lambda: reloader.look().problem is None, 10, "the problem to go away")
    assert reloader.current() is good
    assert "The settings files are in order again." in caplog.messages


def test_a_half_written_value_is_never_in_force(installation: Installation) -> None:
    """``http://localhost:81`` is a valid URL: only the missing end of the line tells that it is half of one."""
    reloader = installation.start(settle=0.0)
    seen = set()
    with installation.target.open("w") as file:
        for piece in (NEW[:-2], NEW[-2:], "\n"):
            file.write(f"COMFYUI_URL={piece}" if piece == NEW[:-2] else piece)
            file.flush()
            seen |= {reloader.current().comfyui_url for _ in range(200)}
    wait_for_url(reloader, NEW)
    assert seen <= {OLD, NEW}


def test_a_line_without_an_end_is_in_force_when_nobody_goes_on_writing_it(installation: Installation) -> None:
    reloader = installation.start(patience=0.3)
    installation.target.write_text(f"COMFYUI_URL={NEW}")
    wait_for_url(reloader, NEW)
    # And where the last line never had an end, nothing is waited for.
    patient = installation.start(patience=60)
    installation.target.write_text(f"COMFYUI_URL={OLD}")
    wait_for_url(patient, OLD)


def test_a_file_that_comes_into_being_is_seen(installation: Installation) -> None:
    installation.override.unlink()
    reloader = installation.start()
    installation.override.write_text(f"COMFYUI_URL={NEW}\n")
    wait_for_url(reloader, NEW)


def test_a_line_that_is_taken_out_lets_the_lower_layer_win(installation: Installation) -> None:
    reloader = installation.start()
    installation.target.write_text("# nothing any more\n")
    wait_for_url(reloader, "http://localhost:1")
    assert str(reloader.state.loaded.origin("comfyui-url")) == "config/base.json:2"


def test_a_problem_shows_no_value(installation: Installation) -> None:
    reloader = installation.start()
    for line in (
        "API_TOKEN hunter2",
        "COMFYUI_URL=ftp://me:hunter2@host",
        "'it\\'s hunter2' \"hunter2",
        "DB PASS=hunter2",
    ):
        installation.target.write_text(f"{line}\n")
        wait_until(lambda: (reloader.look().problem or "").count("…"), 10, "the reloader to see the edit")
        assert "hunter2" not in (reloader.state.problem or "")
        installation.target.write_text(f"COMFYUI_URL={OLD}\n")
        wait_until(lambda: reloader.look().problem is None, 10, "the problem to go away")


def test_nothing_in_a_file_makes_a_job_fail(installation: Installation) -> None:
    reloader = installation.start()
    good = reloader.current()
    for text in ("[" * 100_000, '{"comfyui-url": ' + "1" * 5000 + "}", '{"comfyui-url": null}', "null"):
        installation.base.write_text(text)
        problem = reloader.state.problem
        wait_until(lambda: reloader.look().problem not in (None, problem), 10, "the reloader to see the edit")  # noqa: B023
        assert reloader.current() is good
