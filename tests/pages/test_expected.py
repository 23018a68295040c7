from __future__ import annotations

import time

import pytest

from runbooks.pages.expected import compare, plain_text


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        ("", ""),
        ("", "\n\n"),
        ("a", "a\n"),
        ("a  \nb", "a\nb \n\n"),
        ("job 12... done", "job 12 is done"),
        ("...done", "done"),
        ("pid ... port ...", "pid 1 port 2"),
        ("...", ""),
        ("...", "a\nb\nc"),
        ("a\n...\nd", "a\nd"),
        ("a\n...\nd", "a\nb\nc\nd"),
        ("...\nb\n...\nb\nc", "b\na\nb\nb\nc"),
        ("  ...\nlast", "a\nb\nlast"),
        ("x.*[y]", "x.*[y]"),
        ("a...a", "aXa"),
    ],
)
def test_outputs_that_match(expected: str, seen: str) -> None:
    assert compare(expected, seen) is None


@pytest.mark.parametrize(
    ("expected", "seen", "line", "wanted", "given"),
    [
        ("a", "", 0, "a", None),
        ("", "a", 0, None, "a"),
        ("a\nb", "a\nc", 1, "b", "c"),
        ("a\nb", "a\nb\nc", 1, None, "c"),
        ("a\nb\nc", "a\nb", 2, "c", None),
        ("x.y", "xzy", 0, "x.y", "xzy"),
        ("a...a", "a", 0, "a...a", "a"),
        ("  indented", "indented", 0, "  indented", "indented"),
        ("a\n...\nd", "a\nb\nc", 2, "d", None),
        ("one ... line", "one\nline", 0, "one ... line", "one"),
    ],
)
def test_outputs_that_differ_are_told_by_the_first_line(
    expected: str, seen: str, line: int, wanted: str | None, given: str | None
) -> None:
    mismatch = compare(expected, seen)
    assert mismatch is not None
    assert (mismatch.line, mismatch.expected, mismatch.seen) == (line, wanted, given)


def test_the_diff_counts_wildcards_that_match_as_equal() -> None:
    mismatch = compare("pid ...\n...\nstate: completed\nend", "pid 42\nx\ny\nstate: failed\nend")
    assert mismatch is not None
    assert mismatch.diff.splitlines() == [
        "  pid ...",
        "- ...",
        "- state: completed",
        "+ x",
        "+ y",
        "+ state: failed",
        "  end",
    ]


def test_the_diff_of_a_long_output_is_short() -> None:
    seen = "\n".join(str(number) for number in range(3000))
    mismatch = compare(seen.replace("1500", "1.5"), seen)
    assert mismatch is not None
    assert (mismatch.expected, mismatch.seen) == ("1.5", "1500")
    assert len(mismatch.diff.splitlines()) < 50
    assert "- 1.5\n+ 1500" in mismatch.diff


def test_wildcards_never_take_more_than_a_moment() -> None:
    begun = time.process_time()
    assert compare("a...a...a...a...a...a...b", "a" * 20_000) is not None
    assert compare("...\na\n...\na\n...\nb", "a\n" * 20_000) is not None
    assert time.process_time() - begun < 1


def test_output_is_plain_text() -> None:
    assert plain_text(b"\x1b[31mred\x1b[0m\r\n\xff\x1b]0;title\x07.") == "red\n\\xff."
