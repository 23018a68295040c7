"""Which roll-back steps are run for what was begun, and in which order; which names a step sets and needs."""

from __future__ import annotations

import pytest

from runbooks.pages.names import names_needed, names_set
from runbooks.pages.rollback import steps_back
from tests.pages.support import make_page

PAGE = make_page(
    """
    ## One

    ```{.bash .changes}
    touch one
    ```

    ```{.bash .rollback}
    rm one
    ```

    ```{.bash .rollback}
    test ! -e one
    ```

    ## Two

    ```{.bash .changes}
    touch two
    ```

    ## Three

    ```{.bash .changes}
    touch three
    ```

    ## Roll back

    ```{.bash .rollback}
    rm two three
    ```
    """
)


@pytest.mark.parametrize(
    ("begun", "back"),
    [
        ([], []),
        (["touch one"], ["rm one", "test ! -e one"]),
        (["touch three"], ["rm two three"]),
        (["touch one", "touch two"], ["rm two three", "rm one", "test ! -e one"]),
    ],
)
def test_ways_back_are_run_last_to_first_for_what_was_begun(begun: list[str], back: list[str]) -> None:
    steps = [step for step in PAGE.steps if step.code.strip() in begun]
    assert [step.code.strip() for step in steps_back(PAGE, steps)] == back


@pytest.mark.parametrize(
    ("language", "code", "sets"),
    [
        ("bash", 'JOB=$(curl "$URL")\nexport A=1 && B=2', {"JOB", "A", "B"}),
        ("bash", "greet() { echo hi; }\nfor x in 1 2; do read -r line; done", {"greet", "x", "line"}),
        (
            "python",
            "import a.b as c, d.e\n(x,) = y\nz[0] = 1\nl.append(2)\ndef f(): pass",
            {"c", "d", "x", "z", "l", "f"},
        ),
    ],
)
def test_what_a_step_sets_is_read_from_its_code(language: str, code: str, sets: set[str]) -> None:
    page = make_page(f"```{language}\n{code}\n```\n")
    assert names_set(page.steps[0]) == sets


def test_what_a_step_needs_is_read_from_its_code_and_its_condition() -> None:
    page = make_page(
        '```{.bash data-if="test $IF"}\ngreet "${A:-x}" $B\n```\n\n```python\nprint(a.b, [c for c in d])\n```\n'
    )
    assert {"IF", "A", "B", "greet"} <= names_needed(page.steps[0])
    assert {"a", "d"} <= names_needed(page.steps[1])
    assert "print" not in names_needed(page.steps[1])
