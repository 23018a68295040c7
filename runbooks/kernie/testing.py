"""A running mock for tests of any kind. The pytest fixture `kernie` (`pytest_plugin.py`) gives one to each test.

```python
from runbooks.kernie.testing import running_mock

with running_mock() as kernie:
    print(kernie.get("/queue"))
    print([seen["path"] for seen in kernie.requests()])
```

```output
{'queue_running': [], 'queue_pending': []}
['/queue']
```
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# pytest imports this at every start: what is slow to import is imported where it is used.
if TYPE_CHECKING:
    import asyncio

    from runbooks.kernie.mock import Mock
    from runbooks.kernie.options import Options

START_SECONDS = 30.0
STOP_SECONDS = 10.0
REQUEST_SECONDS = 10.0


class RunningMock:
    """A mock that runs in a thread of this process.

    Attributes:
        url: where it listens, such as `http://127.0.0.1:40001`.
        output_dir: where SaveImage writes.
        input_dir: where uploads go.
        mock: its state; for reading only, it belongs to another thread.
    """

    def __init__(self, url: str, mock: Mock) -> None:
        self.url = url
        self.mock = mock
        self.output_dir = mock.folders.output
        self.input_dir = mock.folders.input

    def get(self, path: str) -> Any:
        """GET, answered as JSON. Raises urllib.error.HTTPError for an answer of 400 or more."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """POST a JSON body; the answer as JSON, None if it is empty. Raises as `get`."""
        return self._ask("POST", path, body)

    def fault(self, kind: str, **more: Any) -> None:
        """Switch a fault on: `kernie.fault("slow", seconds=2, times=1)`."""
        self.post("/kernie/faults", {"kind": kind, **more})

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self._ask("DELETE", "/kernie/faults", None)

    def requests(self, query: str = "") -> list[dict[str, Any]]:
        """What arrived so far, oldest first; `query` filters, such as `path=/prompt`."""
        found: list[dict[str, Any]] = self.get(f"/kernie/requests?{query}")["requests"]
        return found

    def reset(self) -> None:
        """As just started; files stay."""
        self.post("/kernie/reset", None)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        import urllib.request

        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)  # noqa: S310 - our own URL
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:  # noqa: S310
            content = answer.read()
        return json.loads(content) if content else None


@contextlib.contextmanager
def running_mock(**options: Any) -> Iterator[RunningMock]:
    """Run a mock on a free port until the block is left.

    Args:
        options: attributes of `runbooks.kernie.options.Options`. Without `base_dir`, a temporary folder is used and
            removed; without `delay`, prompts run at once.

    Raises:
        KernieError, OSError: if it cannot start.
    """
    import tempfile

    from runbooks.kernie.options import Options

    with contextlib.ExitStack() as stack:
        if "base_dir" not in options:
            options["base_dir"] = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kernie-")))
        thread = _Thread(Options(**{"port": 0, "delay": 0.0, "log": False, **options}))
        thread.start()
        try:
            yield thread.wait_until_ready()
        finally:
            thread.stop()


class _Thread(threading.Thread):
    """Runs the mock's event loop."""

    def __init__(self, options: Options) -> None:
        super().__init__(name="kernie-gen", daemon=True)
        self._options = options
        self._ready = threading.Event()
        self._running: RunningMock | None = None
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Event | None = None

    def run(self) -> None:
        import asyncio

        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
            self._ready.set()

    async def _serve(self) -> None:
        import asyncio

        from runbooks.kernie.server import serving

        self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self._options) as (url, mock):
            self._running = RunningMock(url, mock)
            self._ready.set()
            await self._leave.wait()

    def wait_until_ready(self) -> RunningMock:
        self._ready.wait(START_SECONDS)
        if self._error is not None:
            raise self._error
        assert self._running is not None, f"the mock did not start within {START_SECONDS:g} s"
        return self._running

    def stop(self) -> None:
        if self._loop is not None and self._leave is not None:
            # A loop that is closed has nothing left to stop: the mock did not start, or ended by itself.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._leave.set)
        self.join(STOP_SECONDS)
