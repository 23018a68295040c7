"""A folder with pages, and an operator who runs them there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.support.terminal import COMMAND, Terminal

PAGE = """
    # Switch the lamp

    ## Before you start

    ```bash
    export LAMP="${LAMP:-lamp.txt}"
    ```

    ## Steps

    ### 1. Switch it on

    This takes the **current** file.

    ```{.bash .changes}
    WHO=operator
    echo on > "$LAMP"
    ```

    ### 2. See that it shines

    ```bash
    echo "$WHO sees: $(cat "$LAMP")"
    ```

    ```output
    operator sees: on
    ```

    **If it is dark:** see whether [the mains](mains.md) are on.

    ## Roll back

    ```{.bash .rollback}
    echo off > "$LAMP"
    ```
    """


class Desk:
    """A folder with pages, and an operator's environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "state" / "runbooks" / "runs"
        names = ("PATH", "HOME", "LANG", "TMPDIR", "USER")
        self.environ = {name: os.environ[name] for name in names if name in os.environ}
        self.environ |= {"TERM": "xterm-256color", "XDG_STATE_HOME": str(folder / "state"), "PYTHONUTF8": "1"}

    def write(self, text: str, name: str = "page.md") -> None:
        (self.folder / name).write_text(dedent(text).lstrip("\n"), "utf-8")

    def terminal(self, *arguments: str, columns: int = 80, **variables: str) -> Terminal:
        return Terminal(*arguments, cwd=self.folder, environ=self.environ | variables, columns=columns)

    def without_terminal(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environ | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def lamp(self) -> str | None:
        path = self.folder / "lamp.txt"
        return path.read_text().strip() if path.exists() else None

    def rows(self) -> list[dict[str, Any]]:
        newest = max(self.runs.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(line) for line in newest.read_text("utf-8").splitlines()]

    def results(self) -> list[tuple[object, object]]:
        return [(row["step"], row["result"]) for row in self.rows() if row["event"] == "ended"]
