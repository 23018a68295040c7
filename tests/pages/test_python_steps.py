from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from runbooks.pages import Session, parse_page, terminal_environment
from tests.pages.support import make_page, run_all, run_text
from tests.support.waiting import wait_until


def test_steps_share_their_names_and_each_runs_once() -> None:
    results = run_text(
        """
        ```python
        letters = []
        def add(letter):
            letters.append(letter)
            return letters
        ```

        ```python
        print(add("A"))
        ```

        ```output
        ['A']
        ```

        ```python
        print(add("B"), __name__)
        ```

        ```output
        ['A', 'B'] __main__
        ```
        """
    )
    assert [result.passed for result in results] == [True, True, True]


def test_everything_that_is_written_is_captured_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    (result,) = run_text(
        """
        ```python
        import os, subprocess, sys
        print("print")
        print("error", file=sys.stderr)
        subprocess.run(["sh", "-c", "echo child; echo child error >&2"], check=True)
        os.write(1, b"descriptor\\n")
        sys.stdout.buffer.write(b"\\xff binary\\n")
        sys.stdout.flush()
        print("no line end", end="")
        ```
        """
    )
    assert result.passed
    assert result.output == "print\nerror\nchild\nchild error\ndescriptor\n\\xff binary\nno line end"
    assert capfd.readouterr() == ("", "")


def test_a_failing_step_is_told_with_the_page_s_line_and_the_way_there() -> None:
    page = make_page(
        """
        # Page

        ```python
        def check(status):
            if status != "completed":
                raise ValueError(f"job is {status}")
        ```

        !!! note

            ```python
            status = "failed"

            check(
                status,
            )
            ```
        """
    )
    first, second = run_all(page)
    assert first.passed
    assert not second.passed
    assert (second.line, second.error and second.error.page) == (14, "page.md")
    assert str(second.error).splitlines() == [
        "page.md:14: ValueError: job is failed",
        "",
        ">   check(",
        "",
        'page.md:6: in check: raise ValueError(f"job is {status}")',
    ]


def test_the_cause_of_an_exception_is_told() -> None:
    (result,) = run_text(
        """
        ```python
        try:
            {}["COMFYUI_URL"]
        except KeyError as error:
            raise RuntimeError("no URL\\nsecond line") from error
        ```
        """
    )
    assert result.error is not None
    assert result.error.details.splitlines() == [
        "E   RuntimeError: no URL",
        "E   second line",
        "E   because of KeyError: 'COMFYUI_URL'",
    ]


def test_a_syntax_error_is_told_at_its_line() -> None:
    (result,) = run_text("text\n\n```python\nx = 1\ny = = 2\n```\n")
    assert (result.line, result.error and result.error.message) == (5, "SyntaxError: invalid syntax")


def test_a_broken_module_that_a_step_imports_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = = 1\n")
    (result,) = run_text("```python\nimport sys; sys.path.insert(0, '.'); import broken\n```\n", cwd=tmp_path)
    sys.path.remove(".")
    assert (result.line, result.error and result.error.message) == (2, "SyntaxError: invalid syntax")
    assert "broken.py" in str(result.error)


def test_a_type_error_is_raised_once_and_as_it_is() -> None:
    (result,) = run_text('```python\nprint("once")\nlen(5)\n```\n')
    assert result.output == "once\n"
    assert result.error is not None
    assert result.error.message == "TypeError: object of type 'int' has no len()"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; sys.exit(3)", "the step ended the interpreter (SystemExit: 3)"),
        ("import sys; sys.exit()", "the step ended the interpreter (SystemExit: None)"),
        ("import pytest; pytest.skip('not today')", "Skipped: not today"),
        ("class Odd(BaseException): pass\nraise Odd('x')", "page.md:3: Odd: x"),
        ("x = '\\0'\x00", "source code string cannot contain null bytes"),
        ("(" * 300 + ")" * 300, "too many nested parentheses"),
    ],
)
def test_nothing_that_a_step_raises_ends_the_run_or_looks_like_success(code: str, says: str) -> None:
    results = run_text(f"```python\n{code}\n```\n\n```python\nprint('on')\n```\n")
    assert [result.passed for result in results] == [False, True]
    assert says in str(results[0].error)


def test_ctrl_c_is_not_a_result_and_leaves_the_process_as_it_was() -> None:
    before = (dict(os.environ), Path.cwd(), sys.stdout, sys.modules["__main__"])
    page = make_page("```python\nimport os\nos.environ['A'] = 'b'\nos.chdir('/')\nraise KeyboardInterrupt\n```\n")
    with pytest.raises(KeyboardInterrupt):
        run_all(page)
    assert (dict(os.environ), Path.cwd(), sys.stdout, sys.modules["__main__"]) == before


def test_a_step_that_takes_too_long_is_stopped_with_its_output_so_far() -> None:
    results = run_text(
        """
        ```{.python data-timeout="0.2"}
        print("so far")
        while True:
            try:
                import time
                time.sleep(60)
            except Exception:
                pass
        ```

        ```python
        print("on")
        ```
        """
    )
    assert [result.passed for result in results] == [False, True]
    assert results[0].output == "so far\n"
    assert results[0].error is not None
    assert results[0].error.message == "still running after 0.2 s; stopped"


