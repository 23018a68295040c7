"""Look at everything at once, and join it into one diagnosis. Nothing is touched."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from runbooks.doctor.apis import Api, find_apis
from runbooks.doctor.model import Diagnosis, Subject
from runbooks.doctor.of_processes import Commands, broker_keys, is_reached, of_api, of_presence, of_worker
from runbooks.doctor.of_services import of_broker, of_comfyui, of_listening, of_output
from runbooks.doctor.reported import Reports, read_all
from runbooks.drift import ancestors, words_of_files
from runbooks.drift import findings as kinds
from runbooks.drift.atonce import Asked
from runbooks.drift.broker import BrokerSeen, State, look_at_broker
from runbooks.drift.comfy import Answerer, Seen, look_at_url
from runbooks.drift.findings import Finding
from runbooks.drift.holdings import Certainty, text_of
from runbooks.drift.lint import broken_files, lint
from runbooks.drift.verdict import Told, judge
from runbooks.redaction import MASK, Redactor
from runbooks.settings import Layers, Settings, Value, read_layers
from runbooks.workers import DEFAULT_APP, Found, Worker, find_workers, installation_root
from runbooks.workers.find import BROKER_VARIABLES, broker_of
from runbooks.workers.log import LogPart, output_of, where_it_logs

PATIENCE = 0.8
"""Seconds in which everything that is asked has to answer."""
_FOR_REPORTS = 0.5
"""Seconds of them for the reports, which tell what else is to be asked."""
_AT_LEAST = 0.3
"""Seconds that the last one asked has."""
NAME = "genonaut"
"""Name under which Genonaut's processes report."""
_LOG_END = 8 << 20
"""Bytes at the end of a log that are read."""


def examine(
    root: Path | None = None, env_target: str = "local-demo", *, app: str = DEFAULT_APP, name: str = NAME
) -> Diagnosis:
    """Look at an installation, its processes, broker and ComfyUI, for about a second at most.

    Args:
        root: the folder with ``config/`` and ``env/``; see ``installation_root`` for the default.
        env_target: such as ``local-demo``.
        app: the Celery application as given to ``-A``.
        name: under which the application reports its settings, if it does.

    Raises:
        UserError: that folder is no installation, there is no such target, or this system does not tell of processes.
    """
    began = time.monotonic()
    root = installation_root(root).resolve()
    broken = broken_files(root, env_target)
    if broken:
        diagnosis = Diagnosis(root, env_target, tuple(broken), redactor=Redactor(_without_folders(os.environ)))
    else:
        diagnosis = _Examination(read_layers(root, env_target, {}), app, name).run()
    return replace(diagnosis, seconds=time.monotonic() - began)


