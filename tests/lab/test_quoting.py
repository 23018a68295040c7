from __future__ import annotations

import subprocess
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from runbooks.errors import UserError
from runbooks.lab.quoting import env_value, make_value, make_word

ODD = [
    "",
    "plain",
    "/a b/c",
    "it's",
    'say "hi"',
    "$HOME",
    "`id`",
    "#5",
    "a=b",
    "*?",
    "~/x",
    "é ü",
    "per%cent",
    "(a);b&c|d",
]


@pytest.mark.parametrize("value", ODD)
def test_an_env_file_reads_the_same_in_a_shell_and_in_python(value: str, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"ONE={env_value(value)}\nTWO=2\n")
    script = f'set -a; . "{file}"; set +a; printf "%s|%s" "$ONE" "$TWO"'
    shell = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout == f"{value}|2"
    assert dotenv_values(stream=StringIO(file.read_text())) == {"ONE": value, "TWO": "2"}


@pytest.mark.parametrize("value", ["two\nlines", "back\\slash", "${HOME}", "it's $5", "it's `id`"])
def test_a_value_that_a_shell_and_python_read_differently_is_refused(value: str) -> None:
    with pytest.raises(UserError, match="cannot be written into an env file"):
        env_value(value)


@pytest.mark.parametrize("value", [value for value in ODD if value])
def test_make_hands_a_value_on_unchanged(value: str, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        f"export ONE := {make_value(value)}\nall:\n\t@printf '%s|%s' \"$$ONE\" {make_word(value)}\n"
    )
    made = subprocess.run(["make", "-s"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert made.stdout == f"{value}|{value}"


@pytest.mark.parametrize("spell", [make_value, make_word])
def test_make_is_not_given_a_line_break(spell: type[str]) -> None:
    with pytest.raises(UserError, match="line break"):
        spell("two\nlines")
