"""What the status page finds, in the words and with the pages of the doctor's findings.

It knows what the processes say of themselves, and who answers at the ComfyUI URL. What only the operating system can
tell, such as an orphan or an exported variable, is left to ``runbooks doctor``.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from runbooks.drift import findings as kinds
from runbooks.drift.adapters import HIDDEN
from runbooks.drift.agreement import Drift
from runbooks.drift.comfy import Answerer, is_local
from runbooks.drift.findings import Finding, Kind
from runbooks.drift.health import View
from runbooks.drift.report import Report, Role
from runbooks.drift.showing import shown
from runbooks.drift.web.findings import Words, of_processes, of_services, ranked, sentence, told_by
from runbooks.genonaut.health import FilesWord
from runbooks.genonaut.web.comfy import Look

_OF_ANSWER = {
    Answerer.NOBODY: kinds.COMFYUI_DOWN,
    Answerer.SILENT: kinds.COMFYUI_SILENT,
    Answerer.OTHER: kinds.COMFYUI_OTHER,
    Answerer.INVALID: kinds.COMFYUI_URL_INVALID,
}


class Cures(Words):
    """The commands that cure, for the installation in this folder."""

    peers_tell = False

    def __init__(self, root: Path, env_target: str | None) -> None:
        super().__init__(needs_worker=True)
        self._root, self._target = root, env_target or "local-demo"

    def restart(self, *more: str) -> str:
        """What restarts the worker."""
        target = [] if self._target == "local-demo" else ["--env-target", self._target]
        command = shlex.join(["runbooks", "restart-worker", *target, "--root", str(self._root), *more])
        return f"`{command}`"

    def start(self, service: str) -> str:
        """What starts the API (``api``) or a worker (``celery``)."""
        return f"`cd {shlex.quote(str(self._root))} && make {service}-{self._target.rpartition('-')[2]}`"

    def kind(self, kind: Kind) -> Kind:
        """As the catalogue has it: that is of this very application."""
        return kind

    def no_worker(self) -> Finding:
        """As ``Words``."""
        return Finding(kinds.WORKER_NONE, "No worker reports.", "broker", self.start("celery"))

    def two_workers(self) -> str:
        """As ``Words``."""
        return self.restart("--all")

    def of_drift(self, drift: Drift) -> tuple[Kind | None, str]:
        """As ``Words``; knows who uses what."""
        is_api = all(report.role is Role.API for report in drift.processes)
        hidden = any(each.startswith(f"{drift.key} ") and HIDDEN in each for each in told_by(drift.processes))
        if drift.matters and is_api:
            kind = kinds.API_SHADOWED if hidden else kinds.API_STALE
            return kind, kind.cure
        if drift.matters:
            return kinds.WORKER_SHADOWED if hidden else kinds.WORKER_STALE, self.restart()
        if is_api and drift.key.startswith("COMFYUI_"):
            return kinds.API_DIFFERS, kinds.API_DIFFERS.cure
        return None, ""

    def silent(self, report: Report) -> str:  # noqa: ARG002
        """As ``Words``: the doctor knows this installation."""
        return kinds.PROCESS_SILENT.cure


def findings_of(
    view: View, comfyui: Look | None, word: FilesWord | None, cures: Cures, store: str | None = None
) -> list[Finding]:
    """Everything that is worth saying, the worst first.

    Args:
        view: what the processes say.
        comfyui: who answers at the URL that the files name; None when nobody knows.
        word: what the files say of ComfyUI; None when they cannot be read.
        cures: the commands that cure.
        store: why the job store does not answer; None when it does.
    """
    found = [*of_services(view, cures), *of_processes(view, cures)]
    if comfyui is not None and word is not None:
        found += _of_comfyui(comfyui, word)
    if store is not None:
        found.append(Finding(kinds.STORE_DOWN, sentence(store), "job store", kinds.STORE_DOWN.cure))
    return ranked(found, first="COMFYUI_URL")


def _of_comfyui(look: Look, word: FilesWord) -> Iterator[Finding]:
    seen = look.seen
    url, folder = shown("COMFYUI_URL", word.url), shown("COMFYUI_OUTPUT_DIR", word.output_dir)
    kind = _OF_ANSWER.get(seen.who)
    if kind is not None:
        what = f"COMFYUI_URL={url} ({word.url_origin}): {seen.says}."
        yield Finding(kind, what, str(word.url_origin), kind.cure, since=look.since, keys=("COMFYUI_URL",))
    elif seen.output and is_local(word.url) and os.path.realpath(seen.output) != os.path.realpath(word.output_dir):
        writes = shown("COMFYUI_OUTPUT_DIR", seen.output)
        yield Finding(
            kinds.OUTPUT_FOREIGN,
            f"COMFYUI_OUTPUT_DIR={folder} ({word.output_origin}) does not belong to {url}, which writes to {writes}.",
            str(word.output_origin),
            kinds.OUTPUT_FOREIGN.cure,
            keys=("COMFYUI_OUTPUT_DIR",),
        )
