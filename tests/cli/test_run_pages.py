"""``runbooks run`` without a terminal: which steps, what is recorded, what no page can do to it."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import markdown  # type: ignore[import-untyped]
import pytest
import yaml

from runbooks.pages import parse_page
from runbooks.pages.find import find_page
from tests.cli.desk import PAGE, Desk
from tests.support.commands import need
from tests.support.terminal import COMMAND

ROOT = Path(__file__).parent.parent.parent
SECRET = "hunter2-s3cret"


def test_yes_runs_all_but_the_roll_back_which_is_run_where_it_is_asked_for(desk: Desk) -> None:
    assert desk.without_terminal("run", "page", "--yes").returncode == 0
    assert desk.lamp() == "on"
    done = desk.without_terminal("run", "page", "--yes", "--with-roll-back")
    assert done.stdout.count("✓ passed") == 4
    assert desk.lamp() == "off"


def test_a_failing_step_ends_a_run_that_asks_nothing(desk: Desk) -> None:
    done = desk.without_terminal("run", "page", "--yes", LAMP="/dev/null")
    assert done.returncode == 1
    assert "If it is dark: see whether the mains (mains.md) are on." in done.stdout
    assert ": 'operator sees: on' was expected" in done.stdout


def test_a_dry_run_shows_every_step_with_its_values_and_executes_nothing(desk: Desk) -> None:
    done = desk.without_terminal("run", "page", "--dry-run", LAMP="other.txt")
    assert done.returncode == 0
    assert "LAMP=other.txt\n" in done.stdout
    assert "= operator sees: on" in done.stdout
    assert not desk.runs.exists()
    assert desk.lamp() is None


def test_only_checks_leaves_out_changes_and_what_looks_at_them(desk: Desk) -> None:
    desk.write(PAGE + "\n    ## Also\n\n    ```bash\n    test ! -e lamp.txt\n    ```\n")
    done = desk.without_terminal("run", "page", "--only-checks")
    assert done.returncode == 0
    assert re.findall(r"Step (\d) left out \((.*?)\)", done.stdout) == [
        ("2", "changes something"),
        ("3", "needs WHO of a step that changes something"),
        ("4", "changes something"),
    ]
    assert [step for step, _ in desk.results()] == ["before-you-start[bash]", "also[bash]"]


def test_from_and_until_take_numbers_names_and_sections(desk: Desk) -> None:
    assert desk.without_terminal("run", "page", "--yes", "--until", "1-switch-it-on").returncode == 0
    assert [step for step, _ in desk.results()] == ["before-you-start[bash]", "1-switch-it-on[bash]"]
    assert desk.without_terminal("run", "page", "--yes", "--from", "2", "--until", "2").returncode == 0
    assert [row["event"] for row in desk.rows()] == ["run", "prepared", "began", "ended", "end"]
    refused = desk.without_terminal("run", "page", "--from", "3")
    assert refused.returncode == 2
    assert "needs WHO, which step 2 (1-switch-it-on[bash]) sets" in refused.stderr
    slip = desk.without_terminal("run", "page", "--from", "switch-it-on")
    assert "Did you mean 1-switch-it-on?" in slip.stderr


def test_a_failing_assert_shows_an_operator_its_values(desk: Desk) -> None:
    desk.write("```python\njob = {'status': 'failed'}\nassert job.get('status') == 'completed', 'see the log'\n```\n")
    done = desk.without_terminal("run", "page")
    assert "AssertionError: see the log\n" in done.stdout
    assert "assert 'failed' == 'completed'" in done.stdout
    assert "where 'failed' = {'status': 'failed'}.get('status')" in done.stdout


def test_a_page_is_found_by_path_name_and_address(desk: Desk) -> None:
    (desk.folder / "docs" / "ops").mkdir(parents=True)
    desk.write("# Lamp\n\n```bash\ntrue\n```\n", "docs/ops/lamp.md")
    page = desk.folder / "docs" / "ops" / "lamp.md"
    for name in ("lamp", "lamp.md", "ops/lamp", "docs/ops/lamp.md", "http://127.0.0.1:8010/ops/lamp/#steps"):
        assert find_page(name, desk.folder) == page
    assert desk.without_terminal("run", "http://127.0.0.1:8010/ops/lamp/#steps").returncode == 0
    assert desk.without_terminal("run", "lampe").stderr == "There is no page 'lampe'.\nDid you mean lamp?\n"


def test_the_shell_completes_the_names_of_pages_and_options(desk: Desk) -> None:
    (desk.folder / "docs" / "ops").mkdir(parents=True)
    desk.write("# Lamp\n", "docs/ops/lamp.md")

    def completed(words: str) -> str:
        variables = {"_RUNBOOKS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return desk.without_terminal(**variables).stdout

    assert completed("runbooks run la") == "lamp\n"
    assert completed("runbooks check op") == "ops/lamp\n"
    assert completed("runbooks run --dry") == "--dry-run\n"


def test_an_env_file_says_where_a_live_target_is_and_outputs_are_compared_as_documented(desk: Desk) -> None:
    desk.write(
        '```bash\nexport URL="${URL:-http://localhost:8189}"\necho "at $URL"\n```\n\n```output\nat http://localhost:8189\n```\n'
    )
    (desk.folder / "prod.env").write_text("URL=https://prod.example.com\n")
    done = desk.without_terminal("run", "page", "--target", "live", "--env-file", "prod.env")
    assert done.returncode == 0
    assert "  URL=https://prod.example.com\n" in done.stdout


def test_a_record_and_a_report_are_for_the_user_alone_and_history_shows_them(desk: Desk) -> None:
    desk.without_terminal("run", "page", "--yes")
    (record,) = desk.runs.glob("*.jsonl")
    assert {stat.S_IMODE(path.stat().st_mode) for path in desk.runs.iterdir()} == {0o600}
    assert stat.S_IMODE(desk.runs.stat().st_mode) == 0o700
    suite = ElementTree.parse(record.with_suffix(".xml")).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "0")
    assert f"{record.stem}  passed, 3 of 3 steps\n" in desk.without_terminal("history", COLUMNS="30").stdout
    shown = desk.without_terminal("history", record.stem[:20]).stdout
    assert "2-see-that-it-shines[bash] (line " in shown
    assert "  | operator sees: on" in shown


@pytest.mark.parametrize(
    "text", ['{"event": "run"}', "[" * 100_000, '{"event": "run", "id": 1, "at": 3, "page": null}']
)
def test_a_damaged_record_keeps_nobody_from_a_run_or_the_others(desk: Desk, text: str) -> None:
    desk.runs.mkdir(parents=True)
    (desk.runs / "damaged.jsonl").write_text(text)
    (desk.runs / "folder.jsonl").mkdir()
    assert desk.without_terminal("run", "page", "--only-checks").returncode == 0
    (record,) = desk.runs.glob("2*.jsonl")
    record.write_text(record.read_text() + '{"event": "began"}\n')
    assert "passed, 1 of 1 steps" in desk.without_terminal("history").stdout


def test_a_full_disk_ends_a_run_before_a_step_that_would_not_be_recorded(desk: Desk) -> None:
    desk.write("```bash\nseq 1500\n```\n\n```{.bash .changes}\ntouch changed\n```\n")
    limited = ["bash", "-c", f"ulimit -f 4; exec {COMMAND} run page --yes"]
    done = subprocess.run(
        limited, cwd=desk.folder, env=desk.environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "The record cannot be written any more" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (desk.folder / "changed").exists()


@pytest.mark.parametrize(
    ("page", "options", "says"),
    [
        ("```bash\ntrue\n```\n", ["page", "--env-file", "binary.env"], "binary.env cannot be read"),
        ("```bash\ntrue\n```\n", ["n" * 300], "There is no page"),
        ("---\ndate: 2024-13-45\n---\n```bash\ntrue\n```\n", ["page"], "the front matter is not YAML"),
    ],
)
def test_a_slip_is_told_in_a_sentence(desk: Desk, page: str, options: list[str], says: str) -> None:
    desk.write(page)
    (desk.folder / "binary.env").write_bytes(b"A=\xff\xfe")
    done = desk.without_terminal("run", *options)
    assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_a_secret_reaches_no_record_no_report_and_no_screen(desk: Desk) -> None:
    (desk.folder / "config").mkdir()
    (desk.folder / "env").mkdir()
    (desk.folder / "config" / "base.json").write_text(json.dumps({"db": {"password": f"json-{SECRET}"}}))
    (desk.folder / "env" / ".env").write_text(f"API_KEY='file {SECRET}'\n")
    desk.write(f"""
        ```bash
        export DB_PASSWORD=page-{SECRET}
        echo "$MY_TOKEN $DB_PASSWORD"; env | grep -c TOKEN
        cat config/base.json env/.env; echo "as it is: json-{SECRET}, file {SECRET}"
        echo "redis://:url-{SECRET}@host/0 and $BROKER_URL"
        ```

        ```python
        import os
        raise ValueError("cannot log in with " + os.environ["MY_TOKEN"])
        ```
        """)
    variables = {"MY_TOKEN": f"env-{SECRET}", "BROKER_URL": f"redis://:broker-{SECRET}@h/0", "GENONAUT_ROOT": "."}
    done = desk.without_terminal("run", "page", **variables)
    assert done.returncode == 1
    assert "cannot log in with ****" in done.stdout
    shown = desk.without_terminal("history", next(desk.runs.glob("*.jsonl")).stem).stdout
    everything = done.stdout + done.stderr + shown + "".join(path.read_text() for path in desk.runs.iterdir())
    assert SECRET not in everything


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("```bash\ntrue\n", 2, "this fence is never closed"),
        ("> " * 500 + "```bash\n" + "> " * 500 + "echo deep\n" + "> " * 500 + "```\n", 0, "| deep"),
        ("```bash\nhead -c 100000 /dev/urandom; printf '\\033[2J\\033]0;x\\007\\016'\n```\n", 0, "passed"),
        ("```bash\nyes\n```\n", 1, "wrote more than 10,000,000 bytes; stopped"),
        ("```python\nwhile True: print('y' * 1000)\n```\n", 1, "wrote more than 10,000,000 bytes; stopped"),
        ("```bash\nexec >&- 2>&-\n```\n\n```bash\necho on\n```\n", 0, "| on"),
        ("```python\nimport os, sys\nsys.stdout.close(); os.close(1)\n```\n\n```python\nprint('on')\n```\n", 0, "| on"),
        ("```python\nimport os\nif os.fork() == 0: os._exit(0)\nos.wait(); print('parent')\n```\n", 0, "| parent"),
        ("```python\nimport os, sys\nif os.fork() == 0: sys.exit()\n```\n\n```bash\ntrue\n```\n", 0, "2 passed"),
        ("```python\nimport os\nos.fork()\n```\n\n```bash\ntest ! -e once; touch once\n```\n", 0, "2 passed"),
        ("```{.bash data-timeout=0.5}\ntrap '' HUP\nsleep 600\n```\n", 1, "still running after 0.5 s; stopped"),
        ("```bash\ncd /; export HOME=/\n```\n\n```python\nimport os; os.chdir('/')\n```\n", 0, "2 passed"),
        ("```bash\nkill -9 $$\n```\n", 1, "the step ended the shell (signal 9)"),
        ("```bash\nif then\n```\n", 1, "bash cannot read this step"),
        ("```python\nimport sys; sys.exit(3)\n```\n", 1, "the step ended the interpreter"),
    ],
    ids=["unclosed", "deep", "binary", "endless", "endless-python", "closes", "closes-python", "forks",
         "forks-and-exits", "forks-and-goes-on", "deaf", "moves", "dies", "syntax", "exits"],
)  # fmt: skip
def test_a_hostile_page_ends_in_a_clear_error_or_a_right_run(desk: Desk, text: str, code: int, says: str) -> None:
    desk.write(text)
    done = desk.without_terminal("run", "page", "--yes")
    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", done.stdout)


def test_a_page_of_ten_megabytes_is_run(desk: Desk) -> None:
    desk.write("A line of words that says nothing at all.\n" * 250_000 + "\n```bash\necho on\n```\n")
    done = desk.without_terminal("run", "page")
    assert (done.returncode, "| on" in done.stdout) == (0, True)


def test_check_names_file_line_and_column_in_three_formats(desk: Desk) -> None:
    desk.write("# T\n\n[x](gone.md)\n")
    text = desk.without_terminal("check", "page")
    assert (text.returncode, text.stdout.split(": ")[0]) == (1, "page.md:3:5")
    github = desk.without_terminal("check", "page", "--format", "github").stdout
    assert github.startswith("::error file=page.md,line=3,col=5,title=dead-end::")
    (found,) = json.loads(desk.without_terminal("check", ".", "--format", "json").stdout)
    assert (found["line"], found["column"], found["rule"]) == (3, 5, "dead-end")


def test_no_control_character_of_a_page_reaches_the_terminal(desk: Desk) -> None:
    evil = "\x1b]0;x\x07\x9b2J\x08"
    desk.write(f"# T{evil}\n\n[x](gone{evil}.md)\n\nSee{evil}.\n\n```bash\ntrue # {evil}\n```\n")
    desk.write(f"```{{.bash wrong{evil}=1}}\ntrue\n```\n", "wrong.md")
    commands = [["run", "page"], ["run", "wrong"], ["run", f"gone{evil}"], ["check", "page", "wrong"]]
    for command in [*commands, [*commands[-1], "--format", "github"], [*commands[-1], "--format", "json"]]:
        done = desk.without_terminal(*command)
        assert done.returncode in (0, 1, 2)
        assert "Traceback" not in done.stderr
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.stdout + done.stderr), command


def test_update_shows_the_difference_before_it_writes(desk: Desk) -> None:
    desk.write(PAGE.replace("sees: on", "sees: green"))
    shown = desk.without_terminal("update", "page", "--yes", "--dry-run")
    assert (shown.returncode, "-operator sees: green\n+operator sees: on" in shown.stdout) == (1, True)
    assert desk.without_terminal("update", "page").returncode == 2
    assert desk.without_terminal("update", "page", "--yes").returncode == 0
    assert desk.without_terminal("run", "page", "--yes").returncode == 0


def test_update_keeps_what_a_file_is_and_writes_none_that_was_changed_meanwhile(desk: Desk) -> None:
    path = desk.folder / "page.md"
    stale = "# T\n\n```bash\n{}\n```\n\n```output\nold\n```\n"
    path.write_text(stale.format("echo new"), "utf-8-sig", newline="\r\n")
    path.chmod(0o640)
    assert desk.without_terminal("update", "page", "--yes").returncode == 0
    assert path.read_bytes() == stale.format("echo new").replace("old", "new").replace("\n", "\r\n").encode("utf-8-sig")
    assert path.stat().st_mode & 0o777 == 0o640

    path.write_text(stale.format("echo more >> page.md"), "utf-8")
    refused = desk.without_terminal("update", "page", "--yes")
    assert (refused.returncode, "was changed while its steps ran" in refused.stderr) == (2, True)
    assert path.read_text("utf-8").endswith("old\n```\nmore\n")

    path.write_text(stale.format("printf '\\377' > page.md"), "utf-8")
    refused = desk.without_terminal("update", "page", "--yes")
    assert (refused.returncode, "was changed while its steps ran" in refused.stderr) == (2, True)

    path.write_text(stale.format("echo new"), "utf-8")
    path.chmod(0o440)
    refused = desk.without_terminal("update", "page", "--yes")
    assert (refused.returncode, "page.md cannot be written: it is read-only." in refused.stderr) == (2, True)
    assert path.read_text("utf-8") == stale.format("echo new")
    assert not [file for file in desk.folder.iterdir() if file.name.endswith(".new")]

    path.chmod(0o640)
    (desk.folder / ".page.md.new").write_text("somebody's")
    assert desk.without_terminal("update", "page", "--yes").returncode == 0
    assert (desk.folder / ".page.md.new").read_text() == "somebody's"


@pytest.mark.e2e
def test_the_same_page_has_the_same_steps_under_pytest_in_a_run_and_on_the_site(desk: Desk) -> None:
    need("curl")
    path = ROOT / "docs" / "runbooks" / "verify-a-generation.md"
    ran = subprocess.run(
        [COMMAND, "run", str(path), "--target", "lab", "--fresh", "--yes"],
        cwd=ROOT, env=desk.environ, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    counted = re.search(r"Passed: (\d+) passed, in ", ran.stdout)
    assert counted is not None
    options = ["--markdown-docs", "--collect-only", "-q", "-p", "no:cacheprovider"]
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(path)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    text = path.read_text("utf-8").split("---\n", 2)[2]

    class Loader(yaml.SafeLoader):
        """Reads mkdocs.yml, whose !ENV tags do not matter here."""

    Loader.add_constructor("!ENV", lambda *_: "")
    config = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)
    names = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in config["markdown_extensions"]]
    settings = {
        next(iter(e)): next(iter(e.values())) or {} for e in config["markdown_extensions"] if isinstance(e, dict)
    }
    html = markdown.markdown(text, extensions=names, extension_configs=settings)
    shown = re.findall(r'<div class="[^"]*language-(?:bash|python|console)\b[^"]*"(?![^>]*data-exempt)', html)
    assert len(parse_page(path, root=ROOT).steps) == int(counted[1]) == len(shown)
    assert listed.stdout.count("verify-a-generation.md::") == int(counted[1])
