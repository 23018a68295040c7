"""What is wrong in the files by themselves."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from runbooks.drift.findings import CATALOGUE, Finding
from runbooks.drift.lint import broken_files, lint
from runbooks.errors import UserError
from runbooks.settings import read_layers

BASE = """{
  "comfyui-url": "http://localhost:8000",
  "comfyui-output-dir": "/pictures",
  "comfyui-max-wait-time": 900,
  "database-url": "sqlite:///x.db",
  "redis-url": "redis://localhost:6379/0"
}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "config/base.json": BASE,
        "config/local-demo.json": "{}",
        "env/.env.shared": "REDIS_URL=redis://localhost:6379/1\nDATABASE_URL_TEST=sqlite:///test.db\nOPENAI_KEY=x\n",
        "env/.env.local-demo": "COMFYUI_URL=http://localhost:8189\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def found_in(root: Path, **environ: str) -> list[Finding]:
    return lint(read_layers(root, "local-demo", {}), environ)


def only(findings: list[Finding]) -> tuple[str, str, str]:
    (finding,) = findings
    assert finding.kind is CATALOGUE[finding.kind.id]
    return finding.kind.id, finding.where, finding.what


def test_a_layer_that_overrides_a_lower_one_and_a_variable_of_another_program_are_no_findings(root: Path) -> None:
    assert found_in(root) == []
    assert broken_files(root, "local-demo") == []


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("COMFYUI_ULR", "COMFYUI_URL"),
        ("COMFY_URL", "COMFYUI_URL"),
        ("COMFYUI_OUTPUT_DIRECTORY", "COMFYUI_OUTPUT_DIR"),
        ("COMFYUI_MAX_WAIT", "COMFYUI_MAX_WAIT_TIME"),
        ("REDIS_URI", "REDIS_URL"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(wrong: str, right: str, root: Path) -> None:
    (root / "env/.env").write_text(f"{wrong}=x\n")
    expected = ("key-unknown", "env/.env:1", f"{wrong} is read by nobody. Did you mean {right}?")
    assert only(found_in(root)) == expected


def test_a_misspelt_key_of_a_json_file_is_named_too(root: Path) -> None:
    (root / "config/local-demo.json").write_text('{\n  "comfyui-ulr": "x"\n}')
    assert only(found_in(root)) == (
        "key-unknown",
        "config/local-demo.json:2",
        "comfyui-ulr is read by nobody. Did you mean comfyui-url?",
    )


def test_a_variable_whose_key_no_json_file_has_overrides_nothing(root: Path) -> None:
    (root / "env/.env").write_text("COMFYUI_TIMEOUT=5\n")
    assert only(found_in(root)) == (
        "key-unknown",
        "env/.env:1",
        "COMFYUI_TIMEOUT overrides nothing: no JSON file has comfyui-timeout.",
    )


def test_quotes_that_stay_in_a_value_are_named_in_a_file_and_in_an_environment(root: Path) -> None:
    (root / "config/local-demo.json").write_text('{"comfyui-output-dir": "\'/mock\'"}')
    assert only(found_in(root))[:2] == ("value-quoted", "config/local-demo.json:1")
    (root / "config/local-demo.json").write_text("{}")
    kind, where, what = only(found_in(root, COMFYUI_URL='"http://localhost:8189"'))
    assert (kind, where) == ("value-quoted", "environment variable COMFYUI_URL")
    assert "has quotes in it" in what


@pytest.mark.parametrize(("file", "more"), [("env/.env.shared", True), ("env/.env", False)])
def test_a_tilde_is_named_and_who_has_it_expanded(file: str, more: bool, root: Path) -> None:
    (root / file).write_text("COMFYUI_OUTPUT_DIR=~/pictures\n")
    (finding,) = found_in(root)
    assert (finding.kind.id, finding.where) == ("value-tilde", f"{file}:1")
    assert ("A worker whose shell sourced the file" in finding.what) is more
    assert finding.cure == f"Write the whole path, such as {Path.home()}/pictures"


def test_an_edit_that_a_higher_layer_hides_is_named(root: Path) -> None:
    (root / "config/local-demo.json").write_text('{"comfyui-url": "http://localhost:9999"}')
    later = time.time() + 60
    os.utime(root / "config/local-demo.json", (later, later))
    assert only(found_in(root)) == (
        "value-shadowed",
        "config/local-demo.json:1",
        "config/local-demo.json:1 sets comfyui-url, and env/.env.local-demo:1 wins, with http://localhost:8189.",
    )


def test_a_dotenv_at_the_root_is_named_when_it_sets_what_counts(root: Path) -> None:
    (root / ".env").write_text("OTHER=1\n")
    assert found_in(root) == []
    (root / ".env").write_text("OTHER=1\nCOMFYUI_URL=http://localhost:8189\n")
    assert only(found_in(root)) == ("file-ignored", ".env:2", ".env at the root sets COMFYUI_URL, and nobody reads it.")


@pytest.mark.parametrize(
    ("file", "content", "where"),
    [
        ("env/.env.shared", b"REDIS_URL=redis://x\nDB_PASSWORD hunter2\n", "env/.env.shared:2"),
        ("env/.env.shared", b"it's hunter2\n", "env/.env.shared:1"),
        ("env/.env", b"X=\xff\xfe\n", "env/.env"),
        ("config/local-demo.json", b'{"a": \n', "config/local-demo.json:2"),
        ("config/base.json", b"[]", "config/base.json:1"),
    ],
)
def test_every_broken_file_is_named_with_its_line_and_nothing_of_it_is_quoted(
    file: str, content: bytes, where: str, root: Path
) -> None:
    (root / file).write_bytes(content)
    (finding,) = broken_files(root, "local-demo")
    assert (finding.kind.id, finding.where) == ("file-broken", where)
    assert "hunter2" not in str(finding)


def test_a_file_that_cannot_be_opened_is_named_beside_another_that_is_broken(root: Path) -> None:
    (root / "env/.env").mkdir()
    (root / "config/local-demo.json").write_text("{")
    assert {finding.where for finding in broken_files(root, "local-demo")} == {"env/.env", "config/local-demo.json"}


def test_a_folder_that_is_no_installation_and_an_unknown_target_are_mistakes_not_findings(root: Path) -> None:
    with pytest.raises(UserError, match="Use one of: local-demo"):
        broken_files(root, "demo")
    (root / "env/.env").mkdir()
    with pytest.raises(UserError, match="Use one of: local-demo"):
        broken_files(root, "demo")
    with pytest.raises(UserError, match=r"There is no .*base\.json"):
        broken_files(root / "env", "local-demo")
