"""What a prefork worker does: main reads its settings, then forks; every child has its own copy of main's cache."""

import os
from functools import lru_cache
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from tempfile import TemporaryDirectory

OLD, NEW = "http://localhost:8000", "http://localhost:8189"


@lru_cache
def get_url(config: Path) -> str:
    return config.read_text()


def fork_a_child(config: Path) -> Connection:
    """Fork a process that says which URL it has, whenever it is asked."""
    here, there = Pipe()
    if os.fork() == 0:
        while there.recv():
            there.send(get_url(config))
        os._exit(0)
    return here


def ask(child: Connection) -> str:
    child.send("your URL?")
    return str(child.recv())


with TemporaryDirectory() as folder:
    config = Path(folder) / "comfyui-url"

    config.write_text(OLD)
    print("main reads its settings:", get_url(config))

    config.write_text(NEW)
    first = fork_a_child(config)
    print("a child, after the edit:", ask(first))

    get_url.cache_clear()
    print("main, cache cleared:    ", get_url(config))
    print("the child, asked again: ", ask(first))

    second = fork_a_child(config)
    print("a new child:            ", ask(second))

    os.register_at_fork(after_in_child=get_url.cache_clear)
    config.write_text("http://localhost:9000")
    third = fork_a_child(config)
    print("one that forgets:       ", ask(third))
    print("the one beside it:      ", ask(second))

    for child in (first, second, third):
        child.send(None)
        os.wait()
