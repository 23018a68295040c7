"""One look at an installation: what runs, what it holds, what answers, and what cures what is wrong."""

from runbooks.doctor.examine import examine
from runbooks.doctor.model import Diagnosis, Outcome, Subject

__all__ = ["Diagnosis", "Outcome", "Subject", "examine"]
