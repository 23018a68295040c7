"""What a process runs with: what the operating system knows of it, and what the files say now."""

from runbooks.drift.holdings import Agreement, Certainty, Holding, changed_files, compare, words_of_files
from runbooks.drift.processes import ProcessView, ancestors, is_alive, look_at, look_for
from runbooks.redaction import redact, redact_text

__all__ = [
    "Agreement",
    "Certainty",
    "Holding",
    "ProcessView",
    "ancestors",
    "changed_files",
    "compare",
    "is_alive",
    "look_at",
    "look_for",
    "redact",
    "redact_text",
    "words_of_files",
]
