"""What a process says once, as soon as it holds its settings: in what the processes of its application disagree."""

from __future__ import annotations

import logging
import os

from runbooks.drift.health import PAGE, Watch
from runbooks.drift.presence import to_stay
from runbooks.drift.reporter import Reporter

logger = logging.getLogger(__name__)


class WarnsOnce:
    """A beat that, after the first report with settings, logs one warning for each value that is not the same for all.

    Nothing is said of a process that leaves, nor of one that this one replaces. Never raises.
    """

    def __init__(self, reporter: Reporter, redis_url: str | None) -> None:
        """Nothing is said yet.

        Args:
            reporter: of this process.
            redis_url: where all report.
        """
        self._reporter, self._redis_url = reporter, redis_url
        self._done = redis_url is None

    def __call__(self) -> None:
        """Report, and look at the others if it is time for that."""
        if self._reporter.beat() and not self._done and self._reporter.seen.snapshot is not None:
            self._done = True
            try:
                self._warn()
            except Exception as error:  # reporting must not hurt the process that reports
                logger.debug("The others were not looked at: %s", type(error).__name__)

    def _warn(self) -> None:
        assert self._redis_url is not None
        env_target = os.environ.get("ENV_TARGET")
        watch = Watch(self._redis_url, self._reporter.identity.app, env_target=env_target, needs_worker=False)
        try:
            drifts = watch.look(keep=to_stay).drifts
        finally:
            watch.close()
        for drift in drifts:
            logger.warning("Configuration: %s. See %s", drift, PAGE)
