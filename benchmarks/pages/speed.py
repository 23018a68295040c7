"""How long a whole run of many blocks takes, beside the other tools that run Markdown under pytest.

    python benchmarks/pages/speed.py [ROUNDS]

Writes 20 pages with 10 Python blocks each, and 20 with 10 shell blocks each, and lets every tool run them in turn,
ROUNDS times (5 by default), so that a busy machine is unfair to all of them alike. Prints medians in seconds, also of
the CPU time that a run and its children took, which other work on the machine hardly moves. The other tools are
installed into a virtual environment of their own, in a temporary folder; nothing else is touched.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES, BLOCKS = 20, 10
PEERS = ["pytest-markdown-docs==0.9.2", "mktestdocs==0.2.5", "sybil==10.1.0", "pytest-codeblocks==0.17.0"]
# Not newer: pytest-codeblocks uses an argument that pytest 9 has taken away.
PYTEST = ["pytest==8.4.2", "psutil", "markdown-it-py", "pyyaml"]
# A file of its own: with one elsewhere (/dev/null) pytest looks through every folder beside the pages' one as well.
SETTINGS = "pytest.ini"
BARE = ["-q", "-p", "no:cacheprovider", "-c", SETTINGS, "--rootdir", "."]

MKTESTDOCS = """
import pathlib, pytest
from mktestdocs import check_md_file
@pytest.mark.parametrize("path", sorted(pathlib.Path("LANG").glob("*.md")), ids=str)
def test_page(path):
    check_md_file(path, memory=True, lang="LANG")
"""
SYBIL_PYTHON = """
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=["*.md"]).pytest()
"""
SYBIL_SHELL = """
import subprocess
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser
def run(example):
    subprocess.run(["bash", "-ec", example.parsed], check=True)
pytest_collect_file = Sybil(parsers=[CodeBlockParser("bash", run)], patterns=["*.md"]).pytest()
"""
# What pytest takes for one test a block, before anything is read or run.
IDLE = """
import pytest
class Page(pytest.File):
    def collect(self):
        return (Block.from_parent(self, name=f"step-{n}") for n in range(BLOCKS))
class Block(pytest.Item):
    def runtest(self):
        pass
def pytest_collect_file(file_path, parent):
    return Page.from_parent(parent, path=file_path) if file_path.suffix == ".md" else None
"""


def write_pages(folder: Path) -> None:
    """Write the pages, the same blocks as plain test functions, and what the other tools need beside them."""
    (folder / SETTINGS).write_text("[pytest]\n", "utf-8")
    code = {"python": "x = {0}\nassert x + 1 == {0} + 1", "bash": "X={0}\ntest $((X + 1)) = $(({0} + 1))"}
    for language, text in code.items():
        (folder / language).mkdir()
        for page in range(PAGES):
            blocks = [f"## Step {n}\n\n```{language}\n{text.format(n)}\n```\n" for n in range(BLOCKS)]
            (folder / language / f"page{page}.md").write_text("# Page\n\n" + "\n".join(blocks), "utf-8")
        (folder / f"mktestdocs_{language}.py").write_text(MKTESTDOCS.replace("LANG", language), "utf-8")
    idle = IDLE.replace("BLOCKS", str(BLOCKS))
    conftests = (("sp", SYBIL_PYTHON, "python"), ("ss", SYBIL_SHELL, "bash"), ("idle", idle, "bash"))
    for name, conftest, language in conftests:
        (folder / name).mkdir()
        (folder / name / "conftest.py").write_text(conftest, "utf-8")
        for path in (folder / language).iterdir():
            (folder / name / path.name).write_text(path.read_text("utf-8"), "utf-8")
    (folder / "plain").mkdir()
    for page in range(PAGES):
        functions = [f"def test_{n}():\n    x = {n}\n    assert x + 1 == {n} + 1\n" for n in range(BLOCKS)]
        (folder / "plain" / f"test_page{page}.py").write_text("\n\n".join(functions), "utf-8")


def commands(python: str) -> dict[str, dict[str, list[str]]]:
    """The command of each tool for each language; ``-p`` names the one plugin that it needs."""
    pytest = [python, "-m", "pytest", *BARE]
    own = [*pytest, "-p", "runbooks.pages.pytest_plugin", "--markdown-docs"]
    blocks = [*pytest, "-p", "pytest_codeblocks.plugin", "--codeblocks"]
    return {
        "python": {
            "this page engine": [*own, "python"],
            "pytest-markdown-docs": [*pytest, "-p", "pytest_markdown_docs.plugin", "--markdown-docs", "python"],
            "mktestdocs": [*pytest, "mktestdocs_python.py"],
            "Sybil": [*pytest, "sp"],
            "pytest-codeblocks": [*blocks, "python"],
            "plain pytest functions": [*pytest, "plain"],
        },
        "shell": {
            "this page engine": [*own, "bash"],
            "mktestdocs": [*pytest, "mktestdocs_bash.py"],
            "tests that do nothing": [*pytest, "idle"],
            "Sybil": [*pytest, "ss"],
            "pytest-codeblocks": [*blocks, "bash"],
        },
    }


def measure(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command once, and return its seconds, and those of CPU time that it and its children took.

    Raises:
        SystemExit: it did not pass; a number for a run that fails would mean nothing.
    """
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(rounds: int) -> None:
    """Measure all, and print a table."""
    with tempfile.TemporaryDirectory(prefix="page-speed-") as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        python = str(folder / "venv" / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "-q", *PYTEST, *PEERS], check=True)
        write_pages(folder)
        for language, tools in commands(python).items():
            taken: dict[str, list[tuple[float, float]]] = {tool: [] for tool in tools}
            for _ in range(rounds + 1):  # the first round fills caches and is not counted
                for tool, command in tools.items():
                    taken[tool].append(measure(command, folder))
            sys.stdout.write(f"\n{PAGES * BLOCKS} {language} blocks on {PAGES} pages, median of {rounds} runs\n")
            rows = {tool: list(zip(*runs[1:], strict=True)) for tool, runs in taken.items()}
            for tool, (wall, cpu) in sorted(rows.items(), key=lambda item: statistics.median(item[1][0])):
                median, busy = statistics.median(wall), statistics.median(cpu)
                sys.stdout.write(f"  {median:6.2f} s  (least {min(wall):.2f})  CPU {busy:.2f} s  {tool}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
