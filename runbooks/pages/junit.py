"""A run as a JUnit report: one test case a step."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

from runbooks.pages.records import PastRun, PastStep

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(run: PastRun, path: Path) -> None:
    """Write a run's report, readable only by the user."""
    page = str(run.about["page"])
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=page,
        tests=str(len(run.steps)),
        failures=str(sum(step.result == "failed" for step in run.steps)),
        errors=str(sum(step.result in ("", "interrupted") for step in run.steps)),
        skipped=str(sum(step.result == "skipped" for step in run.steps)),
        time=f"{sum(step.seconds for step in run.steps):.3f}",
        timestamp=str(run.about["at"]),
        hostname=str(run.about["host"]),
    )
    for step in run.steps:
        suite.append(_case(page, step))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)


def _case(page: str, step: PastStep) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=page, name=step.name, time=f"{step.seconds:.3f}")
    message = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", step.error or step.result or "killed")
    first = message.splitlines()[0]
    if step.result == "failed":
        ElementTree.SubElement(case, "failure", message=first).text = message
    elif step.result == "skipped":
        ElementTree.SubElement(case, "skipped", message=first)
    elif step.result != "passed":
        ElementTree.SubElement(case, "error", message=first)
    if step.output:
        ElementTree.SubElement(case, "system-out").text = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", step.output)
    return case
