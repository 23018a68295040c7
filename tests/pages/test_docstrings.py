from __future__ import annotations

from pathlib import Path

import pytest

from runbooks.pages import parse_docstrings
from tests.pages.support import run_all

SOURCE = '''"""A module.

```python
x = 1
```
"""

raise SystemExit("a file is read, not imported")


class Client:
    """Talks.

    Example:
        ```python
        client = "c"
        ```

        ```{.python data-fails="AssertionError"}
        assert client == "d"
        ```
    """

    async def job(self):
        r"""```python
        print("a\\nb")
        ```

        ```output
        a
        b
        ```
        """

    def quiet(self):
        """No example."""

        def inner():
            """Not public.

            ```python
            never
            ```
            """


def broken():
    """Is broken.

    ```python notest
    pass
    ```
    """
'''


def test_each_docstring_with_a_fence_is_a_page_at_the_file_s_lines(tmp_path: Path) -> None:
    path = tmp_path / "client.py"
    path.write_text(SOURCE)
    pages = parse_docstrings(path, root=tmp_path)
    assert [(page.name, page.docstring, page.title) for page in pages] == [
        ("client.py", "", "client"),
        ("client.py", "Client", "Client"),
        ("client.py", "broken", "broken"),
        ("client.py", "Client.job", "Client.job"),
    ]
    assert [[(step.name, step.line, step.code) for step in page.steps] for page in pages[:2]] == [
        [("__doc__[python]", 3, "x = 1\n")],
        [
            ("Client.__doc__[python]", 15, 'client = "c"\n'),
            ("Client.__doc__[python-2]", 19, 'assert client == "d"\n'),
        ],
    ]
    wrong = SOURCE.split("\n").index("    ```python notest") + 1
    assert [problem.line for problem in pages[2].problems] == [wrong]
    for page in (*pages[:2], pages[3]):
        assert [(result.passed, str(result.error)) for result in run_all(page)] == [(True, "None")] * len(page.steps)


def test_a_failing_example_is_told_at_the_file_s_line(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text('def f():\n    """Do.\n\n    ```python\n    y = 1\n    assert y == 2\n    ```\n    """\n')
    (page,) = parse_docstrings(path, root=tmp_path)
    (result,) = run_all(page)
    assert str(result.error).startswith("m.py:6: AssertionError: assert 1 == 2\n\n>   assert y == 2")


def test_a_file_without_fences_is_not_even_parsed(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("this is not Python")
    assert parse_docstrings(path) == []
    path.write_text("```this is not Python```")
    with pytest.raises(SyntaxError):
        parse_docstrings(path)
