"""``runbooks check`` and ``runbooks update``: a page read with care, and brought up to date."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from runbooks.pages import Session, parse_page
from runbooks.pages.lint import lint
from runbooks.pages.update import merged, updated_text

ROOT = Path(__file__).parent.parent.parent
# Folders with an underscore hold parts of pages.
PAGES = sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if not path.parent.name.startswith("_")
)
CHANGE = "```{.bash .changes}\ntouch x\n```\n"


def findings(folder: Path, text: str) -> list[str]:
    path = folder / "page.md"
    path.write_text(dedent(text).lstrip("\n"), "utf-8")
    return [f"{found.line}:{found.column} {found.rule}" for found in lint(path, root=folder)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# T\n\nwords\n", []),
        ("```bash\ntrue\n```\n", ["1:1 title"]),
        ("# T\n\n```yaml\na: 1\n```\n", ["3:1 unaccounted"]),
        ("# T\n\n```{.bash data-timout=3}\ntrue\n```\n", ["3:1 page"]),
        ("# T\n\n### Deep\n\nwords\n", ["3:1 sections"]),
        ("# T\n\n## A\n\nx\n\n## A\n\ny\n", ["7:1 sections"]),
        ("# T\n\n## A\n\n## B\n\nx\n", ["3:1 dead-end"]),
        ("# T\n\nSee [it](gone.md) and [that](#no) and [this](#t).\n", ["3:10 dead-end", "3:30 dead-end"]),
        ("# T\n\n```bash\n# [x](gone.md)\n```\n\n`[y](gone.md)`\n", []),
        (f"# T\n\n{CHANGE}", ["3:1 no-roll-back"]),
        (f"# T\n\n{CHANGE}\n## Roll back\n\nNothing to do.\n", []),
        (f"# T\n\n{CHANGE}\n```{{.bash .rollback}}\nrm x\n```\n", []),
        ("# T\n\n```{.bash .rollback}\nrm x\n```\n", ["3:1 no-change"]),
        (
            f"# T\n\n{CHANGE.replace('.changes', '.changes data-retries=2')}\n## Roll back\n\nNo.\n",
            ["3:1 retried-change"],
        ),
        ("# T\n\n## Verify\n\n```bash\ncat x\n```\n", ["3:1 verifies-nothing"]),
        ("# T\n\n## Verify\n\n```bash\ntest -e x\n```\n", []),
        ("# T\n\n## Verify\n\n```python\nassert x\n```\n", []),
        ("# T\n\n```bash\ncat x\n```\n\n```output\n...\n```\n", ["8:1 verifies-nothing"]),
        ("# T\n\n```bash\ncurl -s http://db:81/x\n```\n", ["4:9 hard-coded-host"]),
        ('# T\n\n```bash\ncurl "${URL:-http://db:81}/x"\n```\n', []),
        ("# T\n\n```python\nhttpx.get('http://db/x')\n```\n", ["4:12 hard-coded-host"]),
    ],
)
def test_a_page_is_told_what_is_wrong_with_it_and_where(tmp_path: Path, text: str, found: list[str]) -> None:
    assert findings(tmp_path, text) == found


@pytest.mark.parametrize("page", PAGES)
def test_no_page_of_this_project_has_anything_to_mend(page: str) -> None:
    assert lint(ROOT / page, root=ROOT) == []


@pytest.mark.parametrize(
    ("wanted", "given", "result"),
    [
        (["a", "b"], ["a", "c"], ["a", "c"]),
        (["a ... z", "b"], ["a 1 z", "c"], ["a ... z", "c"]),
        (["pid ... was up"], ["pid 12 is up"], ["pid ... is up"]),
        (["pid ... was up"], ["pid 12 has been up"], ["pid 12 has been up"]),
        (["first", "...", "last"], ["first", "1", "2", "end"], ["first", "...", "end"]),
        (["...", "old"], ["1", "2", "new"], ["...", "new"]),
        (["a"], ["a", "b", "c"], ["a", "b", "c"]),
        (["a", "b", "c"], ["c"], ["c"]),
        ([], ["a"], ["a"]),
    ],
)
def test_what_was_seen_is_written_and_wildcards_stay_where_they_fit(
    wanted: list[str], given: list[str], result: list[str]
) -> None:
    assert merged(wanted, given) == result


def test_a_page_is_updated_in_place_in_tabs_quotes_and_transcripts(tmp_path: Path) -> None:
    text = dedent("""\
        === "Shell"

            ```bash
            printf 'one\\n\\ntwo\\n'
            ```

            ```output
            zero
            ```

        > ```bash
        > echo new
        > ```
        >
        > ```output
        > old
        > ```

        ```console
        $ echo a
        b
        $ echo c
        ```

        ```bash
        echo 101 here
        ```

        ```{.output data-tolerance="5%"}
        100 here
        ```

        ```bash
        echo filled
        ```

        ```output
        ```
        """)
    path = tmp_path / "page.md"
    path.write_text(text)
    page = parse_page(path, root=tmp_path)
    with Session(page) as session:
        compared = [pair for step in page.steps for pair in session.run(step).compared]
    new, left = updated_text(page, compared, lambda text: text)
    assert left == ()
    assert "    one\n\n    two\n    ```" in new
    assert "> new\n> ```" in new
    assert "$ echo a\na\n$ echo c\n" in new
    assert "\n100 here\n" in new
    assert new.endswith("```output\nfilled\n```\n")
    path.write_text(new)
    page = parse_page(path, root=tmp_path)
    with Session(page) as session:
        assert [session.run(step).passed for step in page.steps] == [True, True, False, True, True]


@pytest.mark.parametrize(
    ("page", "line", "why"),
    [
        ("```bash\nprintf '%s\\n' '`''``' b\n```\n\n```output\nold\n```\n", 6, "a fence, an include or a command"),
        (
            "```bash\necho '-''-8<--' '\"README.md\"'\n```\n\n```output\nold\n```\n",
            6,
            "a fence, an include or a command",
        ),
        ("```console\n$ echo '$' ls\nold\n```\n", 3, "a fence, an include or a command"),
        ("```bash\nprintf '1%%\\r2%%\\n'\n```\n\n```output\nold\n```\n", 6, "a carriage return"),
        ('```bash\necho b\n```\n\n```output\n--8<-- "part.txt"\n```\n', 6, "change it there"),
        ('```bash\necho b\n```\n\n```{.output data-match="regex"}\na+\n```\n', 6, "change it by hand"),
    ],
)
def test_an_output_that_cannot_be_written_is_left_and_told_and_the_others_are_written(
    tmp_path: Path, page: str, line: int, why: str
) -> None:
    (tmp_path / "part.txt").write_text("a\n")
    path = tmp_path / "page.md"
    path.write_text(f"{page}\n```bash\necho new\n```\n\n```output\nstale\n```\n")
    found = parse_page(path, root=tmp_path)
    with Session(found) as session:
        compared = [pair for step in found.steps for pair in session.run(step).compared]
    new, left = updated_text(found, compared, lambda text: text)
    assert [(problem.line, why in problem.message) for problem in left] == [(line, True)]
    assert new == path.read_text().replace("stale", "new")


@pytest.mark.parametrize(("old", "new"), [("> a", "> b"), ("a\f1", "a\f2")])
def test_an_output_with_marks_of_quotes_or_a_form_feed_is_not_taken_for_an_included_one(old: str, new: str) -> None:
    text = f"```bash\nprintf '{new}\\n'\n```\n\n```output\n{old}\n```\n"
    page = parse_page(text)
    (expected,) = [step.expected for step in page.steps]
    assert expected is not None
    assert updated_text(page, [(expected, f"{new}\n")], str) == (text.replace(f"\n{old}\n", f"\n{new}\n"), ())
