"""The lab: the whole stack of the incident, real but for ComfyUI, in a folder of its own."""

from runbooks.lab.lab import Lab, stop_folder
from runbooks.lab.start import Progress
from runbooks.lab.state import LabState, ProcessId, Service

__all__ = ["Lab", "LabState", "ProcessId", "Progress", "Service", "stop_folder"]
