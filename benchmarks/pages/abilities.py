"""What the tools that run Markdown can do, tried: each runs small pages that are written in its own way.

    python benchmarks/pages/abilities.py

A tool can do a thing when the file that the page's block writes is there, or when a page that is wrong makes it fail.
The other tools are installed into a virtual environment of their own, in a temporary folder; nothing else is touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from speed import BARE, PEERS, PYTEST, ROOT, SETTINGS

MKTESTDOCS = """
from mktestdocs import check_md_file
def test_python(): check_md_file("page.md", memory=True, lang="python")
def test_bash(): check_md_file("page.md", memory=True, lang="bash")
"""
SYBIL = """
import doctest, subprocess
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
def run(example): subprocess.run(["bash", "-ec", example.parsed], check=True)
parsers = [PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS), CodeBlockParser("bash", run)]
pytest_collect_file = Sybil(parsers=parsers, patterns=["*.md"]).pytest()
"""


def fence(language: str, code: str) -> str:
    """A fenced block."""
    return f"```{language}\n{code}\n```\n\n"


def prompted(language: str, code: str) -> str:
    """A block as byexample reads it: each line behind a prompt."""
    prompt = "$ " if language == "bash" else ">>> "
    return fence("shell" if language == "bash" else language, "\n".join(prompt + line for line in code.split("\n")))


def second_of(name: str, language: str, code: str) -> str:
    """A block that goes on where the one before it ended, as a tool wants it written."""
    if name == "pytest-markdown-docs":
        return fence(f"{language} continuation", code)
    mark = "<!--pytest-codeblocks:cont-->\n\n" if name == "pytest-codeblocks" else ""
    return mark + (prompted if name == "byexample" else fence)(language, code)


def printing(name: str, code: str, output: str) -> str | None:
    """A block and what it is to print, as a tool wants it written; None where it has no way to say so."""
    if name == "this page engine":
        return fence("python", code) + fence("output", output)
    if name == "pytest-codeblocks":
        return fence("python", code) + "<!--pytest-codeblocks:expected-output-->\n\n" + fence("", output)
    if name in ("Sybil", "byexample"):
        wildcard = "<...>" if name == "byexample" else "..."
        return fence("python", f">>> {code}\n{output.replace('...', wildcard)}")
    return None


class Tool:
    """One tool, which runs a page in a folder of its own."""

    def __init__(self, name: str, python: str, arguments: list[str], files: dict[str, str], folder: Path) -> None:
        self.name = name
        command = [str(Path(python).with_name("byexample"))] if name == "byexample" else [python, "-m", "pytest", *BARE]
        self._command = [*command, *arguments]
        self._files = files
        self._folder = folder
        self._count = 0
        self._block = prompted if name == "byexample" else fence

    def passes(self, page: str) -> tuple[bool, Path, str]:
        """Run a page; return whether it passed, its folder, and what was printed."""
        self._count += 1
        here = self._folder / f"{self.name.replace(' ', '-')}-{self._count}"
        here.mkdir()
        for name, text in {**self._files, SETTINGS: "[pytest]\n", "page.md": f"# Page\n\n{page}"}.items():
            (here / name).write_text(text, "utf-8")
        environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(self._command, cwd=here, env=environ, capture_output=True, text=True, check=False)
        return done.returncode == 0, here, done.stdout

    def abilities(self) -> dict[str, str]:
        """Try all."""
        add, touch = 'n = open("once", "a").write("x"); x = 1', 'x == 1 and open("state", "w").close()'
        _, here, _ = self.passes(self._block("python", add) + second_of(self.name, "python", touch))
        times = len((here / "once").read_text()) if (here / "once").exists() else 0
        state = (here / "state").exists()
        found = {"state shared": ("yes" if times == 1 else f"runs the first block {times} times") if state else "no"}

        _, here, _ = self.passes(self._block("bash", "V=1") + second_of(self.name, "bash", 'test "$V" = 1 && touch on'))
        ran = (here / "on").exists()
        _, there, _ = self.passes(self._block("bash", "touch on"))
        found["shell"] = "yes, with state" if ran else "yes, no state" if (there / "on").exists() else "no"
        found["failing command fails"] = "no" if self.passes(self._block("bash", "false"))[0] else "yes"
        if found["shell"] == "no":
            found["failing command fails"] = "-"

        right, wrong = (printing(self.name, 'print("a", 12)', text) for text in ("a 12", "b 12"))
        checks = right and wrong and self.passes(right)[0] and not self.passes(wrong)[0]
        right, wrong = (printing(self.name, 'print("a", 12)', text) for text in ("a ...", "b ..."))
        varies = right and wrong and self.passes(right)[0] and not self.passes(wrong)[0]
        found["expected output"] = "with wildcards" if checks and varies else "exact" if checks else "no"

        tab = "".join(f"    {line}\n" for line in self._block("python", 'open("tab", "w").close()').split("\n"))
        _, here, _ = self.passes(f'=== "Tab"\n\n{tab}')
        found["blocks in tabs"] = "yes" if (here / "tab").exists() else "lost, silently"
        passed, _, _ = self.passes(self._block("python", "x = 1") + fence("yaml", "a: 1"))
        found["a block that nothing runs fails"] = "no" if passed else "yes"
        _, _, said = self.passes(self._block("python", "x = 40 + 1\nassert x == 7"))
        found["shows an assert's values"] = "yes" if "41 == 7" in said else "no"
        return found


def tools(python: str, folder: Path) -> list[Tool]:
    """All tools, each with the command that runs its page."""
    arguments: dict[str, list[str]] = {
        "this page engine": ["-p", "runbooks.pages.pytest_plugin", "--markdown-docs"],
        "pytest-markdown-docs": ["-p", "pytest_markdown_docs.plugin", "--markdown-docs"],
        "mktestdocs": ["test_page.py"],
        "Sybil": [],
        "pytest-codeblocks": ["-p", "pytest_codeblocks.plugin", "--codeblocks"],
        "byexample": ["-l", "python,shell", "page.md"],
    }
    files = {"mktestdocs": {"test_page.py": MKTESTDOCS}, "Sybil": {"conftest.py": SYBIL}}
    return [Tool(name, python, words, files.get(name, {}), folder) for name, words in arguments.items()]


def main() -> None:
    """Try all tools, and print a table."""
    with tempfile.TemporaryDirectory(prefix="page-abilities-") as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        python = str(folder / "venv" / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "-q", *PYTEST, *PEERS, "byexample==11.0.0"], check=True)
        rows = {tool.name: tool.abilities() for tool in tools(python, folder)}
    heads = list(rows["this page engine"])
    sys.stdout.write(f"| tool | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}\n")
    for tool, row in rows.items():
        sys.stdout.write(f"| {tool} | {' | '.join(row.values())} |\n")


if __name__ == "__main__":
    main()
