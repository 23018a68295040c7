"""A real worker of an application that knows nothing of us, started by its Makefile."""

from __future__ import annotations

import json
import shlex

import pytest
from typer.testing import CliRunner

from runbooks.cli import app
from runbooks.doctor import Diagnosis, examine
from runbooks.drift import Certainty
from runbooks.drift.findings import Finding
from tests.support.waiting import wait_until
from tests.workers.installation import ARGV, NEW, OLD, Install, Installation


@pytest.fixture(scope="module")
def running(install: Install) -> Installation:
    # The command line of the real Makefile, word for word.
    here = install(more_options="")
    here.make()
    here.ready(1)
    return here


def of_the_worker(diagnosis: Diagnosis) -> list[Finding]:
    return [finding for finding in diagnosis.findings if finding.pid is not None]


def test_a_real_worker_that_agrees_is_found_connected_and_fine_and_then_stale_and_on_a_wrong_database(
    running: Installation,
) -> None:
    (main,) = running.mains()
    # "ready" is written a moment before the last connection stands.
    wait_until(lambda: not of_the_worker(examine(running.root)), 5, "the worker to be without a finding")
    assert examine(running.root).subjects[0].process.pid == main.pid

    running.write("env/.env.local-demo", f"COMFYUI_URL={NEW}\n")
    (stale,) = of_the_worker(examine(running.root))
    assert (stale.kind.id, stale.pid, stale.certainty) == ("worker-stale", main.pid, Certainty.CERTAIN)
    assert stale.what == f"The worker (pid {main.pid}) holds COMFYUI_URL={OLD}, and the files say {NEW}."
    assert f"the env files as they were at {main.started.astimezone():%H:%M:%S}" in stale.evidence

    used = int(running.redis_url.rpartition("/")[2])
    running.write("env/.env.shared", f"REDIS_URL={running.redis_url.rpartition('/')[0]}/{used + 1}\n")
    found = {finding.kind.id: finding for finding in of_the_worker(examine(running.root))}
    assert set(found) == {"worker-stale", "broker-database"}
    assert found["worker-stale"].keys == ("COMFYUI_URL",)
    says = f"listens on database {used} of the broker, and the files name {used + 1}."
    assert found["broker-database"].what.endswith(says)


def test_the_stale_worker_is_named_by_the_command_and_gone_after_the_restart_that_it_names(
    running: Installation,
) -> None:
    (main,) = running.mains()
    assert list(main.argv[-len(ARGV) :]) == ARGV
    running.write("env/.env.shared", f"REDIS_URL={running.redis_url}\n")
    running.write("env/.env.local-demo", f"COMFYUI_URL={NEW}\n")
    asked = CliRunner().invoke(app, ["doctor", "--root", str(running.root), "--json"])
    assert asked.exit_code == 1
    (told,) = [finding for finding in json.loads(asked.stdout)["findings"] if finding["pid"] is not None]
    assert (told["id"], told["pid"], told["certainty"]) == ("worker-stale", main.pid, "certain")

    assert told["cure"] == f"runbooks restart-worker --root {running.root}"
    cured = CliRunner().invoke(app, [*shlex.split(told["cure"])[1:], "--yes", "--no-verify-job"])
    assert cured.exit_code == 0, cured.output
    assert f"COMFYUI_URL={NEW} (env/.env.local-demo:1) instead of {OLD} (old environment)" in cured.output
    (new,) = running.mains()
    assert new.pid != main.pid
    assert new.argv == main.argv
    wait_until(lambda: not of_the_worker(examine(running.root)), 5, "the new worker to be without a finding")
    running.send(0)
    (job,) = wait_until(lambda: running.jobs("ended"), 10, "a job to be done")
    assert job["comfyui-url"] == NEW
