from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages.support import Pages

pytest_plugins = ["pytester"]


RESTART = """
---
title: Restart
---

# Restart the worker

## Confirm

=== "curl"

    ```bash
    export PORT=8189
    ```

=== "Python"

    ```python
    port = 8189
    print("port", port)
    ```

    ```output
    port ...
    ```

## Step 1: Restart

```{.bash .changes data-timeout="20"}
echo $PORT
```

```yaml title="how to notest this"
comfyui_url: http://127.0.0.1:8000
```

```{.yaml data-exempt="what the file holds then"}
comfyui_url: http://127.0.0.1:8189
```
"""


def test_each_step_is_an_item_with_a_name_that_holds_no_line_number(pages: Pages) -> None:
    pages.write("docs/restart.md", RESTART)
    result = pages.run("--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line] == [
        "docs/restart.md::confirm[curl-bash]",
        "docs/restart.md::confirm[python]",
        "docs/restart.md::step-1-restart[bash]",
        "docs/restart.md::step-1-restart[yaml-unaccounted]",
    ]


def test_every_block_is_counted_and_one_that_is_not_accounted_for_fails_the_run_at_its_line(pages: Pages) -> None:
    pages.write("docs/restart.md", RESTART)
    result = pages.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            'docs/restart.md:32: this yaml block is not accounted for: * ```{.yaml data-exempt="the reason"}',
            '>   ```yaml title="how to notest this"',
            "6 blocks: 3 executed, 1 outputs, 1 exempt, 1 unaccounted",
        ]
    )
    result.stdout.no_fnmatch_line("*what the file holds then*")


def test_exempt_blocks_are_listed_with_their_reasons_when_asked(pages: Pages) -> None:
    pages.write("docs/restart.md", RESTART)
    pages.run("-v").stdout.fnmatch_lines(["exempt docs/restart.md:36 yaml: what the file holds then"])


def test_a_failing_assertion_is_shown_with_its_values_at_the_page_s_line_and_nothing_else(pages: Pages) -> None:
    pages.write(
        "page.md",
        """
        # Verify

        !!! note

            ```python
            job = {"status": "failed"}
            print("asked once")
            assert job["status"] == "completed", "see the log"
            ```
        """,
    )
    result = pages.run()
    result.assert_outcomes(failed=1)
    lines = result.outlines
    start = next(index for index, line in enumerate(lines) if "verify[python]" in line and line.startswith("___"))
    end = next(index for index, line in enumerate(lines) if "pages" in line and line.startswith("==="))
    assert lines[start + 1 : end] == [
        "page.md:8: AssertionError: see the log",
        "",
        '>   assert job["status"] == "completed", "see the log"',
        "",
        "E   AssertionError: see the log",
        "E   assert 'failed' == 'completed'",
        "E     ",
        "E     - completed",
        "E     + failed",
        "----------------------------- Captured stdout call -----------------------------",
        "asked once",
    ]
    result.stdout.fnmatch_lines(["FAILED page.md::verify[[]python[]]*"])


def test_blocks_run_once_and_in_order_with_one_state(pages: Pages) -> None:
    pages.write(
        "page.md",
        """
        ```python
        letters = ["A"]
        ```

        ```python
        letters.append("B")
        ```

        ```python
        letters.append("C")
        assert letters == ["A", "B", "C"]
        ```
        """,
    )
    pages.run().assert_outcomes(passed=3)


def test_blocks_in_tabs_and_admonitions_and_brace_fences_run(pages: Pages) -> None:
    pages.write(
        "page.md",
        '=== "a"\n\n    ```{.python .changes}\n    1 / 0\n    ```\n\n!!! tip\n    ```sh\n    false\n    ```\n',
    )
    result = pages.run("-k", "a-python")
    result.stdout.fnmatch_lines(["page.md:4: ZeroDivisionError: division by zero"])
    pages.run().assert_outcomes(failed=2)


def test_words_in_a_title_are_no_options(pages: Pages) -> None:
    pages.write("page.md", '```python title="how to notest this with fixture:x"\n1 / 0\n```\n')
    pages.run().assert_outcomes(failed=1)


@pytest.mark.parametrize("word", ["continuation", "notest", "fixture:server", "retry:3", "runner:Bash"])
def test_an_option_of_pytest_markdown_docs_is_an_error_that_says_what_to_write_instead(pages: Pages, word: str) -> None:
    pages.write("page.md", f"# P\n\n```python\npass\n```\n\n```python {word}\npass\n```\n")
    result = pages.run()
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines([f"page.md:7: '{word}' is not known here and breaks the rendering; *"])
    result.stdout.fnmatch_lines([f"page.md:7: not run: '{word}' is not known here*"])


def test_a_type_error_runs_the_block_once(pages: Pages) -> None:
    pages.write("page.md", "```python\nwith open('count', 'a') as file: file.write('x')\nlen(5)\n```\n")
    result = pages.run()
    result.stdout.fnmatch_lines(["page.md:3: TypeError: object of type 'int' has no len()"])
    assert (pages.root / "count").read_text() == "x"


