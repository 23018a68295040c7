"""What a page is run against: a lab, or whatever its variables name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from runbooks.errors import UserError
from runbooks.pages.variables import page_variables, shown_as_documented

if TYPE_CHECKING:
    from runbooks.lab import Lab
    from runbooks.pages import Page
    from runbooks.redaction import Redactor


@dataclass(frozen=True)
class PageTarget:
    """What a page's steps talk to.

    Attributes:
        name: a sentence's worth: "the lab in .lab", "a lab of its own".
        environ: the environment on top of which the steps run.
        shown: texts of this target, and what pages show in their place.
        is_temporary: it was made for this run: nothing is at stake, and the roll-back steps are run, too.
    """

    name: str
    environ: Mapping[str, str]
    shown: Mapping[str, str]
    is_temporary: bool = False


@contextmanager
def open_target(
    kind: str, page: Page, *, root: Path, fresh: bool, env_file: Path | None, needs_lab: bool = True
) -> Iterator[PageTarget]:
    """Make what a page is run against, and take away afterwards what was made.

    Args:
        kind: ``lab`` or ``live``.
        page: the page.
        root: the folder of the lab that may be up.
        fresh: a lab of its own also when one is up.
        env_file: variables on top of the environment.
        needs_lab: False when nothing is going to be executed, so that no lab is started for it.

    Raises:
        UserError: there is no such kind, the file cannot be read, or the lab does not start.
    """
    environ = {**os.environ, **_read(env_file)}
    if kind == "live":
        yield PageTarget("live", environ, shown_as_documented(page_variables(page, environ)))
    elif kind == "lab":
        with _lab(page, root, fresh=fresh, needed=needs_lab) as target:
            yield PageTarget(target.name, {**environ, **target.environ}, target.shown, target.is_temporary)
    else:
        raise UserError(f"There is no target '{kind}'.", "Use --target lab or --target live.")


@contextmanager
def _lab(page: Page, root: Path, *, fresh: bool, needed: bool) -> Iterator[PageTarget]:
    from runbooks.lab import Lab
    from runbooks.lab.state import read_state
    from runbooks.lab.states import as_documented, lab_in_state

    def target(name: str, lab: Lab, *, is_temporary: bool) -> PageTarget:
        return PageTarget(name, lab.environment(), as_documented(lab.environment()), is_temporary)

    state = str(page.meta.get("stack") or "healthy")
    if not fresh and (root.is_dir() and read_state(root.resolve())):
        yield target(f"the lab in {root}", Lab.attach(root), is_temporary=False)
    elif not needed:
        yield PageTarget(f"a lab of its own ({state})", {}, {}, is_temporary=True)
    else:
        with lab_in_state(state) as lab:
            yield target(f"a lab of its own ({state})", lab, is_temporary=True)


def know_settings(redactor: Redactor, environ: Mapping[str, str]) -> None:
    """Let a redactor know the secrets in the files of the installation that ``GENONAUT_ROOT`` names."""
    from runbooks.settings.layers import settings_files

    root = Path(environ.get("GENONAUT_ROOT") or ".lab")
    for path in settings_files(root, environ.get("ENV_TARGET") or "local-demo"):
        # A file that cannot be read has no value that a step could print.
        with suppress(OSError, ValueError):
            redactor.know(json.loads(path.read_text("utf-8")) if path.suffix == ".json" else dotenv_values(path))


def _read(env_file: Path | None) -> dict[str, str]:
    if env_file is None:
        return {}
    if not env_file.is_file():
        raise UserError(f"There is no file {env_file}.", "Give --env-file a file of NAME=value lines.")
    try:
        return {name: value for name, value in dotenv_values(env_file).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{env_file} cannot be read: {error}.", "Give --env-file a file of NAME=value lines."
        ) from error
