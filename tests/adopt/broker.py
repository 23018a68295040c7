"""A Redis server of the tests' own, that can be stopped and started again."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from redis import Redis

from runbooks.lab.backends import broker_answers, broker_command
from tests.support.waiting import wait_until


class Broker:
    """One server in a folder, on a free port that it keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.start()

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def client(self, database: int = 0) -> Redis:
        return Redis.from_url(self.url(database))

    def start(self) -> None:
        command = [*broker_command(self.port), "--databases", "64"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL)
        wait_until(lambda: broker_answers(self.url()), 10, "the broker does not answer")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
