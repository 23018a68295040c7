from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psutil
import pytest

from runbooks.pages import Result, Session, shell_runner, terminal_environment, wires
from runbooks.pages.expected import compare
from tests.pages.support import make_page, run_text
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True, params=[wires.Unnamed, wires.Named], ids=["without-names", "in-a-folder"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[wires.Wires]:
    """All holds for both kinds of wires: those of Linux, and those of other systems."""
    monkeypatch.setattr(shell_runner, "new_wires", request.param)
    kind: type[wires.Wires] = request.param
    return kind


def run_bash(*blocks: str, **options: object) -> list[Result]:
    return run_text("\n".join(f"```bash\n{block}\n```\n" for block in blocks), **options)


def test_steps_share_exports_variables_functions_and_directory(tmp_path: Path) -> None:
    results = run_bash(
        'export A=1\nB=2\ndeclare -a list=(x y)\ngreet() { echo "hello $1"; }\ncd /',
        'greet "$A $B ${list[1]}"; sh -c \'echo "${A-unset} ${B-unset}"\'; pwd',
        cwd=tmp_path,
    )
    assert results[1].output == "hello 1 2 y\n1 unset\n/\n"


@pytest.mark.parametrize(
    ("code", "line", "exit_code", "output"),
    [
        ("echo a\nfalse\necho b", 3, 1, "a\n"),
        ("echo a\ncat /gone/file | cat\necho b", 3, 1, "a\ncat: /gone/file: No such file or directory\n"),
        ("(echo sub; false; echo not)\necho b", 2, 1, "sub\n"),
        ("x=$(false)\necho b", 2, 1, ""),
        ("for i in 1 2; do\n  echo $i\n  test $i = 1\ndone", 4, 1, "1\n2\n"),
        ("f() {\n  false\n  echo not\n}\nf\necho b", 6, 1, ""),
        (
            "no-such-command --flag \\\n  one \\\n  two\necho b",
            2,
            127,
            "page.md: line ...: no-such-command: command not found\n",
        ),
        ("false | true\necho b", 2, 1, ""),
        ("sh -c 'exit 7'", 2, 7, ""),
        ("true && false", 2, 1, ""),
        ("set -e\nfalse\necho b", 3, 1, ""),
        ("! true", 2, 1, ""),
        ("source ./env.sh\necho b", 2, 3, "in env.sh\n"),
        ("source ./good.sh\nfalse\necho b", 3, 1, "good\n"),
        ("echo a\nreturn 3", 3, 3, "a\n"),
    ],
)
def test_the_first_command_that_fails_fails_the_step_at_its_line(
    code: str, line: int, exit_code: int, output: str, tmp_path: Path
) -> None:
    (tmp_path / "env.sh").write_text("echo in env.sh\nsh -c 'exit 3'\necho not\n")
    (tmp_path / "good.sh").write_text("echo good\n")
    failed, next_one = run_bash(code, "echo on", cwd=tmp_path)
    assert failed.error is not None
    assert failed.error.message == f"exit code {exit_code}"
    assert failed.line == line
    assert compare(output, failed.output) is None
    assert (next_one.passed, next_one.output) == (True, "on\n")


@pytest.mark.parametrize(
    "code",
    [
        "if false; then echo; fi",
        "false || true",
        "while false; do :; done",
        "! false",
        "x=$(false; echo 1)",
        "set +e\nfalse\nset -e",
        "false & wait $! || true",
        "set -u\nset +u",
        "grep -c x <<'END' || [ $? = 1 ]\nnothing\nEND",
    ],
)
def test_a_failure_that_the_step_expects_is_none(code: str) -> None:
    first, second = run_bash(code, "echo on")
    assert first.passed, first.error
    assert second.output == "on\n"


def test_code_that_bash_cannot_read_is_told_at_its_line() -> None:
    (result,) = run_bash("echo a\nif then")
    assert (result.line, result.error and result.error.message) == (3, "bash cannot read this step")
    assert "page.md: line 3: syntax error" in result.output


def test_the_terminal_is_plain() -> None:
    page = make_page(
        "```bash\necho $TERM $NO_COLOR $COLUMNS ${FORCE_COLOR-none}; printf '\\033[1mbold\\033[0m\\r\\n'; cat\n```\n"
    )
    with Session(page, environ=terminal_environment({"FORCE_COLOR": "1", "PATH": os.environ["PATH"]})) as session:
        assert session.run(page.steps[0]).output == "dumb 1 80 none\nbold\n"


def test_the_commands_of_this_interpreter_s_environment_are_found() -> None:
    (result,) = run_bash("python -c 'import runbooks'; command -v pytest")
    assert result.passed, result.output


def test_a_profile_or_a_bash_env_of_the_user_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("echo intruder; X=1\n")
    environ = terminal_environment() | {"BASH_ENV": str(tmp_path / "env"), "ENV": str(tmp_path / "env")}
    assert run_bash("echo ${X-unset}", environ=environ)[0].output == "unset\n"


def test_no_bash_is_one_clear_sentence() -> None:
    (result,) = run_bash("true", environ={"PATH": "/nowhere"})
    assert result.error is not None
    assert result.error.message == "there is no bash on the PATH"


def test_a_step_that_takes_too_long_is_stopped_with_all_it_started() -> None:
    first, second = run_text(
        """
        ```{.bash data-timeout="0.3"}
        echo so far
        sh -c 'echo $$; exec sleep 600'
        ```

        ```bash
        echo on
        ```
        """
    )
    assert (first.line, first.error and first.error.message) == (2, "still running after 0.3 s; stopped")
    so_far, pid = first.output.split("\n")[:2]
    assert so_far == "so far"
    assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    assert second.error is not None
    assert second.error.message == "there is no shell any more: the step that ends at line 3 was stopped"


def test_a_step_that_writes_without_end_is_stopped() -> None:
    (result,) = run_bash("yes")
    assert "wrote more than 10,000,000 bytes" in str(result.error)


def test_what_a_step_leaves_running_is_there_for_the_next_and_gone_with_the_session() -> None:
    page = make_page(
        """
        ```bash
        (while :; do echo noise; sleep 0.01; done) &
        echo $!
        ```

        ```bash
        kill -0 $! && echo alive
        set -m
        sleep 600 &
        echo $!
        ```
        """
    )
    with Session(page) as session:
        first, second = (session.run(step) for step in page.steps)
        assert second.output.startswith("alive\n")
        assert "noise" not in second.output
        # Who is first, the noise or its pid, is a matter of luck.
        pids = [int(next(word for word in first.output.split() if word != "noise")), int(second.output.split()[1])]
        assert all(psutil.pid_exists(pid) for pid in pids)
    for pid in pids:
        wait_until(
            lambda pid=pid: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE,  # type: ignore[misc]
            5,
            "what a shell step left running ends",
        )


def test_the_exit_trap_of_a_page_runs_when_its_session_ends(tmp_path: Path) -> None:
    run_bash("trap 'touch cleaned' EXIT", "cd /", "cd - >/dev/null", cwd=tmp_path)
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize(
    ("code", "how"),
    [("exit 3", "exit code 3"), ("exit", "exit code 0"), ("kill -9 $$", "signal 9"), ("exec true", "exit code 0")],
)
def test_a_step_that_ends_the_shell_fails_and_is_named_by_the_next(code: str, how: str) -> None:
    first, second = run_bash(f"echo a\n{code}", "echo b")
    assert (first.output, first.line) == ("a\n", 3)
    assert first.error is not None
    assert first.error.message == f"the step ended the shell ({how})"
    assert second.error is not None
    assert second.error.message == f"there is no shell any more: it ended at line 3 ({how})"


def test_a_step_may_close_its_streams() -> None:
    first, second = run_bash("echo a\nexec >&- 2>&- <&-", "echo b; echo c >&2")
    assert (first.passed, first.output, second.output) == (True, "a\n", "b\nc\n")


def test_binary_output_and_odd_line_ends_are_kept_readable() -> None:
    (result,) = run_bash("head -c 4 /dev/zero; printf '\\377\\f\\n'")
    assert result.output == "\0\0\0\0\\xff\f\n"


def test_code_with_form_feeds_and_other_line_ends_keeps_its_lines() -> None:
    (result,) = run_bash("echo 'a\fb\u2028c'\nfalse")
    assert result.line == 3


@pytest.mark.parametrize(
    ("code", "fails", "says"),
    [
        ("sh -c 'exit 2'", "2", None),
        ("exit 2", "2", None),
        ("true", "2", "this step was to fail with 2, and passed"),
        ("false", "2", "exit code 1; it was to fail with 2"),
    ],
)
def test_a_step_that_must_fail_passes_only_with_its_exit_code(code: str, fails: str, says: str | None) -> None:
    (result,) = run_text(f'```{{.bash data-fails="{fails}"}}\n{code}\n```\n')
    assert (result.error.message if result.error else None) == says


def test_a_wrong_output_is_told_at_the_line_that_says_otherwise() -> None:
    (result,) = run_text(
        """
        ```bash
        echo "worker 7"; echo "state: failed"; echo end
        ```

        ```output
        worker ...
        state: completed
        end
        ```
        """
    )
    assert not result.passed
    assert result.line == 7
    assert result.error is not None
    assert result.error.expected == "worker ...\nstate: completed\nend\n"
    assert result.error.seen == "worker 7\nstate: failed\nend\n"
    assert str(result.error).splitlines() == [
        "page.md:7: 'state: completed' was expected, 'state: failed' was seen",
        "",
        ">   state: completed",
        "",
        "expected (-) and seen (+):",
        "  worker ...",
        "- state: completed",
        "+ state: failed",
        "  end",
    ]


def test_what_differs_from_run_to_run_is_compared_as_the_page_shows_it() -> None:
    page = "```bash\necho http://127.0.0.1:41234 41234\n```\n\n```output\nhttp://127.0.0.1:8189 {}\n```\n"
    shown = {"41234": "port", "127.0.0.1:41234": "127.0.0.1:8189"}
    (right,) = run_text(page.format("port"), shown=shown)
    (wrong,) = run_text(page.format("41234"), shown=shown)
    assert right.passed
    assert right.output == "http://127.0.0.1:41234 41234\n"
    assert wrong.error is not None
    assert wrong.error.seen == "http://127.0.0.1:8189 port\n"


def test_a_transcript_runs_its_commands_and_compares_each_output() -> None:
    results = run_text(
        """
        ```console
        $ X=5; echo one
        one
        $ echo two \\
        >   three
        two three
        $ true
        $ echo $X; echo more
        5
        ...
        ```

        ```console
        $ echo a
        a
        $ echo b
        B
        $ echo never
        ```

        ```console
        $ echo unsaid
        ```

        ```console
        $ echo a
        a
        $ false
        $ echo never
        ```
        """
    )
    assert [(result.passed, result.line) for result in results] == [(True, 1), (False, 17), (False, 22), (False, 28)]
    assert results[1].output == "$ echo a\na\n$ echo b\nb\n"


def test_the_last_command_of_a_transcript_is_the_one_that_must_fail() -> None:
    page = """
        ```{.console data-fails="3"}
        $ echo a
        a
        $ sh -c 'echo bad; exit 3'
        bad
        ```

        ```{.console data-fails="1"}
        $ false
        $ true
        ```
        """
    assert [result.passed for result in run_text(page)] == [True, False]


def test_a_session_leaves_no_descriptor_and_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = psutil.Process().num_fds()
    (result,) = run_bash("echo $(ls /dev/fd)")
    assert result.output == "0 1 2 3\n"  # the last one is the folder that ls reads
    assert psutil.Process().num_fds() == before
    assert list(tmp_path.iterdir()) == []


def test_a_step_is_not_told_what_an_earlier_one_left_running_writes(tmp_path: Path) -> None:
    late = "(until test -e go; do sleep 0.01; done; echo late; touch gone) &"
    results = run_bash(late, "touch go; until test -e gone; do sleep 0.01; done; echo mine", cwd=tmp_path)
    assert [result.output for result in results] == ["", "mine\n"]
