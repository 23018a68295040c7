"""A Markdown page as executable steps: parse it, run it, prove it.

This room stands alone: it knows nothing of workers, ComfyUI or pytest (only
``pytest_plugin`` and its helpers do), and works on anybody's Markdown.

```python
from runbooks.pages import Session, parse_page

page = parse_page('''
# Greet

~~~bash
export NAME=Ada
~~~

~~~bash
echo "Hello, $NAME"
~~~

~~~output
Hello, Grace
~~~
''', name="greet.md")

with Session(page) as session:
    for step in page.steps:
        result = session.run(step)
        print(step.name, "passed" if result.passed else result.error)
```

```output
greet[bash] passed
greet[bash-2] greet.md:13: 'Hello, Grace' was expected, 'Hello, Ada' was seen

>   Hello, Grace

expected (-) and seen (+):
- Hello, Grace
+ Hello, Ada
```
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runbooks.pages.docstrings import parse_docstrings
    from runbooks.pages.model import Block, Expected, Kind, Page, Problem, Section
    from runbooks.pages.parse import parse_page
    from runbooks.pages.results import Result, StepFailed
    from runbooks.pages.session import Session, terminal_environment
    from runbooks.pages.surroundings import PageEnvironment

_HOME = {
    "Block": "model",
    "Expected": "model",
    "Kind": "model",
    "Page": "model",
    "PageEnvironment": "surroundings",
    "Problem": "model",
    "Result": "results",
    "Section": "model",
    "Session": "session",
    "StepFailed": "results",
    "parse_docstrings": "docstrings",
    "parse_page": "parse",
    "terminal_environment": "session",
}

__all__ = [
    "Block",
    "Expected",
    "Kind",
    "Page",
    "PageEnvironment",
    "Problem",
    "Result",
    "Section",
    "Session",
    "StepFailed",
    "parse_docstrings",
    "parse_page",
    "terminal_environment",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: pytest imports this package at every start."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
