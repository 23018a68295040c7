"""A lab for a page: of its own, on free ports, in the state that the page's front matter asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runbooks.lab.states import as_documented, lab_in_state
from runbooks.pages.hookspecs import PageEnvironment


@contextmanager
def stack(state: str) -> Iterator[PageEnvironment]:
    """Start a lab in the state that a page asks for, and remove every trace of it afterwards."""
    with lab_in_state(state) as lab:
        yield PageEnvironment(lab.environment(), shown=as_documented(lab.environment()))