def test_output_is_in_the_report(pages: Pages) -> None:
    pages.write("page.md", "```python\nprint('from Python')\n```\n\n```bash\necho from the shell\n```\n")
    result = pages.run("-rP", "--junit-xml=report.xml", "-o", "junit_logging=all")
    result.stdout.fnmatch_lines(["*Captured stdout call*", "from Python", "*Captured stdout call*", "from the shell"])
    report = (pages.root / "report.xml").read_text()
    assert "from Python" in report
    assert "from the shell" in report


def test_a_wrong_output_fails_at_its_own_line(pages: Pages) -> None:
    pages.write("page.md", "```bash\necho a; echo b\n```\n\n```output\na\nc\n```\n")
    result = pages.run()
    result.stdout.fnmatch_lines(["page.md:7: 'c' was expected, 'b' was seen", ">   c", "  a", "- c", "+ b"])


def test_steps_behind_a_failed_one_are_not_run_and_say_why(pages: Pages) -> None:
    pages.write("page.md", "# P\n\n```bash\ntrue\nfalse\n```\n\n```bash\ntouch ran\n```\n\n```python\npass\n```\n")
    result = pages.run()
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "page.md:5: exit code 1",
            "page.md:8: not run: step p[[]bash[]] failed at page.md:5",
            "page.md:12: not run: step p[[]bash[]] failed at page.md:5",
            "3 blocks: 1 executed, 0 outputs, 0 exempt, 2 not run",
        ]
    )
    assert not (pages.root / "ran").exists()


@pytest.mark.parametrize("selection", [["-k", "last"], ["page.md::last[python]"]])
def test_a_step_alone_runs_those_above_it_first(pages: Pages, selection: list[str]) -> None:
    pages.write(
        "page.md",
        """
        ```python
        x = 1
        ```

        ## Last

        ```python
        assert x == 1
        ```

        ## Behind

        ```python
        raise AssertionError("nobody asked for this one")
        ```
        """,
    )
    result = pages.run(*selection)
    result.assert_outcomes(passed=1, deselected=2 if selection[0] == "-k" else 0)
    result.stdout.fnmatch_lines(["3 blocks: 2 executed, 0 outputs, 0 exempt, 1 not run"])


def test_an_item_can_be_called_by_the_name_that_is_printed(pages: Pages) -> None:
    pages.write("pkg/m.py", 'class A:\n    """Do.\n\n    ```python\n    1 / 0\n    ```\n    """\n')
    result = pages.run("-v")
    result.stdout.fnmatch_lines(["pkg/m.py::A.__doc__[[]python[]] FAILED*"])
    pages.run("pkg/m.py::A.__doc__[python]").assert_outcomes(failed=1)


def test_examples_in_docstrings_run_and_their_files_are_not_imported(pages: Pages) -> None:
    pages.write(
        "pkg/tool.py",
        '''
        """Tool.

        ```python
        print("module")
        ```

        ```output
        module
        ```
        """

        raise SystemExit("imported")

        def f():
            """Do.

            ```python
            assert 1 == 2
            ```
            """
        ''',
    )
    result = pages.run("pkg")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["pkg/tool.py:18: AssertionError: assert 1 == 2"])


def test_a_test_module_is_collected_once_as_ever(pages: Pages) -> None:
    pages.write("test_a.py", 'def test_a():\n    """Do.\n\n    ```python\n    pass\n    ```\n    """\n')
    pages.run().assert_outcomes(passed=2)


def test_a_python_file_or_page_that_cannot_be_read_is_one_sentence(pages: Pages) -> None:
    pages.write("broken.py", '"""\n```python\n```\n"""\nx = = 1\n')
    (pages.root / "latin.md").write_bytes(b"\xe9\n")
    result = pages.run()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*broken.py:5: invalid syntax", "*latin.md: not UTF-8: *"])


def test_without_the_option_nothing_is_collected(pages: Pages) -> None:
    pages.write("page.md", "```python\n1 / 0\n```\n")
    pages.write("test_a.py", "def test_a(): pass\n")
    result = pages.pytester.runpytest_inprocess(*pages.plugins, "-p", "no:cacheprovider", "page.md", "test_a.py")
    result.assert_outcomes(passed=0 if result.ret == pytest.ExitCode.USAGE_ERROR else 1)


def test_the_option_is_there_without_pytest_markdown_docs(pages: Pages) -> None:
    pages.plugins = ["-p", "runbooks.pages.pytest_plugin"]
    pages.write("page.md", "```python\npass\n```\n")
    pages.run("-m", "markdown-docs").assert_outcomes(passed=1)


def test_the_option_works_as_both_plugins_are_installed(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    pages.write("page.md", "```python\nx = 1\n```\n\n```bash\ntrue\n```\n")
    result = pages.pytester.runpytest_subprocess("--markdown-docs", "-W", "error", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["2 blocks: 2 executed, 0 outputs, 0 exempt"])


def test_the_plugin_alone_imports_almost_nothing() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import runbooks.pages.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert done.stdout.split() == [
        "runbooks",
        "runbooks.pages",
        "runbooks.pages.hookspecs",
        "runbooks.pages.pytest_plugin",
        "runbooks.pages.surroundings",
    ]
