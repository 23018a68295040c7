"""Health as the draft "Health Check Response Format for HTTP APIs" has it (draft-inadarei-api-health-check-06)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from runbooks.drift.health import PAGE, Status, View, state_of

MEDIA_TYPE = "application/health+json"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: component and measurement, such as ``database:connection``.
        status: how it is.
        output: why it is not ``pass``.
        kind: ``datastore``, ``component`` or ``system``.
        more: further members, such as ``observedValue``.
    """

    name: str
    status: Status
    output: str = ""
    kind: str = "component"
    more: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values, without an output where all is well."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        found = {"componentType": self.kind, "status": str(self.status), "time": time, **self.more}
        return found | ({"output": self.output} if self.output else {})


def health_json(checks: Iterable[Check], **more: Any) -> dict[str, Any]:
    """The whole answer: the worst status, and all checks by their names.

    Args:
        checks: what was looked at.
        more: further members, such as ``serviceId``; those that are None are left out.
    """
    checks = list(checks)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for check in checks:
        by_name.setdefault(check.name, []).append(check.as_json())
    output = " ".join(dict.fromkeys(check.output for check in checks if check.output))
    head = {"status": str(worst(checks)), "output": output or None, **more}
    return {name: value for name, value in head.items() if value is not None} | {"checks": by_name}


def worst(checks: Iterable[Check]) -> Status:
    """The worst status of all checks."""
    return max((check.status for check in checks), key=list(Status).index, default=Status.PASS)


def status_code(status: Status) -> int:
    """The HTTP status that goes with it: a warning is healthy, and drift must not take a service out of service."""
    return 503 if status is Status.FAIL else 200


def checks_of(view: View, show: Iterable[str] = ()) -> Iterable[Check]:
    """The checks of a view: the broker, and the settings of each process.

    Args:
        view: what was seen.
        show: keys whose values are shown as observed.
    """
    down = view.broker is not None
    yield Check("broker:connection", Status.FAIL if down else Status.PASS, view.broker or "", "datastore")
    if down:
        return
    differing = {report.id for drift in view.drifts if drift.matters for report in drift.processes}
    for standing in view.standings:
        report = standing.report
        values = {key: setting.value for key in show if (setting := report.setting(key))}
        fine = report.id not in differing and not report.silent and not report.problem
        more: dict[str, Any] = {"componentId": report.label, "processState": state_of(report)}
        if values:
            more["observedValue"] = values
        if not fine:
            more["links"] = {"runbook": PAGE}
        yield Check("settings:agreement", Status.PASS if fine else Status.WARN, "", "component", more)
    yield Check("settings:summary", view.status, view.output)


def wants_health_json(accept: str) -> bool:
    """Whether a client asks for this media type, at least as much as for plain JSON."""
    weights = {"application/json": 0.0, MEDIA_TYPE: 0.0}
    for part in accept.lower().split(","):
        name, _, parameters = part.partition(";")
        if name.strip() in weights:
            weights[name.strip()] = _weight(parameters)
    return weights[MEDIA_TYPE] > 0 and weights[MEDIA_TYPE] >= weights["application/json"]


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
