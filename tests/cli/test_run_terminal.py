"""``runbooks run`` as an operator drives it, in a real terminal."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest

from tests.cli.desk import PAGE, Desk
from tests.support.waiting import wait_until


def test_a_change_waits_for_yes_and_the_roll_back_is_kept(desk: Desk) -> None:
    with desk.terminal("run", "page") as terminal:
        terminal.expect("LAMP=lamp.txt  (the page's default)")
        terminal.expect("This takes the current file.")
        terminal.expect("Run it? [y]es, [s]kip it, [n]o, stop here: ")
        assert desk.lamp() is None
        terminal.type("y\n")
        terminal.expect("| operator sees: on")
        terminal.expect("kept for a roll-back")
        terminal.expect("Passed: 3 passed, in ")
        assert terminal.end() == 0
    assert desk.lamp() == "on"


def test_no_stops_before_the_change(desk: Desk) -> None:
    with desk.terminal("run", "page") as terminal:
        terminal.expect("Run it?")
        terminal.type("what?\n")
        terminal.expect("Run it?")
        terminal.type("n\n")
        terminal.expect("Stopped: 1 passed, in ")
        assert terminal.end() == 1
    assert desk.lamp() is None


def test_what_was_typed_before_the_question_is_no_answer(desk: Desk) -> None:
    desk.write("```bash\nsleep 0.7; echo slept\n```\n\n```{.bash .changes}\necho on > lamp.txt\n```\n")
    with desk.terminal("run", "page") as terminal:
        terminal.expect("sleep 0.7")
        terminal.type("y\ny\n")
        terminal.expect("Run it?")
        terminal.type("n\n")
        assert terminal.end() == 1
    assert desk.lamp() is None


def test_a_failing_step_shows_both_texts_and_the_page_s_advice_and_is_tried_again(desk: Desk) -> None:
    with desk.terminal("run", "page", LAMP="/dev/null") as terminal:
        terminal.expect("Run it?")
        terminal.type("y\n")
        terminal.expect("- operator sees: on")
        terminal.expect("+ operator sees:")
        terminal.expect("If it is dark: see whether the mains (mains.md) are on.")
        terminal.expect("What now? [r] try again, [s] skip, [b] roll back, [q] stop: ")
        terminal.type("r\n")
        terminal.expect("What now?")
        terminal.type("s\n")
        terminal.expect("Failed: 2 passed, 1 skipped, in ")
        assert terminal.end() == 1
    ended = [row for row in desk.rows() if row["event"] == "ended"]
    assert [row["result"] for row in ended] == ["passed", "passed", "failed", "failed", "skipped"]
    assert "skipped after" in str(ended[-1]["error"])


def test_a_retry_after_a_step_that_ended_the_shell_has_what_the_steps_before_had_set(desk: Desk) -> None:
    desk.write(PAGE.replace('echo "$WHO sees', 'test -e cured || exit 3\n    echo "$WHO sees'))
    with desk.terminal("run", "page") as terminal:
        terminal.expect("Run it?")
        terminal.type("y\n")
        terminal.expect("the step ended the shell (exit code 3)")
        (desk.folder / "cured").touch()
        terminal.expect("What now?")
        terminal.type("r\n")
        terminal.expect("ended the page's shell")
        terminal.expect("| operator sees: on")
        assert terminal.end() == 0


def test_roll_back_runs_the_page_s_own_steps_and_asks_for_each(desk: Desk) -> None:
    desk.write(PAGE.replace("operator sees: on", "operator sees: green"))
    with desk.terminal("run", "page") as terminal:
        terminal.expect("Run it?")
        terminal.type("y\n")
        terminal.expect("What now?")
        terminal.type("b\n")
        terminal.expect("This step rolls back. Run it?")
        assert desk.lamp() == "on"
        terminal.type("y\n")
        terminal.expect("Rolled back: 3 passed, 1 failed, in ")
        assert terminal.end() == 1
    assert desk.lamp() == "off"


def test_after_kill_9_the_next_run_says_what_is_half_done_and_goes_on(desk: Desk) -> None:
    desk.write(PAGE.replace("echo on >", "echo $$ > pid; test -e cured || sleep 600\n    echo on >"))
    with desk.terminal("run", "page", "--yes") as terminal:
        wait_until((desk.folder / "pid").exists, 20, "the step has begun")
        terminal.expect("sleep 600")
        bash = int(wait_until(lambda: (desk.folder / "pid").read_text().strip(), 5, "the shell has said its pid"))
        children = psutil.Process(bash).children(recursive=True)
        terminal.kill()
    wait_until(lambda: not psutil.pid_exists(bash), 20, "the shell is gone")
    wait_until(lambda: not any(child.is_running() for child in children), 20, "what it ran is gone")
    assert [row["event"] for row in desk.rows()] == ["run", "began", "ended", "began"]

    (desk.folder / "cured").touch()
    with desk.terminal("run", "page") as terminal:
        terminal.expect("it was killed in step 1-switch-it-on[bash]")
        terminal.expect("Left half done: 1-switch-it-on[bash].")
        terminal.expect("Run it?")
        terminal.type("\x03")
        assert terminal.end() == 130
    listed = desk.without_terminal("history", "--json")
    assert [run["result"] for run in json.loads(listed.stdout)["runs"]] == ["interrupted", "killed"]


def test_a_run_that_was_refused_does_not_hide_the_one_that_was_left_half_done(desk: Desk) -> None:
    change, half = "echo on > lamp.txt", "test -e cured || kill -9 $PPID"
    steps = f"```{{.bash .changes}}\n{change}\n```\n\n```{{.bash .changes}}\n{half}\n```\n"
    desk.write(steps + "\n```{.bash .rollback}\necho off > lamp.txt\n```\n")
    assert desk.without_terminal("run", "page", "--yes").returncode == -9
    for _ in range(2):
        with desk.terminal("run", "page") as terminal:
            terminal.expect("it was killed in step top[bash-2].")
            terminal.expect("Run it?")
            terminal.type("n\n")
            assert terminal.end() == 1
    (desk.folder / "cured").touch()
    with desk.terminal("run", "page", "--resume", "--yes") as terminal:
        terminal.expect("Step 1 left out (done by the run before)")
        terminal.expect("Passed: 1 passed, in ")
        assert terminal.end() == 0


def test_a_step_that_failed_and_was_skipped_is_rolled_back_in_a_resumed_run(desk: Desk) -> None:
    desk.write(
        "```{.bash .changes}\necho on > lamp.txt; false\n```\n\n```bash\nfalse\n```\n\n"
        "```{.bash .rollback}\necho off > lamp.txt\n```\n"
    )
    with desk.terminal("run", "page") as terminal:
        for question, answer in (("Run it?", "y"), ("What now?", "s"), ("What now?", "q")):
            terminal.expect(question)
            terminal.type(f"{answer}\n")
        terminal.expect("Left half done: top[bash].")
        assert terminal.end() == 1
    with desk.terminal("run", "page", "--resume") as terminal:
        terminal.expect("[b] roll back, [q] stop: ")
        terminal.type("b\n")
        terminal.expect("Run it?")
        terminal.type("y\n")
        terminal.expect("Rolled back: ")
        assert terminal.end() == 1
    assert desk.lamp() == "off"


def test_resume_replays_what_changes_nothing_and_sets_what_the_changes_had_set(desk: Desk) -> None:
    blocking = 'test -e cured || sleep 600\n    echo "$WHO sees'
    desk.write(PAGE.replace('echo "$WHO sees', blocking))
    with desk.terminal("run", "page", "--yes") as terminal:
        terminal.expect("Step 3")
        terminal.expect("sleep 600")
        wait_until(lambda: desk.rows()[-1]["event"] == "began" and len(desk.rows()) == 6, 20, "the step has begun")
        terminal.kill()
    (desk.folder / "lamp.txt").write_text("on\n")
    (desk.folder / "cured").touch()
    with desk.terminal("run", "page", "--resume") as terminal:
        terminal.expect("Ran step 1 again for what it sets")
        terminal.expect("Step 2 left out (done by the run before)")
        terminal.expect("| operator sees: on")
        terminal.expect("Passed: 1 passed, in ")
        assert terminal.end() == 0


@pytest.mark.parametrize("needs", ["", "$OLD"])
def test_a_resumed_run_rolls_back_with_all_that_its_way_back_needs_or_not_at_all(desk: Desk, needs: str) -> None:
    change = '```{.bash .changes}\nOLD=old; test -n "$SECRET_OLD$OLD"\n```\n\n```bash\nfalse\n```\n\n'
    back = f'```{{.bash .rollback}}\necho "removes [$DIR]{needs}"\n```\n'
    desk.write(f"# T\n\n```bash\nexport DIR=here\n```\n\n{change}## Roll back\n\n{back}")
    assert desk.without_terminal("run", "page", "--yes").returncode == 1
    if needs:  # the record has lost it
        (record,) = desk.runs.glob("*.jsonl")
        record.write_text(record.read_text().replace('"OLD"', '"LOST"'))
    with desk.terminal("run", "page", "--resume") as terminal:
        if needs:
            terminal.expect("This run cannot roll back.")
            terminal.expect("[s] skip, [q] stop: ")
            terminal.type("q\n")
        else:
            terminal.expect("[b] roll back, [q] stop: ")
            terminal.type("b\n")
            terminal.expect("Run it?")
            terminal.type("y\n")
            terminal.expect("| removes [here]")
        assert terminal.end() == 1


def test_ctrl_c_in_a_shell_step_ends_it_and_what_it_started(desk: Desk) -> None:
    desk.write("```bash\necho one\nsleep 600 & echo $! > pid\nwait\n```\n")
    with desk.terminal("run", "page") as terminal:
        terminal.expect("| one")
        pid = int(wait_until(lambda: (desk.folder / "pid").read_text().strip(), 5, "the child has begun"))
        terminal.type("\x03")
        terminal.expect("Interrupted: ")
        terminal.expect("runbooks history")
        assert terminal.end() == 130
    wait_until(lambda: not psutil.pid_exists(pid), 10, "the child is gone")
    assert desk.results() == [("top[bash]", "interrupted")]
    assert desk.rows()[-2]["output"] == "one\n"
    assert list(desk.runs.glob("*.xml"))


def test_ctrl_c_in_a_python_step_ends_it_and_what_it_started(desk: Desk) -> None:
    code = (
        "import subprocess, time\nchild = subprocess.Popen(['sleep', '600'])\nprint('pid', child.pid)\ntime.sleep(600)"
    )
    desk.write(f"```python\n{code}\n```\n")
    with desk.terminal("run", "page") as terminal:
        terminal.expect("| pid ")
        terminal.expect("\n")
        terminal.type("\x03")
        terminal.expect("Interrupted: ")
        assert terminal.end() == 130
    pid = int(str(desk.rows()[-2]["output"]).split()[1])
    wait_until(lambda: not psutil.pid_exists(pid), 10, "the child is gone")


def test_ctrl_c_in_a_command_of_a_python_step_ends_the_step_too(desk: Desk) -> None:
    desk.write("```python\nimport os\nos.system('echo pid $$; sleep 600; true')\nprint('went on')\n```\n")
    with desk.terminal("run", "page") as terminal:
        terminal.expect("| pid ")
        pid = int(terminal.expect("\n"))
        children = psutil.Process(pid).children()
        terminal.type("\x03")
        terminal.expect("Interrupted: ")
        assert terminal.end() == 130
    wait_until(lambda: not any(map(psutil.pid_exists, [pid, *(child.pid for child in children)])), 10, "both are gone")
    assert desk.results() == [("top[python]", "interrupted")]
    assert desk.rows()[-2]["output"] == f"pid {pid}\n"


def test_a_command_of_a_python_step_is_stopped_when_its_time_is_up(desk: Desk) -> None:
    desk.write("```{.python data-timeout=\"0.5\"}\nimport os\nos.system('echo pid $$; sleep 600; true')\n```\n")
    with desk.terminal("run", "page") as terminal:
        terminal.expect("| pid ")
        pid = int(terminal.expect("\n"))
        terminal.expect("page.md:3: still running after 0.5 s; stopped")
        terminal.expect("What now?")
        assert not psutil.pid_exists(pid)
        terminal.type("q\n")
        assert terminal.end() == 1


def test_the_third_ctrl_c_ends_a_step_that_swallows_them(desk: Desk) -> None:
    swallow = "while True:\n    try:\n        time.sleep(600)\n    except BaseException:\n        print('no')"
    desk.write(f"```python\nimport subprocess, time\nsubprocess.Popen(['sleep', '600'])\nprint('on')\n{swallow}\n```\n")
    with desk.terminal("run", "page") as terminal:
        terminal.expect("| on")
        for _ in range(2):
            terminal.type("\x03")
            terminal.expect("| no")
        terminal.type("\x03")
        terminal.expect("Ended at once. What was under way: runbooks history")
        assert terminal.end() == 130


def test_a_lost_terminal_ends_the_run_and_its_children(desk: Desk) -> None:
    desk.write("```bash\nsleep 600 & echo $! > pid\necho on\nwait\n```\n")
    with desk.terminal("run", "page") as terminal:
        terminal.expect("| on")
        pid = int((desk.folder / "pid").read_text())
        terminal.hang_up()
        terminal.process.wait(20)
    wait_until(lambda: not psutil.pid_exists(pid), 10, "the child is gone")
    assert desk.rows()[-1]["result"] == "interrupted"


def test_what_nohup_started_outlives_the_run(desk: Desk) -> None:
    desk.write("```bash\nnohup sleep 600 > /dev/null 2>&1 &\necho $! > pid\n```\n")
    with desk.terminal("run", "page") as terminal:
        assert terminal.end() == 0
    process = psutil.Process(int((desk.folder / "pid").read_text()))
    wait_until(lambda: process.name() == "sleep", 5, "nohup has become the command")
    process.kill()


def test_the_terminal_is_usable_at_the_next_question_and_left_as_it_was(desk: Desk) -> None:
    desk.write(
        "```python\nimport os, subprocess\nsubprocess.run('stty raw -echo < /dev/tty', shell=True)\n"
        "tty = os.open('/dev/tty', os.O_RDWR)\nos.write(tty, b'\\x1b[?1049h\\x1b[?25l\\x1b[31m')\n"
        "print('\\x1b[31m\\x1b[?25l\\x0e')\n```\n\n```{.bash .changes}\nprintf '\\033c\\016\\n'\n```\n"
    )
    with desk.terminal("run", "page", TERM="xterm", NO_COLOR="1") as terminal:
        terminal.expect("\x1b[?1049h\x1b[?25l\x1b[31m")
        undone = terminal.expect("✓ passed")
        assert all(sequence in undone for sequence in ("\x1b[?1049l", "\x1b[?25h", "\x1b[0m"))
        terminal.expect("Run it?")
        assert terminal.settings() == terminal.attributes
        terminal.type("y\n")
        after = terminal.expect("Record: ")
        assert terminal.end() == 0
        assert terminal.settings() == terminal.attributes
    assert "\x1b" not in after
    assert "\x0e" not in after


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_there_is_colour_only_where_it_is_wanted(desk: Desk, variables: dict[str, Any], coloured: bool) -> None:
    with desk.terminal("run", "page", "--dry-run", **variables) as terminal:
        assert terminal.end() == 0
    assert ("\x1b[" in terminal.seen) is coloured


def test_prose_is_wrapped_to_a_narrow_terminal_and_code_is_not_broken(desk: Desk) -> None:
    text = "A word and another word. " * 8
    desk.write(f"# Narrow\n\n{text}\n\n```{{.bash .changes}}\necho {'x' * 60}\n```\n")
    with desk.terminal("run", "page", columns=40, NO_COLOR="1") as terminal:
        terminal.expect("This step changes something. Run it?\n[y]es, [s]kip it, [n]o, stop here: ")
        terminal.type("y\n")
        assert terminal.end() == 0
    prose = [line for line in terminal.seen.splitlines() if "word" in line]
    assert len(prose) > 4
    assert max(map(len, prose)) < 40
    assert f"$ echo {'x' * 60}\n" in terminal.seen


def test_a_secret_is_asked_for_and_never_echoed(desk: Desk) -> None:
    desk.write('---\nsecrets:\n  PASSPORT: Number of the passport\n---\n```bash\necho "it is $PASSPORT"\n```\n')
    with desk.terminal("run", "page") as terminal:
        terminal.expect("Number of the passport: ")
        terminal.type("X12345\n")
        terminal.expect("| it is ****")
        assert terminal.end() == 0
    assert "X12345" not in terminal.seen


def test_a_secret_that_is_empty_or_cannot_be_masked_is_not_taken(desk: Desk) -> None:
    desk.write('---\nsecrets:\n  PASSPORT: "\\e[2JNumber"\n---\n```bash\necho "it is $PASSPORT"\n```\n')
    with desk.terminal("run", "page") as terminal:
        terminal.expect("Number: ")
        terminal.type("\n")
        terminal.expect("PASSPORT cannot be empty.")
        terminal.expect("Number: ")
        terminal.type("abc\n")
        terminal.expect("PASSPORT is shorter than four characters and cannot be masked")
        terminal.expect("Number: ")
        terminal.type("\x04")
        terminal.expect("Nothing was run: no value was given for PASSPORT.")
        assert terminal.end() == 2
    assert "\x1b[2J" not in terminal.seen
    assert not desk.runs.exists()
    short = desk.without_terminal("run", "page", PASSPORT="abc")
    assert (short.returncode, "PASSPORT is shorter than four characters" in short.stderr) == (2, True)


def test_update_asks_before_it_runs_changes_and_before_it_writes(desk: Desk) -> None:
    desk.write(PAGE.replace("operator sees: on", "... sees: green"))
    before = (desk.folder / "page.md").read_text()
    for answer, code in (("n", 1), ("y", 0)):
        with desk.terminal("update", "page", NO_COLOR="1") as terminal:
            terminal.expect("Its steps change something. Run them all? [y]es, [n]o: ")
            terminal.type("y\n")
            terminal.expect("Step 4 of 4: roll-back[bash]")
            terminal.expect("-... sees: green\n+... sees: on\n")
            terminal.expect("Write this? [y]es, [n]o: ")
            assert (desk.folder / "page.md").read_text() == before
            terminal.type(f"{answer}\n")
            assert terminal.end() == code
    assert (desk.folder / "page.md").read_text() == before.replace("sees: green", "sees: on")


def test_update_asks_for_a_secret_and_never_writes_it(desk: Desk) -> None:
    desk.write("---\nsecrets:\n  PASSPORT: Number\n---\n```bash\necho $PASSPORT\n```\n\n```output\nx\n```\n")
    assert desk.without_terminal("update", "page").returncode == 2
    with desk.terminal("update", "page", "--yes") as terminal:
        terminal.expect("Number: ")
        terminal.type("X12345\n")
        assert terminal.end() == 0
    assert "\n****\n" in (desk.folder / "page.md").read_text()
    assert "X12345" not in (desk.folder / "page.md").read_text() + terminal.seen


def test_without_a_terminal_a_change_is_refused_before_anything_runs(desk: Desk) -> None:
    done = desk.without_terminal("run", "page")
    assert done.returncode == 2
    assert done.stderr == (
        "1 step of this page would change something, and there is no terminal to ask on.\n"
        "Say yes to all with --yes, or only look with --only-checks.\n"
    )
    assert not desk.runs.exists()
