"""Patterns, tolerances, retries, conditions, hidden set-up, secrets: what a page can say beyond a plain step."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooks.pages import Session
from runbooks.pages.model import Expected
from tests.pages.support import Pages, make_page, problems_of, run_text

pytest_plugins = ["pytester"]


def passes(attributes: str, expected: str, printed: str) -> bool:
    (result,) = run_text(f"```bash\ncat <<'END'\n{printed}\nEND\n```\n\n```{{.output {attributes}}}\n{expected}\n```\n")
    return result.passed


@pytest.mark.parametrize(
    ("pattern", "printed", "fits"),
    [
        (r"job \d+ is (done|failed)", "job 12 is done", True),
        (r"job \d+", "job 12 is done", False),
        ("...\nlast \\w+", "one\ntwo\nlast word", True),
    ],
)
def test_a_line_of_patterns_must_match_a_whole_line(pattern: str, printed: str, fits: bool) -> None:
    assert passes('data-match="regex"', pattern, printed) is fits


@pytest.mark.parametrize(
    ("tolerance", "expected", "printed", "fits"),
    [
        ("5%", "took 100 ms", "took 104.9 ms", True),
        ("5%", "took 100 ms", "took 106 ms", False),
        ("0.5", "x=1.0 y=-2", "x=1.4 y=-2.5", True),
        ("0.5", "x=1.0 y=-2", "x=1.4 y=-2.6", False),
        ("0.5", "x=1.0 apples", "x=1.0 pears", False),
        ("5%", "... took 100 ms", "job 7 took 101 ms", True),
    ],
)
def test_a_number_may_differ_by_the_tolerance_and_words_may_not(
    tolerance: str, expected: str, printed: str, fits: bool
) -> None:
    assert passes(f'data-tolerance="{tolerance}"', expected, printed) is fits


def test_a_step_is_tried_again_before_it_counts_as_failed(tmp_path: Path) -> None:
    (result,) = run_text(
        '```{.bash data-retries="2"}\necho x >> tries\ntest "$(wc -l < tries)" -ge 2\n```\n', cwd=tmp_path
    )
    assert result.passed
    assert (tmp_path / "tries").read_text() == "x\nx\n"


@pytest.mark.parametrize(
    ("language", "condition", "applies"),
    [
        ("bash", "test $((1 + 1)) = 2", True),
        ("bash", "false", False),
        ("python", "1 + 1 == 2", True),
        ("python", "[]", False),
    ],
)
def test_a_step_is_run_only_where_its_condition_holds(language: str, condition: str, applies: bool) -> None:
    code = "echo ran" if language == "bash" else "print('ran')"
    (result,) = run_text(f'```{{.{language} data-if="{condition}"}}\n{code}\n```\n')
    assert result.passed
    assert result.output == ("ran\n" if applies else "")
    assert result.skipped == ("" if applies else f"does not apply: {condition}")


@pytest.mark.parametrize(("language", "condition"), [("bash", "no-such-command"), ("python", "no_such_name")])
def test_a_condition_that_cannot_be_told_fails_its_step(language: str, condition: str) -> None:
    (result,) = run_text(f'```{{.{language} data-if="{condition}"}}\npass\n```\n')
    assert result.error is not None
    assert result.error.message.startswith("its condition cannot be told")


def test_hidden_set_up_is_a_step_like_any_other() -> None:
    first, second = run_text("```{.bash .hidden}\nX=1\n```\n\n```bash\necho $X\n```\n")
    assert first.block.hidden
    assert second.output == "1\n"


@pytest.mark.parametrize(
    ("fence", "message"),
    [
        ("{.bash data-retries=many}", "data-retries must be a number up to 100, not 'many'"),
        ("{.bash data-match=regex}", "data-match says nothing about a step; give it to the output block"),
        ("{.bash data-retry=3}", "unknown attribute data-retry; did you mean data-retries?"),
        ("{.bash .hiden}", "unknown class .hiden; did you mean .hidden?"),
    ],
)
def test_a_slip_in_an_attribute_is_told_with_what_was_meant(fence: str, message: str) -> None:
    assert problems_of(f"```{fence}\ntrue\n```\n") == [(1, message)]


@pytest.mark.parametrize(
    ("attributes", "text", "message"),
    [
        ("data-match=glob", "x", "data-match must be 'regex', not 'glob'"),
        ("data-match=regex", "a(b", "'a(b' is not a regular expression: missing ), unterminated subpattern"),
        ("data-tolerance=much", "1", "data-tolerance must be a number or a percentage, as 0.5 or 5%, not 'much'"),
    ],
)
def test_a_slip_in_an_output_block_is_told(attributes: str, text: str, message: str) -> None:
    assert problems_of(f"```bash\ntrue\n```\n\n```{{.output {attributes}}}\n{text}\n```\n") == [(5, message)]


def test_what_was_compared_is_told_for_every_command_of_a_transcript() -> None:
    (result,) = run_text("```console\n$ echo a\na\n$ echo b\nb\n```\n")
    assert result.compared == ((Expected("a\n", 3), "a\n"), (Expected("b\n", 5), "b\n"))


def test_variables_go_from_one_session_to_another() -> None:
    page = make_page("```bash\nA='x \"y\"\nz'\ndeclare -a L=(1 2)\n```\n\n```python\nd = {'k': [1]}; f = open\n```\n")
    with Session(page) as session:
        for step in page.steps:
            session.run(step).check()
        shell, python = session.values("shell", ["A", "L", "none"]), session.values("python", ["d", "f", "none"])
    assert python == {"d": "{'k': [1]}"}
    with Session(page) as session:
        session.restore("shell", shell)
        session.restore("python", python)
        assert session.values("shell", ["A", "L"]) == shell
        assert session.values("python", ["d"]) == python


def test_under_pytest_a_step_that_does_not_apply_is_skipped_with_its_reason(pages: Pages) -> None:
    pages.write("page.md", '```{.bash data-if="false"}\nfalse\n```\n\n```bash\ntrue\n```\n')
    result = pages.run("-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["2 blocks: 1 executed, 0 outputs, 0 exempt, 1 not run", "SKIPPED*does not apply: false"]
    )


def test_under_pytest_a_secret_comes_from_the_environment(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    pages.write("page.md", '---\nsecrets:\n  PASSPORT: Its number\n---\n```bash\ntest "$PASSPORT" = 12\n```\n')
    result = pages.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the page asks for PASSPORT; set it in the environment*"])
    monkeypatch.setenv("PASSPORT", "12")
    pages.run().assert_outcomes(passed=1)