class _Examination:
    """One look at an installation whose files can be read."""

    def __init__(self, layers: Layers, app: str, name: str) -> None:
        self.layers = layers
        self.words: Mapping[str, Value] = words_of_files(layers)
        self.commands = Commands(layers, app)
        self._app, self._name = app, name
        self._reports = Reports()
        self._began = time.monotonic()
        self._deadline = self._began + PATIENCE
        self._asked: dict[str, tuple[Asked[Seen], float]] = {}

    def run(self) -> Diagnosis:
        """Ask the servers in the background, look at the processes meanwhile, and join it all."""
        url = self._says("COMFYUI_URL")
        self._ask(url)
        broker_url = broker_of({}, self.layers) or str(Settings.model_fields["redis_url"].default)
        broker = Asked(lambda: look_at_broker(broker_url))
        reports = Asked(lambda: read_all(broker_url, self._name))
        found = find_workers(self.layers.env_target, self.layers.root, app=self._app)
        apis = find_apis(self.layers, self._api_port())
        self._reports = reports.answer(self._began + _FOR_REPORTS) or Reports()
        workers = [self._worker(worker) for worker in found.workers]
        for subject in workers:
            held = subject.key("COMFYUI_URL")
            self._ask(held.holds if held else None)
        served = [self._api(api) for api in apis]
        silent = BrokerSeen(broker_url, State.DOWN, f"it does not answer within {PATIENCE:g} s")
        broker_seen = broker.answer(self._deadline) or silent
        seen = {known: self._seen(known) for known in self._asked}
        linted = lint(self.layers, (found.workers[-1].process.environ or {}) if found.workers else {})
        # What nobody reads, nobody holds.
        unread = {key for finding in linted if finding.kind is kinds.KEY_UNKNOWN for key in finding.keys}
        workers, served = ([_without(subject, unread) for subject in subjects] for subjects in (workers, served))
        findings = [
            *linted,
            *of_broker(broker_seen, self._broker_word()),
            *self._of_workers(found, workers, broker_seen, seen),
            *(each for subject in served for each in of_api(subject, workers, self.commands)),
            *([] if served else [self._no_api()]),
            *self._of_comfyui(seen),
        ]
        return Diagnosis(
            self.layers.root,
            self.layers.env_target,
            tuple(sorted(findings, key=_badness)),
            (*workers, *served),
            seen,
            broker_seen,
            redactor=self._redactor([*workers, *served]),
        )

    def _worker(self, worker: Worker) -> Subject:
        process = worker.process
        reported = self._reports.told_by(process.pid, self.words)
        told = {**_told_by_log(worker, self.layers.root), **reported}
        keys = judge(process, self.layers, above=ancestors(process), told=told)
        return Subject("worker", process, process.started, tuple(keys), bool(reported))

    def _api(self, api: Api) -> Subject:
        read = api.serving.started
        told = self._reports.told_by(api.serving.pid, self.words)
        keys = judge(api.main, self.layers, started=read, above=ancestors(api.main), told=told)
        return Subject("api", api.main, read, tuple(keys), bool(told))

    def _of_workers(
        self, found: Found, subjects: list[Subject], broker: BrokerSeen, seen: Mapping[str, Seen]
    ) -> Iterator[Finding]:
        yield from of_presence(found, self.commands)
        for worker, subject in zip(found.workers, subjects, strict=True):
            listening = list(of_listening(worker, broker, self.commands))
            yield from listening
            # The database that it really uses says more than the variable that names it.
            wrong = any(finding.kind is kinds.BROKER_DATABASE for finding in listening)
            leave_out = broker_keys(subject) if wrong else []
            yield from of_worker(subject, worker, self.commands, seen, leave_out=leave_out)

    def _of_comfyui(self, seen: Mapping[str, Seen]) -> Iterator[Finding]:
        url, folder = self.words.get("COMFYUI_URL"), self.words.get("COMFYUI_OUTPUT_DIR")
        there = seen.get(text_of(url.value).rstrip("/")) if url is not None else None
        if url is None or there is None:
            return
        yield from of_comfyui(there, url)
        if folder is not None and (is_reached(there) or there.who is Answerer.NOBODY):
            yield from of_output(there, folder, self.layers.root)

    def _no_api(self) -> Finding:
        return Finding(
            kinds.API_NONE,
            f"No API of {self.layers.env_target} was found in {self.layers.root}.",
            str(self.layers.root),
            self.commands.start_api(),
            Certainty.LIKELY,
            "no process that serves an application works there",
        )

    def _ask(self, url: str | None) -> None:
        url = (url or "").rstrip("/")
        if url and url not in self._asked:
            deadline = max(self._deadline, time.monotonic() + _AT_LEAST)
            self._asked[url] = Asked(lambda: look_at_url(url)), deadline

    def _seen(self, url: str) -> Seen:
        asked, deadline = self._asked[url]
        return asked.answer(deadline) or Seen(url, Answerer.SILENT, "it does not answer in time")

    def _says(self, variable: str) -> str | None:
        word = self.words.get(variable)
        return text_of(word.value) if word is not None else None

    def _broker_word(self) -> Value | None:
        return next((self.words[name] for name in BROKER_VARIABLES if name in self.words), None)

    def _api_port(self) -> int:
        port = self._says("API_PORT") or ""
        return int(port) if port.isdigit() else int(Settings.model_fields["api_port"].default)

    def _redactor(self, subjects: list[Subject]) -> Redactor:
        written = {name: text_of(word.value) for name, word in self.words.items()}
        environs = [subject.process.environ or {} for subject in subjects]
        return Redactor(*(_without_folders(known) for known in (written, os.environ, *environs)))


def _without(subject: Subject, variables: Collection[str]) -> Subject:
    return replace(subject, keys=tuple(key for key in subject.keys if key.variable not in variables))


def _told_by_log(worker: Worker, root: Path) -> dict[str, Told]:
    """The URL that Genonaut's worker writes into its log at its start."""
    log = where_it_logs(worker, output_of(worker, root))
    try:
        size = log.stat().st_size
    except OSError:
        return {}
    url = LogPart(log, max(0, size - _LOG_END)).url_it_holds()
    # One whose login is hidden cannot be compared.
    if not url or MASK in url:
        return {}
    return {"COMFYUI_URL": Told(url, f"its own log ({log.name})", Certainty.LIKELY)}


def _without_folders(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables without the shell's working directories, whose names only look like passwords."""
    return {name: value for name, value in environ.items() if name not in ("PWD", "OLDPWD")}


def _badness(finding: Finding) -> tuple[int, int, int, bool]:
    """Worst first; among equals what is certain, then what stops most, then what decides where jobs go."""
    kind, sure = finding.kind, list(Certainty).index(finding.certainty)
    return kind.severity.rank, sure, list(kinds.CATALOGUE).index(kind.id), "COMFYUI_URL" not in finding.keys