def test_a_step_that_writes_without_end_is_stopped() -> None:
    (result,) = run_text("```python\nwhile True:\n    print('x' * 100_000)\n```\n")
    assert "wrote more than 10,000,000 bytes" in str(result.error)
    assert result.line == 3


def test_a_step_whose_child_writes_without_end_is_stopped() -> None:
    (result,) = run_text("```python\nimport subprocess\nsubprocess.run(['yes'])\n```\n")
    assert "wrote more than 10,000,000 bytes" in str(result.error)
    assert result.seconds < 10


def test_a_step_may_close_its_streams() -> None:
    results = run_text(
        """
        ```python
        import os, sys
        print("before")
        sys.stdout.close()
        os.close(2)
        ```

        ```python
        print("after")
        print("error", file=sys.stderr)
        ```
        """
    )
    assert [(result.passed, result.output) for result in results] == [(True, "before\n"), (True, "after\nerror\n")]


def test_a_step_reads_nothing_from_stdin() -> None:
    (result,) = run_text("```python\nimport os, sys\nprint(repr(sys.stdin.read()), os.read(0, 9))\n```\n")
    assert result.output == "'' b''\n"


def test_environment_and_directory_are_the_page_s_own(tmp_path: Path) -> None:
    before = (dict(os.environ), Path.cwd())
    environ = terminal_environment({"PATH": os.environ["PATH"], "GIVEN": "1"})
    results = run_text(
        """
        ```python
        import os
        print(os.environ["GIVEN"], os.environ["TERM"], "HOME" in os.environ, os.path.basename(os.getcwd()))
        os.environ["OWN"] = "2"
        os.mkdir("below")
        os.chdir("below")
        ```

        ```python
        print(os.environ["OWN"], os.path.basename(os.getcwd()))
        ```

        ```bash
        echo "${GIVEN} ${OWN-unset} $(basename "$PWD")"
        ```
        """,
        environ=environ,
        cwd=tmp_path,
    )
    assert [result.output for result in results] == [
        f"1 dumb False {tmp_path.name}\n",
        "2 below\n",
        f"1 unset {tmp_path.name}\n",
    ]
    assert (dict(os.environ), Path.cwd()) == before


def test_a_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    first, second = run_text("```bash\nrmdir $PWD\n```\n\n```python\npass\n```\n", cwd=gone)
    assert first.passed
    assert second.error is not None
    assert second.error.message == f"the working directory is gone: {gone}"


def test_a_future_import_holds_for_the_steps_below() -> None:
    results = run_text(
        """
        ```python
        def before(x: unknown_name = 1): ...
        ```

        ```python
        from __future__ import annotations
        ```

        ```python
        def after(x: unknown_name = 1): ...
        ```
        """
    )
    assert [result.passed for result in results] == [False, True, True]


@pytest.mark.parametrize(
    ("code", "fails", "says"),
    [
        ("{}['x']", "KeyError", None),
        ("{}['x']", "LookupError", None),
        ("from runbooks.errors import UserError\nraise UserError('a', 'b')", "runbooks.errors.UserError", None),
        ("import sys; sys.exit(2)", "SystemExit", None),
        ("x = (", "SyntaxError", None),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", None),
        ("pass", "KeyError", "this step was to fail with KeyError, and passed"),
        ("1 / 0", "KeyError", "ZeroDivisionError: division by zero; it was to fail with KeyError"),
    ],
)
def test_a_step_that_must_fail_passes_only_when_it_fails_so(code: str, fails: str, says: str | None) -> None:
    (result,) = run_text(f'```{{.python data-fails="{fails}"}}\n{code}\n```\n')
    assert (result.error.message if result.error else None) == says


def test_the_exception_of_a_step_that_must_fail_is_part_of_its_output() -> None:
    (result,) = run_text(
        """
        ```{.python data-fails="ValueError"}
        print("first")
        raise ValueError("no worker")
        ```

        ```output
        first
        ValueError: no worker
        ```
        """
    )
    assert result.passed, result.error


def test_a_child_that_a_step_leaves_running_ends_with_the_session() -> None:
    page = make_page(
        """
        ```python
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(child.pid)
        ```
        """
    )
    with Session(page) as session:
        pid = int(session.run(page.steps[0]).output)
        assert psutil.pid_exists(pid)
    wait_until(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE,
        5,
        "the child of a page's step ends",
    )


def test_a_session_that_has_ended_runs_nothing() -> None:
    page = make_page("```python\npass\n```\n\n```{.yaml data-exempt='a file'}\na: 1\n```\n")
    step, exempt = page.blocks
    with Session(page) as session, pytest.raises(ValueError, match=r"page\.md:5 is not a step"):
        session.run(exempt)
    with pytest.raises(RuntimeError, match="has ended"):
        session.run(step)


def test_lines_of_an_included_file_fail_at_the_include(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("x = 1\nassert x == 2\n")
    page = parse_page('```python\ny = 1\n--8<-- "job.py"\n```\n', root=tmp_path)
    (result,) = run_all(page)
    assert result.line == 3
