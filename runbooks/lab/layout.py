"""The lab's folder: the files of a Genonaut checkout that decide which ComfyUI a job goes to."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runbooks.errors import UserError
from runbooks.lab import backends
from runbooks.lab.ports import Ports
from runbooks.lab.processes import WORKER_APP, lab_environment, scripts_folder
from runbooks.lab.quoting import env_value, make_value, make_word
from runbooks.lab.state import MARKER_FILE

FOLDERS = ("config", "env", "logs", "output/comfyui", "output/kernie-gen", "run/broker")
ENVIRONMENT_FILE = "run/environment"

USER_ID = "121e194b-4caa-4b81-ad4f-86ca3919d5b9"
"""The demo user, whom the API and the worker create. Its own copy: the other rooms' modules take long to load."""


@dataclass(frozen=True)
class Layout:
    """One lab, as its files describe it.

    Attributes:
        root: its folder, absolute.
        env_target: such as ``local-demo``.
        ports: where its services listen.
        redis_url: broker and result store, credentials included.
        database_url: job store, credentials included.
    """

    root: Path
    env_target: str
    ports: Ports
    redis_url: str
    database_url: str

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.ports.api}"

    @property
    def mock_url(self) -> str:
        """Where kernie-gen answers."""
        return f"http://localhost:{self.ports.mock}"

    @property
    def real_url(self) -> str:
        """The "real ComfyUI", which does not run."""
        return f"http://localhost:{self.ports.real}"

    @property
    def mock_output_dir(self) -> Path:
        """Folder that kernie-gen writes into."""
        return self.root / "output" / "kernie-gen"

    @property
    def real_output_dir(self) -> Path:
        """Folder that the real ComfyUI would write into."""
        return self.root / "output" / "comfyui"

    @property
    def target_file(self) -> Path:
        """``env/.env.{ENV_TARGET}``, the file that the incident is about."""
        return self.root / "env" / f".env.{self.env_target}"

    def log(self, service: str) -> Path:
        """The file that a service's output goes to."""
        return self.root / "logs" / f"{'kernie-gen' if service == 'mock' else service}.log"

    def variables(self) -> dict[str, str]:
        """What a page, the helpers and this lab agree on, as environment variables."""
        return {
            "GENONAUT_ROOT": str(self.root),
            "ENV_TARGET": self.env_target,
            "API_URL": self.api_url,
            "MOCK_URL": self.mock_url,
            "COMFYUI_REAL_URL": self.real_url,
            "MOCK_OUTPUT_DIR": str(self.mock_output_dir),
            "COMFYUI_REAL_OUTPUT_DIR": str(self.real_output_dir),
            "MOCK_LOG": str(self.log("mock")),
            "WORKER_LOG": str(self.log("worker")),
            "USER_ID": USER_ID,
            "REDIS_URL": self.redis_url,
            "CELERY_BROKER_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
        }

    def process_environment(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the lab's processes; see ``lab_environment``. Its pages link to the site beside it."""
        file_variables = {key.replace("-", "_").upper() for key in self._base_config()}
        site = {"RUNBOOKS_SITE_URL": f"http://127.0.0.1:{self.ports.site}/"}
        return site | lab_environment(self.root, self.env_target, file_variables, environ)

    def target_env(self, *, mock: bool) -> str:
        """Content of ``env/.env.{ENV_TARGET}`` that sends jobs to the mock, or to the real ComfyUI."""
        url, folder = (self.mock_url, self.mock_output_dir) if mock else (self.real_url, self.real_output_dir)
        return (
            "# The ComfyUI that jobs go to. Both belong together: where it answers, and where it writes its pictures.\n"
            f"COMFYUI_URL={env_value(url)}\n"
            f"COMFYUI_OUTPUT_DIR={env_value(str(folder))}\n"
        )

    def files(self, *, mock: bool) -> dict[str, str]:
        """Every file that the lab owns, path below the root to content."""
        return {
            "config/base.json": _json(self._base_config()),
            f"config/{self.env_target}.json": _json({"api-port": self.ports.api}),
            "env/.env.shared": (
                "# For every target.\n"
                f"REDIS_URL={env_value(self.redis_url)}\n"
                f"DATABASE_URL={env_value(self.database_url)}\n"
                f"API_PORT={self.ports.api}\n"
            ),
            f"env/.env.{self.env_target}": self.target_env(mock=mock),
            "env/.env": "# Loaded last: what stands here wins over everything, the process environment included.\n",
            "Makefile": self._makefile(),
        }

    def _base_config(self) -> dict[str, object]:
        return {
            "comfyui-url": self.real_url,
            "comfyui-output-dir": str(self.real_output_dir),
            "comfyui-timeout": 30.0,
            "comfyui-poll-interval": 0.5,
            "comfyui-max-wait-time": 900.0,
            "redis-url": "redis://localhost:6379/0",
            "database-url": "sqlite:///run/genonaut.db",
            "api-host": "127.0.0.1",
            "api-port": 8001,
        }

    def _makefile(self) -> str:
        return MAKEFILE.format(
            target=self.env_target,
            path=make_value(os.pathsep.join(dict.fromkeys((str(scripts_folder()), str(Path(sys.executable).parent))))),
            python=make_word(sys.executable),
            children=min(os.cpu_count() or 1, 4),
            mock_port=self.ports.mock,
            app=WORKER_APP,
            broker=self._broker(),
        )

    def _broker(self) -> str:
        """The recipe that starts the embedded broker; where another one is used, it says so."""
        if self.redis_url != f"redis://127.0.0.1:{self.ports.broker}/0":
            return "echo 'This lab uses a Redis server of its own; start that one.' >&2; exit 2"
        words = backends.broker_command(self.ports.broker)
        return f"cd run/broker && exec {' '.join(map(make_word, words))}"


# The worker's recipe is the real one's: the shell exports the two files, so that their values are frozen in the
# environment of the worker, and ENV_TARGET is on no command line.
MAKEFILE = """\
# The services of this lab, started the way Genonaut's own Makefile starts them. `runbooks up` writes this file.
export GENONAUT_LAB := $(CURDIR)
export PATH := {path}:$(PATH)
export PYTHONUNBUFFERED := 1
# Pool children; the real worker has one per core.
export CELERY_WORKER_CONCURRENCY ?= {children}

.PHONY: api-demo broker celery-demo kernie-gen

broker:
\t@{broker}

api-demo:
\t@ENV_TARGET={target} {python} -m runbooks.genonaut.api

celery-demo:
\t@set -a; . env/.env.shared; . env/.env.{target}; set +a; \\
\tENV_TARGET={target} celery -A {app} worker --loglevel=info --queues=default,generation$(if $(NODE), -n $(NODE)@%h)

kernie-gen:
\t@kernie-gen --host 127.0.0.1 --port {mock_port} --output-dir output/kernie-gen --base-dir run/kernie-gen
"""


def make_folder(root: Path) -> None:
    """Make the lab's folder and its marker; nothing changes when they are there.

    Raises:
        UserError: the folder holds something else, or cannot be written.
    """
    require_own_folder(root)
    try:
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        if not (root / MARKER_FILE).exists():
            _write_marker(root, {})
    except OSError as error:
        raise cannot_write(root, error) from error


def fill_folder(layout: Layout, *, mock: bool) -> list[str]:
    """Write the files of a lab, or put those of an existing one back into the state that ``layout`` describes.

    Files that someone has edited since are kept in ``run/replaced/``; logs of the last run get the ending ``.1``.

    Args:
        layout: what to write.
        mock: whether ``env/.env.{ENV_TARGET}`` names the mock or the real ComfyUI.

    Returns:
        The edited files that were replaced, as paths below the root.

    Raises:
        UserError: a file cannot be written.
    """
    files = layout.files(mock=mock)
    try:
        for log in (layout.root / "logs").glob("*.log"):
            log.replace(log.with_suffix(".log.1"))
        replaced = _keep_edited(layout.root, files)
        for name, text in files.items():
            write_file(layout.root, name, text)
        environment = layout.root / ENVIRONMENT_FILE
        environment.touch(mode=0o600)
        environment.write_text(
            "".join(f"export {name}={shlex.quote(value)}\n" for name, value in layout.variables().items()),
            encoding="utf-8",
        )
    except OSError as error:
        raise cannot_write(layout.root, error) from error
    return replaced


def cannot_write(root: Path, error: OSError) -> UserError:
    """The user's error for a lab's folder that cannot be written."""
    reason = (error.strerror or str(error)).lower()
    return UserError(
        f"The lab's folder cannot be written: {error.filename or root}: {reason}.",
        "Name a folder of your own with --root.",
    )


def require_own_folder(root: Path) -> None:
    """Make sure that a folder is a lab already, empty, or not there.

    Raises:
        UserError: it holds something else, or cannot be looked into.
    """
    try:
        if root.exists() and not root.is_dir():
            raise UserError(f"{root} is a file, the lab needs a folder.", "Name another one with --root.")
        foreign = root.is_dir() and any(root.iterdir()) and not (root / MARKER_FILE).is_file()
    except OSError as error:
        raise cannot_write(root, error) from error
    if foreign:
        raise UserError(
            f"{root} holds files that are not a lab's, so nothing was written there.",
            "Name an empty or a new folder with --root.",
        )


def write_file(root: Path, name: str, text: str) -> None:
    """Write one of the lab's own files and remember its content, so that a later edit is noticed."""
    (root / name).write_text(text, encoding="utf-8")
    _write_marker(root, _written(root) | {name: _digest(text.encode())})


def _keep_edited(root: Path, files: Mapping[str, str]) -> list[str]:
    """Copy files that are not as the lab wrote them to ``run/replaced/`` and tell which."""
    written = _written(root)
    edited = []
    for name, text in files.items():
        path = root / name
        content = path.read_bytes() if path.is_file() else b""
        if path.is_file() and _digest(content) not in (written.get(name), _digest(text.encode())):
            kept = root / "run" / "replaced" / name
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(content)
            edited.append(name)
    return edited


def _written(root: Path) -> dict[str, str]:
    try:
        digests = json.loads((root / MARKER_FILE).read_text(encoding="utf-8"))["written"]
        return {str(name): str(digest) for name, digest in digests.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_marker(root: Path, written: Mapping[str, str]) -> None:
    text = _json({"what": "A lab of genonaut-runbooks; `runbooks up` writes here.", "written": dict(written)})
    (root / MARKER_FILE).write_text(text, encoding="utf-8")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(data: Mapping[str, object]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
