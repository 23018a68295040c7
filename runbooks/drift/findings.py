"""What can be found wrong: every kind of finding with its stable id, why it matters, and what cures it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from runbooks.drift.holdings import Certainty

RESTART = "runbooks/restart-the-worker.md"
MOCK_UP = "runbooks/is-the-mock-up.md"
SWITCH = "runbooks/switch-comfyui-and-mock.md"
REDIS = "runbooks/redis-is-down.md"
DOUBLE = "runbooks/two-workers-answer.md"
LAYERS = "architecture.md#six-layers-of-configuration"


class Severity(StrEnum):
    """How bad it is, worst first."""

    PROBLEM = "problem"
    WARNING = "warning"
    UNKNOWN = "unknown"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Attributes:
        id: stable name, for scripts and as the anchor in the reference.
        severity: how bad it is. A note is harmless and leaves the exit code alone.
        title: what it is, in a few words.
        why: why it matters.
        cure: what cures it, in general; a finding has the command.
        page: the page to open, as a path below ``docs/``.
    """

    id: str
    severity: Severity
    title: str
    why: str
    cure: str
    page: str


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: what kind of thing.
        what: one sentence with the process, the key and both values. Secrets are masked.
        where: file and line, or process.
        cure: the one command or act that cures this one.
        certainty: how sure it is.
        evidence: how that is known.
        since: since when it is so; None when that cannot be told.
        pid: the process concerned, if it is one.
        keys: the variables concerned.
    """

    kind: Kind
    what: str
    where: str
    cure: str
    certainty: Certainty = Certainty.CERTAIN
    evidence: str = ""
    since: datetime | None = None
    pid: int | None = None
    keys: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "id": self.kind.id,
            "severity": str(self.kind.severity),
            "what": self.what,
            "where": self.where,
            "since": self.since.isoformat() if self.since else None,
            "certainty": str(self.certainty),
            "evidence": self.evidence,
            "why": self.kind.why,
            "cure": self.cure,
            "page": self.kind.page,
            "pid": self.pid,
            "keys": list(self.keys),
        }


CATALOGUE: dict[str, Kind] = {}
"""Every kind by its id; of equally bad ones first what stops most, or is the cause of others."""


def _kind(id_: str, severity: Severity, title: str, *, why: str, cure: str, page: str) -> Kind:
    kind = Kind(id_, severity, title, why, cure, page)
    CATALOGUE[id_] = kind
    return kind


FILE_BROKEN = _kind(
    "file-broken",
    Severity.PROBLEM,
    "A file of the configuration cannot be read",
    why="Nothing that is started now gets the values in it, and an application may fall back to defaults silently.",
    cure="Correct the named line, or make the file readable for the user that runs the API and the worker.",
    page=LAYERS,
)
BROKER_DOWN = _kind(
    "broker-down",
    Severity.PROBLEM,
    "The broker does not answer",
    why="No job can be queued (503, which blames the worker) and none is taken. The worker reconnects by itself.",
    cure="Start the broker.",
    page=REDIS,
)
BROKER_REFUSED = _kind(
    "broker-refused",
    Severity.PROBLEM,
    "The broker refuses, or is no Redis server",
    why="API and worker cannot use it with the URL that the files give.",
    cure="Correct user, password or database number of the URL.",
    page=REDIS,
)
STORE_DOWN = _kind(
    "store-down",
    Severity.PROBLEM,
    "The job store does not answer",
    why="No job can be stored or looked up, and the worker cannot say what became of one.",
    cure="Start the database, or correct DATABASE_URL and restart API and worker.",
    page="troubleshooting.md#503-the-job-store-does-not-answer",
)
WORKER_NONE = _kind(
    "worker-none",
    Severity.PROBLEM,
    "No worker runs",
    why="Nobody takes jobs: a new one is answered with 503, a queued one stays pending.",
    cure="Start one: `make celery-demo`.",
    page="troubleshooting.md#503-image-queuing-service",
)
WORKER_SUSPENDED = _kind(
    "worker-suspended",
    Severity.PROBLEM,
    "The worker is suspended",
    why="It holds its jobs and works on none. It will not even stop before it is continued.",
    cure="Continue it: `kill -CONT PID`.",
    page="runbooks/worker-will-not-stop.md",
)
BROKER_DATABASE = _kind(
    "broker-database",
    Severity.PROBLEM,
    "The worker listens on another database of the broker",
    why="The API queues jobs in one database, the worker waits at another: they stay pending for ever.",
    cure="Restart the worker: `runbooks restart-worker`.",
    page="troubleshooting.md#wrong-broker-database",
)
WORKER_STALE = _kind(
    "worker-stale",
    Severity.PROBLEM,
    "The worker holds an older value than the files",
    why="Jobs are made by the worker, with the value that it read when it started. Restarting the API changes nothing.",
    cure="Restart the worker: `runbooks restart-worker`.",
    page=RESTART,
)
WORKER_SHADOWED = _kind(
    "worker-shadowed",
    Severity.PROBLEM,
    "An exported variable hides a file's value from the worker",
    why="The process environment wins over every file but env/.env, so editing the file changes nothing; a plain "
    "restart from the same shell comes back with the old value.",
    cure="`runbooks restart-worker` rebuilds the environment from the files. Take the export out of the shell, too.",
    page=RESTART,
)
WORKER_DOUBLE = _kind(
    "worker-double",
    Severity.PROBLEM,
    "More than one worker of this installation runs",
    why="They share the jobs. If one of them is stale, some jobs fail and some complete, and retries hide it.",
    cure="`runbooks restart-worker --all` replaces them with one.",
    page=DOUBLE,
)
COMFYUI_URL_INVALID = _kind(
    "comfyui-url-invalid",
    Severity.PROBLEM,
    "The ComfyUI URL is not a URL",
    why="No job can be sent anywhere.",
    cure="Write it like http://localhost:8189",
    page="reference/settings.md#comfyui-url",
)
COMFYUI_DOWN = _kind(
    "comfyui-down",
    Severity.PROBLEM,
    "Nothing listens at the ComfyUI URL",
    why="Every job fails within a quarter of a second: Failed to connect to ComfyUI.",
    cure="Start ComfyUI or the mock (`make kernie-gen`), or correct the URL.",
    page=MOCK_UP,
)
COMFYUI_SILENT = _kind(
    "comfyui-silent",
    Severity.PROBLEM,
    "ComfyUI takes the connection and does not answer",
    why="Every job fails after 30 s, the last retry after two minutes.",
    cure="Look into its log; restart it.",
    page="runbooks/mock-is-slow-or-hangs.md",
)
COMFYUI_OTHER = _kind(
    "comfyui-other",
    Severity.PROBLEM,
    "Something that is not ComfyUI answers at its URL",
    why="It takes no prompts, so every job fails.",
    cure="Correct the URL, or stop what holds that port.",
    page=MOCK_UP,
)
OUTPUT_FOREIGN = _kind(
    "output-foreign",
    Severity.PROBLEM,
    "The output folder does not belong to that ComfyUI",
    why="ComfyUI draws the picture and the job fails all the same: Unable to determine primary image path.",
    cure="Set COMFYUI_URL and COMFYUI_OUTPUT_DIR together.",
    page=SWITCH,
)
WORKER_ORPHAN = _kind(
    "worker-orphan",
    Severity.WARNING,
    "A worker has outlived what started it",
    why="Ctrl-C and make no longer reach it. It goes on taking jobs with old values beside the next worker.",
    cure="Stop it with one SIGTERM to its main process, or replace it with `runbooks restart-worker`.",
    page=DOUBLE,
)
WORKER_UNCONNECTED = _kind(
    "worker-unconnected",
    Severity.WARNING,
    "The worker has no connection to the broker",
    why="It takes no jobs until it has one. After an outage of the broker that lasts up to 15 s.",
    cure="Wait 15 s and look again; then restart the worker.",
    page=REDIS,
)
API_STALE = _kind(
    "api-stale",
    Severity.WARNING,
    "The API holds an older value than the files",
    why="With another broker or job store than the worker, its jobs are never taken, or never seen.",
    cure="Restart the API.",
    page="runbooks/after-editing-the-configuration.md",
)
PROCESSES_DISAGREE = _kind(
    "processes-disagree",
    Severity.WARNING,
    "Processes hold different values",
    why="A request and the job that it starts may be done with different values. Only the status page of another "
    "application says this: it need not know what the files say.",
    cure="Look at both origins, correct the one that is not meant, and restart what has it.",
    page="runbooks/which-url-does-each-process-use.md",
)
API_SHADOWED = _kind(
    "api-shadowed",
    Severity.WARNING,
    "An exported variable hides a file's value from the API",
    why="The process environment wins over every file but env/.env; a restart from the same shell changes nothing.",
    cure="Unset the variable in that shell, and restart the API there.",
    page=LAYERS,
)
OUTPUT_MISSING = _kind(
    "output-missing",
    Severity.WARNING,
    "The output folder is not there",
    why="The worker finds no picture, and the job fails after ComfyUI has drawn it.",
    cure="Correct COMFYUI_OUTPUT_DIR. ComfyUI makes its own folder with its first picture.",
    page=SWITCH,
)
KEY_UNKNOWN = _kind(
    "key-unknown",
    Severity.WARNING,
    "A key that nobody reads, close to one that counts",
    why="A misspelt key is ignored in silence: the value that you meant to change stays.",
    cure="Correct its name.",
    page="reference/settings.md",
)
VALUE_QUOTED = _kind(
    "value-quoted",
    Severity.WARNING,
    "A value keeps its quotes",
    why="The quotes are part of the value: such a URL or path is never found.",
    cure="Leave the inner quotes out. docker --env-file and a JSON file take quotes literally.",
    page=LAYERS,
)
VALUE_TILDE = _kind(
    "value-tilde",
    Severity.WARNING,
    "A tilde is not expanded",
    why="The application looks for a folder called ~ below its working directory.",
    cure="Write the whole path.",
    page="reference/settings.md#comfyui-output-dir",
)
FILE_IGNORED = _kind(
    "file-ignored",
    Severity.WARNING,
    "A .env at the root sets keys and is ignored",
    why="Only env/.env, env/.env.shared and env/.env.{ENV_TARGET} are read.",
    cure="Move its lines to env/.env.{ENV_TARGET}.",
    page=LAYERS,
)
WORKER_UNREADABLE = _kind(
    "worker-unreadable",
    Severity.UNKNOWN,
    "What a worker runs with may not be read",
    why="It may be the worker of this installation, stale or not.",
    cure="Run the doctor as the user who runs the worker.",
    page="reference/findings.md#worker-unreadable",
)
HOLDING_UNKNOWN = _kind(
    "holding-unknown",
    Severity.UNKNOWN,
    "It cannot be told which value a process holds",
    why="A file changed after the process started, and its environment does not show what it had read before.",
    cure="A restart makes sure: `runbooks restart-worker`.",
    page=RESTART,
)
PROCESS_SILENT = _kind(
    "process-silent",
    Severity.UNKNOWN,
    "A process has said nothing for a while",
    why="It is suspended, blocked in a long computation, or cannot reach the broker. What is shown of it is what it "
    "said last.",
    cure="Ask the operating system: `runbooks doctor`.",
    page="runbooks/read-the-status-page.md",
)
REPORT_INCOMPLETE = _kind(
    "report-incomplete",
    Severity.UNKNOWN,
    "A report cannot be read, or is not whole",
    why="A process, or what it holds, may be missing here. It may run another version of this software.",
    cure="Ask the operating system: `runbooks doctor`.",
    page="runbooks/read-the-status-page.md",
)
API_DIFFERS = _kind(
    "api-differs",
    Severity.NOTE,
    "The API has another ComfyUI than the worker or the files",
    why="Harmless for where jobs go: only the worker talks to ComfyUI.",
    cure="Nothing; restart the API when it suits you.",
    page="architecture.md#where-a-restart-is-needed",
)
API_NONE = _kind(
    "api-none",
    Severity.NOTE,
    "No API of this installation was found",
    why="No new jobs come in through it. Jobs that are queued are worked on all the same.",
    cure="Start it, if it should run: `make api-demo`.",
    page="architecture.md",
)
OUTPUT_UNKNOWN = _kind(
    "output-unknown",
    Severity.NOTE,
    "Where that ComfyUI writes cannot be told",
    why="A wrong output folder shows only in a job: Unable to determine primary image path.",
    cure="Verify with a new job.",
    page="runbooks/verify-a-generation.md",
)
VALUE_SHADOWED = _kind(
    "value-shadowed",
    Severity.NOTE,
    "A newer value is hidden by a higher layer",
    why="A file was edited, and another file above it sets the same key: the edit has no effect.",
    cure="Edit the value in the higher file, or remove it there.",
    page=LAYERS,
)
