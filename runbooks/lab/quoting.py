"""Values as a file must spell them so that everyone who reads it gets the same: shell, python-dotenv, make."""

from __future__ import annotations

import re
import shlex

from runbooks.errors import UserError


def env_value(value: str) -> str:
    """Spell a value for an env file, which a shell sources and python-dotenv parses.

    Raises:
        UserError: no spelling means the same to both (a line break, a backslash, ``${``, or ``'`` together with ``$``).
    """
    if re.fullmatch(r"[\w@%+:,./-]*", value):
        return value
    if not re.search(r"[\n\r\\']|\$\{", value):
        return f"'{value}'"
    if not re.search(r"[\n\r\\$`]", value):
        return '"' + value.replace('"', '\\"') + '"'
    raise UserError(
        f"{value!r} cannot be written into an env file so that a shell and Python read the same.",
        "Use a folder whose name has no backslash, no line break, and not both ' and $.",
    )


def make_value(value: str) -> str:
    """Spell a value for the right side of an assignment in a Makefile.

    Raises:
        UserError: it has a line break.
    """
    if "\n" in value:
        raise UserError(f"{value!r} has a line break, which a Makefile cannot hold.", "Use a folder without one.")
    return value.replace("$", "$$").replace("#", "\\#")


def make_word(value: str) -> str:
    """Spell a value for a recipe line of a Makefile, as one word of its shell command.

    Raises:
        UserError: it has a line break.
    """
    if "\n" in value:
        raise UserError(f"{value!r} has a line break, which a Makefile cannot hold.", "Use a folder without one.")
    return shlex.quote(value).replace("$", "$$")
