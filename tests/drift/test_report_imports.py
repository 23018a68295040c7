"""Reading reports needs no web framework and no queue; adopting them needs neither the miniature nor the lab."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded_by(*modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_what_reads_and_compares_reports_loads_no_extra() -> None:
    modules = [
        f"runbooks.drift.{name}" for name in ("report", "reports", "reporter", "health", "healthjson", "adapters")
    ]
    assert not loaded_by("runbooks.drift", *modules) & {"celery", "fastapi", "starlette", "redis", "sqlalchemy"}


@pytest.mark.parametrize("module", ["runbooks.drift.fastapi", "runbooks.drift.celery"])
def test_what_an_application_imports_to_report_loads_neither_the_miniature_nor_the_lab(module: str) -> None:
    loaded = loaded_by(module)
    assert not {name for name in loaded if name.startswith(("runbooks.genonaut", "runbooks.lab", "runbooks.kernie"))}
    assert not loaded & {"celery.worker", "sqlalchemy"}, "nor what makes a start slow"
