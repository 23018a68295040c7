"""Prompts as jobs: one view over what waits, runs and ran.

What the recordings leave open is as read in ComfyUI's `comfy_execution/jobs.py` (commit 172be438).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runbooks.kernie.queue import Entry, PromptQueue, Record, workflow_id

STATES = ("pending", "in_progress", "completed", "failed", "cancelled")
# What a person can look at: by the kind of output, by its format, by the ending of its file.
PREVIEWABLE = ("images", "video", "audio", "3d", "text")
FORMATS = ("video/", "audio/")
ENDINGS_3D = (".obj", ".fbx", ".gltf", ".glb", ".usdz")
ENDINGS_TEXT = (".txt", ".md", ".json")
MAX_TEXT = 1024

Job = dict[str, Any]


def waiting_job(entry: Entry, state: str) -> Job:
    """A prompt that waits or runs."""
    job = {
        "id": entry.prompt_id,
        "status": state,
        "priority": entry.number,
        "create_time": entry.extra_data.get("create_time"),
        "outputs_count": 0,
        "previewable_outputs_count": 0,
        "workflow_id": workflow_id(entry.extra_data),
    }
    return {key: value for key, value in job.items() if value is not None}


def ended_job(record: Record, *, detailed: bool = False) -> Job:
    """A prompt that ran; `detailed` adds outputs, messages and the workflow."""
    kept = json.loads(record.json)
    number, _, prompt, extra_data, _ = kept["prompt"]
    messages = kept["status"]["messages"]
    told = dict(messages)
    shown = list(_items(kept["outputs"]))
    previews = [item for item in shown if _can_be_looked_at(item)]
    job = {
        "id": record.prompt_id,
        "status": record.state,
        "priority": number,
        "create_time": record.created,
        "execution_start_time": told.get("execution_start", {}).get("timestamp"),
        "execution_end_time": messages[-1][1]["timestamp"],
        "execution_error": told.get("execution_error"),
        "outputs_count": len(shown),
        "previewable_outputs_count": len(previews),
        "preview_output": _best(previews) or _text_preview(kept["outputs"]),
        "workflow_id": record.workflow_id,
    }
    job = {key: value for key, value in job.items() if value is not None}
    if detailed:
        job["outputs"] = kept["outputs"]
        job["execution_status"] = kept["status"]
        job["workflow"] = {"prompt": prompt, "extra_data": extra_data}
    return job


def _lists(outputs: dict[str, Any]) -> Iterator[tuple[str, str, list[Any]]]:
    """Node id, kind and items of every list among the outputs."""
    for node_id, kinds in outputs.items():
        for kind, items in kinds.items():
            if kind != "animated" and isinstance(items, list):
                yield node_id, kind, items


def _items(outputs: dict[str, Any]) -> Iterator[Job]:
    """What counts as an output: files. Of plain texts, only the names of 3D files do."""
    for node_id, kind, items in _lists(outputs):
        for item in items:
            if isinstance(item, str) and item.lower().endswith(ENDINGS_3D):
                yield {"filename": item, "type": "output", "subfolder": "", "mediaType": "3d", "nodeId": node_id}
            elif isinstance(item, dict):
                yield {"mediaType": kind, **item, "nodeId": node_id}


def _name(item: Job) -> str:
    return str(item.get("filename", "")).lower()


def _can_be_looked_at(item: Job) -> bool:
    by_format = str(item.get("format", "")).startswith(FORMATS)
    return item["mediaType"] in PREVIEWABLE or by_format or _name(item).endswith(ENDINGS_3D + ENDINGS_TEXT)


def _best(previews: list[Job]) -> Job | None:
    """The first saved output, or the first of any kind; text files only if there is nothing else."""
    texts = [item for item in previews if item["mediaType"] == "text" or _name(item).endswith(ENDINGS_TEXT)]
    others = [item for item in previews if item not in texts]
    saved = [item for item in others if item.get("type") == "output"]
    return next(iter(saved or others or texts), None)


def _text_preview(outputs: dict[str, Any]) -> Job | None:
    """The first plain text, cut: for jobs that have nothing else to look at."""
    for node_id, kind, items in _lists(outputs):
        for item in items if kind == "text" else ():
            if not isinstance(item, dict):
                text = str(item)
                cut = {"content": text[:MAX_TEXT], **({"truncated": True} if len(text) > MAX_TEXT else {})}
                return {**cut, "nodeId": node_id, "mediaType": kind}
    return None


def find_job(queue: PromptQueue, prompt_id: str) -> Job | None:
    """One job in detail, or None. One that ran comes first: an id may have been used again."""
    if (record := queue.history.get(prompt_id)) is not None:
        return ended_job(record, detailed=True)
    if queue.running is not None and queue.running.prompt_id == prompt_id:
        return waiting_job(queue.running, "in_progress")
    for entry in queue.waiting:
        if entry.prompt_id == prompt_id:
            return waiting_job(entry, "pending")
    return None


@dataclass(frozen=True)
class _Found:
    """What jobs are sorted by, and what they are worked out from."""

    created: int
    duration: int
    source: Entry | Record
    state: str

    def job(self) -> Job:
        return ended_job(self.source) if isinstance(self.source, Record) else waiting_job(self.source, self.state)


def _all(queue: PromptQueue, workflow: str | None) -> Iterator[_Found]:
    """Every job, of one workflow if it is named; in the order they came."""
    for record in queue.history.values():
        if workflow is None or record.workflow_id == workflow:
            yield _Found(_number(record.created), record.duration, record, record.state)
    running = [(queue.running, "in_progress")] if queue.running is not None else []
    for entry, state in [*running, *((entry, "pending") for entry in queue.waiting)]:
        if workflow is None or workflow_id(entry.extra_data) == workflow:
            yield _Found(_number(entry.extra_data.get("create_time")), 0, entry, state)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def find_jobs(queue: PromptQueue, states: set[str], workflow: str | None) -> list[_Found]:
    """All jobs of some states."""
    return [found for found in _all(queue, workflow) if found.state in states]


def page_of(found: list[_Found], by: str, *, descending: bool, offset: int, limit: int | None) -> list[Job]:
    """One page, sorted; only what is shown is worked out. `by` is `created_at` or `execution_duration`."""
    by_duration = by == "execution_duration"
    # Equal moments keep the order in which the prompts came, also when the newest is first.
    came = list(reversed(found)) if descending else found
    in_order = sorted(came, key=lambda each: each.duration if by_duration else each.created, reverse=descending)
    return [each.job() for each in in_order[offset : None if limit is None else offset + limit]]
