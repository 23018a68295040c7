"""The recorded HTTP exchanges of the real application, and what it means to answer as they do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "transcripts"

NAIVE_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
VOLATILE: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(("created_at", "started_at", "completed_at", "updated_at", "timestamp"), NAIVE_TIMESTAMP),
    **dict.fromkeys(("celery_task_id", "comfyui_prompt_id"), UUID4),
    "id": re.compile(r"\d+"),
    "content_id": re.compile(r"\d+"),
}
"""Keys whose values differ from run to run, and the form that they have in every run."""


@dataclass(frozen=True)
class Recording:
    """One exchange: what was asked, and the answer."""

    method: str
    path: str
    sent: Any
    status: int
    headers: Mapping[str, str]
    answer: Any


def recording(name: str) -> Recording:
    """Read ``transcripts/{name}.http``."""
    text = (FOLDER / f"{name}.http").read_text(encoding="utf-8")
    asked, answered = text.removeprefix("### REQUEST\n").split("### RESPONSE", 1)
    request_line, _, rest = asked.partition("\n")
    method, url = request_line.split(" ")
    sent = rest.partition("\n\n")[2].strip()
    head, _, body = answered.partition("\n")[2].partition("\n\n")
    status_line, *header_lines = head.splitlines()
    return Recording(
        method=method,
        path=re.sub(r"^http://[^/]+", "", url),
        sent=json.loads(sent) if sent else None,
        status=int(status_line.split(" ")[1]),
        headers=dict(line.split(": ", 1) for line in header_lines),
        answer=json.loads(body),
    )


def assert_answers_alike(answer: Any, recorded: Any, at: str = "") -> None:
    """The same keys in the same order, the same types, the same values but for what is volatile."""
    assert type(answer) is type(recorded), f"{at}: {answer!r} instead of {recorded!r}"
    if isinstance(recorded, dict):
        assert list(answer) == list(recorded), f"{at}: other keys, or another order"
        for key, value in recorded.items():
            _assert_value_alike(answer[key], value, key, f"{at}.{key}")
    elif isinstance(recorded, list):
        assert len(answer) == len(recorded), f"{at}: another length"
        for number, value in enumerate(recorded):
            assert_answers_alike(answer[number], value, f"{at}[{number}]")
    else:
        assert answer == recorded, at


def _assert_value_alike(answer: Any, recorded: Any, key: str, at: str) -> None:
    form = VOLATILE.get(key)
    if form is None or recorded is None:
        assert_answers_alike(answer, recorded, at)
        return
    assert type(answer) is type(recorded), f"{at}: {answer!r} instead of {recorded!r}"
    assert form.fullmatch(str(recorded)), f"{at}: the recording itself has another form"
    assert form.fullmatch(str(answer)), f"{at}: {answer!r} has another form than {recorded!r}"
