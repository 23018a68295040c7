from __future__ import annotations

from dataclasses import replace

import pytest

from runbooks.pages import Block, Page, Session
from tests.pages.support import make_page

PAGE = """
# Restart the worker

```python
import os
def state():
    return "stale"
```

## Confirm

=== "Shell"

    ```bash
    export PORT=8189
    test "$PORT" = 8189
    ```

=== "Python"

    ```python
    assert state() == "stale"
    print(state())
    ```

    ```output
    sta...
    ```

## Restart

```{.bash .changes}
curl() { echo "called $1"; }
curl \\
  http://127.0.0.1:$PORT
```

```output
called http://127.0.0.1:8189
```

```console
$ echo $PORT
8189
```

1. Roll back

    ```{.python .rollback}
    assert os.environ.get("PORT") is None
    ```

```{.bash data-fails="4"}
sh -c 'exit 4'
```
"""


def run_until_failure(page: Page, steps: list[Block]) -> int | None:
    with Session(page) as session:
        for step in steps:
            result = session.run(step)
            if not result.passed:
                return result.line
    return None


def test_the_page_passes() -> None:
    page = make_page(PAGE)
    assert run_until_failure(page, list(page.steps)) is None
    assert len(page.steps) == 7


@pytest.mark.parametrize("number", range(7))
def test_breaking_any_one_step_is_told_at_its_lines(number: int) -> None:
    page = make_page(PAGE)
    steps = list(page.steps)
    step = steps[number]
    broken = {
        "python": "assert False, 'broken'\n",
        "shell": "false\n" if step.fails is None else "true\n",
        "console": "$ echo 8000\n8189\n",
    }[step.runner or ""]
    steps[number] = replace(step, code=broken, lines=step.lines[: broken.count("\n")])
    line = run_until_failure(page, steps)
    assert line is not None
    assert step.line <= line <= step.lines[-1]


@pytest.mark.parametrize(("old", "new"), [("sta...", "fresh"), ("called http", "called ftp"), ("\n8189\n", "\n8000\n")])
def test_breaking_any_one_output_is_told_at_its_line(old: str, new: str) -> None:
    text = PAGE.lstrip("\n").replace(old, new)
    page = make_page(text)
    wrong = next(number for number, line in enumerate(text.split("\n"), 1) if new.strip() in line)
    assert run_until_failure(page, list(page.steps)) == wrong
