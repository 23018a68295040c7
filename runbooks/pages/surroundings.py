"""What the steps of a page run in: environment, working directory, and what the page shows in this run's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class PageEnvironment:
    """What the steps of one page run in.

    Attributes:
        variables: environment variables on top of the process's own; None as a value takes the variable away.
        cwd: the working directory of the first step; under pytest its root directory by default.
        shown: texts of this run, and what the pages show in their place: ``{"localhost:41234": "localhost:8189"}``.
    """

    variables: Mapping[str, str | None] = field(default_factory=dict)
    cwd: Path | None = None
    shown: Mapping[str, str] = field(default_factory=dict)

    def applied_to(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return an environment with this one's variables set and taken away."""
        changed = {**environ, **self.variables}
        return {name: value for name, value in changed.items() if value is not None}
