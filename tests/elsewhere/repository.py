"""Somebody else's repository, with Markdown as such ones have it: no MkDocs, nothing of Genonaut, Celery or ComfyUI."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

README = """
    # tides

    High water at a harbour, from a table of heights. Nothing to install but Python.

    ```{.console data-exempt="changes the reader's environment"}
    $ pip install tides
    ```

    ## Use it

    ```bash
    export TIDES_TABLE="${TIDES_TABLE:-tables/harbour.csv}"
    python tides.py "$TIDES_TABLE"
    ```

    ```output
    high water 07:10 4.8 m
    ```

    ```{.bash .changes}
    python tides.py "$TIDES_TABLE" > today.txt
    ```

    ```{.bash .rollback}
    rm today.txt
    ```

    ## More

    - [As a library](docs/library.md)
    - [On a server](docs/server.md)
    """
LIBRARY = """
    # As a library

    ```python
    from tides import high_water, read_table

    heights = read_table("tables/harbour.csv")
    ```

    The table that this reads:

    ```{.text data-exempt="a part of the file, to look at"}
    --8<-- "tables/harbour.csv"
    ```

    ```python
    time, height = high_water(heights)
    print(f"{time}: {height} m")
    ```

    ```output
    07:10: 4.8 m
    ```

    An empty table is refused:

    ```{.python data-fails="ValueError"}
    high_water({})
    ```

    --8<-- "docs/parts/licence.txt"
    """
LICENCE = """
    ```console
    $ grep -c Copyright LICENCE
    1
    ```
    """
WINDOWS = """
    # On Windows

    This page was written there: its lines end in CR LF.

    ```console
    $ python tides.py tables/harbour.csv
    high water 07:10 4.8 m
    ```

    ```python
    from tides import read_table

    print(len(read_table("tables/harbour.csv")), "heights")
    ```

    ```output
    4 heights
    ```
    """
SERVER = """
    ---
    needs: server
    ---

    # On a server

    ```bash
    python -c "import os, urllib.request as u; print(u.urlopen(os.environ['TIDES_URL'] + '/harbour.csv').status)"
    ```

    ```output
    200
    ```
    """
STALE = """
    # Out of date

    ```bash
    python tides.py tables/harbour.csv; echo "looked at $(date +%H:%M)"
    ```

    ```output
    high water 06:55 4.6 m
    looked at ...
    ```

    **If it differs:** the harbour was measured again.
    """
UNTOUCHED = """
    # As it was before anybody thought of running it

    ```yaml
    harbour: tables/harbour.csv
    ```

    See [the old page](gone.md).
    """
CODE = '''
    """High water at a harbour."""

    import sys
    from pathlib import Path


    def read_table(path):
        """Heights in metres by time."""
        rows = (line.split(",") for line in Path(path).read_text().splitlines())
        return {time: float(height) for time, height in rows}


    def high_water(heights):
        """The time and the height of high water."""
        return max(heights.items(), key=lambda row: row[1])


    if __name__ == "__main__":
        print("high water {} {} m".format(*high_water(read_table(sys.argv[1]))))
    '''
CONFTEST = '''
    """A file server for the pages that need one."""

    import threading
    from contextlib import contextmanager
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    from runbooks.pages import PageEnvironment


    @contextmanager
    def server():
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory="tables")) as httpd:
            threading.Thread(target=httpd.serve_forever).start()
            yield PageEnvironment({"TIDES_URL": f"http://127.0.0.1:{httpd.server_port}"})
            httpd.shutdown()


    def pytest_runbooks_environment(page, config):
        return server() if page.meta.get("needs") == "server" else None
    '''
TABLE = """
    01:00,0.9
    07:10,4.8
    13:20,1.1
    19:35,4.7
    """
FILES = {
    "README.md": README,
    "LICENCE": "Copyright: the harbour master",
    "conftest.py": CONFTEST,
    "docs/library.md": LIBRARY,
    "docs/parts/licence.txt": LICENCE,
    "docs/server.md": SERVER,
    "docs/windows.md": WINDOWS,
    "drafts/stale.md": STALE,
    "drafts/untouched.md": UNTOUCHED,
    "tables/harbour.csv": TABLE,
    "tides.py": CODE,
}


def write_repository(folder: Path) -> None:
    """Write it, with CR LF where its author works on Windows."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        newline = "\r\n" if name == "docs/windows.md" else "\n"
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8", newline=newline)
