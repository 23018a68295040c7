"""Run the Python steps of a page, in this process, in one namespace."""

from __future__ import annotations
import __future__

import ast
import contextlib
import linecache
import os
import sys
import threading
import time
import traceback
import types
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runbooks.pages.asserts import RAISE, Asserts, Detail, explanation
from runbooks.pages.capture import OUTPUT_LIMIT, OutputCapture, TooMuchOutput
from runbooks.pages.follow import Listener, follow
from runbooks.pages.limits import Limits, TimedOut
from runbooks.pages.model import Block, Page
from runbooks.pages.processes import End, children, in_own_group, stop, system
from runbooks.pages.results import Failure, Outcome

_THREADS_SECONDS = 2.0
_FUTURE_FLAGS = 0
for _feature in __future__.all_feature_names:
    _FUTURE_FLAGS |= getattr(__future__, _feature).compiler_flag


class PythonRunner:
    """One Python namespace with an environment and a working directory of its own, like a terminal of its own.

    While a step runs, ``os.environ``, the working directory, ``__main__`` and the standard streams of this process
    are the page's; after it they are as they were before.
    """

    def __init__(
        self,
        page: Page,
        environ: Mapping[str, str],
        cwd: Path,
        detail: Detail | None = None,
        *,
        listener: Listener | None = None,
        end: End = stop,
    ) -> None:
        self._page = page
        self._listener = listener
        self._end = end
        self._environ = {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
        self._cwd = str(cwd)
        self._asserts = Asserts(detail)
        self._filename = str(page.path) if page.path else page.name
        self._module = types.ModuleType("__main__")
        self._flags = 0
        self._children = children()
        if page.path:
            linecache.checkcache(self._filename)
        else:
            lines = [f"{line}\n" for line in page.source_lines]
            linecache.cache[self._filename] = (len(page.text), None, lines, self._filename)

    def run(self, block: Block) -> Outcome:
        """Run a step once, and say what it wrote and how it failed."""
        try:
            code = self._compile(block)
        except Exception as error:  # also what compile() thinks of a NUL or deep nesting
            number = error.lineno if isinstance(error, SyntaxError) and error.lineno else block.page_line(1)
            line = block.page_line(number - block.page_line(1) + 1)
            said = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
            return Outcome("", Failure(_names(error), said, line), f"{said}\n")
        if not os.path.isdir(self._cwd):  # noqa: PTH112 - quicker
            return Outcome("", Failure((), f"the working directory is gone: {self._cwd}", block.line))
        capture = OutputCapture()
        caught: BaseException | None = None
        with self._terminal(), capture, follow(capture.descriptor, self._listener):
            limits = Limits(block.timeout, capture.descriptor, self._end)
            try:
                try:
                    limits.begin()
                    with _one_process():
                        exec(code, self._module.__dict__)  # noqa: S102 - running a page's code is what this is for
                finally:
                    limits.over = True
            except KeyboardInterrupt:
                if block.fails != "KeyboardInterrupt":
                    raise
                caught = KeyboardInterrupt()
            except BaseException as error:
                caught = error
                if isinstance(error, (TimedOut, TooMuchOutput)):
                    limits.end_children()
                    traceback.clear_frames(error.__traceback__)
            finally:
                limits.close()
        if caught is None:
            return Outcome(capture.text)
        return self._failed(block, caught, capture.text)

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """Return the literals of those variables whose values are plain data: text, numbers, lists and the like."""
        found = {}
        for name in names:
            with contextlib.suppress(Exception):  # a repr() may do anything
                text = repr(self._module.__dict__[name])
                if ast.literal_eval(text) == self._module.__dict__[name]:
                    found[name] = text
        return found

    def restore(self, values: Mapping[str, str]) -> None:
        """Set variables to what ``values`` returned."""
        self._module.__dict__.update({name: ast.literal_eval(text) for name, text in values.items()})

    def close(self) -> None:
        """Stop the threads of steps and the processes that they left in this process's group; forget the namespace."""
        _end_threads(self._module.__dict__)
        self._end(in_own_group(children() - self._children))
        if not self._page.path:
            linecache.cache.pop(self._filename, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self._module.__dict__.clear()

    def _compile(self, block: Block) -> types.CodeType:
        """Compile a step so that every line of it has the page's number."""
        above = block.page_line(1) - 1
        source: str | ast.Module = "\n" * above + block.code
        includes = block.page_line(len(block.lines)) != above + len(block.lines)
        if includes or "assert" in block.code:
            source = ast.parse(source, self._filename)
            if includes:
                _place_includes(source, block, above)
            self._asserts.prepare(source)
            self._module.__dict__[RAISE] = self._asserts.failed
        code: types.CodeType = compile(source, self._filename, "exec", flags=self._flags, dont_inherit=True)
        self._flags |= code.co_flags & _FUTURE_FLAGS
        return code

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[None]:
        environ, cwd, main = _environment(), os.getcwd(), sys.modules["__main__"]  # noqa: PTH109
        _change_environ(environ, self._environ)
        os.chdir(self._cwd)
        sys.modules["__main__"] = self._module
        os.system, original = system, os.system
        try:
            yield
        finally:
            if os.system is system:
                os.system = original
            sys.modules["__main__"] = main
            self._environ = _environment()
            with contextlib.suppress(FileNotFoundError):
                self._cwd = os.getcwd()  # noqa: PTH109
            _change_environ(self._environ, environ)
            os.chdir(cwd)

    def _failed(self, block: Block, error: BaseException, output: str) -> Outcome:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != _HERE]
        own = [frame.lineno for frame in frames if frame.filename == self._filename and frame.lineno in block.lines]
        line = own[0] if own and own[0] else block.line
        if isinstance(error, TimedOut):
            return Outcome(output, Failure(("timeout",), f"still running after {block.timeout:g} s; stopped", line))
        if isinstance(error, TooMuchOutput):
            return Outcome(output, Failure((), f"wrote more than {OUTPUT_LIMIT:,} bytes; stopped", line))
        if isinstance(error, SystemExit):
            message = f"the step ended the interpreter (SystemExit: {error.code})"
            return Outcome(output, Failure(_names(error), message, line))
        said = "".join(traceback.format_exception_only(error))
        lines = said.rstrip().splitlines()
        if explained := explanation(error).splitlines():
            lines = [f"{lines[0]}: {explained[0]}", *explained[1:]] if not error.args else [*lines, *explained]
        message = next(text for text in lines if not text.startswith(" "))  # a SyntaxError's begins with its place
        shown = [f"E   {text}" for text in lines] if len(lines) > 1 else []
        details = "\n".join([*self._way(frames, line), *shown, *_causes(error)])
        return Outcome(output, Failure(_names(error), message, line, details), said)

    def _way(self, frames: list[traceback.FrameSummary], line: int) -> Iterator[str]:
        """Say where the error came from, below the page's own line: the last frames, one line each."""
        for frame in [frame for frame in frames if (frame.filename, frame.lineno) != (self._filename, line)][-4:]:
            name = self._page.name if frame.filename == self._filename else _short(frame.filename)
            yield f"{name}:{frame.lineno}: in {frame.name}: {(frame.line or '').strip()}"


@contextlib.contextmanager
def _one_process() -> Iterator[None]:
    """End a process that the block has forked where the block ends: it must not run the rest of the page, too."""
    own, status = os.getpid(), 0
    try:
        yield
    except BaseException as error:
        if os.getpid() == own:
            raise
        if isinstance(error, SystemExit):
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        else:
            traceback.print_exception(error)
            status = 1
    if os.getpid() != own:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception, TooMuchOutput):
                stream.flush()
        os._exit(status & 0xFF)


