"""What a mock is started with."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Options:
    """Everything that can be chosen about a mock.

    Attributes:
        host: address to listen on; loopback unless somebody asks for more.
        port: TCP port; 0 takes a free one.
        base_dir: holds `input`, `output`, `temp` and `user` unless they are named one by one.
        output_dir: where SaveImage writes.
        input_dir: where uploads go and LoadImage reads.
        temp_dir: where PreviewImage writes.
        user_dir: where settings and user data are kept.
        delay: seconds that the run of a whole prompt takes at least, spread over its sampler steps.
        speed: divides every wait of a run; 2 is twice as fast.
        seed: makes what is random (ids, names of temp files) repeatable, and varies the pictures.
        models: folder -> names that exist there. A folder that is missing here accepts any name.
        nodes: modules or files with own nodes.
        faults: faults that are on from the start, as `--fault` takes them.
        log: write the access log to standard output.
    """

    host: str = "127.0.0.1"
    port: int = 8189
    base_dir: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "kernie-gen")
    output_dir: Path | None = None
    input_dir: Path | None = None
    temp_dir: Path | None = None
    user_dir: Path | None = None
    delay: float = 0.5
    speed: float = 1.0
    seed: int | None = None
    models: dict[str, tuple[str, ...]] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    log: bool = True

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can reach the mock."""
        return self.host in LOOPBACK_HOSTS or self.host.startswith("127.")
