"""Which roll-back steps undo which changing steps.

The roll-back steps of one section are a *way back*: they are run together, in the order of the page. A way back undoes
the changing steps of its own section that stand above it; when there are none, all changing steps above it that no
other way back undoes. After several changes the ways back are run from the last to the first, each only if at least
one of the steps that it undoes was begun.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby

from runbooks.pages.model import Block, Page


@dataclass(frozen=True)
class WayBack:
    """The roll-back steps of one section, and the changing steps that they undo."""

    steps: tuple[Block, ...]
    undoes: tuple[Block, ...]


def ways_back(page: Page) -> tuple[WayBack, ...]:
    """Return the ways back of a page, in its order."""
    steps = page.steps
    position = {step: index for index, step in enumerate(steps)}
    sections = {block: number for number, section in enumerate(page.sections) for block in section.blocks}
    groups = [
        tuple(group) for _, group in groupby((step for step in steps if step.rollback), key=lambda step: sections[step])
    ]
    changing = [step for step in steps if step.changes and not step.rollback]
    own = [
        [step for step in changing if sections[step] == sections[group[0]] and position[step] < position[group[0]]]
        for group in groups
    ]
    taken = {step for found in own for step in found}
    result = []
    for group, in_section in zip(groups, own, strict=True):
        above = [step for step in changing if step not in taken and position[step] < position[group[0]]]
        undoes = in_section or above
        taken |= set(undoes)
        result.append(WayBack(group, tuple(undoes)))
    return tuple(result)


def steps_back(page: Page, begun: Collection[Block]) -> tuple[Block, ...]:
    """Return the roll-back steps to run, in their order, when the steps ``begun`` have been begun."""
    return tuple(
        step for way in reversed(ways_back(page)) if any(undone in begun for undone in way.undoes) for step in way.steps
    )
