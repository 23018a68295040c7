"""Make docs/_diagrams/doctor.svg: what `runbooks doctor` prints in the incident, as a terminal shows it.

    python docs/_gen/terminal.py

Starts a lab in the incident's state on free ports, runs the command in it, draws what it printed with the site's own
colours, and stops the lab. Run it when the command's words have changed; the picture is committed.
"""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from runbooks.lab.states import as_documented, lab_in_state

PICTURE = Path(__file__).resolve().parents[1] / "_diagrams" / "doctor.svg"
COMMAND = "runbooks doctor"
COLUMNS, LINE, LEFT, TOP = 84, 18, 14, 40
CHARACTER = 7.25
CLASSES = {"✓": "good", "✗": "bad", "!": "stale", "?": "stale"}


def main() -> None:
    """Run the command and write the picture."""
    with lab_in_state("incident") as lab:
        environ = {**os.environ, **lab.environment(), "COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
        command = [str(Path(sys.executable).with_name("runbooks")), "doctor"]
        printed = subprocess.run(command, env=environ, capture_output=True, text=True, check=False).stdout
        for real, shown in as_documented(lab.environment()).items():
            printed = printed.replace(real, shown)
        printed = printed.replace(str(lab.root), ".lab")
    PICTURE.write_text(draw(tidy(printed)), "utf-8")
    sys.stdout.write(f"wrote {PICTURE.name}\n")


def tidy(printed: str) -> list[str]:
    """The lines without what differs from run to run, none longer than the terminal is wide."""
    pids: dict[str, int] = {}
    text = re.sub(r"(pid|child) (\d+)", lambda m: f"{m[1]} {pids.setdefault(m[2], 4242 + len(pids))}", printed)
    text = re.sub(r"/tmp/\S+/lab\b", ".lab", text)  # noqa: S108 - what is masked of the lab's folder
    text = re.sub(r"\b\d\d:\d\d:(\d\d)", r"09:14:\1", text)
    text = re.sub(r"redis://127\.0\.0\.1:\d+", "redis://127.0.0.1:28989", text)
    lines: list[str] = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        lines += textwrap.wrap(line, COLUMNS, subsequent_indent=indent, drop_whitespace=False) or [""]
    return lines


def draw(lines: list[str]) -> str:
    """The terminal as SVG, coloured by the page that shows it."""
    width, height = round(COLUMNS * CHARACTER) + 2 * LEFT, TOP + LINE * (len(lines) + 1) + 10
    rows = [f'<text x="{LEFT}" y="{TOP}" class="mono strong">$ {COMMAND}</text>']
    for number, line in enumerate(lines, 1):
        if line.strip():
            kind = CLASSES.get(line[:1], "")
            x = LEFT + (len(line) - len(line.lstrip())) * CHARACTER
            rows.append(
                f'<text x="{x:g}" y="{TOP + number * LINE}" class="mono{f" {kind} strong" if kind else ""}" '
                f'textLength="{len(line.strip()) * CHARACTER:g}" lengthAdjust="spacingAndGlyphs">'
                f"{html.escape(line.strip()).replace(' ', chr(160))}</text>"  # SVG would make one space of several
            )
    dots = "".join(f'<circle cx="{LEFT + 4 + 16 * number}" cy="14" r="4.5" class="tip"/>' for number in range(3))
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="doctor-title doctor-desc" class="terminal">\n'
        f'<title id="doctor-title">{COMMAND} in the incident</title>\n'
        f'<desc id="doctor-desc">{html.escape(" ".join(" ".join(lines).split()))}</desc>\n'
        f'<rect x="1" y="1" width="{width - 2}" height="{height - 2}" rx="6" class="box inner"/>\n{dots}\n'
        + "\n".join(rows)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    main()