def _end_threads(namespace: dict[str, object]) -> None:
    """End the threads that run functions of a page. Without their names they would only fail, at some time or other.

    One that waits in C hears of it when it has done so.
    """
    running = [
        ident
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
        and any(each.f_globals is namespace for each, _ in traceback.walk_stack(frame))
    ]
    if not running:
        return
    import ctypes  # takes a while

    deadline = time.monotonic() + _THREADS_SECONDS
    ended = [thread for thread in threading.enumerate() if thread.ident in running]
    for thread in ended:
        vars(thread)["_invoke_excepthook"] = lambda _thread: None  # pytest's hook makes much of a SystemExit
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    for thread in ended:
        thread.join(max(deadline - time.monotonic(), 0))


def _place_includes(tree: ast.Module, block: Block, above: int) -> None:
    """Give the lines of included files the page's line of their include."""
    node: Any
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            node.lineno = block.page_line(node.lineno - above)
            node.end_lineno = block.page_line(node.end_lineno - above)
            node.col_offset = node.end_col_offset = 0  # several lines may have become one


_HERE = Path(__file__).parent


def _names(error: BaseException) -> tuple[str, ...]:
    kinds = [kind for kind in type(error).__mro__ if kind not in (object, BaseException)]
    return tuple(name for kind in kinds for name in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}"))


def _causes(error: BaseException) -> Iterator[str]:
    seen = {id(error)}
    while (cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        if id(cause) in seen:
            return
        seen.add(id(cause))
        yield f"E   because of {''.join(traceback.format_exception_only(cause)).strip()}"
        error = cause


def _short(filename: str) -> str:
    path = Path(filename)
    with contextlib.suppress(OSError):
        if path.is_relative_to(Path.cwd()):
            return path.relative_to(Path.cwd()).as_posix()
    return filename


def _environment() -> dict[bytes, bytes]:
    """Return this process's environment: what ``dict(os.environb)`` says, which takes a hundred times as long."""
    found: dict[bytes, bytes] = os.environ._data.copy()  # type: ignore[attr-defined]
    return found


def _change_environ(current: Mapping[bytes, bytes], wanted: Mapping[bytes, bytes]) -> None:
    """Touch only what differs: every change of it is a call of the system's library."""
    known: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    for key in current.keys() - wanted.keys():
        os.unsetenv(key)
        known.pop(key, None)
    for key, value in wanted.items():
        if current.get(key) != value:
            os.putenv(key, value)
            known[key] = value
